//! The data side: subscriptions of the room, their order among the updates, and everything else one
//! may ask it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::setup::{SESSION, Setup, exchange};
use crate::standin::{MetadataProxy, Update};

#[test]
fn the_example_of_the_protocol_page() {
    let mut setup = Setup::new();
    setup
        .data
        .connection
        .send_line("10000010c3e4d0462|SUB|S|chat_room");
    let line = setup.data.connection.expect_line();
    let (millis, rest) = line.split_once('|').expect("a notification");
    assert!(millis.bytes().all(|byte| byte.is_ascii_digit()), "{line}");
    assert_eq!(rest, "EOS|S|chat_room|S|10000010c3e4d0462");
    setup.data.connection.expect("10000010c3e4d0462|SUB|V");
    exchange(
        &mut setup.data.connection,
        &[(
            "20000010c3e4d0462|USB|S|chat_room",
            "20000010c3e4d0462|USB|V",
        )],
    );
}

#[test]
fn other_items_do_not_exist() {
    let mut setup = Setup::new();
    for item in [
        "x",
        "chat_room2",
        "Chat_room",
        "chat_room ",
        " chat_room",
        "chat%7Croom",
        "#",
        "$",
        "",
        "%23",
        "è",
    ] {
        exchange(
            &mut setup.data.connection,
            &[(&format!("2000c|SUB|S|{item}"), "2000c|SUB|EU|No such item")],
        );
    }
}

#[test]
fn a_refused_subscription_opens_nothing() {
    let mut setup = Setup::in_room();
    setup.data.unsubscribe("chat_room");
    exchange(
        &mut setup.data.connection,
        &[("2000c|SUB|S|other", "2000c|SUB|EU|No such item")],
    );
    setup
        .metadata
        .say(SESSION, "hi")
        .expect_err("nobody listens");
}

#[test]
fn the_item_is_the_item_however_it_is_escaped() {
    let mut setup = Setup::in_room();
    setup.data.unsubscribe("chat_room");
    let connection = &mut setup.data.connection;
    connection.send_line("2000c|SUB|S|%63hat%5froom");
    connection.expect_matching("EOS", |line| line.ends_with("|EOS|S|chat_room|S|2000c"));
    connection.expect("2000c|SUB|V");
    setup.metadata.say(SESSION, "hi").expect("V");
    assert_eq!(setup.data.update().subscription, "2000c");
}

#[test]
fn usb_of_what_is_not_subscribed_succeeds_and_changes_nothing() {
    let mut setup = Setup::new();
    let unsubscriptions = [
        ("1c|USB|S|chat_room", "1c|USB|V"),
        ("2c|USB|S|other", "2c|USB|V"),
        ("3c|USB|S|#", "3c|USB|V"),
        ("4c|USB|S|$", "4c|USB|V"),
    ];
    exchange(&mut setup.data.connection, &unsubscriptions);
    let subscription = setup.open_room();
    exchange(&mut setup.data.connection, &unsubscriptions[1..]);
    setup.metadata.say(SESSION, "still here").expect("V");
    assert_eq!(setup.data.update().subscription, subscription);
}

#[test]
fn the_room_is_open_as_soon_as_the_reply_is_there() {
    let mut setup = Setup::in_room();
    for _ in 0..200 {
        setup.data.unsubscribe("chat_room");
        let id = setup.metadata.send_say(SESSION, "closed");
        setup.metadata.outcome(&id).expect_err("USB was answered");
        let subscription = setup.data.subscribe("chat_room");
        setup
            .metadata
            .say(SESSION, "open")
            .expect("SUB was answered");
        assert_eq!(setup.data.update().subscription, subscription);
    }
    setup.data.expect_silence();
}

#[test]
fn sub_usb_sub_in_one_write_take_effect_in_this_order() {
    let mut setup = Setup::in_room();
    setup.data.unsubscribe("chat_room");
    let connection = &mut setup.data.connection;
    connection.send_lines([
        "1c|SUB|S|chat_room",
        "2c|USB|S|chat_room",
        "3c|SUB|S|chat_room",
        "4c|SUB|S|other",
    ]);
    connection.expect_matching("EOS", |line| line.ends_with("|EOS|S|chat_room|S|1c"));
    connection.expect("1c|SUB|V");
    connection.expect("2c|USB|V");
    connection.expect_matching("EOS", |line| line.ends_with("|EOS|S|chat_room|S|3c"));
    connection.expect("3c|SUB|V");
    connection.expect("4c|SUB|EU|No such item");
    setup.metadata.say(SESSION, "hi").expect("V");
    assert_eq!(setup.data.update().subscription, "3c");
}

#[test]
fn a_thousand_requests_in_one_write_are_all_answered() {
    let mut setup = Setup::new();
    let lines: Vec<String> = (0..500)
        .flat_map(|n| {
            [
                format!("{n}s|SUB|S|item {n}"),
                format!("{n}u|USB|S|item {n}"),
            ]
        })
        .collect();
    setup.data.connection.send_lines(&lines);
    let mut got: Vec<String> = lines
        .iter()
        .map(|_| setup.data.connection.expect_line())
        .collect();
    let mut wanted: Vec<String> = (0..500)
        .flat_map(|n| [format!("{n}s|SUB|EU|No such item"), format!("{n}u|USB|V")])
        .collect();
    got.sort();
    wanted.sort();
    assert_eq!(got, wanted);
}

/// What became of one message of the flood.
struct Sent {
    /// How many unsubscriptions had been answered when it was sent.
    rounds_over: usize,
    /// Whether it was answered with `V`.
    accepted: bool,
}

/// Sends numbered messages, a window of them in one write so that many are served at a time, until
/// the alternation is over.
fn flood(metadata: &mut MetadataProxy, rounds_over: &AtomicUsize, last: usize) -> Vec<Sent> {
    const WINDOW: usize = 256;
    let mut sent = Vec::new();
    while rounds_over.load(Ordering::SeqCst) < last {
        let (ids, lines): (Vec<_>, Vec<_>) = (0..WINDOW)
            .map(|n| {
                let text = format!("CHAT|{}", sent.len() + n);
                metadata.compose("NUM", &[None, Some(SESSION), Some(&text)])
            })
            .unzip();
        let rounds_over = rounds_over.load(Ordering::SeqCst);
        metadata.connection.send_lines(lines);
        for id in ids {
            let accepted = metadata.outcome(&id).is_ok();
            sent.push(Sent {
                rounds_over,
                accepted,
            });
        }
    }
    sent
}

#[test]
fn under_load_no_update_carries_a_subscription_that_was_over_when_its_message_was_sent() {
    const ROUNDS: usize = 300;
    let mut setup = Setup::in_room();
    setup.data.unsubscribe("chat_room");
    let rounds_over = Arc::new(AtomicUsize::new(0));
    let Setup {
        mut metadata,
        mut data,
        adapter,
        server,
    } = setup;
    let flooder = thread::spawn({
        let rounds_over = Arc::clone(&rounds_over);
        move || flood(&mut metadata, &rounds_over, ROUNDS)
    });
    // The subscription of each round, and every update in the order of arrival. That nothing of a
    // subscription comes before its EOS, and that the EOS comes before the reply, is checked by
    // `subscribe`.
    let mut rounds = HashMap::new();
    let mut updates: Vec<Update> = Vec::new();
    for round in 0..ROUNDS {
        rounds.insert(data.subscribe("chat_room"), round);
        data.unsubscribe("chat_room");
        updates.extend(data.take_updates());
        rounds_over.store(round + 1, Ordering::SeqCst);
    }
    let sent = flooder.join().expect("every message answered");
    let accepted: Vec<usize> = (0..sent.len()).filter(|n| sent[*n].accepted).collect();
    while updates.len() < accepted.len() {
        updates.push(data.update());
    }
    data.expect_silence();
    let arrived: Vec<usize> = updates
        .iter()
        .map(|update| {
            let text = update.chat().expect("the chat's fields").message;
            text.parse().expect("a number")
        })
        .collect();
    assert_eq!(arrived, accepted, "each V exactly once, in order");
    let mut latest = 0;
    for (update, n) in updates.iter().zip(arrived) {
        let round = rounds[&update.subscription];
        assert!(
            round >= sent[n].rounds_over,
            "message {n} was sent after USB {} was answered, and came under round {round}",
            sent[n].rounds_over
        );
        assert!(round >= latest, "rounds never go back");
        latest = round;
    }
    drop((adapter, server));
}

#[test]
fn with_one_subscription_a_flood_arrives_whole_and_in_order() {
    let mut setup = Setup::in_room();
    let Setup {
        mut metadata,
        mut data,
        adapter,
        server,
    } = {
        setup.data.expect_silence();
        setup
    };
    let total = 20_000;
    let reader = thread::spawn(move || {
        for n in 0..total {
            assert_eq!(data.chat().message, n.to_string());
        }
        data.expect_silence();
    });
    let mut ids = Vec::new();
    for n in 0..total {
        ids.push(metadata.send_say(SESSION, &n.to_string()));
        if ids.len() == 500 {
            for id in ids.drain(..) {
                metadata.expect_void(&id);
            }
        }
    }
    for id in ids {
        metadata.expect_void(&id);
    }
    reader.join().expect("every message in order");
    drop((adapter, server));
}
