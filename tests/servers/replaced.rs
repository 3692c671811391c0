//! The same Proxy connects again while its old connection looks alive: the old one is closed before the new one is
//! answered.

use crate::cluster::{
    NOBODY, Proxies, all_hear, await_listening, await_state, hosts, init, listening, number,
    silence, state,
};
use crate::setup::command;
use crate::standin::{Adapter, Connection, DEADLINE, RemoteHost, Server, Session, Side};
use std::thread;
use std::time::Instant;

const REPLACED: &str = "closed: the same Proxy has connected again, as ";

/// An adapter, and a server in its room that has connected from 127.0.0.1.
fn with_one() -> (RemoteHost, Adapter, Proxies) {
    let ports = RemoteHost::new();
    let adapter = listening(&ports, &[]);
    let proxies = Proxies::connected(&ports, "one").in_room();
    (ports, adapter, proxies)
}

/// Awaits that a connection is closed, whatever came on it before, be it a part of a line.
#[track_caller]
fn await_end(mut connection: Connection) {
    while connection.incoming().fill().is_ok() {}
}

#[test]
fn no_message_succeeds_into_an_old_data_connection() {
    let (ports, adapter, mut proxies) = with_one();
    for round in 1..=20 {
        all_hear(std::slice::from_mut(&mut proxies), 0, "before");
        // The old one is open still, and nobody has told the adapter otherwise.
        let data = ports.meet_data(&init(Side::Data, "one"));
        let old = std::mem::replace(&mut proxies.data, data);
        assert_eq!(
            proxies.say("to nobody yet"),
            Err(NOBODY.into()),
            "round {round}"
        );
        await_end(old.connection);
        proxies.data.subscribe("chat_room");
    }
    all_hear(std::slice::from_mut(&mut proxies), 0, "at last");
    let words = [" data 127.0.0.1:", REPLACED, "as data 127.0.0.1:"];
    adapter.wait_for_log(&words);
    let state = state(&adapter);
    assert!(state.contains("20 refused, 0 lost"), "{state}");
    assert!(!state.contains("of 2 serving"), "{state}");
}

#[test]
fn what_waits_on_the_old_data_connection_is_counted_as_lost() {
    let ports = RemoteHost::new();
    let adapter = listening(&ports, &[]);
    let small = ports.caller(Side::Data).with_receive_buffer(64 << 10);
    let mut proxies = Proxies {
        server: "one".into(),
        metadata: ports.meet_metadata(&init(Side::Metadata, "one")),
        data: small.meet_data(&init(Side::Data, "one")),
    }
    .in_room();
    let filler = "x".repeat(256 << 10);
    while proxies.say(&filler).is_ok() {}
    let mut data = small.meet_data(&init(Side::Data, "one"));
    let old = std::mem::replace(&mut proxies.data.connection, data.connection);
    // All that was said before the new one was answered.
    let counted = number(&state(&adapter), " lost");
    let log = adapter.log();
    let position = |words| {
        log.find(words)
            .unwrap_or_else(|| panic!("{words} in {log}"))
    };
    let lost = position("messages that were answered with success are lost");
    let (_, after) = log.split_at(lost);
    assert!(after.contains(REPLACED), "{log}");
    assert!(
        log.rfind("serving, ARI 1.9.1, keepalive") > log.find(REPLACED),
        "{log}"
    );
    let line = &log[lost - 60..];
    let (_, count) = line.split_once("at least ").expect("a count");
    let count = number(count, " messages");
    assert!(count > 1 && count == counted, "{count}, {counted}: {log}");
    // What was on its way may still come; then there is an end.
    await_end(old);
    let state = await_state(&adapter, "nothing waits", |state| {
        state.matches(" 0 bytes queued").count() == 2
    });
    assert_eq!(number(&state, " lost"), count, "{state}");
    data.connection = proxies.data.connection;
    data.subscribe("chat_room");
    proxies.data = data;
    all_hear(std::slice::from_mut(&mut proxies), 0, "from here on");
}

#[test]
fn the_new_metadata_connection_has_the_sessions_and_the_old_one_is_closed() {
    let (ports, adapter, mut proxies) = with_one();
    let from = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let caller = ports.caller(Side::Metadata).from(from);
    let metadata = caller.meet_metadata(&init(Side::Metadata, "one"));
    let old = std::mem::replace(&mut proxies.metadata, metadata);
    await_end(old.connection);
    all_hear(
        std::slice::from_mut(&mut proxies),
        0,
        "nobody has to reload",
    );
    adapter.wait_for_log(&[" metadata 127.0.0.1:", REPLACED, "as metadata 127.0.0.2:"]);
    adapter.wait_for_log(&[
        " metadata 127.0.0.2:",
        "same server as before: 1 sessions kept",
    ]);
    let state = state(&adapter);
    assert!(state.contains(" 1 sessions, room open,"), "{state}");
}

#[test]
fn what_the_old_connection_was_asked_last_is_over_before_the_new_one_begins() {
    let (ports, _adapter, mut proxies) = with_one();
    for round in 0..20 {
        // On its way on the old connection while the new one connects.
        let id = format!("S{round}");
        let old = &mut proxies.metadata;
        old.send_open(&Session::new(&id, "192.0.2.7", "Browser"));
        let metadata = ports.meet_metadata(&init(Side::Metadata, "one"));
        let old = std::mem::replace(&mut proxies.metadata, metadata);
        await_end(old.connection);
        proxies.metadata.close_session(&id);
        let outcome = proxies.metadata.say(&id, "closed");
        assert!(outcome.is_err(), "round {round}: the session is open");
    }
}

#[test]
fn a_proxy_that_is_called_and_then_connects_is_the_same() {
    let (server, ports) = (Server::start(), RemoteHost::new());
    let adapter = command()
        .args(hosts([&server]))
        .args(ports.arguments())
        .start();
    await_listening(&adapter, &ports);
    let mut called = Proxies::accepted(&server, "one").in_room();
    let mut other = Proxies::connected(&ports, "two").in_room();
    let mut connected = Proxies::connected(&ports, "one");
    await_end(called.metadata.connection);
    await_end(called.data.connection);
    connected.data.subscribe("chat_room");
    // Its session is the one that it opened before.
    assert_eq!(connected.say("by the other way"), Ok(()));
    connected.hears("by the other way");
    other.hears("by the other way");
    // And the other way round: what is called next is the latest.
    called = Proxies::accepted(&server, "one");
    await_end(connected.metadata.connection);
    await_end(connected.data.connection);
    called.data.subscribe("chat_room");
    assert_eq!(called.say("back again"), Ok(()));
    called.hears("back again");
    other.hears("back again");
    silence(&mut [called, other]);
}

#[test]
fn other_proxies_are_left_alone() {
    let (ports, adapter, mut first) = with_one();
    // Another Data Adapter of the same Adapter Set.
    let named = init(Side::Data, "one").with("data_provider.name", "ANOTHER_ROOM");
    let mut other = ports.meet_data(&named);
    other.subscribe("chat_room");
    // One that does not name itself: what is left to tell it from the Proxy Metadata Adapter is its side.
    let unnamed = init(Side::Data, "one").without("data_provider.name");
    let _unnamed = ports.meet_data(&unnamed);
    // Another instance, from the same address.
    let mut second = Proxies::connected(&ports, "two").in_room();
    // Proxies without an instance, which may be anybody's.
    let nameless = |side| init(side, "").without("proxy.instance_id");
    let empty = |side| init(side, "");
    let mut more = Vec::new();
    for data in [
        nameless(Side::Data),
        nameless(Side::Data),
        empty(Side::Data),
        empty(Side::Data),
    ] {
        let mut data = ports.meet_data(&data);
        data.subscribe("chat_room");
        more.push(data);
    }
    let _metadata =
        [nameless(Side::Metadata), nameless(Side::Metadata)].map(|init| ports.meet_metadata(&init));
    assert_eq!(first.say("to all of them"), Ok(()));
    first.hears("to all of them");
    second.hears("to all of them");
    for data in more.iter_mut().chain([&mut other]) {
        assert_eq!(data.chat().message, "to all of them");
    }
    let log = adapter.log();
    assert!(!log.contains(REPLACED), "{log}");
    // And each is known by its name: that one alone is replaced.
    let mut later = ports.meet_data(&named);
    await_end(other.connection);
    later.subscribe("chat_room");
    assert_eq!(second.say("to all but one"), Ok(()));
    first.hears("to all but one");
    second.hears("to all but one");
    assert_eq!(later.chat().message, "to all but one");
    silence(&mut [first, second]);
}

#[test]
fn of_many_at_once_one_is_left() {
    let (ports, adapter, mut proxies) = with_one();
    let (threads, descriptors) = (adapter.threads(), adapter.descriptors());
    for side in [Side::Metadata, Side::Data] {
        let init = init(side, "one");
        let connections: Vec<_> = thread::scope(|scope| {
            let connect = || {
                let mut connection = ports.connect(side);
                connection.send_line(init.line());
                connection
            };
            let all: Vec<_> = (0..6).map(|_| scope.spawn(connect)).collect();
            all.into_iter()
                .map(|one| one.join().expect("no panic"))
                .collect()
        });
        // All but one of them end; nobody knows which was the last to be heard.
        thread::scope(|scope| {
            let ends: Vec<_> = connections
                .into_iter()
                .map(|mut connection| {
                    scope.spawn(move || {
                        let request = match side {
                            Side::Metadata => "7c|GIS|S|#|S|chat_room|S|S1",
                            Side::Data => "7c|USB|S|other",
                        };
                        // The old ones may be gone already.
                        let _ = connection.outgoing().try_send(format!("{request}\r\n"));
                        let mut lines = Vec::new();
                        while let Ok(line) = connection.incoming().next_line() {
                            lines.push(line);
                            if lines.last().is_some_and(|line| line.starts_with("7c|")) {
                                return Some(connection);
                            }
                        }
                        None
                    })
                })
                .collect();
            let left = ends
                .into_iter()
                .filter_map(|end| end.join().expect("no panic"));
            let mut left: Vec<_> = left.collect();
            // One that was answered may have been replaced after that.
            await_state(&adapter, "one is left", |state| {
                !state.contains("of 2 serving")
            });
            assert!(!left.is_empty(), "{side:?}: none is left");
            let last = left.pop();
            drop(last);
        });
    }
    proxies.metadata = ports.meet_metadata(&init(Side::Metadata, "one"));
    proxies.data = ports.meet_data(&init(Side::Data, "one"));
    proxies.data.subscribe("chat_room");
    all_hear(std::slice::from_mut(&mut proxies), 0, "it works");
    let start = Instant::now();
    while adapter.threads() > threads || adapter.descriptors() > descriptors {
        assert!(start.elapsed() < DEADLINE, "something is left behind");
        thread::yield_now();
    }
}
