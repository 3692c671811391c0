//! The ledger sees what must not be, and nothing else.

use super::{Connection, Ledger, Number};
use crate::standin::Update;

/// Two data connections that are subscribed to the room, and two metadata connections.
fn ledger() -> (Ledger, [Connection; 2], [Connection; 2]) {
    let mut ledger = Ledger::default();
    let data = [0, 1].map(|_| {
        let on = ledger.data_begins();
        subscribe(&mut ledger, on);
        on
    });
    let metadata = [0, 1].map(|_| ledger.metadata_begins());
    (ledger, metadata, data)
}

fn subscribe(ledger: &mut Ledger, on: Connection) {
    ledger.subscribing(on, "s");
    ledger.end_of_snapshot(on, "s").expect("as it must be");
    ledger.subscribed(on, "s").expect("as it must be");
}

fn said(ledger: &mut Ledger, from: Connection) -> Number {
    let (number, _) = ledger.sending(from, "nick", "text");
    ledger.granted(number);
    number
}

fn arrives(ledger: &mut Ledger, on: Connection, number: Number) -> Result<(), String> {
    let field = |name: &str, value: String| (name.to_owned(), Some(value));
    let update = Update {
        millis: 0,
        item: "chat_room".to_owned(),
        subscription: "s".to_owned(),
        snapshot: false,
        fields: vec![
            field("IP", "unknown".to_owned()),
            field("nick", "nick".to_owned()),
            field("message", format!("{number} text")),
            field("timestamp", "09:00:05".to_owned()),
            field("raw_timestamp", "1".to_owned()),
        ],
    };
    ledger.arrived(on, &update)
}

#[test]
fn what_all_have_in_one_order_is_right() {
    let (mut ledger, [one, other], data) = ledger();
    let [a, b] = [said(&mut ledger, one), said(&mut ledger, other)];
    for on in data {
        // Neither is older than the other.
        for number in [b, a] {
            arrives(&mut ledger, on, number).expect("as it must be");
        }
        assert!(ledger.has_all(on));
        ledger.complete(on);
    }
    ledger.settle().expect("as it must be");
}

#[test]
fn two_orders_are_seen() {
    let (mut ledger, [one, other], [first, second]) = ledger();
    let [a, b] = [said(&mut ledger, one), said(&mut ledger, other)];
    for (on, number) in [(first, a), (first, b), (second, b), (second, a)] {
        arrives(&mut ledger, on, number).expect("as it may be");
    }
    let violation = ledger.settle().expect_err("two orders");
    assert!(violation.contains("one order"), "{violation}");
}

#[test]
fn what_others_have_must_come_unless_the_connection_breaks() {
    for is_broken in [true, false] {
        let (mut ledger, [one, _], [first, second]) = ledger();
        let a = said(&mut ledger, one);
        arrives(&mut ledger, first, a).expect("as it must be");
        assert!(!ledger.has_all(second));
        match is_broken {
            true => ledger.replaced(second),
            false => ledger.complete(second),
        }
        assert_eq!(ledger.settle().is_ok(), is_broken);
    }
    // Nor may it be missing where something later has come.
    let (mut ledger, [one, _], [first, second]) = ledger();
    let [a, b] = [said(&mut ledger, one), said(&mut ledger, one)];
    for (on, number) in [(first, a), (first, b), (second, b)] {
        arrives(&mut ledger, on, number).expect("as it may be");
    }
    ledger.replaced(second);
    ledger.settle().expect_err("a gap");
}

#[test]
fn success_without_a_way_is_seen() {
    let (mut ledger, [one, _], data) = ledger();
    for on in data {
        ledger.replaced(on);
    }
    said(&mut ledger, one);
    let violation = ledger.settle().expect_err("nobody was there");
    assert!(violation.contains("no way"), "{violation}");
    // It may have been lost with a connection that ended later.
    let (mut ledger, [one, _], data) = self::ledger();
    said(&mut ledger, one);
    for on in data {
        ledger.replaced(on);
    }
    ledger.settle().expect("as it may be");
}

#[test]
fn a_refusal_needs_that_nobody_is_there() {
    let (mut ledger, [one, _], [first, second]) = ledger();
    let (number, _) = ledger.sending(one, "nick", "text");
    ledger.may_end(first);
    assert!(ledger.refused(number).is_err(), "the second is there");
    let (number, _) = ledger.sending(one, "nick", "text");
    ledger.may_end(second);
    ledger.refused(number).expect("as it may be");
    arrives(&mut ledger, second, number).expect_err("it was refused");
    let (number, _) = ledger.sending(one, "nick", "text");
    arrives(&mut ledger, second, number).expect("as it may be");
    ledger.refused(number).expect_err("it had arrived");
}

#[test]
fn what_comes_twice_late_or_changed_is_seen() {
    let (mut ledger, [one, other], [first, _]) = ledger();
    let [a, b] = [said(&mut ledger, one), said(&mut ledger, one)];
    arrives(&mut ledger, first, b).expect("as it may be");
    arrives(&mut ledger, first, b).expect_err("twice");
    arrives(&mut ledger, first, a).expect_err("late");
    arrives(&mut ledger, first, 99).expect_err("never sent");
    let (changed, _) = ledger.sending(other, "nick", "something else");
    arrives(&mut ledger, first, changed).expect_err("changed");
    let later = ledger.data_begins();
    arrives(&mut ledger, later, b).expect_err("no subscription");
}
