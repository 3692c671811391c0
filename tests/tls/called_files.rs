//! The files of an adapter that listens: read at the start, and again for each Proxy that connects.

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rustls::version::TLS13;

use crate::listening::{Place, proxy};
use crate::pki::{Certified, Profile};
use crate::start::refused;
use std::time::Duration;

#[test]
fn a_renewed_certificate_is_shown_to_whoever_comes_next() {
    let place = Place::new();
    let adapter = place.start(place.command());
    let old = proxy(&[&TLS13], &place.own, None);
    let (_peer, mut first) = place.meet_metadata(&old);
    let renewed = Profile::server().self_signed();
    place.files.write("server.pem", renewed.pem());
    // Half way through, the two do not go together: the old ones serve on.
    let (_peer, mut data) = place.meet_data(&old);
    let key = place.files.path("server.key");
    adapter.wait_for_log(&["error", " data ", &key, "does not hold the key", "used on"]);
    place.show(&renewed);
    place.turned_away(&old);
    let (peer, _data) = place.meet_data(&proxy(&[&TLS13], &renewed, None));
    assert_eq!(peer.tls().peer_certificates(), Some(&renewed.chain[..]));
    adapter.wait_for_log(&["info", " data ", "the certificate can be read again"]);
    // Who is there already stays, unless another takes its place.
    first.close_session("S1");
    data.connection.expect_closed();
}

#[test]
fn new_authorities_count_for_whoever_comes_next_and_bad_ones_do_not() {
    let place = Place::new();
    let [old, new] = ["Old", "New"].map(Certified::authority);
    let [by_old, by_new] = [&old, &new].map(|authority| {
        let shown = authority.issue(Profile::new("ls1").used_for(ClientAuth));
        proxy(&[&TLS13], &place.own, Some(&shown))
    });
    let adapter = place.start(place.command_for(&[&old]));
    let (_peer, mut first) = place.meet_metadata(&by_old);
    let file = place.files.write("clients.pem", "");
    drop(place.meet_data(&by_old));
    adapter.wait_for_log(&["error", " data ", &file, "is empty", "used on"]);
    std::fs::remove_file(&file).expect("to remove it");
    drop(place.meet_data(&by_old));
    adapter.wait_for_log(&["error", " data ", &file, "cannot be read", "used on"]);
    place.files.write("clients.pem", new.pem());
    place.turned_away(&by_old);
    adapter.wait_for_log(&["unknown issuer of the Proxy's certificate: \"Old\""]);
    drop(place.meet_data(&by_new));
    adapter.wait_for_log(&["info", " data ", "what is trusted can be read again"]);
    first.close_session("S1");
}

#[test]
fn files_that_are_no_good_are_told_at_the_start() {
    let place = Place::new();
    let listen = ["--listen", "127.0.0.1"];
    let [cert, key] = ["server.pem", "server.key"].map(|name| place.files.path(name));
    let other = Profile::server().self_signed();
    let other = place.files.write("other.key", other.key.serialize_pem());
    let missing = place.files.path("missing.pem");
    let none = place.files.write("none.pem", "nobody\n");
    for (options, file, words) in [
        (
            ["--tls-cert", &cert, "--tls-key", &missing],
            &missing,
            "cannot be read",
        ),
        (
            ["--tls-cert", &missing, "--tls-key", &key],
            &missing,
            "cannot be read",
        ),
        (
            ["--tls-cert", &cert, "--tls-key", &cert],
            &cert,
            "holds no private key",
        ),
        (
            ["--tls-cert", &cert, "--tls-key", &other],
            &other,
            "does not hold the key",
        ),
    ] {
        refused(&[&listen[..], &options].concat(), file, words);
    }
    let own = ["--tls-cert", &cert, "--tls-key", &key];
    for (file, words) in [(&missing, "cannot be read"), (&none, "neither PEM nor")] {
        let clients = ["--tls-client-ca", file];
        refused(&[&listen[..], &own, &clients].concat(), file, words);
    }
}

#[test]
fn a_certificate_that_is_for_the_other_role_is_named_at_the_start() {
    let place = Place::new();
    place.show(&Profile::server().used_for(ClientAuth).self_signed());
    let cert = place.files.path("server.pem");
    let adapter = place.start(place.command());
    for side in ["metadata", "data"] {
        let words = [
            "extended key usage without serverAuth",
            "a Proxy that connects",
        ];
        adapter.wait_for_log(&[&["warn", side, &cert], &words[..]].concat());
    }
    drop(adapter);
    place.show(&Profile::server().used_for(ServerAuth).self_signed());
    let command = place.command().args(["--host", "127.0.0.1"]);
    let adapter = command.start();
    for side in ["metadata", "data"] {
        let words = ["extended key usage without clientAuth", "asks for it"];
        adapter.wait_for_log(&[&["warn", side, "127.0.0.1", &cert], &words[..]].concat());
    }
    let log = adapter.log();
    assert!(!log.contains("without serverAuth"), "{log}");
}

#[test]
fn a_check_tells_who_is_shown_and_who_vouches() {
    let place = Place::new();
    let clients = Certified::authority("Clients");
    let exit = place.command_for(&[&clients]).arg("--check").run();
    assert_eq!(exit.code(), 0, "{exit}");
    let file = place.files.path("clients.pem");
    for line in [
        format!("TLS: clients trusted by 1 certificate from {file}"),
        "TLS: clients trusted by \"Clients\", valid until 2120-01-01T00:00:00Z".into(),
        "TLS: certificate for clients \"the server\", valid until 2120-01-01T00:00:00Z; its key \
         fits"
            .into(),
    ] {
        assert!(
            exit.stdout.lines().any(|found| found == line),
            "{line}: {exit}"
        );
    }
    assert!(!exit.stdout.contains("trusting"), "{exit}");
    // The Proxy verifies by name what it connects to, so an address would not do.
    let remote = "<param name=\"remote_host\">a name in that certificate</param>";
    assert_eq!(exit.stdout.matches(remote).count(), 2, "{exit}");
}

#[test]
fn credentials_go_to_proxies_that_were_verified_and_to_no_log() {
    let place = Place::new();
    let clients = Certified::authority("Clients");
    let password = place.files.write("password", "zebra7");
    let arguments = ["--user", "user1", "--password-file", &password];
    let command = place.command_for(&[&clients]).args(arguments);
    let adapter = place.start(command.args(["--log", "trace"]));
    place.turned_away(&proxy(&[&TLS13], &place.own, None));
    let shown = clients.issue(Profile::new("ls1"));
    let config = proxy(&[&TLS13], &place.own, Some(&shown));
    let (peer, mut connection) = place.call(crate::standin::Side::Metadata, &config);
    let hello = connection.expect_line();
    assert!(
        hello.contains("user1") && hello.contains("zebra7"),
        "{hello}"
    );
    // Who was told them, and breaks off, is no health check.
    let socket = socket2::SockRef::from(peer.socket());
    socket.set_linger(Some(Duration::ZERO)).expect("a socket");
    drop((connection, peer));
    let line = adapter.wait_for_log(&[" metadata 127.0.0.1:", "reset"]);
    assert!(line.contains("lost while reading"), "{line}");
    adapter.signal("TERM");
    let exit = adapter.wait();
    assert!(exit.stderr.contains("user1"), "{exit}");
    let log = exit.stderr.lines();
    let mut own = log.filter(|line| line.contains(" metadata 127.0.0.1:"));
    assert!(!own.any(|line| line.contains("health check")), "{exit}");
    assert!(!exit.stderr.contains("zebra7"), "{exit}");
    let exit = place.command().args(arguments).run();
    assert_eq!(exit.code(), 1, "{exit}");
    assert!(exit.stderr.contains("needs --tls-client-ca"), "{exit}");
}
