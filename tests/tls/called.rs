//! Proxies that connect by TLS: who is let in, who is not, and what an operator reads of that.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use socket2::SockRef;

use crate::listening::{NAME, Place, proxy};
use crate::peer::{Peer, called};
use crate::pki::{Certified, Profile};
use crate::setup::{SESSION, VERSIONS};
use crate::standin::{Adapter, Init, Session, Side};

/// A Proxy that was turned away: told with its address, by the port that it came to.
#[track_caller]
fn told(adapter: &Adapter, words: &[&str]) -> String {
    adapter.wait_for_log(&[&["warn", "metadata 127.", ": 127.0.0.1: tls: "], words].concat())
}

#[test]
fn people_chat_by_each_version_with_and_without_a_clients_certificate() {
    let clients = Certified::authority("Clients");
    let shown = clients.issue(Profile::new("ls1").used_for(ClientAuth));
    for version in VERSIONS {
        for is_asked in [false, true] {
            let place = Place::new();
            let command = match is_asked {
                true => place.command_for(&[&clients]),
                false => place.command(),
            };
            let adapter = place.start(command);
            let config = proxy(&[version], &place.own, Some(&shown));
            let (peer, mut metadata) = place.meet_metadata(&config);
            let (_peer, mut data) = place.meet_data(&config);
            metadata.open(&Session::new(SESSION, "192.0.2.7", "Mozilla/5.0"));
            data.subscribe("chat_room");
            assert_eq!(metadata.say(SESSION, "hello"), Ok(()));
            assert_eq!(data.chat().message, "hello");
            let name = if version == &TLS12 {
                "TLS 1.2"
            } else {
                "TLS 1.3"
            };
            adapter.wait_for_log(&["metadata 127.0.0.1", "accepted by metadata", name]);
            let tls = peer.tls();
            assert_eq!(tls.peer_certificates(), Some(&place.own.chain[..]));
        }
    }
}

#[test]
fn what_vouches_for_the_adapter_goes_along() {
    let place = Place::new();
    let root = Certified::authority("Example Root");
    let own = root
        .issue(Profile::authority("Teams"))
        .issue(Profile::server().used_for(ServerAuth));
    place.show(&own);
    let _adapter = place.start(place.command());
    place.meet_metadata(&proxy(&[&TLS13], &root, None));
}

#[test]
fn who_shows_no_good_certificate_gets_no_byte() {
    let clients = Certified::authority("Clients");
    let others = Certified::authority("Others");
    let impostor = Certified::authority("Clients");
    let plain = || Profile::new("ls1");
    let expired = clients.issue(plain().good((2020, 2, 3), (2021, 5, 6)));
    let early = clients.issue(plain().good((2119, 1, 2), (2120, 1, 1)));
    let place = Place::new();
    let adapter = place.start(place.command_for(&[&clients]));
    let cases: [(Option<Certified>, &[&str]); 7] = [
        (None, &["shows no client certificate", "--tls-client-ca"]),
        (
            Some(others.issue(plain())),
            &["unknown issuer of the proxy's certificate: \"others\""],
        ),
        (Some(plain().self_signed()), &["self-signed: \"ls1\""]),
        (
            Some(impostor.issue(plain())),
            &["not signed by the issuer that is trusted, but by a namesake"],
        ),
        (Some(expired), &["expired on 2021-05-06t00:00:00z"]),
        (Some(early), &["not valid yet", "2119-01-02t00:00:00z"]),
        (
            Some(clients.issue(plain().used_for(ServerAuth))),
            &["extended key usage", "client authentication"],
        ),
    ];
    for (n, version) in VERSIONS.into_iter().enumerate() {
        for (shown, words) in &cases {
            let config = proxy(&[version], &place.own, shown.as_ref());
            let received = place.turned_away(&config);
            assert!(received.contains("alert"), "{words:?}: {received}");
            adapter.wait_for_log_nth(&[&["warn", "127.0.0.1: tls: "], *words].concat(), n + 1);
        }
    }
    adapter.signal("USR1");
    adapter.wait_for_log(&["14 turned away"]);
    let good = clients.issue(plain());
    place.meet_metadata(&proxy(&[&TLS13], &place.own, Some(&good)));
}

#[test]
fn neither_the_platforms_store_nor_what_servers_are_verified_by_vouches_for_a_proxy() {
    let [clients, others] = ["Clients", "Others"].map(Certified::authority);
    let place = Place::new();
    let file = place.files.write("others.pem", others.pem());
    let command = place.command_for(&[&clients]).args(["--tls-ca", &file]);
    let adapter = place.start(command.env("SSL_CERT_FILE", &file));
    let shown = others.issue(Profile::new("ls1"));
    place.turned_away(&proxy(&[&TLS13], &place.own, Some(&shown)));
    told(&adapter, &["unknown issuer", "\"others\""]);
}

#[test]
fn a_proxys_certificate_that_is_given_itself_is_taken_as_it_is() {
    let place = Place::new();
    let old = Profile::new("ls1").good((2020, 2, 3), (2021, 5, 6));
    let shown = old.self_signed();
    let _adapter = place.start(place.command_for(&[&Certified::authority("Clients"), &shown]));
    for version in VERSIONS {
        place.meet_metadata(&proxy(&[version], &place.own, Some(&shown)));
    }
}

#[test]
fn a_proxy_that_does_not_trust_the_adapter_is_understood() {
    let place = Place::new();
    let adapter = place.start(place.command());
    let stranger = Profile::server().self_signed();
    for version in VERSIONS {
        place.turned_away(&proxy(&[version], &stranger, None));
        let words = ["refuses the certificate of --tls-cert", "truststore"];
        adapter.wait_for_log(&words);
    }
    // To verify the name is up to the Proxy.
    let config = proxy(&[&TLS13], &place.own, None);
    let refused = Peer::call(place.port(Side::Data), &config, "other.example.com");
    assert!(refused.is_err());
    adapter.wait_for_log(&[" data ", "refuses the certificate", "remote_host"]);
    Peer::call(place.port(Side::Data), &config, NAME).expect("a handshake");
}

#[test]
fn a_peer_without_tls_is_told_by_what_it_says() {
    for said in [
        Init::new(Side::Metadata).line() + "\r\n",
        "GET / HTTP/1.1\r\nHost: push.example.com\r\n\r\n".to_owned(),
        "\r\n".repeat(20),
    ] {
        // Another for each, since what repeats is not said again for a minute.
        let place = Place::new();
        let adapter = place.start(place.command());
        let mut socket = called(place.port(Side::Metadata));
        socket.write_all(said.as_bytes()).expect("to write");
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer); // it may be reset
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
        let words = ["warn", "the peer speaks no tls", "tls=y", "--tls"];
        adapter.wait_for_log(&words);
    }
    let place = Place::new();
    let adapter = place.start(place.command());
    drop(called(place.port(Side::Metadata)));
    told(&adapter, &["closed the connection", "it said nothing"]);
}

#[test]
fn a_peer_that_knows_older_versions_alone_is_told() {
    let place = Place::new();
    let adapter = place.start(place.command());
    // A client hello of TLS 1.1, with a cipher that everybody had.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let mut socket = called(place.port(Side::Metadata));
    socket.write_all(&hello).expect("to write");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert_eq!(answer[..1], [0x15]);
    told(&adapter, &["tls 1.2 and 1.3"]);
}

#[test]
fn a_handshake_that_is_slow_or_never_ends_holds_up_nobody() {
    let place = Place::new();
    let adapter = place.start(place.command());
    let silent = called(place.port(Side::Metadata));
    let mut slow = called(place.port(Side::Metadata));
    // The head of a record, and a byte of it now and then.
    slow.write_all(&[0x16, 3, 1, 1, 0, 1]).expect("to write");
    let mut vanished = called(place.port(Side::Metadata));
    vanished.write_all(&[0x16, 3]).expect("to write");
    SockRef::from(&vanished)
        .set_linger(Some(Duration::ZERO))
        .expect("SO_LINGER");
    drop(vanished);
    told(&adapter, &["closed the connection in the handshake"]);
    let config = proxy(&[&TLS13], &place.own, None);
    for _ in 0..3 {
        slow.write_all(&[0]).expect("to write");
        let (_peer, mut metadata) = place.meet_metadata(&config);
        metadata.close_session("S1");
        let (_peer, mut data) = place.meet_data(&config);
        data.expect_silence();
    }
    drop(silent);
    told(&adapter, &["closed the connection", "it said nothing"]);
}

#[test]
fn of_too_many_handshakes_the_oldest_goes() {
    let place = Place::new();
    let adapter = place.start(place.command());
    let mut silent: Vec<_> = (0..9).map(|_| called(place.port(Side::Metadata))).collect();
    let mut answer = Vec::new();
    let _ = silent[0].read_to_end(&mut answer);
    assert!(answer.is_empty(), "{answer:?}");
    adapter.wait_for_log(&["warn", "127.0.0.1: closed: it has sent no init"]);
    place.meet_metadata(&proxy(&[&TLS13], &place.own, None));
}

#[test]
fn nothing_is_kept_of_a_session() {
    let place = Place::new();
    let _adapter = place.start(place.command());
    for version in VERSIONS {
        let config = proxy(&[version], &place.own, None);
        for _ in 0..2 {
            let (peer, mut metadata) = place.meet_metadata(&config);
            // What came after the handshake is read by now.
            metadata.close_session("S1");
            let kind = peer.tls().handshake_kind();
            assert_eq!(kind, Some(HandshakeKind::Full));
            assert_eq!(peer.tickets(), 0);
        }
    }
}

#[test]
fn an_end_in_good_order_is_one_of_tls() {
    let place = Place::new();
    let adapter = place.start(place.command());
    let (peer, mut metadata) = place.meet_metadata(&proxy(&[&TLS13], &place.own, None));
    let (other, _data) = place.meet_data(&proxy(&[&TLS12], &place.own, None));
    other.close_notify();
    adapter.wait_for_log(&[" data 127.0.0.1", "the Proxy closed the connection"]);
    adapter.signal("TERM");
    metadata.connection.expect_closed();
    assert!(peer.received_close_notify());
    assert_eq!(adapter.wait().code(), 0);
}
