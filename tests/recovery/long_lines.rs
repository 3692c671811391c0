//! Lines of any length, over a real socket.

use crate::setup::{SESSION, Setup, start_adapter};
use crate::standin::{Init, Side};

const LIMIT: usize = 4 << 20;

#[test]
fn the_longest_message_there_can_be_arrives() {
    let mut setup = Setup::in_room();
    let head = format!("1|NUM|S|#|S|{SESSION}|S|CHAT%7C");
    let text = "x".repeat(LIMIT - head.len());
    setup.metadata.connection.send_line(format!("{head}{text}"));
    setup.metadata.connection.expect("1|NUM|V");
    assert_eq!(setup.data.chat().message, text);
    setup.metadata.say(SESSION, "short").unwrap();
    assert_eq!(setup.data.chat().message, "short");
}

#[test]
fn one_byte_more_is_answered_with_an_error_and_the_next_line_is_served() {
    let mut setup = Setup::in_room();
    let head = format!("1|NUM|S|#|S|{SESSION}|S|CHAT%7C");
    let text = "x".repeat(LIMIT - head.len() + 1);
    setup.metadata.connection.send_line(format!("{head}{text}"));
    setup
        .metadata
        .connection
        .expect_matching("an error", |line| line.starts_with("1|NUM|E|"));
    setup.metadata.say(SESSION, "short").unwrap();
    assert_eq!(setup.data.chat().message, "short");
}

#[test]
fn a_message_that_would_never_fit_is_not_told_to_try_again() {
    let mut setup = Setup::in_room();
    let head = format!("1|NUM|S|#|S|{SESSION}|S|CHAT%7C");
    // What is a byte here leaves as three.
    let text = "\r".repeat(LIMIT - head.len() - 1);
    setup
        .metadata
        .connection
        .send_line(format!("{head}{text}x"));
    setup
        .metadata
        .connection
        .expect("1|NUM|EN|The message is too long");
    setup.metadata.say(SESSION, "short").unwrap();
    assert_eq!(setup.data.chat().message, "short");
}

#[test]
fn a_line_without_end_costs_no_more_memory_than_the_longest() {
    let mut setup = Setup::in_room();
    let filler = "x".repeat(1 << 20);
    setup
        .metadata
        .connection
        .send(format!("1|NUM|S|#|S|{SESSION}|S|CHAT%7C"));
    for _ in 0..64 {
        setup.metadata.connection.send(&filler);
    }
    setup
        .metadata
        .connection
        .expect_matching("an error", |line| line.starts_with("1|NUM|E|"));
    setup.metadata.connection.send_line("");
    setup.metadata.say(SESSION, "short").unwrap();
    assert_eq!(setup.data.chat().message, "short");
    // Debug builds and their allocator included: far less than what was sent.
    assert!(setup.adapter.peak_resident_kib() < 32 << 10);
}

/// That line, made longer than any may be by a last parameter.
fn too_long(line: &str) -> String {
    format!("{line}|S|more|S|{}", "x".repeat(LIMIT))
}

#[test]
fn a_close_that_is_too_long_is_a_close() {
    for side in [Side::Metadata, Side::Data] {
        for is_opened in [false, true] {
            let (adapter, server) = start_adapter(&[]);
            let mut connection = server.listener(side).accept();
            match is_opened {
                true => drop(connection.handshake(&Init::new(side))),
                false => drop(connection.expect_rac()),
            }
            connection.send_line(too_long("0|CLOSE|S|reason|S|going+down"));
            connection.expect_closed();
            adapter.wait_for_log(&[&format!(" {} ", side.name()), "(a reason that is too long)"]);
        }
    }
}

#[test]
fn a_second_init_that_is_too_long_ends_the_connection() {
    for side in [Side::Metadata, Side::Data] {
        let (adapter, server) = start_adapter(&[]);
        let mut connection = server.listener(side).accept();
        let init = Init::new(side);
        connection.handshake(&init);
        connection.send_line(too_long(&init.line()));
        connection.expect_closed();
        adapter.wait_for_log(&[&format!(" {} ", side.name()), "second init"]);
        server.listener(side).accept().handshake(&init);
    }
}

#[test]
fn a_first_init_that_is_too_long_is_malformed_and_another_may_follow() {
    for side in [Side::Metadata, Side::Data] {
        let (_adapter, server) = start_adapter(&[]);
        let mut connection = server.listener(side).accept();
        connection.expect_rac();
        let init = Init::new(side);
        connection.send_line(too_long(&init.line()));
        let head = format!("{}|{}|E|", init.id, side.method());
        connection.expect_matching("an error", |line| line.starts_with(&head));
        connection.send_line(init.line());
        connection.expect(&init.answer_line().expect("not a refusal"));
    }
}
