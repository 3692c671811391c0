//! More connections than there may be, or than there are descriptors for.

use crate::cluster::{Proxies, all_hear, await_listening, await_state, end, init, listening};
use crate::standin::{Command, Connection, End, RemoteHost, Side};
use std::net::Ipv4Addr;
use std::slice::from_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// So many of one address may wait for their init.
const OF_ONE_ADDRESS: u8 = 8;

/// So many there may be in all.
const ALL: usize = 256;

/// Somebody who connects from this address, has read the hello, and says nothing.
#[track_caller]
fn silent(ports: &RemoteHost, from: [u8; 4]) -> Connection {
    let mut connection = ports.caller(Side::Data).from(from).connect();
    connection.expect_rac();
    connection
}

#[test]
fn of_one_address_eight_may_wait_and_the_oldest_goes_first() {
    let ports = RemoteHost::new();
    let adapter = listening(&ports, &[]);
    // Those that serve are not among them.
    let mut served: Vec<_> = ["one", "two", "three", "four", "five"]
        .map(|name| Proxies::connected(&ports, name).in_room())
        .into();
    let mut waiting: Vec<_> = (0..OF_ONE_ADDRESS)
        .map(|_| silent(&ports, [127, 0, 0, 1]))
        .collect();
    let mut elsewhere = silent(&ports, [127, 0, 0, 2]);
    let log = adapter.log();
    assert!(!log.contains("others wait"), "{log}");
    for nth in 1..=3 {
        let newcomer = silent(&ports, [127, 0, 0, 1]);
        waiting.remove(0).expect_closed();
        waiting.push(newcomer);
        if nth == 1 {
            let words = "closed: it has sent no init, and others wait to connect";
            adapter.wait_for_log(&[" data 127.0.0.1:", words]);
        }
    }
    // All that are left can become what they may.
    for (n, connection) in waiting.iter_mut().chain([&mut elsewhere]).enumerate() {
        let init = init(Side::Data, &format!("late {n}"));
        connection.send_line(init.line());
        connection.expect(&init.answer_line().expect("no refusal"));
    }
    all_hear(&mut served, 0, "to those that serve");
}

#[test]
fn with_as_many_as_there_may_be_who_connects_waits_for_its_turn() {
    let ports = RemoteHost::new();
    let adapter = listening(&ports, &[]);
    let mut served = Proxies::connected(&ports, "one").in_room();
    let (mut open, mut host) = (Vec::new(), 0);
    while open.len() + 2 < ALL {
        host += 1;
        for _ in 0..OF_ONE_ADDRESS.min((ALL - 2 - open.len()) as u8) {
            open.push(silent(&ports, [127, 0, 1, host]));
        }
    }
    let log = adapter.log();
    assert!(!log.contains("cannot accept"), "{log}");
    // One more, on either side. The system connects it, and the adapter does not look yet.
    let waiting = [Side::Metadata, Side::Data].map(|side| ports.connect(side));
    for side in ["metadata", "data"] {
        let words = "cannot accept: 256 connections are open: who connects waits";
        adapter.wait_for_log(&[&format!(" {side} 127.0.0.1:"), words]);
    }
    all_hear(from_mut(&mut served), 0, "those that are in are served");
    await_state(&adapter, "254 that are silent", |state| {
        state.contains("data 1 of 255 serving")
    });
    // Two go, and those that waited come in.
    for connection in open.drain(..2) {
        connection.close();
    }
    let [metadata, data] = waiting.map(|mut connection| {
        connection.expect_rac();
        connection
    });
    let mut second = Proxies {
        server: "two".into(),
        metadata: agreed(metadata, Side::Metadata, |it, encoding| {
            crate::standin::MetadataProxy::new(it, encoding)
        }),
        data: agreed(data, Side::Data, |it, encoding| {
            crate::standin::DataProxy::new(it, encoding)
        }),
    }
    .in_room();
    all_hear(from_mut(&mut second), 0, "those that waited, too");
    served.hears("those that waited, too");
    drop(open);
    await_state(&adapter, "the strangers are gone", |state| {
        state.contains("data 2 of 2 serving")
    });
}

/// The rest of a handshake, after the hello.
fn agreed<T>(
    mut connection: Connection,
    side: Side,
    proxy: impl Fn(Connection, crate::standin::Encoding) -> T,
) -> T {
    let init = init(side, "two");
    connection.send_line(init.line());
    connection.expect(&init.answer_line().expect("no refusal"));
    proxy(connection, init.encoding())
}

/// With so few descriptors that they come to an end, on whichever of the calls that take one.
#[track_caller]
fn without_descriptors(limit: usize) {
    let ports = RemoteHost::new();
    let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
    let command = Command::new("sh").args(["-c", &script]);
    let command = command.arg(env!("CARGO_BIN_EXE_chat-adapter"));
    let adapter = command.args(ports.arguments()).start();
    await_listening(&adapter, &ports);
    let mut served = Proxies::connected(&ports, "one").in_room();
    // The system connects them all, and the adapter takes in as many as it can.
    let mut open: Vec<_> = (0..limit as u8)
        .map(|n| {
            ports
                .caller(Side::Data)
                .from([127, 0, 2, n / 4 + 1])
                .connect()
        })
        .collect();
    adapter.wait_for_log(&[
        &format!(" data 127.0.0.1:{}: ", ports.address(Side::Data).port()),
        "cannot accept: Too many open files",
        "who connects waits; next try in",
    ]);
    all_hear(from_mut(&mut served), 0, "those that are in are served");
    // Each gets its hello when others have gone: nobody was closed in between.
    for mut connection in open.drain(..) {
        connection.expect_rac();
        connection.close();
    }
    let mut second = Proxies::connected(&ports, "two").in_room();
    all_hear(from_mut(&mut second), 0, "and new ones come in");
    served.hears("and new ones come in");
}

#[test]
fn without_a_descriptor_who_connects_waits() {
    without_descriptors(40);
}

#[test]
fn without_a_second_descriptor_who_connects_waits_too() {
    without_descriptors(41);
}

#[test]
fn from_one_address_a_thousand_in_turn_leave_nothing_behind() {
    let ports = RemoteHost::new();
    let adapter = listening(&ports, &[]);
    let mut served = Proxies::connected(&ports, "one").in_room();
    let (threads, descriptors) = (adapter.threads(), adapter.descriptors());
    for n in 0..1000 {
        let from = Ipv4Addr::new(127, 0, 3, (n % 250) as u8 + 1);
        let side = [Side::Metadata, Side::Data][n % 2];
        let connection = ports.caller(side).from(from).connect();
        match n % 3 {
            0 => connection.abort(),
            _ => connection.close(),
        }
    }
    await_state(&adapter, "the strangers are gone", |state| {
        state.contains("metadata 1 of 1 serving") && state.contains("data 1 of 1 serving")
    });
    all_hear(from_mut(&mut served), 0, "as before");
    let start = std::time::Instant::now();
    while adapter.threads() > threads || adapter.descriptors() > descriptors {
        let log = adapter.log();
        assert!(
            start.elapsed() < crate::standin::DEADLINE,
            "something is left: {log}"
        );
        thread::yield_now();
    }
}

#[test]
fn while_many_connect_the_end_comes_all_the_same() {
    let ports = RemoteHost::new();
    let adapter = listening(&ports, &[]);
    let served = Proxies::connected(&ports, "one").in_room();
    let (connected, has_ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (ports, connected, has_ended) = (&ports, &connected, &has_ended);
        for n in 1..=4 {
            scope.spawn(move || {
                let caller = ports.caller(Side::Data).from([127, 0, 4, n]);
                let mut open = Vec::new();
                // Until nobody listens any more, or somebody else does.
                while !has_ended.load(Ordering::Relaxed)
                    && let Ok(connection) = caller.try_connect()
                {
                    open.push(connection);
                    connected.fetch_add(1, Ordering::Relaxed);
                    // Their descriptors are those of all tests.
                    if open.len() == OF_ONE_ADDRESS.into() {
                        open.clear();
                    }
                }
            });
        }
        while connected.load(Ordering::Relaxed) < 100 {
            thread::yield_now();
        }
        let log = end(adapter);
        has_ended.store(true, Ordering::Relaxed);
        assert!(log.contains("ended"), "{log}");
    });
    let mut connection = served.data.connection;
    assert_eq!(connection.expect_closed(), End::Closed);
}
