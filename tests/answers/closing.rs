//! How a connection ends while both processes live: `CLOSE`, and the protocol errors that end it.

use crate::setup::{SESSION, Setup, exchange, expect_error, start_adapter};
use crate::standin::{Connection, Encoding, Init, Side};

/// After a protocol error: the connection ends, after no other line than an error for the request
/// that was one.
#[track_caller]
fn expect_end(connection: &mut Connection, id: &str, method: &str) {
    let head = format!("{id}|{method}|E");
    for line in connection.expect_last_lines() {
        assert!(line.starts_with(&head), "not an error for {id}: {line:?}");
    }
}

#[test]
fn close_before_the_init_ends_the_connection_without_a_reply_and_says_why() {
    for side in [Side::Metadata, Side::Data] {
        let (adapter, server) = start_adapter(&[]);
        let mut connection = server.listener(side).accept();
        connection.expect_rac();
        connection.send_line("0|CLOSE|S|reason|S|wrong+credentials");
        connection.expect_closed();
        adapter.wait_for_log(&["wrong credentials"]);
    }
}

#[test]
fn close_after_the_init_ends_the_connection_and_the_adapter_comes_back() {
    for side in [Side::Metadata, Side::Data] {
        let (adapter, server) = start_adapter(&[]);
        let mut connection = server.listener(side).accept();
        connection.handshake(&Init::new(side));
        connection.send_line("0|CLOSE|S|reason|S|going+down");
        connection.expect_closed();
        adapter.wait_for_log(&["going down"]);
        server.listener(side).accept().handshake(&Init::new(side));
    }
}

#[test]
fn the_reason_is_form_encoded_even_on_1_9_1() {
    let setup = Setup::new();
    let mut connection = setup.metadata.connection;
    connection.send_line("0|CLOSE|S|reason|S|caff%C3%A8%7Cnero+e+%2B");
    connection.expect_closed();
    setup.adapter.wait_for_log(&["caffè|nero e +"]);
}

#[test]
fn close_works_whatever_its_arguments() {
    for arguments in [
        "",
        "|",
        "|S|reason|S|#",
        "|S|reason|S|$",
        "|S|reason|S|%zz",
        "|S|reason|S|%FF",
        "|S|reason",
        "|X",
        "|S|else|S|x|S|reason|S|y",
        "|B|1|nonsense",
    ] {
        let (_adapter, server) = start_adapter(&[]);
        let mut connection = server.metadata.accept();
        connection.handshake(&Init::new(Side::Metadata));
        connection.send_line(format!("0|CLOSE{arguments}"));
        connection.expect_closed();
        connection.close();
        server
            .metadata
            .accept()
            .handshake(&Init::new(Side::Metadata));
    }
}

#[test]
fn close_on_one_connection_leaves_the_other() {
    let mut setup = Setup::in_room();
    setup.metadata.connection.send_line("0|CLOSE");
    setup.metadata.connection.expect_closed();
    setup.data.expect_silence();
    let mut metadata = setup.server.meet_metadata(&Init::new(Side::Metadata));
    // The same Proxy instance, so its sessions are known, and the subscription was never touched.
    metadata.say(SESSION, "still here").expect("V");
    assert_eq!(setup.data.chat().message, "still here");
}

#[test]
fn a_request_before_the_init_ends_the_connection() {
    let requests = [
        (Side::Metadata, "NUS", "|S|u|S|p"),
        (Side::Metadata, "NNS", "|S|#|S|S1"),
        (Side::Metadata, "NUM", "|S|#|S|S1|S|CHAT%7Chi"),
        (Side::Metadata, "GIT", "|S|chat_room"),
        (Side::Data, "SUB", "|S|chat_room"),
        (Side::Data, "USB", "|S|chat_room"),
    ];
    for (side, method, arguments) in requests {
        let (_adapter, server) = start_adapter(&[]);
        let mut connection = server.listener(side).accept();
        connection.expect_rac();
        connection.send_line(format!("2000c|{method}{arguments}"));
        expect_end(&mut connection, "2000c", method);
        server.listener(side).accept().handshake(&Init::new(side));
    }
}

#[test]
fn a_second_init_ends_the_connection() {
    for side in [Side::Metadata, Side::Data] {
        let (_adapter, server) = start_adapter(&[]);
        let mut connection = server.listener(side).accept();
        let init = Init::new(side);
        connection.handshake(&init);
        connection.send_line(init.line());
        expect_end(&mut connection, &init.id, side.method());
        server.listener(side).accept().handshake(&init);
    }
}

#[test]
fn a_second_init_breaks_the_rules_though_it_is_the_other_sides() {
    for (side, line) in [(Side::Metadata, "1c|DPI"), (Side::Data, "1c|MPI")] {
        let (adapter, server) = start_adapter(&[]);
        let mut connection = server.listener(side).accept();
        let init = Init::new(side);
        connection.handshake(&init);
        connection.send_line(line);
        connection.expect_closed();
        adapter.wait_for_log(&["protocol error", "second init"]);
        server.listener(side).accept().handshake(&init);
    }
}

#[test]
fn what_was_asked_before_the_second_init_is_answered() {
    let mut setup = Setup::new();
    let init = Init::new(Side::Metadata);
    let line = init.line();
    setup
        .metadata
        .connection
        .send_lines(["2000c|NSC|S|S1", &line]);
    setup.metadata.connection.expect("2000c|NSC|V");
    expect_end(&mut setup.metadata.connection, &init.id, "MPI");
    setup.data.expect_silence();
}

#[test]
fn an_init_of_the_data_side_on_the_metadata_port_is_refused() {
    let (adapter, server) = start_adapter(&[]);
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    let init = Init::new(Side::Data);
    connection.send_line(init.line());
    expect_error(
        &mut connection,
        &format!("{}|DPI|ED", init.id),
        Encoding::Form,
    );
    connection.expect_closed();
    adapter.wait_for_log(&["metadata", &server.metadata.port().to_string(), "refused"]);
    // The other one is opened and served.
    let mut data = server.meet_data(&init);
    data.expect_silence();
}

#[test]
fn an_init_of_the_metadata_side_on_the_data_port_is_refused() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.data.accept();
    connection.expect_rac();
    let init = Init::new(Side::Metadata);
    connection.send_line(init.line());
    expect_error(
        &mut connection,
        &format!("{}|MPI|EM", init.id),
        Encoding::Form,
    );
    connection.expect_closed();
    let mut metadata = server.meet_metadata(&init);
    exchange(
        &mut metadata.connection,
        &[("2000c|NSC|S|S1", "2000c|NSC|V")],
    );
}
