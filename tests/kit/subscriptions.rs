//! Subscriptions and their events: what comes in which order, and under which id.

use crate::feed::{Feed, update};
use crate::proxy::event::{clear, end_of_snapshot, snapshot, update as updated};
use crate::proxy::{self, Lines, TIME};
use crate::standin::DEADLINE;
use chat_adapter::provider::{DataError, DataProvider, ItemEventListener, Unsent};
use chat_adapter::server::local::LocalProxy;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;

#[test]
fn the_listener_comes_once_and_before_everything_else() {
    let (feed, handle) = Feed::new();
    let mut proxy = LocalProxy::data_at(feed, || TIME);
    assert_eq!(handle.calls.take(), ["set_listener"]);
    assert_eq!(handle.update("a", 1), Err(Unsent::Disconnected));
    for id in 2..4 {
        proxy.open("DPI", "1.9.1");
        assert_eq!(handle.calls.take(), ["initialize, Err(Disconnected)"]);
        assert_eq!(handle.update("a", 2), Err(Unsent::NotSubscribed));
        let eos = end_of_snapshot("a", &id.to_string());
        let lines = proxy.ask(&format!("{id}|SUB|S|a"));
        assert_eq!(lines, [eos, format!("{id}|SUB|V")]);
        handle.update("a", 3).expect("it is subscribed to");
        assert_eq!(proxy.lines(), [updated("a", &id.to_string(), 3)]);
        let calls = ["is_snapshot_available \"a\"", "subscribe \"a\""];
        assert_eq!(handle.calls.take(), calls);
        proxy.reconnect();
        assert_eq!(handle.calls.take(), ["disconnected, Err(Disconnected)"]);
        // Between connections, and before the next init is answered.
        assert_eq!(handle.update("a", 4), Err(Unsent::Disconnected));
    }
}

#[test]
fn a_subscription_ends_with_its_connection() {
    let (feed, handle) = Feed::new();
    let mut proxy = proxy::data(feed);
    proxy.ask("2|SUB|S|a");
    handle.stage("a", 1).expect("it is subscribed to");
    proxy.reconnect();
    proxy.open("DPI", "1.9.1");
    // What was staged for the old one is not for the new one.
    handle.listener().flush();
    assert_eq!(handle.update("a", 2), Err(Unsent::NotSubscribed));
    assert_eq!(proxy.lines(), [""; 0]);
    assert_eq!(
        proxy.ask("3|SUB|S|a"),
        [end_of_snapshot("a", "3"), "3|SUB|V".into()]
    );
}

#[test]
fn without_a_snapshot_its_end_comes_before_the_first_update() {
    // From within subscribe.
    let (feed, handle) = Feed::new();
    let mut proxy = proxy::data(feed.on_subscribe(|listener, item| {
        for value in [1, 2] {
            update(listener, item, value).expect("it is open");
        }
        Ok(())
    }));
    assert_eq!(
        proxy.ask("2|SUB|S|a"),
        [
            end_of_snapshot("a", "2"),
            updated("a", "2", 1),
            updated("a", "2", 2),
            "2|SUB|V".into()
        ]
    );
    assert_eq!(proxy.ask("3|USB|S|a"), ["3|USB|V"]);
    assert_eq!(handle.update("a", 3), Err(Unsent::NotSubscribed));
}

#[test]
fn the_end_of_the_snapshot_waits_until_subscribe_returns() {
    let (feed, handle) = Feed::new();
    let (begun, begins) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let mut proxy = proxy::data(feed.on_subscribe(move |_, _| {
        begun.send(()).expect("the test waits");
        may_go_on.recv_timeout(DEADLINE).expect("the test goes on");
        Ok(())
    }));
    thread::scope(|scope| {
        let subscribing = scope.spawn(move || {
            proxy.say(&["2|SUB|S|a"]);
            proxy
        });
        // Another thread sends while subscribe runs: the end of the snapshot comes first then, too.
        begins.recv_timeout(DEADLINE).expect("subscribe is called");
        handle.update("a", 1).expect("it is open");
        go_on.send(()).expect("subscribe waits");
        let mut proxy = subscribing.join().expect("no panic");
        assert_eq!(
            proxy.lines(),
            [
                end_of_snapshot("a", "2"),
                updated("a", "2", 1),
                "2|SUB|V".into()
            ]
        );
    });
}

#[test]
fn a_refused_subscription_sends_nothing_but_the_error() {
    for feed in [Feed::new(), {
        let (feed, handle) = Feed::new();
        (feed.with_snapshots(), handle)
    }] {
        let (feed, handle) = feed;
        let refuse = |_: &ItemEventListener, _: &str| Err(DataError::Subscription("no".into()));
        let mut proxy = proxy::data(feed.on_subscribe(refuse));
        assert_eq!(proxy.ask("2|SUB|S|a"), ["2|SUB|EU|no"]);
        assert_eq!(handle.update("a", 1), Err(Unsent::NotSubscribed));
        assert_eq!(proxy.lines(), [""; 0]);
    }
}

#[test]
fn with_a_snapshot_the_provider_ends_it() {
    let (feed, handle) = Feed::new();
    let feed = feed.with_snapshots().on_subscribe(|listener, item| {
        let sent = listener.update(item, true, |event| {
            event.field("n", 1);
        });
        sent.expect("it is open");
        Ok(())
    });
    let mut proxy = proxy::data(feed);
    let lines = proxy.ask("2|SUB|S|a");
    assert_eq!(lines, [snapshot("a", "2", 1), "2|SUB|V".into()]);
    handle.update("a", 2).expect("it is open");
    assert_eq!(proxy.lines(), [updated("a", "2", 2)]);
    let listener = handle.listener();
    listener.end_of_snapshot("a").expect("it is open");
    listener.end_of_snapshot("a").expect("it is open");
    assert_eq!(proxy.lines(), [end_of_snapshot("a", "2")], "once");
    listener.clear_snapshot("a").expect("it is open");
    assert_eq!(proxy.lines(), [clear("a", "2")]);
    assert_eq!(proxy.ask("3|USB|S|a"), ["3|USB|V"]);
    assert_eq!(listener.end_of_snapshot("a"), Err(Unsent::NotSubscribed));
    assert_eq!(listener.clear_snapshot("a"), Err(Unsent::NotSubscribed));
    assert_eq!(proxy.lines(), [""; 0]);
}

#[test]
fn a_snapshot_may_end_within_subscribe() {
    let (feed, _handle) = Feed::new();
    let feed = feed.with_snapshots().on_subscribe(|listener, item| {
        listener.end_of_snapshot(item).expect("it is open");
        Ok(())
    });
    assert_eq!(
        proxy::data(feed).ask("2|SUB|S|a"),
        [end_of_snapshot("a", "2"), "2|SUB|V".into()]
    );
}

#[test]
fn where_there_is_no_snapshot_its_end_is_sent_once_whatever_the_provider_does() {
    let (feed, handle) = Feed::new();
    let feed = feed.on_subscribe(|listener, item| {
        listener.end_of_snapshot(item).expect("it is open");
        listener.end_of_snapshot(item).expect("it is open");
        Ok(())
    });
    let mut proxy = proxy::data(feed);
    let lines = proxy.ask("2|SUB|S|a");
    assert_eq!(lines, [end_of_snapshot("a", "2"), "2|SUB|V".into()]);
    handle.listener().end_of_snapshot("a").expect("it is open");
    assert_eq!(proxy.lines(), [""; 0]);
}

#[test]
fn a_snapshot_that_is_cleared_before_the_first_update_has_ended() {
    let (feed, _handle) = Feed::new();
    let feed = feed.on_subscribe(|listener, item| {
        listener.clear_snapshot(item).expect("it is open");
        Ok(())
    });
    assert_eq!(
        proxy::data(feed).ask("2|SUB|S|a"),
        [end_of_snapshot("a", "2"), clear("a", "2"), "2|SUB|V".into()]
    );
}

#[test]
fn what_is_staged_leaves_with_a_flush_or_with_whatever_leaves_next() {
    let (feed, handle) = Feed::new();
    let mut proxy = proxy::data(feed);
    proxy.ask("2|SUB|S|a");
    let listener = handle.listener();
    let stage = |value| handle.stage("a", value).expect("it is open");
    let staged = |value| updated("a", "2", value);
    stage(1);
    stage(2);
    assert_eq!(proxy.lines(), [""; 0], "nothing has left yet");
    listener.flush();
    assert_eq!(proxy.lines(), [staged(1), staged(2)]);
    listener.flush();
    assert_eq!(proxy.lines(), [""; 0], "there is nothing left to send");
    stage(3);
    handle.update("a", 4).expect("it is open");
    assert_eq!(proxy.lines(), [staged(3), staged(4)]);
    stage(5);
    listener.clear_snapshot("a").expect("it is open");
    assert_eq!(proxy.lines(), [staged(5), clear("a", "2")]);
    stage(6);
    listener.failure("broken | for good");
    assert_eq!(
        proxy.lines(),
        [staged(6), format!("{TIME}|FAL|E|broken %7C for good")]
    );
    stage(7);
    assert_eq!(
        proxy.ask("3|SUB|S|b"),
        [staged(7), end_of_snapshot("b", "3"), "3|SUB|V".into()]
    );
    stage(8);
    assert_eq!(proxy.ask("4|USB|S|a"), [staged(8), "4|USB|V".into()]);
}

#[test]
fn an_update_belongs_to_the_subscription_that_was_open_when_it_was_sent() {
    let (feed, handle) = Feed::new();
    let feed = feed
        .on_subscribe(|listener, item| update(listener, item, 1).map_err(unexpected))
        .on_unsubscribe(|listener, item| {
            update(listener, item, 2).map_err(unexpected)?;
            let staged = listener.stage(item, false, |event| {
                event.field("n", 3);
            });
            staged.map_err(unexpected)
        });
    let mut proxy = proxy::data(feed);
    // All of it with one read.
    proxy.say(&["2|SUB|S|a", "3|USB|S|a", "4|SUB|S|a", "5|USB|S|a"]);
    let of = |subscribe: &str, unsubscribe: &str| {
        [
            end_of_snapshot("a", subscribe),
            updated("a", subscribe, 1),
            format!("{subscribe}|SUB|V"),
            updated("a", subscribe, 2),
            updated("a", subscribe, 3),
            format!("{unsubscribe}|USB|V"),
        ]
    };
    let lines = proxy.lines();
    let in_order = |expected: &[String]| {
        let mut rest = lines.iter();
        expected.iter().all(|line| rest.any(|found| found == line))
    };
    assert_eq!(lines.len(), 12, "{lines:?}");
    // The reply to a SUB may wait for the end of the read; everything else has its place.
    for (subscribe, unsubscribe) in [("2", "3"), ("4", "5")] {
        let all = of(subscribe, unsubscribe);
        let [eos, first, subscribed, second, third, unsubscribed] = &all;
        assert!(in_order(
            &[eos, first, second, third, unsubscribed].map(Clone::clone)
        ));
        assert!(in_order(&[eos, subscribed, unsubscribed].map(Clone::clone)));
    }
    assert!(in_order(&["3|USB|V".into(), end_of_snapshot("a", "4")]));
    assert_eq!(handle.update("a", 4), Err(Unsent::NotSubscribed));
}

fn unexpected(unsent: Unsent) -> DataError {
    DataError::Other(unsent.to_string())
}

#[test]
fn several_items_have_nothing_to_do_with_each_other() {
    let (feed, handle) = Feed::new();
    let mut proxy = proxy::data(feed);
    for (id, item) in ["a", "b", "", "c|d è"].into_iter().enumerate() {
        proxy.ask(&format!("s{id}|SUB|S|{}", proxy::smart(item)));
    }
    let unsent = |item, value| handle.update(item, value).err();
    assert_eq!(unsent("a", 1), None);
    assert_eq!(unsent("c|d è", 2), None);
    assert_eq!(unsent("", 3), None);
    assert_eq!(unsent("e", 4), Some(Unsent::NotSubscribed));
    assert_eq!(unsent("b", 5), None);
    assert_eq!(
        proxy.lines(),
        [
            updated("a", "s0", 1),
            updated("c%7Cd è", "s3", 2),
            updated("$", "s2", 3),
            updated("b", "s1", 5)
        ]
    );
    assert_eq!(proxy.ask("u|USB|S|b"), ["u|USB|V"]);
    assert_eq!(unsent("b", 6), Some(Unsent::NotSubscribed));
    assert_eq!(unsent("a", 7), None);
    assert_eq!(proxy.lines(), [updated("a", "s0", 7)]);
}

/// A provider that shares its state with another thread, under a lock that both hold while they
/// call the listener: so events leave in the order in which the state changed.
#[derive(Clone, Default)]
struct Counter {
    listener: Arc<OnceLock<ItemEventListener>>,
    count: Arc<Mutex<i64>>,
}

impl Counter {
    fn count_up(&self) {
        let mut count = self.count.lock().expect("no panic");
        let listener = self.listener.get().expect("it was set");
        if update(listener, "a", *count + 1).is_ok() {
            *count += 1;
        }
    }
}

impl DataProvider for Counter {
    fn set_listener(&mut self, listener: ItemEventListener) {
        let _held = self.count.lock().expect("no panic");
        self.listener.set(listener).expect("it comes once");
    }

    fn is_snapshot_available(&mut self, _item: &str) -> bool {
        self.count_up();
        false
    }

    fn subscribe(&mut self, _item: &str) -> Result<(), DataError> {
        self.count_up();
        Ok(())
    }

    fn unsubscribe(&mut self, _item: &str) -> Result<(), DataError> {
        self.count_up();
        Ok(())
    }

    fn disconnected(&mut self) {
        self.count_up();
    }
}

#[test]
fn a_provider_may_hold_a_lock_of_its_own_while_it_calls_the_listener() {
    const ROUNDS: usize = 300;
    let provider = Counter::default();
    let other = provider.clone();
    let mut proxy = LocalProxy::data_at(provider, || TIME);
    let is_over = Arc::new(AtomicBool::new(false));
    let (done, is_done) = mpsc::channel();
    let counting = thread::spawn({
        let (is_over, done) = (Arc::clone(&is_over), done.clone());
        move || {
            while !is_over.load(Ordering::Relaxed) {
                other.count_up();
            }
            let _ = done.send(Vec::new());
        }
    });
    let serving = thread::spawn(move || {
        let mut lines = Vec::new();
        for _ in 0..3 {
            proxy.open("DPI", "1.9.1");
            for _ in 0..ROUNDS {
                proxy.say(&["2|SUB|S|a", "3|USB|S|a"]);
            }
            lines.extend(proxy.lines());
            proxy.reconnect();
        }
        is_over.store(true, Ordering::Relaxed);
        let _ = done.send(lines);
    });
    // Two threads that wait for each other never get here.
    let wait = || {
        is_done
            .recv_timeout(DEADLINE)
            .expect("nobody waits for ever")
    };
    let lines = [wait(), wait()].concat();
    for thread in [counting, serving] {
        thread.join().expect("no panic");
    }
    let counts: Vec<i64> = lines
        .iter()
        .filter(|line| line.contains("|UD3|"))
        .map(|line| line.rsplit('|').next().unwrap_or_default().parse())
        .map(|count| count.expect("a number"))
        .collect();
    assert!(counts.len() >= 2 * 3 * ROUNDS);
    assert_eq!(counts, (1..=counts.len() as i64).collect::<Vec<_>>());
}
