//! Files are read again for each connection, and one that has gone bad does no harm.

use crate::files::Files;
use crate::pki::{Certified, Profile};
use crate::setup::{Ports, clients_of, server, server_of};

#[test]
fn a_new_authority_is_trusted_and_the_old_one_no_more() {
    let files = Files::new();
    let (old, new) = (Certified::authority("Old"), Certified::authority("New"));
    let (old_server, new_server) = (old.issue(Profile::server()), new.issue(Profile::server()));
    let file = files.write("root.pem", old.pem());
    let ports = Ports::open();
    let adapter = ports.command_trusting(&file).start();
    let met = ports.meet_metadata(&server(&old_server));
    files.write(
        "root.pem",
        new.pem() + &Certified::authority("Another").pem(),
    );
    drop(met);
    drop(ports.meet_metadata(&server(&new_server)));
    adapter.wait_for_log(&["metadata", "trusting 2 certificates", &file]);
    ports.metadata.refuse(&server(&old_server));
    adapter.wait_for_log(&["metadata", "unknown issuer", "\"Old\""]);
}

#[test]
fn a_file_gone_bad_is_told_once_and_what_was_good_is_used_on() {
    let files = Files::new();
    let authority = Certified::authority("Example Root");
    let config = server(&authority.issue(Profile::server()));
    let file = files.write("root.pem", authority.pem());
    let ports = Ports::open();
    let adapter = ports.command_trusting(&file).start();
    let met = ports.meet_metadata(&config);
    files.write("root.pem", "-----BEGIN CERTIFICATE-----\nhalf of it");
    drop(met);
    for _ in 0..2 {
        drop(ports.meet_metadata(&config));
    }
    let words = [
        "error",
        "metadata",
        &file,
        "what was read before is used on",
    ];
    adapter.wait_for_log(&words);
    // What is lost altogether is another matter, and news.
    std::fs::remove_file(&file).expect("to remove it");
    drop(ports.meet_metadata(&config));
    adapter.wait_for_log(&["error", "metadata", &file, "cannot be read", "is used on"]);
    // Good again, it counts again, and would be missed again.
    files.write("root.pem", authority.pem());
    drop(ports.meet_metadata(&config));
    adapter.wait_for_log(&["info", "metadata", "can be read again"]);
    std::fs::remove_file(&file).expect("to remove it");
    drop(ports.meet_metadata(&config));
    adapter.wait_for_log_nth(&["error", "metadata", &file, "cannot be read"], 2);
    let told = |line: &&str| {
        words
            .iter()
            .all(|word| line.to_lowercase().contains(&word.to_lowercase()))
    };
    let log = adapter.log();
    assert_eq!(log.lines().filter(told).count(), 3, "{log}");
}

#[test]
fn a_platforms_store_that_is_lost_is_not_replaced_by_trust_in_everybody() {
    let files = Files::new();
    let authority = Certified::authority("Example Root");
    let config = server(&authority.issue(Profile::server()));
    let file = files.write("store.pem", authority.pem());
    let ports = Ports::open();
    let adapter = ports
        .command_to("127.0.0.1")
        .env("SSL_CERT_FILE", &file)
        .start();
    drop(ports.meet_metadata(&config));
    files.write("store.pem", "");
    for _ in 0..2 {
        drop(ports.meet_metadata(&config));
    }
    adapter.wait_for_log(&["error", "metadata", &file, "is used on"]);
    files.write("store.pem", authority.pem());
    drop(ports.meet_metadata(&config));
    adapter.wait_for_log(&["info", "metadata", "can be read again"]);
    assert!(!adapter.log().contains("built-in"), "{}", adapter.log());
}

#[test]
fn a_new_identity_is_presented() {
    let files = Files::new();
    let certified = Profile::server().self_signed();
    let trusted = files.write("server.pem", certified.pem());
    let clients = Certified::authority("Clients");
    let config = server_of(
        &certified,
        &[&rustls::version::TLS13],
        Some(clients_of(&clients)),
    );
    let (old, new) = (
        clients.issue(Profile::new("old")),
        clients.issue(Profile::new("new")),
    );
    let cert = files.write("client.pem", old.pem());
    let key = files.write("client.key", old.key.serialize_pem());
    let ports = Ports::open();
    let command = ports.command_trusting(&trusted);
    let adapter = command
        .args(["--tls-cert", &cert, "--tls-key", &key])
        .start();
    let presented = |expected: &Certified| {
        let (peer, _proxy) = ports.meet_metadata(&config);
        assert_eq!(peer.tls().peer_certificates(), Some(&expected.chain[..]));
        peer
    };
    let met = presented(&old);
    // Half way through, the two do not go together: the old ones serve on.
    files.write("client.pem", new.pem());
    drop(met);
    let met = presented(&old);
    adapter.wait_for_log(&[
        "error",
        "metadata",
        &key,
        "does not hold the key",
        "is used on",
    ]);
    files.write("client.key", new.key.serialize_pem());
    drop(met);
    presented(&new);
}
