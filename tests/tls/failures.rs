//! What an operator reads when the two sides do not come to terms on certificates or versions.

use std::io::Write as _;

use crate::der;
use crate::files::Files;
use crate::pki::{self, Certified, Profile};
use crate::setup::{Ports, VERSIONS, clients_of, server, server_of};
use crate::standin::{Adapter, announced_wait};

/// A failure that only a person can mend: told, with a next try at the slow end of the backoff.
#[track_caller]
fn told(adapter: &Adapter, words: &[&str]) -> String {
    let line = adapter.wait_for_log(
        &[
            &["warn", "metadata 127.0.0.1", "tls: ", "next try in"],
            words,
        ]
        .concat(),
    );
    assert!(announced_wait(&line) >= 20_000, "{line}");
    line
}

/// Lets a server of this kind be met by an adapter that trusts the authority; yields the adapter and what the server
/// made of it.
#[track_caller]
fn meet(authority: &Certified, certified: &Certified) -> (Adapter, String) {
    let files = Files::new();
    let root = files.write("root.pem", authority.pem());
    let ports = Ports::open();
    let adapter = ports.command_trusting(&root).start();
    let received = ports.metadata.refuse(&server(certified));
    adapter.wait_for_log(&["metadata", "next try"]);
    (adapter, received)
}

#[test]
fn expired_and_when() {
    let authority = Certified::authority("Example Root");
    let profile = Profile::server().good((2020, 2, 3), (2021, 5, 6));
    let (adapter, received) = meet(&authority, &authority.issue(profile));
    assert!(received.contains("CertificateExpired"), "{received}");
    let line = told(
        &adapter,
        &["the server's certificate expired on 2021-05-06T00:00:00Z"],
    );
    assert!(line.contains("--tls-ca"), "{line}");
}

#[test]
fn not_valid_yet_and_from_when() {
    let authority = Certified::authority("Example Root");
    let profile = Profile::server().good((2119, 1, 2), (2120, 1, 1));
    let (adapter, _) = meet(&authority, &authority.issue(profile));
    told(
        &adapter,
        &["not valid yet", "from 2119-01-02T00:00:00Z", "clock"],
    );
}

#[test]
fn an_authority_on_the_way_expired() {
    let root = Certified::authority("Example Root");
    let between = Profile::authority("Example Issuer").good((2020, 2, 3), (2021, 5, 6));
    let (adapter, _) = meet(&root, &root.issue(between).issue(Profile::server()));
    told(
        &adapter,
        &[
            "or one of those it sent along",
            "expired on 2021-05-06T00:00:00Z",
        ],
    );
}

#[test]
fn an_unknown_issuer_is_named_with_the_option_that_would_trust_it() {
    let files = Files::new();
    let platform = files.write("platform.pem", Certified::authority("Another Root").pem());
    let root = Certified::authority("Example Root");
    let issuer = root.issue(Profile::authority("Example Issuer"));
    for (certified, named) in [
        (root.issue(Profile::server()), "\"Example Root\""),
        (issuer.issue(Profile::server()), "\"Example Root\""),
    ] {
        let ports = Ports::open();
        let adapter = ports
            .command_to("127.0.0.1")
            .env("SSL_CERT_FILE", &platform)
            .start();
        let received = ports.metadata.refuse(&server(&certified));
        assert!(received.contains("UnknownCA"), "{received}");
        told(&adapter, &["unknown issuer", named, "--tls-ca FILE"]);
    }
}

#[test]
fn a_self_signed_certificate_of_any_kind_is_named_as_such() {
    let files = Files::new();
    let platform = files.write("platform.pem", Certified::authority("Another Root").pem());
    let plain = Profile::new("push.example.com").named(&["127.0.0.1"]);
    let authority = Profile::authority("push.example.com").named(&["127.0.0.1"]);
    for profile in [plain, authority] {
        let ports = Ports::open();
        let adapter = ports
            .command_to("127.0.0.1")
            .env("SSL_CERT_FILE", &platform)
            .start();
        ports.metadata.refuse(&server(&profile.self_signed()));
        told(
            &adapter,
            &["self-signed", "\"push.example.com\"", "--tls-ca FILE"],
        );
    }
}

#[test]
fn an_authority_that_plays_server_is_not_accepted() {
    let root = Certified::authority("Example Root");
    let profile = Profile::authority("Example Issuer").named(&["127.0.0.1"]);
    let (adapter, _) = meet(&root, &root.issue(profile));
    told(
        &adapter,
        &["not accepted", "CaUsedAsEndEntity", "--tls-ca FILE"],
    );
}

#[test]
fn an_authority_whose_key_cannot_be_used() {
    let files = Files::new();
    for (kind, algorithm, public_key) in pki::unusable_keys() {
        let root = Certified::authority("Example Root");
        let changed = der::with_key(root.certificate(), &algorithm, &public_key);
        let file = files.write("root.pem", der::pem("CERTIFICATE", &changed));
        let mut certified = root.issue(Profile::server());
        certified.chain.push(changed.into());
        let ports = Ports::open();
        let adapter = ports
            .command_to("127.0.0.1")
            .env("SSL_CERT_FILE", &file)
            .env("SSL_CERT_DIR", "")
            .start();
        ports.metadata.refuse(&server(&certified));
        told(
            &adapter,
            &[
                "was signed by a key",
                "cannot be used here",
                &format!("({kind})"),
            ],
        );
    }
}

#[test]
fn a_client_certificate_is_demanded_and_there_is_none() {
    let files = Files::new();
    let certified = Profile::server().self_signed();
    let file = files.write("server.pem", certified.pem());
    let clients = clients_of(&Certified::authority("Clients"));
    for version in VERSIONS {
        let ports = Ports::open();
        let adapter = ports.command_trusting(&file).start();
        ports
            .metadata
            .refuse(&server_of(&certified, &[version], Some(clients.clone())));
        told(
            &adapter,
            &["demands a client certificate", "--tls-cert", "--tls-key"],
        );
    }
}

#[test]
fn a_client_certificate_is_refused() {
    let files = Files::new();
    let certified = Profile::server().self_signed();
    let file = files.write("server.pem", certified.pem());
    let clients = clients_of(&Certified::authority("Clients"));
    let stranger = Profile::new("stranger").self_signed();
    let cert = files.write("client.pem", stranger.pem());
    let key = files.write("client.key", stranger.key.serialize_pem());
    for version in VERSIONS {
        let ports = Ports::open();
        let command = ports.command_trusting(&file);
        let adapter = command
            .args(["--tls-cert", &cert, "--tls-key", &key])
            .start();
        ports
            .metadata
            .refuse(&server_of(&certified, &[version], Some(clients.clone())));
        told(&adapter, &["refuses the client certificate", "UnknownCA"]);
    }
}

/// A server that says this to the first that it receives, and ends the stream.
#[track_caller]
fn meet_raw(answer: &[u8]) -> Adapter {
    let ports = Ports::open();
    let adapter = ports.command_to("127.0.0.1").start();
    let mut socket = ports.metadata.accept();
    crate::peer::expect_client_hello(&mut socket);
    socket.write_all(answer).expect("to answer");
    drop(socket);
    adapter.wait_for_log(&["metadata", "next try"]);
    adapter
}

/// A fatal alert of this number, in a record of this version.
fn alert(version: u8, number: u8) -> [u8; 7] {
    [0x15, 3, version, 0, 2, 2, number]
}

#[test]
fn a_version_is_refused() {
    for version in [1, 2, 3] {
        told(&meet_raw(&alert(version, 70)), &["refuses TLS 1.2 and 1.3"]);
    }
    // A server hello that settles on TLS 1.1, with the first cipher that everybody has.
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x2f, 0]);
    told(&meet_raw(&hello), &["refuses TLS 1.2 and 1.3"]);
}

#[test]
fn other_refusals_are_told_as_they_come() {
    told(
        &meet_raw(&alert(3, 40)),
        &[
            "no cipher in common",
            "handshake failure",
            "perhaps its key",
            "P-256 or P-384",
        ],
    );
    told(
        &meet_raw(&alert(3, 112)),
        &["knows no server named 127.0.0.1", "--tls-name"],
    );
    meet_raw(&alert(3, 80)).wait_for_log(&["warn", "metadata", "alert InternalError"]);
}

#[test]
fn the_alert_for_a_client_certificate_is_understood_whichever_it_is() {
    // What JSSE and OpenSSL send for a missing one: bad_certificate, handshake_failure, certificate_required. The
    // server asks first, which takes a whole handshake; here a server that asks for none is enough for the last.
    told(&meet_raw(&alert(3, 116)), &["demands a client certificate"]);
}

#[test]
fn what_one_side_meets_does_not_keep_the_other_from_serving() {
    let files = Files::new();
    let certified = Profile::server().self_signed();
    let file = files.write("server.pem", certified.pem());
    let ports = Ports::open();
    let adapter = ports.command_trusting(&file).start();
    ports
        .metadata
        .refuse(&server(&Profile::server().self_signed()));
    told(&adapter, &["self-signed"]);
    let (_peer, mut data) = ports.meet_data(&server(&certified));
    data.expect_silence();
}
