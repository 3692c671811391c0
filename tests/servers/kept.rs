//! Sessions of several servers over a restart of the adapter, and of servers that are away.

use crate::cluster::{LOST, Proxies, await_state, end, hosts, init, listening, state};
use crate::files::Files;
use crate::setup::command;
use crate::standin::{RemoteHost, Server, Side};

#[test]
fn the_sessions_of_all_servers_outlive_the_adapter() {
    let (servers, files) = ([Server::start(), Server::start()], Files::new());
    let start = || {
        let command = command().args(hosts(&servers));
        command.args(["--state", &files.path("sessions")]).start()
    };
    let meet = |names: [&str; 2]| {
        let mut proxies = [0, 1].map(|at| Proxies::accepted(&servers[at], names[at]));
        proxies[0].data.subscribe("chat_room");
        proxies
    };
    let adapter = start();
    let mut proxies = meet(["one", "two"]);
    for server in &mut proxies {
        server.open_session();
    }
    end(adapter);
    drop(proxies);

    let adapter = start();
    adapter.wait_for_log(&["2 sessions of an earlier run"]);
    let mut proxies = meet(["one", "two"]);
    for server in 0..2 {
        assert_eq!(proxies[server].say("kept"), Ok(()));
        let nick = format!("Browser of {}", proxies[server].server);
        assert_eq!(proxies[0].hears("kept").nick, nick);
    }
    let log = end(adapter);
    let kept = "the same server as before: 1 sessions kept";
    assert_eq!(log.matches(kept).count(), 2, "{log}");
    drop(proxies);

    // One is another now. Its sessions go, and stay away; those of the other one do not.
    for _ in 0..2 {
        let adapter = start();
        let mut proxies = meet(["another", "two"]);
        proxies[0].server = "one".into();
        assert_eq!(proxies[0].say("from before"), Err(LOST.into()));
        assert_eq!(proxies[1].say("kept still"), Ok(()));
        assert_eq!(number_of_sessions(&state(&adapter)), "1");
        end(adapter);
        drop(proxies);
    }
}

/// What the line of state says of sessions, up to that word.
fn number_of_sessions(state: &str) -> &str {
    let (before, _) = state.split_once(" sessions").expect("the sessions");
    before.rsplit(", ").next().expect("a number")
}

#[test]
fn servers_that_are_away_have_their_sessions_kept() {
    let (ports, files) = (RemoteHost::new(), Files::new());
    let file = files.path("sessions");
    let adapter = listening(&ports, &["--state", &file]);
    let first = Proxies::connected(&ports, "one").in_room();
    let mut second = Proxies::connected(&ports, "two").in_room();
    assert_eq!(number_of_sessions(&state(&adapter)), "2");
    // The metadata connection alone is lost: the server is away for its sessions.
    first.metadata.connection.abort();
    let away = await_state(&adapter, "one of them away", |state| {
        state.contains("that are away")
    });
    assert!(
        away.contains("1 sessions (1 more, in 1 KiB, of servers that are away)"),
        "{away}"
    );
    assert_eq!(second.say("to both"), Ok(()));
    let mut first = Proxies {
        metadata: ports.meet_metadata(&init(Side::Metadata, "one")),
        server: first.server,
        data: first.data,
    };
    adapter.wait_for_log(&["the same server as before: 1 sessions kept"]);
    assert_eq!(first.say("back again"), Ok(()));
    assert_eq!(number_of_sessions(&state(&adapter)), "2");
    end(adapter);
    drop((first, second));

    // Over a restart, too, whoever comes first.
    let adapter = listening(&ports, &["--state", &file]);
    let before = state(&adapter);
    assert!(
        before.contains("0 sessions (2 more, in 1 KiB, of servers that are away)"),
        "{before}"
    );
    let mut third = Proxies::connected(&ports, "three").in_room();
    assert_eq!(third.say("unknown to all"), Ok(()));
    let mut second = Proxies::connected(&ports, "two");
    assert_eq!(second.say("kept"), Ok(()));
    let state = state(&adapter);
    assert!(
        state.contains("2 sessions (1 more, in 1 KiB, of servers that are away)"),
        "{state}"
    );
    assert!(!adapter.log().contains("dropped"), "{}", adapter.log());
}
