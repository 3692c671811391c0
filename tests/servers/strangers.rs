//! Whoever else connects: other adapters, other programs, nobody at all, and those who may not.

use crate::cluster::{
    Proxies, all_hear, await_listening, await_state, end, init, listening, number, state,
};
use crate::setup::command;
use crate::standin::{Adapter, Connection, RemoteHost, Side, announced_wait};
use std::net::Ipv4Addr;
use std::slice::from_mut;

const HELLO: &str = "1|RAC|S|enableClosePacket|S|true|S|SDK|S|another+adapter\r\n";
const ADAPTER: &str = "given up: the peer is a Remote Adapter, too";

/// The chat goes on as before, whoever has come.
#[track_caller]
fn still_serves(ports: &RemoteHost, proxies: &mut Proxies) {
    all_hear(from_mut(proxies), 0, "as before");
    let mut other = Proxies::connected(ports, "another").in_room();
    all_hear(from_mut(proxies), 0, "to two");
    other.hears("to two");
}

fn with_one(arguments: &[&str]) -> (RemoteHost, Adapter, Proxies) {
    let ports = RemoteHost::new();
    let adapter = listening(&ports, arguments);
    let proxies = Proxies::connected(&ports, "one").in_room();
    (ports, adapter, proxies)
}

#[test]
fn a_peer_that_says_hello_is_another_adapter() {
    let (ports, adapter, mut proxies) = with_one(&[]);
    for (side, last) in [(Side::Metadata, 2), (Side::Data, 3)] {
        let from = Ipv4Addr::new(127, 0, 0, last);
        let mut peer = ports.caller(side).from(from).connect();
        peer.expect_rac();
        peer.send(HELLO);
        peer.expect_closed();
        let name = format!(" {} {from}:", side.name());
        adapter.wait_for_log(&[&name, ADAPTER, "it said hello; the Proxy may connect again"]);
    }
    still_serves(&ports, &mut proxies);
}

#[test]
fn two_adapters_that_meet_tell_of_it() {
    let (ports, adapter, mut proxies) = with_one(&[]);
    let other = command().args(["--host", "127.0.0.1"]).args(ports.ports());
    let other = other.start();
    for side in [Side::Metadata, Side::Data] {
        let port = ports.address(side).port();
        let name = format!(" {} 127.0.0.1:{port}: ", side.name());
        let line = other.wait_for_log(&[&name, ADAPTER]);
        // A person has to mend that.
        assert!(announced_wait(&line) > 20_000, "{line}");
        adapter.wait_for_log(&[&format!(" {} 127.0.0.1:", side.name()), ADAPTER]);
    }
    still_serves(&ports, &mut proxies);
}

#[test]
fn other_programs_are_no_proxies() {
    let (ports, adapter, mut proxies) = with_one(&[]);
    for side in [Side::Metadata, Side::Data] {
        // A browser asks, and gets no more than the hello; it goes when it does not understand that.
        let mut browser = ports.connect(side);
        browser.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
        browser.expect_rac();
        browser.end_sending();
        browser.expect_closed();
        let name = format!(" {} 127.0.0.1:", side.name());
        let words = "given up: this peer does not speak ARI: GET / HTTP/1.1";
        adapter.wait_for_log(&[&name, words]);
        // Requests before the init, and of the other side.
        let mut early = ports.connect(side);
        early.expect_rac();
        early.send("1c|NUM|S|#|S|S1|S|CHAT%7Cearly\r\n1c|SUB|S|chat_room\r\n");
        early.expect_closed();
        adapter.wait_for_log(&[&name, "protocol error", "came before the init"]);
        let mixed = match side {
            Side::Metadata => ports.caller(Side::Data),
            Side::Data => ports.caller(Side::Metadata),
        };
        let mut mixed = mixed.connect();
        mixed.expect_rac();
        mixed.send_line(init(side, "mixed up").line());
        let refusal = mixed.expect_line();
        assert!(refusal.contains("mixed+up"), "{refusal}");
        mixed.expect_closed();
    }
    // The first bytes of a handshake of TLS.
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\x01\x02";
    let mut tls = ports.caller(Side::Metadata).from([127, 0, 0, 5]).connect();
    tls.expect_rac();
    tls.send(hello);
    tls.expect_closed();
    adapter.wait_for_log(&[
        " metadata 127.0.0.5:",
        ": TLS: the peer speaks it, and --tls was not given",
    ]);
    still_serves(&ports, &mut proxies);
}

#[test]
fn a_health_check_is_called_that_and_does_not_fill_the_log() {
    let (ports, adapter, mut proxies) = with_one(&[]);
    let words = ": closed by the peer, which said nothing: a health check does so";
    let ways: [fn(Connection); 2] = [Connection::close, Connection::abort];
    for (from, end) in (2..).zip(ways) {
        let from = Ipv4Addr::new(127, 0, 0, from);
        let check = || {
            let mut connection = ports.caller(Side::Data).from(from).connect();
            connection.expect_rac();
            end(connection);
            await_state(&adapter, "it is gone", |state| {
                state.contains("data 1 of 1 serving")
            });
        };
        check();
        let name = format!(" data {from}:");
        adapter.wait_for_log(&[&name, words]);
        for _ in 0..10 {
            check();
        }
        let log = adapter.log();
        // It takes two until it is known that they are all the same.
        let own = log.lines().filter(|line| line.contains(&name));
        let count = |what: &str| own.clone().filter(|line| line.contains(what)).count();
        assert!(count(": accepted by ") <= 5, "{log}");
        assert_eq!(count(words), 1, "{log}");
    }
    // Nor one that does not even read the hello.
    let unread = ports.caller(Side::Metadata).from([127, 0, 0, 4]);
    unread.connect().close();
    adapter.wait_for_log(&[" metadata 127.0.0.4:", words]);
    still_serves(&ports, &mut proxies);
}

#[test]
fn silence_and_half_lines_keep_nobody_from_connecting_or_from_ending() {
    let (ports, adapter, mut proxies) = with_one(&[]);
    let mut open = Vec::new();
    for side in [Side::Metadata, Side::Data] {
        let mut half = ports.connect(side);
        half.expect_rac();
        half.send("10000010c3e4d0462|MPI|S|ARI.vers");
        let mut silent = ports.connect(side);
        silent.expect_rac();
        let not_even_read = ports.connect(side);
        ports.connect(side).abort();
        ports.connect(side).close();
        open.extend([half, silent, not_even_read]);
    }
    still_serves(&ports, &mut proxies);
    let state = state(&adapter);
    // Which of them are left is a matter of chance: eight of one address, both sides together.
    assert!(state.contains("; not serving: "), "{state}");
    end(adapter);
    for mut connection in open.into_iter().filter(|it| it.keepalives() == 0) {
        connection.expect_last_lines();
    }
}

#[test]
fn who_is_in_no_network_that_is_allowed_gets_not_a_byte() {
    let networks = ["--allow", "127.0.0.1", "--allow", "127.1.0.0/16"];
    let (ports, adapter, mut proxies) = with_one(&networks);
    let init = init(Side::Data, "another").line() + "\r\n";
    for n in 1..=40 {
        let from = Ipv4Addr::new(127, 0, 0, 2);
        let came = ports
            .caller(Side::Data)
            .from(from)
            .stranger(init.as_bytes());
        assert_eq!(came, b"", "stranger {n}");
    }
    let port = ports.address(Side::Data).port();
    let words = "127.0.0.2 is in no network of --allow: closed without a word";
    adapter.wait_for_log(&[&format!(" data 127.0.0.1:{port}: {words}")]);
    let log = adapter.log();
    // So many lines are written in a minute, and all are counted.
    assert!(log.matches(words).count() <= 30, "{log}");
    assert!(!log.contains(" data 127.0.0.2"), "{log}");
    let mut second = Proxies {
        server: "two".into(),
        metadata: ports.meet_metadata(&crate::cluster::init(Side::Metadata, "two")),
        data: ports
            .caller(Side::Data)
            .from([127, 1, 2, 3])
            .meet_data(&crate::cluster::init(Side::Data, "two")),
    }
    .in_room();
    assert_eq!(second.say("from within"), Ok(()));
    second.hears("from within");
    proxies.hears("from within");
    let state = state(&adapter);
    let (metadata, data) = state.split_once(", data ").expect("both sides");
    assert_eq!(number(metadata, " turned away"), 0, "{state}");
    assert_eq!(number(data, " turned away"), 40, "{state}");
}

#[test]
fn addresses_of_ipv4_are_known_where_a_socket_is_for_both_families() {
    let Some(ports) = RemoteHost::at(std::net::Ipv6Addr::UNSPECIFIED.into()) else {
        eprintln!("skipped: no IPv6 here");
        return;
    };
    let arguments = ["--listen", "::", "--allow", "127.0.0.0/24"];
    let command = command().args(arguments).args(ports.ports());
    let adapter = command.start();
    await_listening(&adapter, &ports);
    let caller = |side| ports.caller(side).to([127, 0, 0, 1]);
    if caller(Side::Data).try_connect().is_err() {
        eprintln!("skipped: a socket is of one family here");
        return;
    }
    let mut only = Proxies {
        server: "one".into(),
        metadata: caller(Side::Metadata).meet_metadata(&init(Side::Metadata, "one")),
        data: caller(Side::Data).meet_data(&init(Side::Data, "one")),
    }
    .in_room();
    all_hear(from_mut(&mut only), 0, "over IPv4");
    adapter.wait_for_log(&[" data 127.0.0.1:", ": serving"]);
    let outside = caller(Side::Data).from([127, 0, 1, 1]);
    assert_eq!(outside.stranger(b""), b"");
    let outside = ports.caller(Side::Data).to(std::net::Ipv6Addr::LOCALHOST);
    assert_eq!(outside.stranger(b""), b"");
}
