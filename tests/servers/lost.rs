//! A server that goes, comes, or is not there, and what the others notice of it: nothing.

use crate::cluster::{
    LOST, NOBODY, Proxies, all_hear, called, hosts, init, number, silence, state,
};
use crate::setup::command;
use crate::standin::{Server, Side};

#[test]
fn one_dies_and_comes_back_while_the_others_go_on() {
    let (adapter, mut servers, mut proxies) = called(3);
    servers[1].close();
    let dead = proxies.remove(1);
    let [metadata, data] = [&servers[1].metadata, &servers[1].data].map(|it| it.port());
    dead.metadata.connection.abort();
    dead.data.connection.abort();
    for (side, port) in [("metadata", metadata), ("data", data)] {
        let name = format!(" {side} 127.0.0.1:{port}: ");
        adapter.wait_for_log(&[&name, "lost", "next try"]);
        adapter.wait_for_log(&[&name, "cannot connect"]);
    }
    adapter.wait_for_log(&["chat_room unsubscribed by the loss of the connection"]);
    for from in [0, 1, 0] {
        all_hear(&mut proxies, from, "without the second");
    }
    let state = state(&adapter);
    for part in [
        "metadata 2 of 3 serving",
        "data 2 of 3 serving",
        "room open on 2 servers",
        "messages 3 relayed, 0 refused, 0 lost",
        &format!("; not serving: metadata 127.0.0.1:{metadata}, data 127.0.0.1:{data}"),
    ] {
        assert!(state.contains(part), "{part} in {state}");
    }
    servers[1].reopen();
    let mut back = Proxies::accepted(&servers[1], "two");
    // Connected, and nobody is in its room yet.
    assert_eq!(proxies[0].say("not to the second yet"), Ok(()));
    for server in &mut proxies {
        server.hears("not to the second yet");
    }
    // It was the same instance, whose sessions the adapter knows.
    assert_eq!(back.say("to the others only"), Ok(()));
    for server in &mut proxies {
        server.hears("to the others only");
    }
    back.data.subscribe("chat_room");
    proxies.push(back);
    for from in [0, 2] {
        all_hear(&mut proxies, from, "all three again");
    }
    silence(&mut proxies);
}

/// The connections of a server are lost, and it is there again at once, as this instance of its Proxies.
#[track_caller]
fn restarted(lost: Proxies, at: &Server, instance: &str) -> Proxies {
    let name = lost.server.clone();
    lost.metadata.connection.close();
    lost.data.connection.close();
    let mut proxies = Proxies::accepted(at, instance);
    proxies.data.subscribe("chat_room");
    Proxies {
        server: name,
        ..proxies
    }
}

#[test]
fn one_restarts_and_only_its_own_sessions_end() {
    let (adapter, servers, mut proxies) = called(3);
    let first = proxies.remove(0);
    proxies.insert(0, restarted(first, &servers[0], "one"));
    adapter.wait_for_log(&["the same server as before: 1 sessions kept"]);
    let second = proxies.remove(1);
    proxies.insert(1, restarted(second, &servers[1], "two, later"));
    adapter.wait_for_log(&["not the server of before: 1 sessions dropped"]);
    assert_eq!(proxies[1].say("from before"), Err(LOST.into()));
    all_hear(&mut proxies, 0, "kept over a lost connection");
    all_hear(&mut proxies, 2, "never lost");
    proxies[1].open_session();
    all_hear(&mut proxies, 1, "opened anew");
    silence(&mut proxies);
    let state = state(&adapter);
    assert!(
        state.contains(" 3 sessions, room open on 3 servers"),
        "{state}"
    );
    assert_eq!(number(&state, " reconnections"), 2, "{state}");
}

#[test]
fn who_is_not_there_keeps_nobody_waiting_and_may_come_late() {
    let mut servers = [Server::start(), Server::start()];
    servers[1].close();
    let adapter = command().args(hosts(&servers)).start();
    let mut first = Proxies::accepted(&servers[0], "one");
    first.open_session();
    assert_eq!(first.say("too early"), Err(NOBODY.into()));
    first.data.subscribe("chat_room");
    assert_eq!(first.say("one server is enough"), Ok(()));
    first.hears("one server is enough");
    let before = state(&adapter);
    assert!(before.contains("data 1 of 2 serving"), "{before}");
    assert!(before.contains("room open,"), "{before}");

    servers[1].data.reopen();
    let mut data = servers[1].meet_data(&init(Side::Data, "two"));
    data.subscribe("chat_room");
    assert_eq!(first.say("to a server without metadata"), Ok(()));
    first.hears("to a server without metadata");
    assert_eq!(data.chat().message, "to a server without metadata");
    servers[1].metadata.reopen();
    let metadata = servers[1].meet_metadata(&init(Side::Metadata, "two"));
    let mut second = Proxies {
        server: "two".into(),
        metadata,
        data,
    };
    second.open_session();
    let mut proxies = vec![first, second];
    all_hear(&mut proxies, 1, "from the one that came late");

    // And it leaves, for good.
    let late = proxies.pop().expect("the second");
    servers[1].close();
    late.metadata.connection.close();
    late.data.connection.close();
    adapter.wait_for_log(&["unsubscribed by the loss"]);
    all_hear(&mut proxies, 0, "one is left");
    let after = state(&adapter);
    assert!(after.contains("room open,"), "{after}");
    assert_eq!(number(&after, " relayed"), 4, "{after}");
}
