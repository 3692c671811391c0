//! The ledger itself: what must be reported is, and what is only bad luck is not.

use super::{CONGESTED, Connection, Ledger};
use crate::standin::Update;

/// An event of this message under this subscription.
fn event(number: u64, subscription: &str) -> Update {
    let fields = [
        ("IP", "192.0.2.7"),
        ("nick", "agent"),
        ("message", &format!("{number} text")),
        ("timestamp", "09:00:05"),
        ("raw_timestamp", "1732348805123"),
    ];
    Update {
        millis: 1_732_348_805_123,
        item: "chat_room".to_owned(),
        subscription: subscription.to_owned(),
        snapshot: false,
        fields: fields
            .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
            .to_vec(),
    }
}

/// A ledger with a subscription `a` that is open beyond doubt.
fn open() -> (Ledger, Connection) {
    let mut ledger = Ledger::default();
    let connection = ledger.data_begins().unwrap();
    subscribe(&mut ledger, connection, "a");
    (ledger, connection)
}

fn subscribe(ledger: &mut Ledger, connection: Connection, id: &str) {
    ledger.subscribing(connection, id);
    ledger.end_of_snapshot(connection, id).unwrap();
    ledger.subscribed(id).unwrap();
}

fn send(ledger: &mut Ledger) -> u64 {
    let number = ledger.number();
    ledger.sending(number, &format!("{number} text"), "192.0.2.7", "agent");
    number
}

#[track_caller]
fn assert_wrong(outcome: Result<(), String>, words: &str) {
    let error = outcome.expect_err("this is wrong");
    assert!(error.contains(words), "{error}");
}

#[test]
fn events_may_come_before_the_answer_or_after_it() {
    let (mut ledger, connection) = open();
    let (one, two) = (send(&mut ledger), send(&mut ledger));
    ledger.arrived(connection, &event(one, "a")).unwrap();
    ledger.granted(one).unwrap();
    ledger.granted(two).unwrap();
    assert!(ledger.has_debts());
    ledger.arrived(connection, &event(two, "a")).unwrap();
    assert!(!ledger.has_debts() && ledger.weight == 0);
}

#[test]
fn twice_late_wrong_and_refused_events_are_told() {
    let (mut ledger, connection) = open();
    let numbers = [(); 4].map(|()| send(&mut ledger));
    ledger.arrived(connection, &event(numbers[1], "a")).unwrap();
    assert_wrong(
        ledger.arrived(connection, &event(numbers[1], "a")),
        "twice or late",
    );
    assert_wrong(
        ledger.arrived(connection, &event(numbers[0], "a")),
        "twice or late",
    );
    assert_wrong(ledger.refused(numbers[1]), "had arrived");
    let mut wrong = event(numbers[2], "a");
    wrong.fields[0].1 = Some("192.0.2.8".to_owned());
    assert_wrong(ledger.arrived(connection, &wrong), "not what was sent");
    assert_wrong(ledger.arrived(connection, &event(99, "a")), "never sent");
}

#[test]
fn an_acknowledged_message_that_others_overtake_is_told() {
    let (mut ledger, connection) = open();
    let (one, two) = (send(&mut ledger), send(&mut ledger));
    ledger.granted(one).unwrap();
    assert_wrong(
        ledger.arrived(connection, &event(two, "a")),
        "cannot have been queued",
    );

    let (mut ledger, connection) = open();
    let (one, two) = (send(&mut ledger), send(&mut ledger));
    ledger.arrived(connection, &event(two, "a")).unwrap();
    assert_wrong(ledger.granted(one), "cannot have been queued");
}

#[test]
fn an_acknowledged_message_that_has_not_come_when_its_subscription_ends_is_told() {
    let (mut ledger, _) = open();
    let one = send(&mut ledger);
    ledger.granted(one).unwrap();
    ledger.unsubscribing();
    assert_wrong(ledger.unsubscribed("a"), "cannot have been queued");

    let (mut ledger, connection) = open();
    let one = send(&mut ledger);
    ledger.granted(one).unwrap();
    ledger.data_may_end();
    assert_wrong(
        ledger.data_gone(connection, true),
        "cannot have been queued",
    );
}

#[test]
fn a_message_may_be_lost_with_its_connection() {
    let (mut ledger, connection) = open();
    let (one, two) = (send(&mut ledger), send(&mut ledger));
    ledger.granted(one).unwrap();
    ledger.data_may_end();
    ledger.granted(two).unwrap();
    ledger.data_gone(connection, false).unwrap();
    assert!(!ledger.has_debts());
    // The adapter had noticed by then.
    let late = send(&mut ledger);
    assert_wrong(ledger.granted(late), "cannot have been queued");
}

#[test]
fn success_without_a_subscription_is_told() {
    let mut ledger = Ledger::default();
    let connection = ledger.data_begins().unwrap();
    let one = send(&mut ledger);
    assert_wrong(ledger.granted(one), "cannot have been queued");
    let two = send(&mut ledger);
    ledger.subscribing(connection, "a");
    ledger.granted(two).unwrap(); // it may have been open by then
}

#[test]
fn a_refusal_needs_a_reason() {
    let (mut ledger, _) = open();
    let one = send(&mut ledger);
    assert_wrong(ledger.refused(one), "open all the time");

    let (mut ledger, _) = open();
    let one = send(&mut ledger);
    ledger.unsubscribing();
    ledger.refused(one).unwrap();

    let (mut ledger, _) = open();
    let number = ledger.number();
    ledger.sending(number, &"x".repeat(CONGESTED), "192.0.2.7", "agent");
    ledger.refused(number).unwrap();
    let next = send(&mut ledger);
    assert_wrong(ledger.refused(next), "open all the time");
}

#[test]
fn events_of_a_stale_subscription_are_told() {
    let (mut ledger, connection) = open();
    let (one, two) = (send(&mut ledger), send(&mut ledger));
    ledger.unsubscribing();
    ledger.unsubscribed("a").unwrap();
    assert_wrong(ledger.arrived(connection, &event(one, "a")), "had ended");
    subscribe(&mut ledger, connection, "b");
    assert_wrong(ledger.arrived(connection, &event(one, "a")), "stale");
    // Asked while `a` was open, not answered yet: it may have come too late for `a`, and in time for `b`.
    ledger.arrived(connection, &event(two, "b")).unwrap();
}

#[test]
fn snapshots_end_once_and_before_the_answer() {
    let mut ledger = Ledger::default();
    let connection = ledger.data_begins().unwrap();
    ledger.subscribing(connection, "a");
    assert_wrong(ledger.subscribed("a"), "without an end of snapshot");
    ledger.subscribing(connection, "b");
    ledger.end_of_snapshot(connection, "b").unwrap();
    assert_wrong(ledger.end_of_snapshot(connection, "b"), "out of order");
}

#[test]
fn what_was_not_answered_may_come_or_not() {
    let (mut ledger, connection) = open();
    let numbers = [(); 3].map(|()| send(&mut ledger));
    ledger.metadata_gone();
    ledger.arrived(connection, &event(numbers[1], "a")).unwrap();
    assert!(!ledger.has_debts());
    assert_wrong(
        ledger.arrived(connection, &event(numbers[0], "a")),
        "twice or late",
    );
    ledger.arrived(connection, &event(numbers[2], "a")).unwrap();
    assert_eq!(ledger.weight, 0);
}
