//! A server that does not read: what it misses is its own loss, and is told of.

use crate::cluster::{
    NAMES, Proxies, all_hear, await_listening, await_state, called, end, hosts, number, state,
};
use crate::setup::command;
use crate::standin::{Adapter, End, RemoteHost, Server};
use std::thread;

/// Large enough that a queue is full soon, and so small that three fit into what each connection has for itself: one
/// that was heard may be counted still.
const SIZE: usize = 40_000;

/// The receive buffer of a server that never reads again.
const BUFFER: usize = 64 << 10;

/// The most that all queues together hold, in bytes.
const ALL_QUEUES: u64 = 64 << 20;

/// So many servers that are in the room; those of which the number is at least `stalling` have small buffers.
fn cluster(count: usize, stalling: usize) -> (Adapter, Vec<Server>, Vec<Proxies>) {
    let start = |at: usize| {
        let mut server = Server::start();
        if at >= stalling {
            server.data.set_receive_buffer(BUFFER);
            server.data.reopen();
        }
        server
    };
    let servers: Vec<_> = (0..count).map(start).collect();
    let adapter = command().args(hosts(&servers)).start();
    let proxies = servers.iter().zip(NAMES);
    let proxies = proxies.map(|(at, name)| Proxies::accepted(at, name).in_room());
    let proxies = proxies.collect();
    (adapter, servers, proxies)
}

/// Says a long text on this server. (What is long is neither encoded nor taken apart here, which takes its time in a
/// build without optimisation.)
#[track_caller]
fn say(at: &mut Proxies, number: usize) {
    let session = at.session();
    let (id, filler) = (format!("{number}c"), "x".repeat(SIZE));
    let line = format!("{id}|NUM|S|#|S|{session}|S|CHAT%7C{number} {filler}");
    at.metadata.connection.send_line(line);
    at.metadata.connection.expect(&format!("{id}|NUM|V"));
}

/// That text comes next on this server.
#[track_caller]
fn hears(at: &mut Proxies, number: usize) {
    let line = at.data.connection.expect_line();
    let text = format!("|S|message|S|{number} xxx");
    let head = &line[..line.len().min(1000)];
    assert!(
        head.contains(&text),
        "{number} was awaited on {}: {head}",
        at.server
    );
}

/// Says one more on the first server, which those hear who read; nobody is refused.
#[track_caller]
fn say_to_readers(readers: &mut [Proxies], number: usize) {
    say(&mut readers[0], number);
    for reader in readers {
        hears(reader, number);
    }
}

/// How many bytes wait on all data connections together.
fn queued(state: &str) -> u64 {
    let (_, data) = state.split_once(", data ").expect("the data side");
    number(data, " bytes queued")
}

#[test]
fn one_that_does_not_read_misses_messages_and_holds_up_nobody() {
    let (adapter, servers, mut readers) = cluster(3, 3);
    let mut stalled = readers.pop().expect("the third");
    let name = format!(" data 127.0.0.1:{}: ", servers[2].data.port());
    let mut said = 0;
    let full = "the queue of this connection is full: ";
    while !adapter.log().contains(full) {
        assert!(said < 1 << 10, "40 MB and no queue is full");
        say_to_readers(&mut readers, said);
        said += 1;
    }
    adapter.wait_for_log(&[&name, full, "messages that others got are lost"]);
    while number(&state(&adapter), " lost") < 20 {
        assert!(said < 1 << 10, "nothing is counted: {}", state(&adapter));
        say_to_readers(&mut readers, said);
        said += 1;
    }
    // Said once, and not again within a minute.
    assert_eq!(adapter.log().matches(full).count(), 1, "{}", adapter.log());
    let before = state(&adapter);
    let missed = number(&before, " lost");
    assert!(before.contains(" 0 refused,"), "{before}");
    assert!((7 << 20..9 << 20).contains(&queued(&before)), "{before}");
    // Its requests are answered all the same, behind what is queued.
    let id = stalled.data.send("USB", "other");

    // It reads again: what was queued comes, in order.
    let (mut came, mut last) = (0, None);
    loop {
        let line = stalled.data.connection.expect_line();
        if line == format!("{id}|USB|V") {
            break;
        }
        let (_, text) = line.split_once("|S|message|S|").expect("an update");
        let (number, _) = text.split_once(" xxx").expect("a text");
        let number = number.parse::<usize>().expect("a number");
        assert!(last < Some(number), "{number} after {last:?}");
        last = Some(number);
        came += 1;
    }
    assert_eq!(came + missed as usize, said);
    readers.push(stalled);
    all_hear(&mut readers, 0, "all three again");
    let after = await_state(&adapter, "empty queues", |state| queued(state) == 0);
    assert_eq!(number(&after, " lost"), missed, "{after}");
    assert_eq!(number(&after, " relayed"), said as u64 + 1, "{after}");
    // What was not told yet is told when it leaves.
    readers[2].data.unsubscribe("chat_room");
    adapter.wait_for_log_nth(&[&name, full], 2);
    let log = end(adapter);
    let lines = log.lines().filter(|line| line.contains(full));
    let told = lines.map(|line| {
        let (_, rest) = line.split_once(full).expect("these words");
        number(rest, " messages")
    });
    assert_eq!(told.sum::<u64>(), missed, "{log}");
}

#[test]
fn nine_that_do_not_read_leave_room_for_the_tenth() {
    let (adapter, servers, mut readers) = cluster(10, 1);
    let stalled = readers.split_off(1);
    let is_full = |server: &Server, log: &str| {
        let name = format!(" data 127.0.0.1:{}: the queue of", server.data.port());
        log.contains(&name)
    };
    let mut said = 0;
    while !servers[1..].iter().all(|it| is_full(it, &adapter.log())) {
        assert!(said < 1 << 10, "not all are full: {}", state(&adapter));
        say_to_readers(&mut readers, said);
        said += 1;
    }
    for _ in 0..20 {
        say_to_readers(&mut readers, said);
        said += 1;
    }
    let state = state(&adapter);
    let queued = queued(&state);
    // All together have less than nine times what one may have alone.
    assert!((40 << 20..=ALL_QUEUES).contains(&queued), "{state}");
    let resident = adapter.resident_kib();
    assert!(resident < (ALL_QUEUES >> 10) + (40 << 10), "{resident} KiB");
    assert!(!is_full(&servers[0], &adapter.log()), "{}", adapter.log());
    drop(stalled);
    // What those have left behind is free for others.
    await_lost(&adapter, 9);
    say_to_readers(&mut readers, said);
}

/// So many data connections have said how much was lost with them.
fn await_lost(adapter: &Adapter, count: usize) {
    let words = [
        " data ",
        "messages that were answered with success are lost",
    ];
    adapter.wait_for_log_nth(&words, count);
    await_state(adapter, "empty queues", |state| queued(state) == 0);
}

#[test]
fn the_end_writes_out_what_waits_on_every_server() {
    const MESSAGES: usize = 40;
    // Two that are called, and one that connects.
    let (servers, ports) = ([Server::start(), Server::start()], RemoteHost::new());
    let command = command().args(hosts(&servers)).args(ports.arguments());
    let adapter = command.start();
    await_listening(&adapter, &ports);
    let mut proxies = vec![
        Proxies::accepted(&servers[0], "one").in_room(),
        Proxies::accepted(&servers[1], "two").in_room(),
        Proxies::connected(&ports, "three").in_room(),
    ];
    for number in 0..MESSAGES {
        say(&mut proxies[number % 3], number);
    }
    adapter.signal("TERM");
    adapter.wait_for_log(&["ending"]);
    thread::scope(|scope| {
        for mut server in proxies {
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    hears(&mut server, number);
                }
                let end = server.data.connection.expect_closed();
                assert_eq!(end, End::Closed, "of {}", server.server);
                let end = server.metadata.connection.expect_closed();
                assert_eq!(end, End::Closed, "of {}", server.server);
            });
        }
    });
    let exit = adapter.wait();
    assert_eq!(exit.code(), 0);
    assert!(!exit.stderr.contains("lost"), "{exit}");
}

#[test]
fn a_metadata_connection_that_is_not_read_holds_up_no_other_server() {
    let (adapter, _servers, mut proxies) = called(2);
    let first = proxies.remove(0);
    let (mut asking, _unread) = first.metadata.connection.split();
    thread::scope(|scope| {
        // Its replies are more than fits between the two, and then the adapter reads no more.
        let group = "x".repeat(4096);
        let question = format!("1c|GIS|S|#|S|{group}|S|S1\r\n").repeat(10);
        scope.spawn(move || while asking.try_send(question.as_bytes()).is_ok() {});
        await_state(&adapter, "replies that wait", |state| {
            number(state, " bytes queued") > 1 << 20
        });
        let mut data = first.data;
        for number in 0..100 {
            let text = format!("{number}");
            assert_eq!(proxies[0].say(&text), Ok(()));
            proxies[0].hears(&text);
            assert_eq!(data.chat().message, text);
        }
        // With it the connection ends, and so does the thread.
        drop(adapter);
    });
}
