//! Files that are pipes: what they bring counts, and what brings nothing holds nobody up.

use crate::files::Files;
use crate::pki::{Certified, Profile};
use crate::setup::{Ports, clients_of, command, server, server_of};
use crate::standin::{Init, Server, Side};
use rustls::version::TLS13;
use std::fs;
use std::thread;

impl Files {
    /// A pipe of this name, which only its owner may read.
    fn pipe(&self, name: &str) -> String {
        let path = self.path(name);
        let made = std::process::Command::new("mkfifo")
            .args(["-m", "600", &path])
            .status();
        assert!(made.expect("the mkfifo command").success());
        path
    }
}

/// Writes to a pipe when somebody reads it, and once.
fn write_soon(pipe: &str, text: impl Into<String>) {
    let (pipe, text) = (pipe.to_owned(), text.into());
    thread::spawn(move || fs::write(pipe, text).expect("somebody who reads"));
}

#[test]
fn what_pipes_bring_once_serves_every_connection() {
    let files = Files::new();
    let certified = Profile::server().self_signed();
    let clients = Certified::authority("Clients");
    let client = clients.issue(Profile::new("chat-adapter"));
    let config = server_of(&certified, &[&TLS13], Some(clients_of(&clients)));
    let pipes = ["ca", "cert", "key", "password"].map(|name| files.pipe(name));
    let contents = [
        certified.pem(),
        client.chain_pem(),
        client.key.serialize_pem(),
        "pwd1\n".into(),
    ];
    for (pipe, content) in pipes.iter().zip(contents) {
        write_soon(pipe, content);
    }
    let ports = Ports::open();
    let adapter = ports
        .command_trusting(&pipes[0])
        .args(["--tls-cert", &pipes[1], "--tls-key", &pipes[2]])
        .args(["--user", "user1", "--password-file", &pipes[3]])
        .start();
    for _ in 0..2 {
        for (port, side) in [(&ports.metadata, Side::Metadata), (&ports.data, Side::Data)] {
            let peer = port.meet(&config);
            let agreement = peer.connection("a Proxy").handshake(&Init::new(side));
            let pair = ("user1".to_owned(), "pwd1".to_owned());
            assert_eq!(agreement.rac.credentials, Some(pair));
            assert!(peer.tls().peer_certificates().is_some(), "{side:?}");
        }
    }
    assert!(!adapter.log().contains("ERROR"), "{}", adapter.log());
    adapter.signal("TERM");
    assert_eq!(adapter.wait().code(), 0);
}

#[test]
fn a_pipe_that_brings_nothing_is_waited_for_at_the_start_and_signals_are_answered() {
    let files = Files::new();
    let client = Profile::new("chat-adapter").self_signed();
    let cert = files.write("client.pem", client.pem());
    let key = files.write("client.key", client.key.serialize_pem());
    let server = Server::start();
    let adapters = ["--tls-ca", "--tls-cert", "--tls-key", "--password-file"].map(|option| {
        let pipe = files.pipe(&option[2..]);
        let mut command = command().args(server.arguments());
        command = match option {
            "--tls-ca" => command.args(["--tls", option, &pipe]),
            "--tls-cert" => command.args(["--tls", option, &pipe, "--tls-key", &key]),
            "--tls-key" => command.args(["--tls", "--tls-cert", &cert, option, &pipe]),
            _ => command.args(["--user", "user1", option, &pipe]),
        };
        (option, pipe, command.start())
    });
    for (option, pipe, adapter) in adapters {
        let waiting = format!("waiting for {option} {pipe}, which brings nothing yet");
        adapter.wait_for_log(&["warn", &waiting]);
        adapter.signal("USR1");
        adapter.wait_for_log(&["info", "starting"]);
        if option == "--password-file" {
            // Somebody has typed it at last.
            fs::write(&pipe, "pwd1").expect("somebody who reads");
            let rac = server.metadata.accept().expect_rac();
            assert_eq!(rac.credentials, Some(("user1".into(), "pwd1".into())));
        }
        adapter.signal("TERM");
        let exit = adapter.wait();
        assert_eq!(exit.code(), 0, "{exit}");
        let has_started = option == "--password-file";
        let ended = exit.stderr.contains("ended before it had started");
        assert_eq!(ended, !has_started, "{exit}");
    }
}

#[test]
fn at_a_reload_it_is_waited_for_a_short_while() {
    let files = Files::new();
    let pipe = files.pipe("password");
    write_soon(&pipe, "pwd1");
    let server = Server::start();
    let adapter = command()
        .args(server.arguments())
        .args(["--user", "user1", "--password-file", &pipe])
        .start();
    let password = || {
        let mut connection = server.metadata.accept();
        let agreement = connection.handshake(&Init::new(Side::Metadata));
        agreement.rac.credentials.expect("credentials").1
    };
    assert_eq!(password(), "pwd1");
    adapter.signal("HUP");
    // It is not stuck meanwhile.
    adapter.signal("USR1");
    adapter.wait_for_log(&["info", "messages 0 relayed"]);
    let line = adapter.wait_for_log(&["error", "not reloaded", "--password-file", &pipe]);
    assert!(line.contains("within 5 s"), "{line}");
    // What comes after that is not lost: the next reload finds it.
    fs::write(&pipe, "pwd2").expect("somebody who reads");
    adapter.signal("HUP");
    adapter.wait_for_log(&["info", "reloaded: "]);
    // One connection may have been under way.
    assert!((0..3).any(|_| password() == "pwd2"));
}

#[test]
fn a_certificate_file_that_becomes_a_pipe_holds_up_nothing() {
    let files = Files::new();
    let certified = Profile::server().self_signed();
    let config = server(&certified);
    let file = files.write("server.pem", certified.pem());
    let ports = Ports::open();
    let adapter = ports.command_trusting(&file).start();
    let met = ports.meet_metadata(&config);
    fs::rename(files.pipe("pipe"), &file).expect("a new name");
    drop(met);
    let met = ports.meet_metadata(&config);
    let line = adapter.wait_for_log(&["error", "metadata", "--tls-ca", &file]);
    assert!(
        line.contains("within 5 s; what was read before is used on"),
        "{line}"
    );
    drop(met);
    let _connecting = ports.metadata.accept();
    adapter.signal("TERM");
    assert_eq!(adapter.wait().code(), 0);
}
