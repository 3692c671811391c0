//! Several threads send while items are subscribed to and not any more.

use crate::feed::{Feed, update};
use crate::proxy::{self, Lines};
use crate::standin::{DEADLINE, Event};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

const ITEMS: [&str; 3] = ["a", "b", "c"];
const THREADS: usize = 4;
const ROUNDS: usize = 200;

/// So little fits into the queue that it is full now and then, in bytes.
const LIMIT: usize = 8 << 10;

/// Where a subscription is.
#[derive(Default)]
struct Subscription {
    item: String,
    ended_snapshot: bool,
    confirmed: bool,
    closed: bool,
    updates: u64,
}

#[test]
fn every_update_stands_between_the_end_of_the_snapshot_and_the_reply_that_closes() {
    let (feed, handle) = Feed::new();
    let mut within = 0;
    let from_subscribe = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&from_subscribe);
    let feed = feed.on_subscribe(move |listener, item| {
        within += 1;
        // In turns: from within subscribe, too, and not.
        if within % 2 == 0 && update(listener, item, -1).is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    let mut proxy = proxy::data(feed);
    proxy.set_update_limit(LIMIT);
    let (sent, is_sent) = mpsc::sync_channel(1);
    let mut lines = Vec::new();
    // The id of an item's USB → that of its SUB.
    let mut closes = HashMap::new();
    let accepted: u64 = thread::scope(|scope| {
        // The threads end when this is gone, be it because the test failed.
        let running = Arc::new(());
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (handle, sent) = (handle.clone(), sent.clone());
                let running = Arc::downgrade(&running);
                scope.spawn(move || {
                    let mut accepted = 0;
                    for n in thread.. {
                        if running.strong_count() == 0 {
                            break;
                        }
                        let item = ITEMS[n % ITEMS.len()];
                        let outcome = match n % 5 {
                            0 | 1 => handle.stage(item, 1),
                            _ => handle.update(item, 1),
                        };
                        if n % 7 == 0 {
                            handle.listener().flush();
                        }
                        if outcome.is_ok() {
                            accepted += 1;
                            let _ = sent.try_send(()); // one is as good as many
                        }
                    }
                    accepted
                })
            })
            .collect();
        for round in 0..ROUNDS {
            let (subscribe, unsubscribe) = (format!("s{round}"), format!("u{round}"));
            let ids = |id: &str| ITEMS.map(|item| format!("{id}{item}|SUB|S|{item}"));
            let requests = ids(&subscribe);
            let _ = is_sent.try_recv(); // of the round before
            proxy.say(&requests.each_ref().map(String::as_str));
            lines.extend(proxy.lines());
            is_sent.recv_timeout(DEADLINE).expect("something is sent");
            lines.extend(proxy.lines());
            let requests = ITEMS.map(|item| format!("{unsubscribe}{item}|USB|S|{item}"));
            proxy.say(&requests.each_ref().map(String::as_str));
            for item in ITEMS {
                closes.insert(format!("{unsubscribe}{item}"), format!("{subscribe}{item}"));
            }
        }
        drop(running);
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    });
    lines.extend(proxy.lines());

    let mut subscriptions: HashMap<String, Subscription> = HashMap::new();
    for line in &lines {
        match Event::parse(line, proxy::encoding("1.9.1")).expect("a line in good form") {
            Event::EndOfSnapshot { item, subscription } => {
                let new = Subscription {
                    item,
                    ended_snapshot: true,
                    ..Subscription::default()
                };
                assert!(subscriptions.insert(subscription, new).is_none(), "{line}");
            }
            Event::Update(update) => {
                let of = subscriptions.get_mut(&update.subscription);
                let of = of.unwrap_or_else(|| panic!("before its EOS: {line}"));
                assert_eq!(of.item, update.item, "{line}");
                assert!(of.ended_snapshot && !of.closed, "after its end: {line}");
                of.updates += 1;
            }
            Event::Reply(reply) => {
                assert!(reply.is_void(), "{line}");
                let id = closes.get(&reply.id).unwrap_or(&reply.id);
                let of = subscriptions.get_mut(id).expect("an EOS before the reply");
                let done = match reply.method.as_str() {
                    "SUB" => &mut of.confirmed,
                    _ => &mut of.closed,
                };
                assert!(!std::mem::replace(done, true), "twice: {line}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(accepted > 0);
    assert_eq!(subscriptions.len(), ROUNDS * ITEMS.len());
    assert!(subscriptions.values().all(|of| of.confirmed && of.closed));
    // Everything that was accepted has arrived, once.
    let arrived: u64 = subscriptions.values().map(|of| of.updates).sum();
    assert_eq!(arrived, accepted + from_subscribe.load(Ordering::Relaxed));
}
