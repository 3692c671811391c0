//! Lines of any length, over a real socket.

use crate::stage::{SESSION, Stage};

const LIMIT: usize = 4 << 20;

#[test]
fn the_longest_message_there_can_be_arrives() {
    let mut stage = Stage::in_room();
    let head = format!("1|NUM|S|#|S|{SESSION}|S|CHAT%7C");
    let text = "x".repeat(LIMIT - head.len());
    stage.metadata.link.send_line(format!("{head}{text}"));
    stage.metadata.link.expect("1|NUM|V");
    assert_eq!(stage.data.chat().message, text);
}

#[test]
fn one_byte_more_is_answered_with_an_error_and_the_next_line_is_served() {
    let mut stage = Stage::in_room();
    let head = format!("1|NUM|S|#|S|{SESSION}|S|CHAT%7C");
    let text = "x".repeat(LIMIT - head.len() + 1);
    stage.metadata.link.send_line(format!("{head}{text}"));
    stage
        .metadata
        .link
        .expect_matching("an error", |line| line.starts_with("1|NUM|E|"));
    stage.metadata.say(SESSION, "short").unwrap();
    assert_eq!(stage.data.chat().message, "short");
}

#[test]
fn a_message_that_would_never_fit_is_not_told_to_try_again() {
    let mut stage = Stage::in_room();
    let head = format!("1|NUM|S|#|S|{SESSION}|S|CHAT%7C");
    // What is a byte here leaves as three.
    let text = "\r".repeat(LIMIT - head.len() - 1);
    stage.metadata.link.send_line(format!("{head}{text}x"));
    stage
        .metadata
        .link
        .expect("1|NUM|EN|The message is too long");
    stage.metadata.say(SESSION, "short").unwrap();
    assert_eq!(stage.data.chat().message, "short");
}

#[test]
fn a_line_without_end_costs_no_more_memory_than_the_longest() {
    let mut stage = Stage::in_room();
    let filler = "x".repeat(1 << 20);
    stage
        .metadata
        .link
        .send(format!("1|NUM|S|#|S|{SESSION}|S|CHAT%7C"));
    for _ in 0..64 {
        stage.metadata.link.send(&filler);
    }
    stage
        .metadata
        .link
        .expect_matching("an error", |line| line.starts_with("1|NUM|E|"));
    stage.metadata.link.send_line("");
    stage.metadata.say(SESSION, "short").unwrap();
    assert_eq!(stage.data.chat().message, "short");
    // Debug builds and their allocator included: far less than what was sent.
    assert!(stage.adapter.peak_resident_kib() < 32 << 10);
}
