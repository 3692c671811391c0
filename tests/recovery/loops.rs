//! The same failure over and over: what the log says of it.

use crate::setup::{Setup, start_adapter};
use crate::standin::{Init, Side};

#[test]
fn a_loop_of_the_same_failure_is_said_once() {
    let (adapter, server) = start_adapter(&["--log", "debug"]);
    for _ in 0..5 {
        // After the hello, something that is no refusal: there is a short wait only.
        let mut connection = server.data.accept();
        connection.expect_rac();
        connection.send("10c3|DP");
        connection.close();
    }
    adapter.wait_for_log_nth(&[" data ", "closed the connection; next try"], 5);
    let log = adapter.log();
    let logged = |level: &str| {
        let lines = log.lines().filter(|line| line.contains(level));
        lines
            .filter(|line| line.contains(" data ") && line.contains("next try"))
            .count()
    };
    assert_eq!(logged("WARN"), 1, "{log}");
    assert!(logged("DEBUG") >= 4, "{log}");
    // Only the second time shows that it is a loop.
    let connected = log
        .lines()
        .filter(|line| line.contains("INFO") && line.contains(" data "))
        .filter(|line| line.contains("connected to"));
    assert_eq!(connected.count(), 2, "{log}");
}

#[test]
fn a_loop_of_short_service_is_said_once_and_that_it_ended_too() {
    let (adapter, server) = start_adapter(&[]);
    let flaps = 4;
    let mut log = String::new();
    for n in 0..=flaps {
        let mut connection = server.data.accept();
        connection.handshake(&Init::new(Side::Data));
        connection.send_line("1c|SUB|S|chat_room");
        connection.expect_matching("EOS", |line| line.contains("|EOS|"));
        connection.expect("1c|SUB|V");
        if n == flaps {
            adapter.wait_for_log(&["INFO", " data ", "serving for 10 s now, ARI 1.9.1"]);
            log = adapter.log();
            break;
        }
        connection.send_line(format!("{n}|DPI|"));
        connection.expect_closed();
    }
    let logged = |what: &str| {
        let lines = log.lines().filter(|line| line.contains(" data "));
        lines.filter(|line| line.contains(what)).count()
    };
    // The ids differ, and the reason is the same.
    assert_eq!(logged("a second init"), 1, "{log}");
    for step in [
        "connected to",
        "serving, ARI",
        "subscribed by",
        "room subscribed",
    ] {
        let count = logged(step);
        assert!((1..=2).contains(&count), "{count} {step}: {log}");
    }
}

#[test]
fn a_failure_that_changes_is_said_again() {
    let (adapter, mut server) = start_adapter(&[]);
    let mut connection = server.data.accept();
    connection.expect_rac();
    connection.send("10c3|DP");
    server.data.close();
    connection.close();
    adapter.wait_for_log(&["WARN", " data ", "closed the connection"]);
    adapter.wait_for_log(&["WARN", " data ", "refused"]);
}

#[test]
fn warnings_that_a_peer_provokes_are_rationed() {
    let mut setup = Setup::new();
    for n in 0..1000 {
        setup.metadata.connection.send_line(format!("{n}|WHAT"));
    }
    setup.metadata.connection.send_line("1c|NUS|S|u|S|p");
    setup.metadata.connection.expect("1c|NUS|D|0.0|B|0");
    setup.adapter.wait_for_log_nth(&["unknown method"], 10);
    let log = setup.adapter.log();
    let warnings = log.lines().filter(|line| line.contains("unknown method"));
    assert_eq!(warnings.count(), 10, "{log}");
}
