//! Which name the server must have, and what it is asked for.

use crate::files::Files;
use crate::peer::Port;
use crate::pki::{Certified, Profile};
use crate::setup::{Ports, command, server};
use crate::standin::{Init, Side};

/// An authority that the adapter is to trust, and the arguments for it.
fn authority(files: &Files) -> (Certified, [String; 2]) {
    let authority = Certified::authority("Example Root");
    let file = files.write("root.pem", authority.pem());
    (authority, ["--tls-ca".to_owned(), file])
}

#[test]
fn a_host_that_is_a_name_is_asked_for_and_matches_a_name() {
    let files = Files::new();
    let (authority, trust) = authority(&files);
    let ports = Ports::open();
    let _adapter = ports.command_to("localhost").args(&trust).start();
    let certified = authority.issue(Profile::new("x").named(&["localhost"]));
    let (peer, _proxy) = ports.meet_metadata(&server(&certified));
    assert_eq!(peer.server_name().as_deref(), Some("localhost"));
}

#[test]
fn a_host_that_is_an_address_matches_an_address() {
    let files = Files::new();
    let (authority, trust) = authority(&files);
    let ports = Ports::open();
    let _adapter = ports.command_to("127.0.0.1").args(&trust).start();
    let certified = authority.issue(Profile::new("x").named(&["127.0.0.1"]));
    let (peer, _proxy) = ports.meet_metadata(&server(&certified));
    assert_eq!(peer.server_name(), None, "addresses are not for SNI");
}

#[test]
fn so_does_one_of_the_longer_kind() {
    let files = Files::new();
    let (authority, trust) = authority(&files);
    let Some(port) = Port::open_ipv6() else {
        return; // a machine without IPv6
    };
    let number = port.number().to_string();
    let _adapter = command()
        .args(["--host", "::1", "--tls", "--metadata_rrport", &number])
        .args(["--data_rrport", "1"])
        .args(&trust)
        .start();
    let certified = authority.issue(Profile::new("x").named(&["::1"]));
    port.meet(&server(&certified))
        .connection("metadata")
        .expect_rac();
}

#[test]
fn another_name_may_be_asked_for() {
    let files = Files::new();
    let (authority, trust) = authority(&files);
    let certified = authority.issue(Profile::new("x").named(&["push.example.com"]));
    for (name, sni) in [
        ("push.example.com", "push.example.com"),
        ("PUSH.Example.COM", "push.example.com"),
    ] {
        let ports = Ports::open();
        let command = ports.command_to("127.0.0.1").args(&trust);
        let _adapter = command.args(["--tls-name", name]).start();
        let peer = ports.metadata.meet(&server(&certified));
        assert_eq!(peer.server_name().as_deref(), Some(sni));
        peer.connection("metadata")
            .handshake(&Init::new(Side::Metadata));
    }
}

#[test]
fn a_name_for_many_hosts_will_do() {
    let files = Files::new();
    let (authority, trust) = authority(&files);
    let certified = authority.issue(Profile::new("x").named(&["*.example.com"]));
    let ports = Ports::open();
    let command = ports.command_to("127.0.0.1").args(&trust);
    let _adapter = command.args(["--tls-name", "push.example.com"]).start();
    ports.meet_metadata(&server(&certified));
}

#[test]
fn a_wrong_name_is_told_with_those_there_are() {
    let files = Files::new();
    let (authority, trust) = authority(&files);
    let names = ["push.example.com", "192.0.2.1"];
    let certified = authority.issue(Profile::new("127.0.0.1").named(&names));
    for (host, name) in [
        ("127.0.0.1", None),
        ("localhost", None),
        ("127.0.0.1", Some("www.example.com")),
    ] {
        let ports = Ports::open();
        let mut command = ports.command_to(host).args(&trust);
        if let Some(name) = name {
            command = command.args(["--tls-name", name]);
        }
        let adapter = command.start();
        let told = ports.metadata.refuse(&server(&certified));
        assert!(told.contains("BadCertificate"), "{told}");
        let wanted = format!("{} is wanted", name.unwrap_or(host));
        let carried = "it carries push.example.com, 192.0.2.1;";
        adapter.wait_for_log(&[
            "warn",
            "metadata",
            "wrong name",
            &wanted,
            carried,
            "--tls-name",
        ]);
    }
}

#[test]
fn a_certificate_without_alternative_names_has_none() {
    let files = Files::new();
    let (authority, trust) = authority(&files);
    let ports = Ports::open();
    let adapter = ports.command_to("localhost").args(&trust).start();
    ports
        .metadata
        .refuse(&server(&authority.issue(Profile::new("localhost"))));
    adapter.wait_for_log(&[
        "metadata",
        "wrong name",
        "none at all",
        "subject \"localhost\" does not count",
    ]);
}

#[test]
fn what_cannot_be_a_name_is_refused_at_once() {
    for arguments in [
        &["--host", "a..b", "--tls"][..],
        &["--tls", "--tls-name", "a..b"],
        &["--tls", "--tls-name", "ü"],
    ] {
        let exit = command().args(arguments).run();
        assert_eq!(exit.code(), 1, "{exit}");
        assert!(exit.stderr.contains("--tls-name"), "{exit}");
    }
}
