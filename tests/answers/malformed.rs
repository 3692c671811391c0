//! What does not parse. Nothing of it ends a connection, and each bad request stands between good
//! ones.

use crate::setup::{SESSION, Setup, exchange, expect_error};
use crate::standin::Encoding;

/// Sends each of these between good requests; each must be answered by an error of its own method.
#[track_caller]
fn answered_with_errors(setup: &mut Setup, requests: &[&[u8]]) {
    for (n, request) in requests.iter().enumerate() {
        let connection = &mut setup.metadata.connection;
        let id = format!("{n}c");
        let method_end = request.iter().position(|byte| *byte == b'|');
        let method = &request[..method_end.unwrap_or(request.len())];
        let method = std::str::from_utf8(method).expect("methods are plain");
        let mut line = format!("good|NSC|S|S1\r\n{id}|").into_bytes();
        line.extend_from_slice(request);
        line.extend_from_slice(b"\r\ngood|NSC|S|S2\r\n");
        connection.send(line);
        connection.expect("good|NSC|V");
        expect_error(connection, &format!("{id}|{method}|E"), Encoding::Smart);
        connection.expect("good|NSC|V");
    }
}

#[test]
fn missing_arguments() {
    answered_with_errors(
        &mut Setup::new(),
        &[
            b"NUS",
            b"NUS|",
            b"NUS|S",
            b"NUS|S|user",
            b"NUA",
            b"NUA|S|user|S|password",
            b"NNS",
            b"NNS|S|user",
            b"NSC",
            b"NSC|",
            b"NSC|S",
            b"GIS",
            b"GIS|S|#",
            b"GIS|S|#|S|chat_room",
            b"GSC",
            b"GSC|S|#|S|chat_room|S|IP",
            b"GIT|S",
            b"GUI",
            b"NUM",
            b"NUM|S|#",
            b"NUM|S|#|S|S1",
            b"NUM|S|#|S|S1|S",
        ],
    );
}

#[test]
fn an_odd_number_of_tokens() {
    answered_with_errors(
        &mut Setup::new(),
        &[
            b"NUS|S|user|S|password|S",
            b"NUS|S|user|S|password|S|host|S",
            b"NUA|S|user|S|password|S|principal|S",
            b"NNS|S|#|S|S1|S|REMOTE_IP|S",
            b"NSC|S|S1|S",
            b"GIS|S|#|S|chat_room|S|S1|",
            b"GSC|S|#|S|chat_room|S|IP|S|S1|more",
            b"GIT|S|chat_room|S",
            b"GUI|S|#|S|chat_room|S",
            b"NUM|S|#|S|S1|S|CHAT%7Chi|S",
            // A pipe that should have been escaped.
            b"NUM|S|#|S|S1|S|CHAT|hi",
        ],
    );
}

#[test]
fn wrong_types() {
    answered_with_errors(
        &mut Setup::new(),
        &[
            b"NUS|I|1|S|password",
            b"NUA|S|user|S|password|B|1",
            b"NNS|S|#|I|1",
            b"NSC|I|1",
            b"NSC|s|S1",
            b"NSC||S1",
            b"NSC|SS|S1",
            b"GIS|S|#|M|D|S|S1",
            b"GSC|S|#|S|chat_room|X|IP|S|S1",
            b"GIT|I|1",
            b"GIT|S|chat_room|I|1",
            b"GUI|B|1|S|chat_room",
            b"NUM|S|#|S|S1|B|1",
        ],
    );
}

#[test]
fn bad_escapes() {
    answered_with_errors(
        &mut Setup::new(),
        &[
            b"NSC|S|%",
            b"NSC|S|%4",
            b"NSC|S|%zz",
            b"NSC|S|a%4gb",
            b"NSC|S|%%41",
            b"NSC|S|% 41",
            b"NSC|S|%+1",
            b"NUS|S|%zz|S|password",
            b"NUS|S|user|S|%zz",
            b"NUS|S|user|S|password|S|host|S|%zz",
            b"NUA|S|user|S|password|S|%zz",
            b"NNS|S|%zz|S|S1",
            b"NNS|S|#|S|S1|S|USER_AGENT|S|100%",
            b"NNS|S|#|S|S1|S|USER%AGENT|S|x",
            b"GIS|S|#|S|a b%|S|S1",
            b"GSC|S|#|S|g|S|a b%|S|S1",
            b"GIT|S|chat_room|S|%zz",
            b"GUI|S|#|S|%zz",
            b"NUM|S|%zz|S|S1|S|CHAT%7Chi",
            b"NUM|S|#|S|%zz|S|CHAT%7Chi",
            b"NUM|S|#|S|S1|S|CHAT%7C100%",
        ],
    );
}

#[test]
fn escapes_that_are_not_utf_8() {
    answered_with_errors(
        &mut Setup::new(),
        &[
            b"NSC|S|%FF",
            b"NSC|S|%C3",
            b"NSC|S|%C3%28",
            b"NSC|S|%C0%80",
            b"NSC|S|%ED%A0%80",
            b"NSC|S|%F4%90%80%80",
            b"NUM|S|#|S|S1|S|CHAT%7C%E8",
            b"GIT|S|%80",
        ],
    );
}

#[test]
fn bytes_that_are_not_utf_8() {
    answered_with_errors(
        &mut Setup::new(),
        &[
            b"NSC|S|\xff",
            b"NSC|S|caff\xe8",
            b"NSC|S|\xc3",
            b"NNS|S|#|S|S1|S|USER_AGENT|S|\xe8",
            b"NUS|S|\xe8|S|p",
            b"GIS|S|#|S|\xe8|S|S1",
            b"NUM|S|#|S|S1|S|CHAT%7C\xe8",
        ],
    );
}

#[test]
fn a_character_half_escaped_and_half_raw_is_one_character() {
    let mut setup = Setup::in_room();
    let connection = &mut setup.metadata.connection;
    let mut line = format!("2000c|NUM|S|#|S|{SESSION}|S|CHAT%7C%C3").into_bytes();
    line.extend_from_slice(b"\xa8\r\n");
    connection.send(line);
    connection.expect("2000c|NUM|V");
    assert_eq!(setup.data.chat().message, "è");
}

#[test]
fn a_malformed_message_reaches_nobody() {
    let mut setup = Setup::in_room();
    let connection = &mut setup.metadata.connection;
    connection.send_line(format!("2000c|NUM|S|#|S|{SESSION}|S|CHAT%7Chalf%zz"));
    expect_error(connection, "2000c|NUM|E", Encoding::Smart);
    setup.data.expect_silence();
    setup.metadata.say(SESSION, "whole").expect("V");
    assert_eq!(setup.data.chat().message, "whole");
}

#[test]
fn malformed_requests_of_the_data_connection() {
    let mut setup = Setup::new();
    let connection = &mut setup.data.connection;
    for (method, arguments) in [
        ("SUB", ""),
        ("SUB", "|"),
        ("SUB", "|S"),
        ("SUB", "|S|%zz"),
        ("SUB", "|S|%FF"),
        ("SUB", "|I|1"),
        ("SUB", "|S|chat_room|S"),
        ("USB", ""),
        ("USB", "|S"),
        ("USB", "|S|%"),
        ("USB", "|B|1"),
    ] {
        connection.send_line(format!("2000c|{method}{arguments}"));
        expect_error(connection, &format!("2000c|{method}|E"), Encoding::Smart);
    }
    setup.data.subscribe("chat_room");
}

#[test]
fn a_malformed_usb_leaves_the_room_open() {
    let mut setup = Setup::in_room();
    setup
        .data
        .connection
        .send_line("2000c|USB|S|chat_room|S|%zz|S");
    expect_error(&mut setup.data.connection, "2000c|USB|E", Encoding::Smart);
    setup.metadata.say(SESSION, "still open").expect("V");
    assert_eq!(setup.data.chat().message, "still open");
}

#[test]
fn on_1_8_the_message_of_the_error_is_form_encoded() {
    let mut setup = Setup::with_version(Some("1.8.3"));
    let connection = &mut setup.metadata.connection;
    for request in ["NSC|S|%zz", "NSC", "NUM|S|#|S|S1|S|CHAT%7C%E8", "GIT|I|1"] {
        let (method, _) = request.split_once('|').unwrap_or((request, ""));
        connection.send_line(format!("2000c|{request}"));
        expect_error(connection, &format!("2000c|{method}|E"), Encoding::Form);
    }
}

/// Sends a line that is to be skipped, then a good one, whose reply must be the next line.
#[track_caller]
fn skipped(line: &[u8]) {
    let mut setup = Setup::new();
    for connection in [&mut setup.metadata.connection, &mut setup.data.connection] {
        connection.send(line);
        connection.send("\r\n");
    }
    exchange(
        &mut setup.metadata.connection,
        &[("2000c|NSC|S|S1", "2000c|NSC|V")],
    );
    exchange(
        &mut setup.data.connection,
        &[("2000c|USB|S|x", "2000c|USB|V")],
    );
    setup.adapter.wait_for_log(&["warn", "metadata"]);
    setup.adapter.wait_for_log(&["warn", " data "]);
}

#[test]
fn an_unknown_method_is_skipped_with_a_warning() {
    skipped(b"1000c|XYZ|S|a");
    skipped(b"1000c|XYZ");
    skipped(b"1000c|nsc|S|S1");
    skipped(b"1000c|NSCX|S|S1");
    skipped(b"1000c| NSC|S|S1");
    skipped(b"1000c|RAC|S|a|S|b");
    skipped(b"1732348800000|EOS|S|chat_room|S|1");
}

#[test]
fn a_line_without_a_method_is_skipped_with_a_warning() {
    skipped(b"1000c");
    skipped(b"1000c|");
    skipped(b"KEEPALIVE");
    skipped(b"HTTP/1.1 400 Bad Request");
    skipped(b"||");
}

#[test]
fn binary_rubbish_is_skipped_with_a_warning() {
    skipped(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03\x03");
    skipped(b"\xff\xfe\xfd|\xfc|\xfb");
    skipped(b"\0\0\0\0");
    skipped(&[b'x'; 100_000]);
}

#[test]
fn the_warning_of_a_malformed_request_names_its_method() {
    let mut setup = Setup::new();
    setup.metadata.connection.send_line("1000c|GIT|I|1");
    setup.adapter.wait_for_log(&["warn", "metadata", "GIT"]);
}

#[test]
fn methods_of_the_other_side_are_unknown() {
    let mut setup = Setup::new();
    let metadata = &mut setup.metadata.connection;
    metadata.send_lines(["1c|SUB|S|chat_room", "2c|USB|S|chat_room"]);
    exchange(metadata, &[("2000c|NSC|S|S1", "2000c|NSC|V")]);
    let data = &mut setup.data.connection;
    data.send_lines([
        "1c|NUS|S|u|S|p",
        "2c|NNS|S|#|S|S1",
        "3c|NUM|S|#|S|S1|S|CHAT%7Chi",
        "4c|GIT|S|chat_room",
    ]);
    exchange(data, &[("2000c|USB|S|x", "2000c|USB|V")]);
    setup.adapter.wait_for_log(&["warn", "metadata", "SUB"]);
    setup.adapter.wait_for_log(&["warn", " data ", "NNS"]);
}

#[test]
fn the_answer_to_a_malformed_login_repeats_none_of_it() {
    let mut setup = Setup::new();
    for method in ["NUS", "NUA"] {
        let line = format!("1c|{method}|S|user|S-is-missing-here|hunter2|S|x");
        setup.metadata.connection.send_line(line);
        let head = format!("1c|{method}|E|");
        let answer = setup
            .metadata
            .connection
            .expect_matching(&head, |line| line.starts_with(&head));
        assert!(
            !answer.contains("hunter2") && !answer.contains("missing-here"),
            "{answer}"
        );
    }
}
