//! Records in every shape, and changes of keys in the middle of traffic.

use rustls::version::TLS13;

use crate::files::Files;
use crate::pki::Profile;
use crate::setup::{Ports, SESSION, Setup, VERSIONS, server_of};
use crate::standin::{Init, Side};

#[test]
fn a_record_for_each_byte_of_a_request() {
    for version in VERSIONS {
        let mut setup = Setup::with(&[version], &[]);
        setup
            .metadata
            .connection
            .send_torn("1f|GIS|S|#|S|chat_room|S|S1\r\n");
        setup.metadata.connection.expect("1f|GIS|S|chat_room");
    }
}

#[test]
fn a_segment_for_each_byte_of_a_record() {
    for version in VERSIONS {
        let mut setup = Setup::with(&[version], &[]);
        for byte in setup.metadata_peer.seal(b"1f|GIS|S|#|S|chat_room|S|S1\r\n") {
            setup.metadata_peer.write_raw(&[byte]);
        }
        setup.metadata.connection.expect("1f|GIS|S|chat_room");
    }
}

#[test]
fn lines_and_records_end_wherever_they_like() {
    let mut setup = Setup::new();
    setup.open_room();
    let texts: Vec<_> = (0..60).map(|n| "x".repeat(n * 37 % 1000 + 1)).collect();
    let mut bytes = Vec::new();
    let mut ids = Vec::new();
    for text in &texts {
        let message = format!("CHAT|{text}");
        let (id, line) = setup
            .metadata
            .compose("NUM", &[None, Some(SESSION), Some(&message)]);
        bytes.extend([line.as_bytes(), b"\r\n"].concat());
        ids.push(id);
    }
    // One flight of records of 1 to 700 bytes; several lines in some, several records to a line.
    let mut records = Vec::new();
    let mut rest = &bytes[..];
    for length in (1..).map(|n| n * n % 701 + 1) {
        let (record, behind) = rest.split_at(length.min(rest.len()));
        records.extend(setup.metadata_peer.seal(record));
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    setup.metadata_peer.write_raw(&records);
    for (id, text) in ids.iter().zip(&texts) {
        assert_eq!(setup.metadata.outcome(id), Ok(()));
        assert_eq!(&setup.data.chat().message, text);
    }
}

#[test]
fn a_line_of_many_records() {
    for version in VERSIONS {
        let mut setup = Setup::with(&[version], &[]);
        setup.open_room();
        setup.chat(&"long ".repeat(100_000));
    }
}

#[test]
fn keys_change_during_traffic() {
    let mut setup = Setup::with(&[&TLS13], &[]);
    setup.open_room();
    for round in 0..20 {
        setup.metadata_peer.update_keys();
        setup.data_peer.update_keys();
        let ids: Vec<_> = (0..10)
            .map(|n| setup.metadata.send_say(SESSION, &format!("{round}.{n}")))
            .collect();
        setup.metadata_peer.update_keys();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(setup.metadata.outcome(id), Ok(()));
            assert_eq!(setup.data.chat().message, format!("{round}.{n}"));
        }
        // Of which nothing is known on the data side but by this.
        setup.data.expect_silence();
    }
}

#[test]
fn a_change_of_keys_is_answered_though_there_is_nothing_to_say() {
    let files = Files::new();
    let certified = Profile::server().self_signed();
    let trusted = files.write("server.pem", certified.pem());
    let config = server_of(&certified, &[&TLS13], None);
    let ports = Ports::open();
    let command = ports.command_trusting(&trusted);
    // Nothing else may leave that could carry the answer with it.
    let _adapter = command.args(["--keepalive", "0"]).start();
    let init = Init::new(Side::Metadata).without_hint();
    let (peer, mut metadata) = ports.meet_metadata_with(&config, &init);
    for _ in 0..3 {
        peer.update_keys();
        peer.flush_records();
        peer.expect_record_without_data();
    }
    metadata.close_session("S1");
    peer.update_keys();
    metadata.close_session("S2");
}
