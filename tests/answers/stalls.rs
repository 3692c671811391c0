//! A Proxy that stops reading for a while. What it must not do to the rest of the adapter.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TrySendError, sync_channel};
use std::thread;

use crate::setup::{AGENT, IP, SESSION, command, exchange};
use crate::standin::{DEADLINE, DataProxy, Event, Reply, Server, Session};

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
        &mut metadata.connection,
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
    metadata.connection.incoming().set_chunk(1);
    data.connection.incoming().set_chunk(1);
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

/// Far more updates than can have been queued before a request.
const TOO_MANY: usize = 8192;

/// Sends a request and reads up to its reply, slowly: after each piece that is read, a message must
/// have been refused, for which room was made and is taken again. Counts the updates.
#[track_caller]
fn ask_slowly(
    data: &mut DataProxy,
    (method, item): (&str, &str),
    refusals: &Receiver<()>,
    updates: &mut usize,
) -> Reply {
    const PIECE: usize = 16;
    let id = data.send(method, item);
    let before = *updates;
    loop {
        match data.next_event() {
            Event::Update(_) => *updates += 1,
            Event::Reply(reply) if reply.id == id => return reply,
            other => data
                .connection
                .fail(&format!("{method} was answered {other:?}")),
        }
        assert!(*updates < before + TOO_MANY, "{method} is not answered");
        if updates.is_multiple_of(PIECE) {
            refusals.recv_timeout(DEADLINE).expect("a refusal");
        }
    }
}

#[test]
fn a_data_proxy_that_reads_slowly_gets_its_answers_while_messages_flood_in() {
    let server = Server::start();
    let _adapter = command().args(server.arguments()).start();
    let (mut metadata, mut data) = server.meet();
    metadata.open(&Session::new(SESSION, IP, AGENT));
    data.subscribe("chat_room");
    let (accepted, is_closed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (accepted, is_closed) = (&accepted, &is_closed);
    let mut updates = 0;
    thread::scope(|scope| {
        // Of no capacity: what passes is a refusal that came while one was awaited.
        let (refused, refusals) = sync_channel(0);
        let flood = scope.spawn(move || {
            let filler = "x".repeat(16 << 10);
            let mut refused_at_last = 0;
            while refused_at_last < 100 {
                let is_closed = is_closed.load(Ordering::SeqCst);
                match metadata.say(SESSION, &filler) {
                    Ok(()) => {
                        assert!(!is_closed, "accepted after the reply to USB");
                        accepted.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(error) => {
                        assert_eq!(error.kind, "EN");
                        if is_closed {
                            refused_at_last += 1;
                        } else if refused.try_send(()) == Err(TrySendError::Disconnected(())) {
                            return; // the test has failed
                        }
                    }
                }
            }
        });
        refusals.recv_timeout(DEADLINE).expect("the outbox is full");
        let before = accepted.load(Ordering::SeqCst);
        let reply = ask_slowly(&mut data, ("SUB", "other"), &refusals, &mut updates);
        assert_eq!(reply.result, "EU|No such item");
        assert!(updates >= before, "{updates} of {before} before the answer");
        let reply = ask_slowly(&mut data, ("USB", "chat_room"), &refusals, &mut updates);
        assert!(reply.is_void(), "{reply:?}");
        is_closed.store(true, Ordering::SeqCst);
        flood.join().expect("every message answered");
    });
    assert_eq!(updates, accepted.load(Ordering::SeqCst));
    data.expect_silence();
}
