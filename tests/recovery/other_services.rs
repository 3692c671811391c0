//! Something else than a Proxy that is free listens on the port: what the log says, and how long it
//! takes until the next try.

use crate::setup::{command, start_adapter};
use crate::standin::{Init, Listener, Side, announced_wait, uninterrupted};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

#[test]
fn a_service_that_shows_what_it_is_is_named_at_once_and_left_alone_for_a_while() {
    for (said, name) in [
        (
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            "an HTTP server: HTTP/1.1 400 Bad Request",
        ),
        ("-ERR unknown command\r\n", "a Redis or POP3 server"),
        ("SSH-2.0-OpenSSH_9.2p1\r\n", "an SSH server"),
    ] {
        let (adapter, server) = start_adapter(&[]);
        let mut connection = server.data.accept();
        connection.expect_rac();
        connection.send(said);
        let line = adapter.wait_for_log(&["warn", " data ", "looks like", name, "--data_rrport"]);
        assert!(announced_wait(&line) > 20_000, "{line}");
        connection.expect_closed();
    }
}

#[test]
fn a_stranger_that_ends_the_connection_is_no_server_that_restarts() {
    let (adapter, server) = start_adapter(&[]);
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    connection.send("who is there?\r\n");
    adapter.wait_for_log(&["warn", "metadata", "no request, skipped: who is there?"]);
    connection.close();
    let words = ["does not speak ARI: who is there?", "--metadata_rrport"];
    let line = adapter.wait_for_log(&words);
    assert!(announced_wait(&line) > 20_000, "{line}");
}

#[test]
fn a_line_that_never_ends_is_given_up_however_it_trickles() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let closed = Listener::bind_closed("metadata");
    let adapter = command()
        .args(["--host", "127.0.0.1", "--data_rrport", &port.to_string()])
        .args(["--metadata_rrport", &closed.port().to_string()])
        .start();
    let (mut peer, _) = listener.accept().expect("the adapter");
    // The wait for the end of the connection paces the bytes.
    let pace = Some(Duration::from_secs(2));
    peer.set_read_timeout(pace).expect("a timeout");
    let mut buffer = [0; 1024];
    loop {
        match uninterrupted(|| peer.read(&mut buffer)) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if peer.write_all(b"x").is_err() {
                    break;
                }
            }
            Ok(0) | Err(_) => break,
        }
    }
    let line = adapter.wait_for_log(&[" data ", "given up", "a line without end: xxx"]);
    assert!(announced_wait(&line) > 20_000, "{line}");
}

#[test]
fn a_reset_at_the_hello_and_a_refusal_may_mean_another_adapter() {
    let (adapter, mut server) = start_adapter(&[]);
    let mut connection = server.data.accept();
    connection.expect_rac();
    server.data.close();
    connection.abort();
    let words = ["warn", " data ", "lost at the hello", "another adapter"];
    assert!(announced_wait(&adapter.wait_for_log(&words)) < 1000);
    let words = [
        "warn",
        " data ",
        "refused",
        "or another adapter is connected",
    ];
    adapter.wait_for_log(&words);
}

#[test]
fn the_first_failure_says_that_repeats_are_summed_up() {
    let (adapter, mut server) = start_adapter(&[]);
    let mut connection = server.data.accept();
    connection.handshake(&Init::new(Side::Data));
    server.data.close();
    connection.close();
    let summed = "what repeats is summed up once a minute";
    adapter.wait_for_log(&[" data ", "the Proxy closed the connection", summed]);
    let line = adapter.wait_for_log(&[" data ", "refused"]);
    assert!(!line.contains(summed), "{line}");
}
