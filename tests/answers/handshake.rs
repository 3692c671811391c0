//! How a connection opens: whose line is first, and the init in all its shapes.

use crate::setup::{exchange, expect_error, start_adapter};
use crate::standin::{Encoding, Init, Side};

#[test]
fn the_first_line_is_a_rac_on_both_connections() {
    let (_adapter, server) = start_adapter(&[]);
    let metadata = server.metadata.accept().expect_rac();
    let data = server.data.accept().expect_rac();
    assert_eq!(metadata.credentials, None);
    assert_eq!(metadata, data);
}

#[test]
fn credentials_open_the_rac_of_both_connections() {
    let (_adapter, server) = start_adapter(&["--user", "user1", "--password", "pwd1"]);
    for side in [Side::Metadata, Side::Data] {
        let rac = server.listener(side).accept().expect_rac();
        let start = "1|RAC|S|user|S|user1|S|password|S|pwd1|S|enableClosePacket|S|true|S|SDK|S|";
        assert!(rac.line.starts_with(start), "{}", rac.line);
    }
}

#[test]
fn credentials_are_form_encoded() {
    let (_adapter, server) = start_adapter(&["--user", "u ser|é", "--password", "+p%#"]);
    let rac = server.metadata.accept().expect_rac();
    let start = "1|RAC|S|user|S|u+ser%7C%C3%A9|S|password|S|%2Bp%25%23|S|enableClosePacket|";
    assert!(rac.line.starts_with(start), "{}", rac.line);
}

#[test]
fn the_order_of_the_parameters_is_free() {
    for side in [Side::Metadata, Side::Data] {
        let (_adapter, server) = start_adapter(&[]);
        server
            .listener(side)
            .accept()
            .handshake(&Init::new(side).reversed());
    }
}

#[test]
fn unknown_parameters_are_ignored() {
    for side in [Side::Metadata, Side::Data] {
        let (_adapter, server) = start_adapter(&[]);
        let init = Init::bare(side)
            .with("my own", "a|b+c")
            .with("ari.version", "1.8.0")
            .with("ARI.version", "1.9.1")
            .with("server.instance_id", "x1y2")
            .with("ARI.versions", "1.8.0");
        server.listener(side).accept().handshake(&init);
    }
}

#[test]
fn null_and_empty_parameters_are_ignored_too() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    exchange(
        &mut connection,
        &[(
            "1000c|MPI|S|mine|S|#|S|yours|S|$|S|#|S|nameless|S|ARI.version|S|1.9.1|S|last|S|",
            "1000c|MPI|S|ARI.version|S|1.9.1",
        )],
    );
}

#[test]
fn the_example_of_the_protocol_page() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    exchange(
        &mut connection,
        &[(
            "10000010c3e4d0462|MPI|S|ARI.version|S|1.9.1|S|keepalive_hint.millis|S|8000|S|\
             adapters_conf.id|S|PROXY_PYTHONCHAT|S|proxy.instance_id|S|hewbc3ikbbctyui",
            "10000010c3e4d0462|MPI|S|ARI.version|S|1.9.1",
        )],
    );
}

#[test]
fn the_inits_id_is_opaque() {
    for id in ["0", "x", "-1", "a b", "1.5/è~"] {
        let (_adapter, server) = start_adapter(&[]);
        for side in [Side::Metadata, Side::Data] {
            let mut init = Init::new(side);
            id.clone_into(&mut init.id);
            server.listener(side).accept().handshake(&init);
        }
    }
}

#[test]
fn parameters_written_with_needless_escapes_are_read() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.data.accept();
    connection.expect_rac();
    exchange(
        &mut connection,
        &[(
            "1000c|DPI|S|%41RI%2eversion|S|1%2E9.1",
            "1000c|DPI|S|ARI.version|S|1.9.1",
        )],
    );
}

#[test]
fn a_malformed_init_is_answered_and_a_proper_one_is_served() {
    for side in [Side::Metadata, Side::Data] {
        let (adapter, server) = start_adapter(&[]);
        let mut connection = server.listener(side).accept();
        connection.expect_rac();
        let method = side.method();
        for arguments in [
            "|S|ARI.version|S|1.9%zz",
            "|S|ARI.version|S|%FF",
            "|S|ARI.version|S",
            "|S|ARI.version|1.9.1",
            // Not an `S` pair, wherever it stands, and whatever else there is.
            "|B|1|S|1.9.1",
            "|S|ARI.version|I|191",
            "|S|ARI.version|S|1.9.1|B|1",
            "|S|ARI.version|S|1.9.1|S|more|I|7",
            "|I|7|S|x|S|ARI.version|S|1.9.1",
            "|V|S|ARI.version|S|1.9.1",
            "|S|ARI.version|S|1.9.1|V",
        ] {
            connection.send_line(format!("1000c|{method}{arguments}"));
            expect_error(
                &mut connection,
                &format!("1000c|{method}|E"),
                Encoding::Form,
            );
        }
        adapter.wait_for_log(&["warn", &format!(" {} ", side.name()), "malformed", method]);
        let init = Init::new(side);
        connection.send_line(init.line());
        connection.expect(&init.answer_line().expect("not a refusal"));
        match side {
            Side::Metadata => exchange(&mut connection, &[("2000c|NSC|S|S1", "2000c|NSC|V")]),
            Side::Data => exchange(&mut connection, &[("2000c|USB|S|x", "2000c|USB|V")]),
        }
    }
}

#[test]
fn a_proxy_that_goes_after_a_malformed_init_is_not_taken_for_one_that_refuses_credentials() {
    for (side, last) in [
        (Side::Metadata, ""),
        (Side::Data, ""),
        (Side::Metadata, "0|CLOSE|S|reason|S|no+init\r\n"),
    ] {
        let (adapter, server) = start_adapter(&["--user", "user1", "--password", "pwd1"]);
        let mut connection = server.listener(side).accept();
        connection.expect_rac();
        connection.send_line(format!("1000c|{}|B|1|B|1", side.method()));
        let head = format!("1000c|{}|E", side.method());
        expect_error(&mut connection, &head, Encoding::Form);
        connection.send(last);
        connection.close();
        let line = adapter.wait_for_log(&[&format!(" {} ", side.name()), "next try"]);
        assert!(!line.contains("credentials"), "{line}");
    }
}

#[test]
fn requests_in_the_same_write_as_the_init_are_served_after_it() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    let init = Init::new(Side::Metadata);
    connection.send_lines([&init.line(), "2000c|NSC|S|S1", "3000c|GIS|S|#|S|è|S|S1"]);
    connection.expect(&init.answer_line().expect("not a refusal"));
    connection.expect("2000c|NSC|V");
    connection.expect("3000c|GIS|S|è");
}

#[test]
fn an_init_may_be_a_long_time_coming_in_pieces() {
    let (_adapter, server) = start_adapter(&[]);
    let mut metadata = server.metadata.accept();
    let mut data = server.data.accept();
    metadata.expect_rac();
    data.expect_rac();
    let init = Init::new(Side::Metadata);
    let line = init.line();
    let (first, second) = line.split_at(line.len() / 2);
    metadata.send(first);
    // Meanwhile the other connection opens and is served.
    let other = Init::new(Side::Data);
    data.send_line(other.line());
    data.expect(&other.answer_line().expect("not a refusal"));
    exchange(
        &mut data,
        &[("2000c|SUB|S|other", "2000c|SUB|EU|No such item")],
    );
    metadata.send(second);
    metadata.send("\r\n");
    metadata.expect(&init.answer_line().expect("not a refusal"));
}
