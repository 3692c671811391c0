//! A Proxy that stops reading for a while. What it must not do to the rest of the adapter.

use crate::stage::{AGENT, IP, SESSION, command, exchange};
use crate::standin::{Server, Session};

#[test]
fn while_the_data_proxy_does_not_read_metadata_is_served_and_nothing_accepted_is_lost() {
    // With receive buffers as the system makes them: with tiny ones, what is tested is TCP's way
    // of filling windows smaller than its segments.
    let server = Server::start();
    let adapter = command().args(server.arguments()).start();
    let (mut metadata, mut data) = server.meet();
    metadata.open(&Session::new(SESSION, IP, AGENT));
    data.subscribe("chat_room");

    // Nobody reads updates now. Sooner or later there must be no room for more: far below a
    // gibibyte.
    let filler = "x".repeat(16 << 10);
    let mut accepted = 0;
    let refusal = loop {
        assert!(accepted < 1 << 16, "a gibibyte accepted");
        match metadata.say(SESSION, &format!("{accepted} {filler}")) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refusal.kind, "EN");
    exchange(
        &mut metadata.link,
        &[
            ("1c|NUS|S|u|S|p", "1c|NUS|D|0.0|B|0"),
            ("2c|NNS|S|#|S|S1", "2c|NNS|V"),
            ("3c|GIS|S|#|S|chat_room|S|S1", "3c|GIS|S|chat_room"),
            ("4c|NSC|S|S1", "4c|NSC|V"),
        ],
    );
    assert!(adapter.resident_kib() < 256 << 10);

    // When it reads again, what was answered with V is all there, in order, and new messages find
    // room.
    for n in 0..accepted {
        let text = data.chat().message;
        assert_eq!(
            text.split_once(' '),
            Some((n.to_string().as_str(), &*filler))
        );
    }
    metadata.say(SESSION, "room again").expect("V");
    assert_eq!(data.chat().message, "room again");
    data.expect_silence();
}

#[test]
fn a_proxy_that_reads_byte_by_byte_misses_nothing() {
    let server = Server::start();
    let _adapter = command().args(server.arguments()).start();
    let (mut metadata, mut data) = server.meet();
    metadata.link.incoming().set_chunk(1);
    data.link.incoming().set_chunk(1);
    metadata.open(&Session::new(SESSION, IP, AGENT));
    data.subscribe("chat_room");
    let ids: Vec<String> = (0..200)
        .map(|n| metadata.send_say(SESSION, &format!("message {n}")))
        .collect();
    for n in 0..200 {
        assert_eq!(data.chat().message, format!("message {n}"));
    }
    for id in ids {
        metadata.expect_void(&id);
    }
}
