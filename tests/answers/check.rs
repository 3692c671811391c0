//! `--check`: what it prints, and that it leaves everything alone.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::setup::{Setup, command};

/// The lines that it prints, the first left out.
#[track_caller]
fn found(arguments: &[&str]) -> Vec<String> {
    let exit = command().arg("--check").args(arguments).run();
    assert_eq!(exit.code(), 0, "{exit}");
    let mut lines = exit.stdout.lines().map(str::to_owned);
    let first = lines.next().expect("a first line");
    assert!(first.starts_with("chat-adapter "), "{exit}");
    lines.collect()
}

#[test]
fn what_a_start_would_find_and_the_server_needs() {
    assert_eq!(
        found(&["--host", "127.0.0.1", "--data_rrport", "9001"]),
        [
            "credentials: none",
            "addresses of 127.0.0.1: 127.0.0.1",
            "adapters.xml, metadata_provider: <param name=\"request_reply_port\">8003</param> \
             <param name=\"tls\">N</param> <param name=\"auth\">N</param>",
            "adapters.xml, data_provider: <param name=\"request_reply_port\">9001</param> \
             <param name=\"tls\">N</param> <param name=\"auth\">N</param>",
        ]
    );
    let lines = found(&["--host=::1", "--user", "user1", "--password", "sesame"]);
    for line in [
        "credentials: user of --user, password of --password",
        "addresses of ::1: ::1",
        "adapters.xml, data_provider: <param name=\"request_reply_port\">8001</param> \
         <param name=\"tls\">N</param> <param name=\"auth\">Y</param>",
    ] {
        assert!(lines.iter().any(|found| found == line), "{lines:?}");
    }
    let text = lines.concat();
    assert!(text.contains("stands on the command line"), "{text}");
    assert!(!text.contains("sesame"), "{text}");
}

#[test]
fn a_name_without_address_is_waited_for_by_a_start_too() {
    let lines = found(&["--host", "no.such.host.invalid"]);
    let line = "no.such.host.invalid: the host's name cannot be resolved: ";
    assert!(
        lines
            .iter()
            .any(|found| found.starts_with(line) && found.ends_with("; a start waits for it")),
        "{lines:?}"
    );
}

#[test]
fn what_the_environment_has_wrong_is_warned_of_as_at_a_start() {
    let exit = command()
        .args(["--check", "--host", "127.0.0.1"])
        .env("TZ", "Nowhere/Land")
        .env("RUST_LOG", "loud")
        .run();
    assert_eq!(exit.code(), 0, "{exit}");
    for warning in ["TZ is Nowhere/Land, which is", "RUST_LOG is loud, which is"] {
        assert!(exit.stderr.contains(warning), "{exit}");
    }
}

#[test]
fn nobody_is_connected_to_and_a_running_adapter_is_not_disturbed() {
    let [metadata, data] = [(); 2].map(|()| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("not to wait");
        listener
    });
    let port = |listener: &TcpListener| listener.local_addr().expect("a port").port().to_string();
    let (first, second) = (port(&metadata), port(&data));
    let ports = ["--metadata_rrport", &first, "--data_rrport", &second];
    found(&[&["--host", "127.0.0.1"][..], &ports].concat());
    for listener in [metadata, data] {
        let accepted = listener.accept().map(|(_, peer)| peer);
        assert_eq!(accepted.unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    let mut setup = Setup::in_room();
    let arguments = setup.server.arguments();
    found(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    setup.metadata.close_session("S1");
    setup.data.expect_silence();
}

#[test]
fn what_is_wrong_is_told_as_a_start_tells_it() {
    for arguments in [
        &["--user", "user1"][..],
        &["--user=user1", "--password-file=/no/such/file"],
        &["--tls", "--tls-ca", "/no/such/file"],
        &["--tls", "--tls-name", "a b"],
        &["--data_rrport", "8003"],
    ] {
        let check = command().arg("--check").args(arguments).run();
        let start = command().args(arguments).run();
        assert_ne!(start.code(), 0, "{start}");
        assert_eq!(check.code(), start.code(), "{check}");
        let last = |log: &str| {
            let line = log.lines().rfind(|line| !line.starts_with("Try "));
            let line = line.expect("a line").to_owned();
            let (_, rest) = line.split_once("ERROR ").unwrap_or(("", &line));
            rest.to_owned()
        };
        assert_eq!(last(&check.stderr), last(&start.stderr));
    }
}
