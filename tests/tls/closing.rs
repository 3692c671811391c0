//! How a session ends: `close_notify` before the stream does, and what it means when there is none.

use std::io::Write as _;

use crate::stage::{Stage, VERSIONS};
use crate::standin::{Init, Side};

#[test]
fn at_sigterm_close_notify_leaves_first() {
    for version in VERSIONS {
        let mut stage = Stage::with(&[version], &[]);
        stage.open_room();
        stage.adapter.signal("TERM");
        stage.metadata.connection.expect_closed();
        stage.data.connection.expect_closed();
        assert!(stage.metadata_peer.heard_close_notify());
        assert!(stage.data_peer.heard_close_notify());
        let Stage {
            adapter,
            metadata,
            data,
            metadata_peer,
            data_peer,
            ..
        } = stage;
        drop((metadata, data, metadata_peer, data_peer));
        let exit = adapter.wait();
        assert_eq!(exit.code(), 0, "{exit}");
        assert!(!exit.stderr.contains("lost"), "{exit}");
    }
}

#[test]
fn at_sigterm_what_was_asked_before_is_answered_before() {
    for version in VERSIONS {
        let mut stage = Stage::with(&[version], &[]);
        stage.open_room();
        stage.chat("one");
        let ids: Vec<_> = (0..100)
            .map(|n| {
                stage
                    .metadata
                    .send_say(crate::stage::SESSION, &n.to_string())
            })
            .collect();
        for id in &ids {
            assert_eq!(stage.metadata.outcome(id), Ok(()));
        }
        stage.adapter.signal("TERM");
        for n in 0..100 {
            assert_eq!(stage.data.chat().message, n.to_string());
        }
        stage.data.connection.expect_closed();
        assert!(stage.data_peer.heard_close_notify());
    }
}

#[test]
fn at_sigterm_before_the_init_too() {
    let stage = Stage::new();
    drop((stage.metadata, stage.metadata_peer));
    let peer = stage.ports.metadata.meet(&stage.config);
    let mut link = peer.link("metadata");
    link.expect_rac();
    stage.adapter.signal("TERM");
    link.expect_closed();
    assert!(peer.heard_close_notify());
}

#[test]
fn after_close_as_well() {
    for version in VERSIONS {
        let mut stage = Stage::with(&[version], &[]);
        stage
            .metadata
            .connection
            .send_line("0|CLOSE|S|reason|S|going+down");
        stage.metadata.connection.expect_closed();
        assert!(stage.metadata_peer.heard_close_notify());
        stage
            .adapter
            .wait_for_log(&["warn", "metadata", "CLOSE: going down"]);
        stage.ports.meet_metadata(&stage.config);
    }
}

#[test]
fn after_a_refusal_as_well() {
    let stage = Stage::new();
    drop((stage.metadata, stage.metadata_peer));
    let peer = stage.ports.metadata.meet(&stage.config);
    let mut link = peer.link("metadata");
    link.expect_refusal(&Init::offering(Side::Metadata, "1.8.0"));
    link.expect_closed();
    assert!(peer.heard_close_notify());
}

#[test]
fn an_end_that_was_announced_is_told_from_one_that_was_not() {
    for version in VERSIONS {
        let stage = Stage::with(&[version], &[]);
        drop((stage.metadata, stage.metadata_peer));
        let line = stage
            .adapter
            .wait_for_log(&["warn", "metadata 127", "lost"]);
        assert!(
            line.contains("lost while reading") && line.contains("no close_notify"),
            "{line}"
        );
        stage.data_peer.close_notify();
        let line = stage.adapter.wait_for_log(&[" data 127", "lost"]);
        assert!(line.contains("the Proxy closed the connection"), "{line}");
        // Either way the adapter comes back.
        stage.ports.meet_metadata(&stage.config);
        stage.ports.meet_data(&stage.config);
    }
}

#[test]
fn what_came_before_a_bad_record_still_counts() {
    for version in VERSIONS {
        let stage = Stage::with(&[version], &[]);
        // In one write: the last word of a Proxy, and a record that is none.
        let mut records = stage
            .metadata_peer
            .seal(b"0|CLOSE|S|reason|S|going+down\r\n");
        records.extend([0x17, 3, 3, 0, 32]);
        records.extend([0; 32]);
        stage.metadata_peer.write_raw(&records);
        stage
            .adapter
            .wait_for_log(&["warn", "metadata", "CLOSE: going down"]);
        stage.ports.meet_metadata(&stage.config);
    }
}

#[test]
fn a_bad_record_is_answered_with_an_alert() {
    for version in VERSIONS {
        let mut stage = Stage::with(&[version], &[]);
        stage.metadata_peer.write_raw(&[0x17, 3, 3, 0, 20]);
        stage.metadata_peer.write_raw(&[0; 20]);
        let alert = std::io::Read::read(&mut stage.metadata_peer, &mut [0; 64]);
        let alert = alert.expect_err("an alert").to_string();
        assert!(alert.contains("BadRecordMac"), "{alert}");
        stage
            .adapter
            .wait_for_log(&["warn", "metadata", "TLS: ", "decrypt"]);
        stage.ports.meet_metadata(&stage.config);
    }
}

#[test]
fn plain_text_in_the_middle_of_a_session_is_no_reason_to_doubt_tls_altogether() {
    let stage = Stage::new();
    stage
        .metadata_peer
        .socket()
        .write_all(b"1f|GIS|S|#|S|chat_room|S|S1\r\n")
        .expect("to write");
    let line = stage.adapter.wait_for_log(&["warn", "metadata", "TLS: "]);
    assert!(!line.contains("is --tls meant"), "{line}");
    stage.ports.meet_metadata(&stage.config);
}
