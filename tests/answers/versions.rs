//! The version table of the protocol page: every row, on both connections.

use crate::setup::{exchange, start_adapter};
use crate::standin::{Adapter, Connection, End, Init, Server, Side};

fn opened(init: &Init) -> (Adapter, Server, Connection) {
    let (adapter, server) = start_adapter(&[]);
    let mut connection = server.listener(init.side).accept();
    connection.handshake(init);
    (adapter, server, connection)
}

/// Sends an init that is to be refused: the message names what was offered and one of the versions
/// needed; the connection ends; the log says as much; the other connection does not suffer.
#[track_caller]
fn refused(init: &Init, offered: &str, needed: &[&str]) {
    let (adapter, server) = start_adapter(&[]);
    let mut connection = server.listener(init.side).accept();
    let message = connection.expect_refusal(init);
    connection.expect_closed();
    let logged = adapter.wait_for_log(&["refused", offered]);
    for text in [&message, &logged] {
        assert!(text.contains(offered), "{offered} is not in {text:?}");
        assert!(
            needed.iter().any(|version| text.contains(version)),
            "none of {needed:?} is in {text:?}"
        );
    }
    let other = match init.side {
        Side::Metadata => Side::Data,
        Side::Data => Side::Metadata,
    };
    server.listener(other).accept().handshake(&Init::new(other));
}

#[test]
fn metadata_without_a_version_is_1_8_0_and_form_encoded() {
    for init in [
        Init::bare(Side::Metadata),
        Init::bare_with_pipe(Side::Metadata),
        Init::versionless(Side::Metadata),
    ] {
        let (_adapter, _server, mut connection) = opened(&init);
        exchange(
            &mut connection,
            &[("2000c|GIS|S|#|S|a+%C3%A8|S|S1", "2000c|GIS|S|a|S|%C3%A8")],
        );
    }
}

#[test]
fn metadata_1_8_0_by_name_is_refused() {
    refused(
        &Init::offering(Side::Metadata, "1.8.0"),
        "1.8.0",
        &["1.8.2", "1.9"],
    );
}

#[test]
fn metadata_1_8_1_by_name_is_refused() {
    refused(
        &Init::offering(Side::Metadata, "1.8.1"),
        "1.8.1",
        &["1.8.2", "1.9"],
    );
}

#[test]
fn metadata_1_8_2_and_1_8_3_are_agreed_and_form_encoded() {
    for version in ["1.8.2", "1.8.3"] {
        let (_adapter, _server, mut connection) = opened(&Init::offering(Side::Metadata, version));
        exchange(
            &mut connection,
            &[("2000c|GIS|S|#|S|a+%C3%A8|S|S1", "2000c|GIS|S|a|S|%C3%A8")],
        );
    }
}

#[test]
fn metadata_of_any_other_1_8_is_1_8_3_and_form_encoded() {
    for version in ["1.8.4", "1.8.20", "1.8.x"] {
        let init = Init::offering(Side::Metadata, version);
        let answer = format!("{}|MPI|S|ARI.version|S|1.8.3", init.id);
        assert_eq!(init.answer_line(), Some(answer));
        let (_adapter, _server, mut connection) = opened(&init);
        exchange(
            &mut connection,
            &[("2000c|GIS|S|#|S|a+%C3%A8|S|S1", "2000c|GIS|S|a|S|%C3%A8")],
        );
    }
}

#[test]
fn metadata_1_9_0_is_agreed_and_smart() {
    let (_adapter, _server, mut connection) = opened(&Init::offering(Side::Metadata, "1.9.0"));
    exchange(
        &mut connection,
        &[("2000c|GIS|S|#|S|a è|S|S1", "2000c|GIS|S|a|S|è")],
    );
}

#[test]
fn metadata_1_9_1_and_whatever_is_later_or_unknown_are_1_9_1_and_smart() {
    for version in ["1.9.1", "1.9.2", "1.10.0", "2.0.0", "1.8", "1.80.1", "next"] {
        let (_adapter, _server, mut connection) = opened(&Init::offering(Side::Metadata, version));
        exchange(
            &mut connection,
            &[("2000c|GIS|S|#|S|a è|S|S1", "2000c|GIS|S|a|S|è")],
        );
    }
}

#[test]
fn data_without_a_version_is_refused() {
    for init in [
        Init::bare(Side::Data),
        Init::bare_with_pipe(Side::Data),
        Init::versionless(Side::Data),
    ] {
        refused(&init, "", &["1.9.1"]);
    }
}

#[test]
fn data_1_8_x_is_refused() {
    for version in [
        "1.8.0", "1.8.1", "1.8.2", "1.8.3", "1.8.4", "1.8.20", "1.8.x",
    ] {
        refused(&Init::offering(Side::Data, version), version, &["1.9.1"]);
    }
}

#[test]
fn data_1_9_0_is_refused() {
    refused(&Init::offering(Side::Data, "1.9.0"), "1.9.0", &["1.9.1"]);
}

#[test]
fn data_1_9_1_and_whatever_is_later_or_unknown_are_1_9_1() {
    for version in ["1.9.1", "1.9.2", "1.10.0", "2.0.0", "1.8", "1.80.1", "next"] {
        let (_adapter, _server, mut connection) = opened(&Init::offering(Side::Data, version));
        exchange(
            &mut connection,
            &[("2000c|SUB|S|è", "2000c|SUB|EU|No such item")],
        );
    }
}

#[test]
fn a_refused_data_connection_leaves_metadata_served() {
    let (_adapter, server) = start_adapter(&[]);
    let mut metadata = server.meet_metadata(&Init::new(Side::Metadata));
    let mut data = server.data.accept();
    data.expect_refusal(&Init::offering(Side::Data, "1.8.3"));
    assert!(matches!(data.expect_closed(), End::Closed | End::Reset));
    exchange(
        &mut metadata.connection,
        &[("2000c|NSC|S|S1", "2000c|NSC|V")],
    );
}
