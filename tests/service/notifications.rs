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
        .env("NOTIFY_SOCKET", &systemd.address)
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
fn a_socket_without_a_file_is_told_too() {
    let systemd = NotifySocket::new_abstract();
    let server = Server::start();
    let adapter = start(&systemd, &server.arguments());
    assert_eq!(systemd.next(), "READY=1\n");
    systemd.wait_for(is_ping);
    adapter.signal("TERM");
    systemd.wait_for(|text| text == "STOPPING=1\n");
    assert_eq!(adapter.wait().code(), 0);
}

#[test]
fn a_service_manager_that_does_not_read_holds_nobody_up() {
    let systemd = NotifySocket::new();
    systemd.fill();
    let server = Server::start();
    let arguments = [&server.arguments()[..], &["--log".into(), "debug".into()]].concat();
    let adapter = start(&systemd, &arguments);
    let dropped = ["does not take a notification", "dropped"];
    adapter.wait_for_log(&dropped);
    let (_metadata, _data) = server.meet();
    for nth in 1..=3 {
        adapter.signal("USR1");
        adapter.wait_for_log_nth(&["metadata serving", "data serving"], nth);
        adapter.signal("HUP");
        adapter.wait_for_log_nth(&["reloaded:"], nth);
    }
    // What matters is said when there is room again.
    let (mut is_ready, mut is_serving) = (false, false);
    while !(is_ready && is_serving) {
        let text = systemd.wait_for(|text| !is_ping(text));
        is_ready |= text == "READY=1\n";
        is_serving |= text.contains("metadata serving") && text.contains("data serving");
    }
    systemd.wait_for(is_ping);
    systemd.fill();
    adapter.signal("TERM");
    let exit = adapter.wait();
    assert_eq!(exit.code(), 0);
    let said = |line: &&str| dropped.iter().all(|word| line.contains(word));
    assert_eq!(exit.stderr.lines().filter(said).count(), 1, "{exit}");
}

#[test]
fn what_cannot_be_used_counts_as_absent() {
    let long = format!("/{}", "x".repeat(200));
    for (address, said) in [
        ("", ""),
        ("notify", "NOTIFY_SOCKET is notify, which cannot be used"),
        (&long, "which cannot be used"),
        ("x\nforged", "NOTIFY_SOCKET is x\\nforged"),
        ("/nobody/is/there", "does not take a notification"),
        ("@", "does not take a notification"),
    ] {
        let server = Server::start();
        let adapter = command()
            .args(server.arguments())
            .args(["--log", "debug"])
            .env("NOTIFY_SOCKET", address)
            .env("WATCHDOG_USEC", WATCHDOG_MICROS)
            .start();
        server.meet();
        adapter.signal("TERM");
        let exit = adapter.wait();
        assert_eq!(exit.code(), 0, "{address}: {exit}");
        assert!(exit.stderr.contains(said), "{address}: {exit}");
    }
    let own = std::process::id().to_string();
    for (micros, pid) in [("0", ""), ("-1", ""), ("soon", ""), (WATCHDOG_MICROS, &own)] {
        let systemd = NotifySocket::new();
        let server = Server::start();
        let mut command = command()
            .args(server.arguments())
            .env("NOTIFY_SOCKET", &systemd.address)
            .env("WATCHDOG_USEC", micros);
        if !pid.is_empty() {
            command = command.env("WATCHDOG_PID", pid);
        }
        let adapter = command.start();
        assert_eq!(systemd.next(), "READY=1\n", "{micros} {pid}");
        adapter.signal("TERM");
        while systemd.next() != "STOPPING=1\n" {}
        assert_eq!(adapter.wait().code(), 0, "{micros} {pid}");
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
            .env("NOTIFY_SOCKET", &systemd.address)
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
        .env("NOTIFY_SOCKET", &systemd.address)
        .start();
    assert_eq!(systemd.next(), "READY=1\n");
    adapter.signal("TERM");
    // Everything up to the end.
    while systemd.next() != "STOPPING=1\n" {}
    assert_eq!(adapter.wait().code(), 0);
}
