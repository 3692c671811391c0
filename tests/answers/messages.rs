//! A chat message from its sender to the room: who may send what, what everybody sees, and what a
//! sender is told when nobody will see it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::setup::{AGENT, IP, SESSION, Setup, command, exchange, expect_error, start_adapter};
use crate::standin::{Encoding, Init, Listener, Server, Session, Side};

const LOST: &str = "Session lost! Please reload the browser page(s).";

#[test]
fn a_message_reaches_the_room_with_its_five_fields() {
    let mut setup = Setup::new();
    setup.metadata.open(&Session::new(SESSION, IP, AGENT));
    let subscription = setup.data.subscribe("chat_room");
    exchange(
        &mut setup.metadata.connection,
        &[(
            "30000010c3e4d0462|NUM|S|#|S|S8f3da29cfc463220T5454537|S|CHAT%7C50%25 %2B a%7Cb",
            "30000010c3e4d0462|NUM|V",
        )],
    );
    let line = setup.data.connection.expect_line();
    let (millis, rest) = line.split_once('|').expect("a notification");
    let head = format!(
        "UD3|S|chat_room|S|{subscription}|B|0|S|IP|S|{IP}|S|nick|S|{AGENT}|S|\
         message|S|50%25 %2B a%7Cb|S|timestamp|S|"
    );
    let rest = rest.strip_prefix(&head).expect("the fields in their order");
    let (time, raw) = rest.split_once("|S|raw_timestamp|S|").expect("both times");
    assert!(raw.bytes().all(|byte| byte.is_ascii_digit()), "{line}");
    assert!(millis.bytes().all(|byte| byte.is_ascii_digit()), "{line}");
    let form: Vec<bool> = time.bytes().map(|byte| byte.is_ascii_digit()).collect();
    assert_eq!(form, [true, true, false, true, true, false, true, true]);
    assert_eq!(time.matches(':').count(), 2, "{line}");
}

/// The `HH:MM:SS` of a time, so many minutes east of Greenwich.
fn clock(millis: u64, minutes_east: u64) -> String {
    let seconds = millis / 1000 + minutes_east * 60;
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.expect("after 1970").as_millis()).expect("before the year 500 million")
}

#[test]
fn both_times_are_those_of_the_message_and_the_readable_one_is_local() {
    let file = "/usr/share/zoneinfo/posix/Asia/Tokyo";
    for (zone, minutes_east) in [
        ("UTC", 0),
        ("", 0),
        ("IST-5:30", 330),
        ("<+03>-3", 180),
        (file, if Path::new(file).exists() { 540 } else { 0 }),
    ] {
        let server = Server::start();
        let _adapter = command().args(server.arguments()).env("TZ", zone).start();
        let (mut metadata, mut data) = server.meet();
        metadata.open(&Session::new(SESSION, IP, AGENT));
        data.subscribe("chat_room");
        let before = now();
        metadata.say(SESSION, "what time is it?").expect("V");
        let update = data.update();
        let after = now();
        let chat = update.chat().expect("the chat's fields");
        assert!((before..=after).contains(&chat.raw_timestamp));
        assert!((before..=after).contains(&update.millis));
        assert_eq!(chat.timestamp, clock(chat.raw_timestamp, minutes_east));
    }
}

#[test]
fn the_end_of_the_snapshot_is_dated_too() {
    let mut setup = Setup::new();
    let before = now();
    setup.data.connection.send_line("2000c|SUB|S|chat_room");
    let line = setup.data.connection.expect_line();
    let (millis, _) = line.split_once('|').expect("a notification");
    let millis: u64 = millis.parse().expect("milliseconds");
    assert!((before..=now()).contains(&millis), "{line}");
}

#[test]
fn the_text_is_everything_after_the_first_pipe() {
    let mut setup = Setup::in_room();
    for text in ["a|b", "|", "||", "|a", "a|", "CHAT|a", " a ", "  "] {
        setup.metadata.say(SESSION, text).expect("V");
        assert_eq!(setup.data.chat().message, text);
    }
}

/// Sends a message in its encoded form; yields the message of the error.
#[track_caller]
fn refused(setup: &mut Setup, session: &str, token: &str) -> String {
    let connection = &mut setup.metadata.connection;
    connection.send_line(format!("2000c|NUM|S|#|S|{session}|S|{token}"));
    expect_error(connection, "2000c|NUM|EN", Encoding::Smart)
}

#[test]
fn a_message_that_is_no_chat_message_is_refused_and_told_why() {
    let mut setup = Setup::in_room();
    let mut reason = |token| refused(&mut setup, SESSION, token);
    let null = reason("#");
    let empty_text = reason("CHAT%7C");
    let prefixes: Vec<String> = [
        "CHAT",
        "CHATTER%7Chi",
        "chat%7Chi",
        "Chat%7Chi",
        " CHAT%7Chi",
        "CHAT %7Chi",
        "%7Chi",
        "hi",
        "PING%7Chi",
        "CHAT%23hi",
    ]
    .map(&mut reason)
    .into();
    let empty = [reason("$"), reason("")];
    // It says which: three different reasons.
    assert!(prefixes.iter().all(|prefix| *prefix == prefixes[0]));
    assert_ne!(null, empty_text);
    assert_ne!(null, prefixes[0]);
    assert_ne!(empty_text, prefixes[0]);
    for text in empty {
        assert_ne!(text, LOST);
    }
    setup.data.expect_silence();
}

#[test]
fn an_unknown_session_is_told_to_reload() {
    let mut setup = Setup::in_room();
    assert_eq!(refused(&mut setup, "S1", "CHAT%7Chi"), LOST);
    exchange(
        &mut setup.metadata.connection,
        &[(
            "2000c|NUM|S|user|S|unknown|S|CHAT%7Chi",
            "2000c|NUM|EN|Session lost! Please reload the browser page(s).",
        )],
    );
    setup.data.expect_silence();
}

#[test]
fn a_closed_session_is_told_to_reload() {
    let mut setup = Setup::in_room();
    setup.metadata.close_session(SESSION);
    assert_eq!(refused(&mut setup, SESSION, "CHAT%7Chi"), LOST);
    setup.data.expect_silence();
}

#[test]
fn session_ids_that_resemble_each_other_are_different_sessions() {
    let mut setup = Setup::in_room();
    for session in [
        "",
        "$",
        "S",
        "s8f3da29cfc463220T5454537",
        "S8f3da29cfc463220T5454537 ",
    ] {
        assert_eq!(refused(&mut setup, session, "CHAT%7Chi"), LOST);
    }
    setup.metadata.say(SESSION, "it is me").expect("V");
}

#[test]
fn session_ids_are_compared_as_text_whatever_their_encoding() {
    let mut setup = Setup::new();
    setup.data.subscribe("chat_room");
    exchange(
        &mut setup.metadata.connection,
        &[
            ("1c|NNS|S|#|S|S%7C1 +è", "1c|NNS|V"),
            ("2c|NUM|S|#|S|S%7c1%20%20%C3%A8|S|CHAT%7Chi", "2c|NUM|V"),
            ("3c|NSC|S|%53%7C1+ è", "3c|NSC|V"),
        ],
    );
    assert_eq!(refused(&mut setup, "S%7C1 +è", "CHAT%7Chi"), LOST);
}

#[test]
fn nobody_subscribed_is_told() {
    let mut setup = Setup::new();
    setup.metadata.open(&Session::new(SESSION, IP, AGENT));
    let reason = refused(&mut setup, SESSION, "CHAT%7Chi");
    assert_ne!(reason, LOST);
    setup.data.subscribe("chat_room");
    setup.metadata.say(SESSION, "now they are").expect("V");
    assert_eq!(setup.data.chat().message, "now they are");
    setup.data.unsubscribe("chat_room");
    assert_eq!(refused(&mut setup, SESSION, "CHAT%7Chi"), reason);
    setup.data.expect_silence();
}

#[test]
fn without_a_data_connection_it_is_told() {
    let server = Server {
        metadata: Listener::bind("metadata"),
        data: Listener::bind_closed("data"),
    };
    let _adapter = command().args(server.arguments()).start();
    let mut metadata = server.meet_metadata(&Init::new(Side::Metadata));
    metadata.open(&Session::new(SESSION, IP, AGENT));
    let error = metadata.say(SESSION, "hi").expect_err("nobody is there");
    assert_eq!(error.kind, "EN");
    assert_ne!(error.message, LOST);
}

#[test]
fn a_data_connection_without_an_init_is_none() {
    let (_adapter, server) = start_adapter(&[]);
    let mut data = server.data.accept();
    data.expect_rac();
    let mut metadata = server.meet_metadata(&Init::new(Side::Metadata));
    metadata.open(&Session::new(SESSION, IP, AGENT));
    let error = metadata.say(SESSION, "hi").expect_err("nobody is there");
    assert_eq!(error.kind, "EN");
}

#[test]
fn a_bad_message_is_told_before_an_unknown_session_and_that_before_an_empty_room() {
    let mut empty_room = Setup::new();
    assert_ne!(refused(&mut empty_room, "S1", "hi"), LOST);
    assert_ne!(refused(&mut empty_room, "S1", "CHAT%7C"), LOST);
    assert_ne!(refused(&mut empty_room, "S1", "#"), LOST);
    assert_eq!(refused(&mut empty_room, "S1", "CHAT%7Chi"), LOST);
}

#[test]
fn sessions_are_told_apart_and_the_room_sees_one_order() {
    let mut setup = Setup::new();
    setup.data.subscribe("chat_room");
    for n in 0..50 {
        let ip = format!("192.0.2.{n}");
        let agent = format!("agent {n}");
        setup
            .metadata
            .open(&Session::new(&format!("S{n}"), &ip, &agent));
    }
    let ids: Vec<String> = (0..500)
        .map(|n| {
            let session = format!("S{}", n * 7 % 50);
            setup.metadata.send_say(&session, &n.to_string())
        })
        .collect();
    for n in 0..500 {
        let chat = setup.data.chat();
        assert_eq!(chat.message, n.to_string());
        assert_eq!(chat.ip, format!("192.0.2.{}", n * 7 % 50));
        assert_eq!(chat.nick, format!("agent {}", n * 7 % 50));
    }
    for id in ids {
        setup.metadata.expect_void(&id);
    }
    setup.data.expect_silence();
}

#[test]
fn open_chat_and_close_in_one_write_take_effect_in_this_order() {
    let mut setup = Setup::new();
    setup.data.subscribe("chat_room");
    setup.metadata.connection.send_lines([
        "1c|NUM|S|#|S|S1|S|CHAT%7Ctoo early",
        "2c|NNS|S|#|S|S1|S|REMOTE_IP|S|::1|S|USER_AGENT|S|x",
        "3c|NUM|S|#|S|S1|S|CHAT%7Cin time",
        "4c|NSC|S|S1",
        "5c|NUM|S|#|S|S1|S|CHAT%7Ctoo late",
    ]);
    let lost = |id: &str| {
        let id = id.to_owned();
        setup.metadata.reply_to(&id)
    };
    let results = ["1c", "2c", "3c", "4c", "5c"]
        .map(lost)
        .map(|reply| reply.result);
    let error = format!("EN|{LOST}");
    assert_eq!(results, [error.as_str(), "V", "V", "V", error.as_str()]);
    assert_eq!(setup.data.chat().message, "in time");
    setup.data.expect_silence();
}
