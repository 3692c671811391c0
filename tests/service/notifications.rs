//! What systemd is told from start to end.

use crate::command;
use crate::notify_socket::NotifySocket;
use crate::standin::{Adapter, Server, Session};
use std::time::Duration;

/// Short enough that the status line is looked after often.
const WATCHDOG_MICROS: &str = "600000";

fn start(systemd: &NotifySocket, arguments: &[String]) -> Adapter {
    command()
        .args(arguments)
        .env("NOTIFY_SOCKET", systemd.address())
        .env("WATCHDOG_USEC", WATCHDOG_MICROS)
        .start()
}

fn is_ping(notification: &str) -> bool {
    notification == "WATCHDOG=1\n"
}

#[test]
fn ready_without_a_server_and_stopping_at_the_end() {
    let systemd = NotifySocket::new();
    let mut server = Server::start();
    server.metadata.close();
    server.data.close();
    let adapter = start(&systemd, &server.arguments());
    assert_eq!(systemd.next(), "READY=1\n");
    let status = systemd.wait_for(|text| text.starts_with("STATUS="));
    assert!(
        status.contains("metadata not connected") && status.contains("data not connected"),
        "{status}"
    );
    adapter.signal("TERM");
    systemd.wait_for(|text| text == "STOPPING=1\n");
    assert_eq!(adapter.wait().code(), 0);
    assert_eq!(systemd.next_within(Duration::ZERO), None);
}

#[test]
fn the_status_follows_what_happens() {
    let systemd = NotifySocket::new();
    let server = Server::start();
    let _adapter = start(&systemd, &server.arguments());
    let (mut metadata, mut data) = server.meet();
    systemd.wait_for(|text| {
        text.contains("metadata serving, ARI 1.9.1") && text.contains("data serving, ARI 1.9.1")
    });
    metadata.open(&Session::new("S1", "192.0.2.7", "Browser"));
    systemd.wait_for(|text| text.contains("1 sessions, room closed"));
    data.subscribe("chat_room");
    metadata.say("S1", "hello").expect("success");
    assert_eq!(data.chat().message, "hello");
    let status = systemd.wait_for(|text| text.contains("room open") && text.contains("1 relayed"));
    assert!(status.starts_with("STATUS=") && status.lines().count() == 1);
    drop(metadata);
    systemd.wait_for(|text| text.starts_with("STATUS=") && !text.contains("metadata serving"));
}

#[test]
fn a_reload_is_announced_and_then_done() {
    let systemd = NotifySocket::new();
    let server = Server::start();
    let adapter = start(&systemd, &server.arguments());
    let mut last = 0;
    for nth in 1..=2 {
        systemd.wait_for(is_ping);
        adapter.signal("HUP");
        let reloading = systemd.wait_for(|text| text.starts_with("RELOADING=1\n"));
        let at = reloading
            .lines()
            .find_map(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse::<u64>().ok());
        let at = at.expect("a time");
        assert!(at > last, "{at} after {last}");
        last = at;
        assert_eq!(systemd.next(), "READY=1\n");
        adapter.wait_for_log_nth(&["reloaded:"], nth);
    }
}

#[test]
fn a_start_that_fails_is_never_ready() {
    for (arguments, code) in [
        (["--user", "somebody"], 2),
        (["--password-file", "missing"], 1),
    ] {
        let systemd = NotifySocket::new();
        let exit = command()
            .args(arguments)
            .env("NOTIFY_SOCKET", systemd.address())
            .run();
        assert_eq!(exit.code(), code, "{exit}");
        assert_eq!(systemd.next_within(Duration::ZERO), None);
    }
}

#[test]
fn without_a_watchdog_nobody_is_pinged() {
    let systemd = NotifySocket::new();
    let server = Server::start();
    let adapter = command()
        .args(server.arguments())
        .env("NOTIFY_SOCKET", systemd.address())
        .start();
    assert_eq!(systemd.next(), "READY=1\n");
    adapter.signal("TERM");
    // Everything up to the end.
    while systemd.next() != "STOPPING=1\n" {}
    assert_eq!(adapter.wait().code(), 0);
}
