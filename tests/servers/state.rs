//! What an operator who asks for the state is told of one, of two, and of many servers.

use crate::cluster::{Proxies, all_hear, await_state, called, hosts, listening, state};
use crate::setup::command;
use crate::standin::{Listener, RemoteHost, Server};

/// The line without its time and level.
fn bare(line: &str) -> &str {
    let (_, state) = line.split_once("metadata ").expect("the metadata side");
    state
}

#[test]
fn of_one_server_all_is_in_one_line() {
    let (adapter, _servers, mut proxies) = called(1);
    all_hear(&mut proxies, 0, "hello");
    let state = await_state(&adapter, "empty queues", |state| {
        state.matches(" 0 bytes queued").count() == 2
    });
    assert_eq!(
        bare(&state),
        "serving, ARI 1.9.1 (0 reconnections, 0 bytes queued), data serving, ARI 1.9.1 (0 reconnections, 0 bytes \
         queued), 1 sessions, room open, messages 1 relayed, 0 refused, 0 lost"
    );
    // Nothing follows: the next line is that of the next state.
    let again = self::state(&adapter);
    let log = adapter.log();
    let (_, between) = log.split_once(&*state).expect("the first");
    let (between, _) = between.split_once(&*again).expect("the second");
    assert_eq!(between, "\n");
}

#[test]
fn of_two_servers_there_are_sums_and_then_a_line_for_each_connection() {
    let (adapter, servers, mut proxies) = called(2);
    all_hear(&mut proxies, 0, "hello");
    let state = await_state(&adapter, "empty queues", |state| {
        state.matches(" 0 bytes queued").count() == 2
    });
    assert_eq!(
        bare(&state),
        "2 of 2 serving (0 reconnections, 0 bytes queued), data 2 of 2 serving (0 reconnections, 0 bytes queued), \
         2 sessions, room open on 2 servers, messages 1 relayed, 0 refused, 0 lost"
    );
    for server in &servers {
        for (side, listener) in [("metadata", &server.metadata), ("data", &server.data)] {
            let port = listener.port();
            let line = format!(
                " {side} 127.0.0.1:{port} serving, ARI 1.9.1 (0 reconnections, 0 bytes queued)"
            );
            adapter.wait_for_log(&[&line]);
        }
    }
}

#[test]
fn of_many_servers_some_of_those_that_are_missing_are_named() {
    let servers: Vec<_> = (0..10)
        .map(|_| Server {
            metadata: Listener::bind_closed("metadata"),
            data: Listener::bind_closed("data"),
        })
        .collect();
    let mut servers = servers;
    servers[0].reopen();
    let adapter = command().args(hosts(&servers)).start();
    let _first = Proxies::accepted(&servers[0], "one").in_room();
    let state = await_state(&adapter, "empty queues", |state| {
        state.matches(" 0 bytes queued").count() == 2
    });
    let missing = servers[1..5].iter();
    let missing = missing.map(|server| format!("metadata 127.0.0.1:{}", server.metadata.port()));
    let missing: Vec<_> = missing.collect();
    assert_eq!(
        bare(&state),
        format!(
            "1 of 10 serving (0 reconnections, 0 bytes queued), data 1 of 10 serving (0 reconnections, 0 bytes \
             queued), 1 sessions, room open, messages 0 relayed, 0 refused, 0 lost; not serving: {} and 14 more",
            missing.join(", ")
        )
    );
    // A line for each of the twenty.
    for server in &servers[1..] {
        for listener in [&server.metadata, &server.data] {
            let line = format!("127.0.0.1:{} not connected (", listener.port());
            adapter.wait_for_log(&[&line]);
        }
    }
}

#[test]
fn of_servers_that_connect_those_are_told_that_are_there() {
    let ports = RemoteHost::new();
    let adapter = listening(&ports, &[]);
    let state = state(&adapter);
    assert_eq!(
        bare(&state),
        "0 of 0 serving (0 reconnections, 0 bytes queued), 0 turned away, data 0 of 0 serving (0 reconnections, 0 \
         bytes queued), 0 turned away, 0 sessions, room closed, messages 0 relayed, 0 refused, 0 lost"
    );
    let mut proxies = vec![
        Proxies::connected(&ports, "one").in_room(),
        Proxies::connected(&ports, "two").in_room(),
    ];
    all_hear(&mut proxies, 0, "hello");
    let state = await_state(&adapter, "empty queues", |state| {
        state.matches(" 0 bytes queued").count() == 2
    });
    assert_eq!(
        bare(&state),
        "2 of 2 serving (0 reconnections, 0 bytes queued), 0 turned away, data 2 of 2 serving (0 reconnections, 0 \
         bytes queued), 0 turned away, 2 sessions, room open on 2 servers, messages 1 relayed, 0 refused, 0 lost"
    );
    adapter.wait_for_log(&[" data 127.0.0.1:", " serving, ARI 1.9.1"]);
    drop(proxies);
    await_state(&adapter, "nobody left", |state| {
        bare(state).contains("room closed") && bare(state).starts_with("0 of 0 serving (")
    });
}
