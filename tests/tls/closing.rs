//! How a session ends: `close_notify` before the stream does, and what it means when there is none.

use std::io::Write as _;

use crate::setup::{Setup, VERSIONS};
use crate::standin::{Init, Side};

#[test]
fn at_sigterm_close_notify_leaves_first() {
    for version in VERSIONS {
        let mut setup = Setup::with(&[version], &[]);
        setup.open_room();
        setup.adapter.signal("TERM");
        setup.metadata.connection.expect_closed();
        setup.data.connection.expect_closed();
        assert!(setup.metadata_peer.received_close_notify());
        assert!(setup.data_peer.received_close_notify());
        let Setup {
            adapter,
            metadata,
            data,
            metadata_peer,
            data_peer,
            ..
        } = setup;
        drop((metadata, data, metadata_peer, data_peer));
        let exit = adapter.wait();
        assert_eq!(exit.code(), 0, "{exit}");
        assert!(!exit.stderr.contains("lost"), "{exit}");
    }
}

#[test]
fn at_sigterm_what_was_asked_before_is_answered_before() {
    for version in VERSIONS {
        let mut setup = Setup::with(&[version], &[]);
        setup.open_room();
        setup.chat("one");
        let ids: Vec<_> = (0..100)
            .map(|n| {
                setup
                    .metadata
                    .send_say(crate::setup::SESSION, &n.to_string())
            })
            .collect();
        for id in &ids {
            assert_eq!(setup.metadata.outcome(id), Ok(()));
        }
        setup.adapter.signal("TERM");
        for n in 0..100 {
            assert_eq!(setup.data.chat().message, n.to_string());
        }
        setup.data.connection.expect_closed();
        assert!(setup.data_peer.received_close_notify());
    }
}

#[test]
fn at_sigterm_before_the_init_too() {
    let setup = Setup::new();
    drop((setup.metadata, setup.metadata_peer));
    let peer = setup.ports.metadata.meet(&setup.config);
    let mut connection = peer.connection("metadata");
    connection.expect_rac();
    setup.adapter.signal("TERM");
    connection.expect_closed();
    assert!(peer.received_close_notify());
}

#[test]
fn after_close_as_well() {
    for version in VERSIONS {
        let mut setup = Setup::with(&[version], &[]);
        setup
            .metadata
            .connection
            .send_line("0|CLOSE|S|reason|S|going+down");
        setup.metadata.connection.expect_closed();
        assert!(setup.metadata_peer.received_close_notify());
        setup
            .adapter
            .wait_for_log(&["warn", "metadata", "CLOSE: going down"]);
        setup.ports.meet_metadata(&setup.config);
    }
}

#[test]
fn after_a_refusal_as_well() {
    let setup = Setup::new();
    drop((setup.metadata, setup.metadata_peer));
    let peer = setup.ports.metadata.meet(&setup.config);
    let mut connection = peer.connection("metadata");
    connection.expect_refusal(&Init::offering(Side::Metadata, "1.8.0"));
    connection.expect_closed();
    assert!(peer.received_close_notify());
}

#[test]
fn an_end_that_was_announced_is_told_from_one_that_was_not() {
    for version in VERSIONS {
        let setup = Setup::with(&[version], &[]);
        drop((setup.metadata, setup.metadata_peer));
        let line = setup
            .adapter
            .wait_for_log(&["warn", "metadata 127", "lost"]);
        assert!(
            line.contains("lost while reading") && line.contains("no close_notify"),
            "{line}"
        );
        setup.data_peer.close_notify();
        let line = setup.adapter.wait_for_log(&[" data 127", "lost"]);
        assert!(line.contains("the Proxy closed the connection"), "{line}");
        // Either way the adapter comes back.
        setup.ports.meet_metadata(&setup.config);
        setup.ports.meet_data(&setup.config);
    }
}

#[test]
fn what_came_before_a_bad_record_still_counts() {
    for version in VERSIONS {
        let setup = Setup::with(&[version], &[]);
        // In one write: the last word of a Proxy, and a record that is none.
        let mut records = setup
            .metadata_peer
            .seal(b"0|CLOSE|S|reason|S|going+down\r\n");
        records.extend([0x17, 3, 3, 0, 32]);
        records.extend([0; 32]);
        setup.metadata_peer.write_raw(&records);
        setup
            .adapter
            .wait_for_log(&["warn", "metadata", "CLOSE: going down"]);
        setup.ports.meet_metadata(&setup.config);
    }
}

#[test]
fn a_bad_record_is_answered_with_an_alert() {
    for version in VERSIONS {
        let mut setup = Setup::with(&[version], &[]);
        setup.metadata_peer.write_raw(&[0x17, 3, 3, 0, 20]);
        setup.metadata_peer.write_raw(&[0; 20]);
        let alert = std::io::Read::read(&mut setup.metadata_peer, &mut [0; 64]);
        let alert = alert.expect_err("an alert").to_string();
        assert!(alert.contains("BadRecordMac"), "{alert}");
        setup
            .adapter
            .wait_for_log(&["warn", "metadata", "TLS: ", "decrypt"]);
        setup.ports.meet_metadata(&setup.config);
    }
}

#[test]
fn plain_text_in_the_middle_of_a_session_is_no_reason_to_doubt_tls_altogether() {
    let setup = Setup::new();
    setup
        .metadata_peer
        .socket()
        .write_all(b"1f|GIS|S|#|S|chat_room|S|S1\r\n")
        .expect("to write");
    let line = setup.adapter.wait_for_log(&["warn", "metadata", "TLS: "]);
    assert!(!line.contains("is --tls meant"), "{line}");
    setup.ports.meet_metadata(&setup.config);
}
