//! One side speaks TLS, and the other does not.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use socket2::SockRef;

use crate::peer::expect_client_hello;
use crate::pki::Profile;
use crate::setup::{Ports, server};
use crate::standin::{Init, Side, announced_wait, uninterrupted};

#[test]
fn a_peer_that_speaks_no_tls_is_told_by_what_it_says() {
    for said in [
        Init::new(Side::Metadata).line() + "\r\n",
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_owned(),
        "220 mail.example.com ESMTP\r\n".to_owned(),
        "\r\n".repeat(20),
    ] {
        let ports = Ports::open();
        let adapter = ports.command_to("127.0.0.1").start();
        let mut socket = ports.metadata.accept();
        expect_client_hello(&mut socket);
        socket.write_all(said.as_bytes()).expect("to answer");
        adapter.wait_for_log(&[
            "warn",
            "metadata",
            "the peer speaks no TLS",
            "--tls",
            "next try",
        ]);
    }
}

#[test]
fn a_peer_that_hangs_up_on_the_first_record_may_speak_no_tls() {
    for reset in [false, true] {
        let ports = Ports::open();
        let adapter = ports.command_to("127.0.0.1").start();
        let mut socket = ports.metadata.accept();
        expect_client_hello(&mut socket);
        if reset {
            SockRef::from(&socket)
                .set_linger(Some(Duration::ZERO))
                .expect("SO_LINGER");
        }
        drop(socket);
        adapter.wait_for_log(&[
            "warn",
            "metadata",
            "closed the connection in the handshake",
            "speaks no TLS",
        ]);
    }
}

#[test]
fn a_peer_that_says_nothing_to_it_is_mentioned_before_it_is_given_up() {
    let ports = Ports::open();
    let adapter = ports.command_to("127.0.0.1").start();
    let _socket = ports.metadata.accept();
    adapter.wait_for_log(&[
        "warn",
        "metadata",
        "no handshake within",
        "does the peer speak TLS?",
    ]);
}

#[test]
fn a_peer_that_speaks_tls_is_told_when_tls_was_not_asked_for() {
    let ports = Ports::open();
    let adapter = ports.plain_command_to("127.0.0.1").start();
    ports
        .metadata
        .refuse_and_tell(&server(&Profile::server().self_signed()));
    let line =
        adapter.wait_for_log(&["warn", "metadata", "TLS", "--tls was not given", "next try"]);
    assert!(announced_wait(&line) >= 20_000, "{line}");
}

#[test]
fn it_is_told_by_any_alert_and_in_whatever_pieces() {
    // decode_error; unexpected_message, whose number happens to be a line feed; handshake_failure.
    for number in [50, 10, 40] {
        for reset in [false, true] {
            let ports = Ports::open();
            let adapter = ports.plain_command_to("127.0.0.1").start();
            let mut socket = ports.metadata.accept();
            let mut hello = [0; 1024];
            assert_ne!(
                uninterrupted(|| socket.read(&mut hello)).expect("a hello"),
                0
            );
            for byte in [0x15, 3, 3, 0, 2, 2, number] {
                socket.write_all(&[byte]).expect("to answer");
            }
            if reset {
                SockRef::from(&socket)
                    .set_linger(Some(Duration::ZERO))
                    .expect("SO_LINGER");
            }
            drop(socket);
            adapter.wait_for_log(&["warn", "metadata", "--tls was not given"]);
        }
    }
}

#[test]
fn a_peer_that_just_hangs_up_on_a_plain_hello_may_want_tls() {
    let ports = Ports::open();
    let adapter = ports.plain_command_to("127.0.0.1").start();
    let mut socket = ports.metadata.accept();
    let mut hello = [0; 1024];
    assert_ne!(
        uninterrupted(|| socket.read(&mut hello)).expect("a hello"),
        0
    );
    drop(socket);
    adapter.wait_for_log(&["warn", "metadata", "turned away", "or one that wants --tls"]);
}
