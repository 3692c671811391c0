//! Events that cannot be sent: the provider is told why, and loses nothing else by it.

use crate::feed::{Feed, update};
use crate::proxy::event::{clear, end_of_snapshot, update as updated};
use crate::proxy::{self, Lines};
use chat_adapter::provider::Unsent;

/// The most that a Proxy of these tests takes before it reads, in bytes.
const LIMIT: usize = 2_000;

#[test]
fn an_event_is_refused_for_the_reason_that_holds() {
    let (feed, handle) = Feed::new();
    let mut proxy = proxy::data(feed);
    proxy.set_update_limit(LIMIT);
    assert_eq!(handle.update("a", 1), Err(Unsent::NotSubscribed));
    assert_eq!(handle.stage("a", 1), Err(Unsent::NotSubscribed));
    proxy.ask("2|SUB|S|a");
    assert_eq!(handle.long_update("a", LIMIT), Err(Unsent::TooLong));
    assert_eq!(handle.long_update("b", LIMIT), Err(Unsent::NotSubscribed));
    assert_eq!(handle.long_update("a", LIMIT / 2), Ok(()));
    assert_eq!(handle.long_update("a", LIMIT / 2), Err(Unsent::Congested));
    // One that is shorter still fits.
    assert_eq!(handle.update("a", 2), Ok(()));
    assert_eq!(proxy.lines().len(), 2);
    assert_eq!(handle.long_update("a", LIMIT / 2), Ok(()));
    proxy.break_off();
    assert_eq!(handle.update("a", 3), Err(Unsent::Disconnected));
    assert_eq!(handle.update("b", 3), Err(Unsent::Disconnected));
    assert_eq!(handle.stage("a", 3), Err(Unsent::Disconnected));
    assert_eq!(handle.long_update("a", LIMIT), Err(Unsent::Disconnected));
    let cleared = handle.listener().clear_snapshot("a");
    assert_eq!(cleared, Err(Unsent::Disconnected));
    handle.listener().failure("nobody is told");
}

#[test]
fn what_was_accepted_arrives_whatever_is_refused_in_between() {
    let (feed, handle) = Feed::new();
    let mut proxy = proxy::data(feed);
    proxy.set_update_limit(LIMIT);
    proxy.ask("2|SUB|S|a");
    let mut refusals = 0;
    let mut next = 0;
    for round in 0..5 {
        let mut expected = Vec::new();
        // Now one by one, now staged, until nothing more fits.
        loop {
            let sent = match (next + round) % 3 {
                0 => handle.update("a", next),
                _ => handle.stage("a", next),
            };
            match sent {
                Ok(()) => expected.push(updated("a", "2", next)),
                Err(unsent) => {
                    assert_eq!(unsent, Unsent::Congested);
                    break;
                }
            }
            next += 1;
            refusals += usize::from(handle.long_update("a", LIMIT) == Err(Unsent::TooLong));
            assert_eq!(handle.update("b", next), Err(Unsent::NotSubscribed));
        }
        assert_eq!(handle.long_update("a", LIMIT / 2), Err(Unsent::Congested));
        handle.listener().flush();
        assert!(expected.len() > 5, "{expected:?}");
        assert_eq!(proxy.lines(), expected);
    }
    assert_eq!(refusals as i64, next);
    handle
        .listener()
        .clear_snapshot("a")
        .expect("there is room");
    assert_eq!(proxy.lines(), [clear("a", "2")]);
}

#[test]
fn replies_and_ends_of_snapshots_are_not_refused() {
    let (feed, handle) = Feed::new();
    let mut proxy = proxy::data(feed);
    proxy.set_update_limit(LIMIT);
    proxy.ask("2|SUB|S|a");
    let accepted = (0..).take_while(|&n| handle.update("a", n).is_ok()).count();
    proxy.say(&["3|SUB|S|b", "4|USB|S|a", "5|USB|S|b"]);
    let lines = proxy.lines();
    let rest = [
        end_of_snapshot("b", "3"),
        "3|SUB|V".into(),
        "4|USB|V".into(),
        "5|USB|V".into(),
    ];
    assert_eq!(lines[accepted..], rest);
}

#[test]
fn a_refusal_within_subscribe_does_not_take_the_end_of_the_snapshot_along() {
    let (feed, handle) = Feed::new();
    let mut proxy = proxy::data(feed.on_subscribe(|listener, item| {
        let sent = listener.update(item, false, |event| {
            event.field("n", &"x".repeat(LIMIT));
        });
        assert_eq!(sent, Err(Unsent::TooLong));
        Ok(())
    }));
    proxy.set_update_limit(LIMIT);
    let lines = proxy.ask("2|SUB|S|a");
    assert_eq!(lines, [end_of_snapshot("a", "2"), "2|SUB|V".into()]);
    handle.update("a", 1).expect("it is open");
    assert_eq!(proxy.lines(), [updated("a", "2", 1)]);
}

#[test]
fn an_end_of_snapshot_that_was_refused_can_be_sent_again() {
    let (feed, handle) = Feed::new();
    let mut proxy = proxy::data(feed.with_snapshots());
    proxy.set_update_limit(LIMIT);
    proxy.ask("2|SUB|S|a");
    while handle.update("a", 1).is_ok() {}
    let listener = handle.listener();
    assert_eq!(listener.end_of_snapshot("a"), Err(Unsent::Congested));
    proxy.lines();
    listener.end_of_snapshot("a").expect("there is room");
    assert_eq!(proxy.lines(), [end_of_snapshot("a", "2")]);
}

#[test]
fn a_listener_works_again_with_the_next_connection() {
    let (feed, handle) = Feed::new();
    let feed = feed.on_subscribe(|listener, item| {
        update(listener, item, 1).expect("it is open");
        Ok(())
    });
    let mut proxy = proxy::data(feed);
    for _ in 0..3 {
        let lines = proxy.ask("2|SUB|S|a");
        let events = [end_of_snapshot("a", "2"), updated("a", "2", 1)];
        assert_eq!(lines, [&events[..], &["2|SUB|V".into()]].concat());
        proxy.break_off();
        assert_eq!(handle.update("a", 2), Err(Unsent::Disconnected));
        proxy.reconnect();
        assert_eq!(handle.update("a", 3), Err(Unsent::Disconnected));
        proxy.open("DPI", "1.9.1");
        assert_eq!(handle.update("a", 4), Err(Unsent::NotSubscribed));
    }
}
