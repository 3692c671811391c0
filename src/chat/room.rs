//! The room: the data connections that are subscribed to it, and one order of messages for all.

use crate::provider::{Connection, Fields, ItemEventListener, Unsent};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The one item there is.
pub const ITEM: &str = "chat_room";

/// What a connection misses is logged at once, and then in sums so often.
const LOG_AGAIN: Duration = Duration::from_secs(60);

/// What the two sides of the chat share.
#[derive(Debug, Default)]
pub struct Room {
    /// The data connections on which the room is subscribed to. Held while a message is handed
    /// over, so that all of them see the same order; never across a call of the system.
    subscribers: Mutex<Arc<Vec<Arc<Subscriber>>>>,
    relayed: AtomicU64,
    refused: AtomicU64,
    missed: AtomicU64,
}

/// A data connection on which the room is subscribed to.
#[derive(Debug)]
struct Subscriber {
    listener: ItemEventListener,
    connection: Connection,
    /// Messages that did not fit into its queue, others having taken them, since that was logged last.
    missed: AtomicU64,
    logged: Mutex<Option<Instant>>,
}

impl Subscriber {
    /// Logs what it missed, if that is due, or if it is the last time.
    fn log_missed(&self, is_last: bool) {
        if self.missed.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut logged = self.logged.lock().expect("a panic ends the process");
        if is_last || logged.is_none_or(|logged| logged.elapsed() >= LOG_AGAIN) {
            *logged = Some(Instant::now());
            let missed = self.missed.swap(0, Ordering::Relaxed);
            self.connection.warn(format_args!(
                "the queue of this connection is full: {missed} messages that others got are lost"
            ));
        }
    }
}

impl Room {
    /// Adds a connection, if it is not there yet.
    pub(super) fn enter(&self, listener: &ItemEventListener, connection: &Connection) {
        let mut subscribers = self.lock();
        if !subscribers.iter().any(|other| other.listener == *listener) {
            Arc::make_mut(&mut subscribers).push(Arc::new(Subscriber {
                listener: listener.clone(),
                connection: connection.clone(),
                missed: AtomicU64::new(0),
                logged: Mutex::default(),
            }));
        }
    }

    /// Removes one; says whether it was there.
    pub(super) fn leave(&self, listener: &ItemEventListener) -> bool {
        let mut subscribers = self.lock();
        let is_it = |other: &Arc<Subscriber>| other.listener == *listener;
        let at = subscribers.iter().position(is_it);
        let left = at.map(|at| Arc::make_mut(&mut subscribers).remove(at));
        drop(subscribers);
        left.inspect(|left| left.log_missed(true)).is_some()
    }

    /// Stages an event for everybody; one who takes it is enough. Where nobody does, a full queue is the
    /// reason, if one is full.
    #[inline]
    pub(super) fn publish(&self, event: &Fields) -> Result<(), Unsent> {
        let (mut is_taken, mut refusal) = (false, Unsent::NotSubscribed);
        let mut missed = Vec::new();
        let subscribers = self.lock();
        for subscriber in subscribers.iter() {
            let staged = subscriber.listener.stage(ITEM, false, |fields| {
                fields.fields(event);
            });
            match staged {
                Ok(()) => is_taken = true,
                Err(full @ (Unsent::Congested | Unsent::TooLong)) => {
                    refusal = full;
                    missed.push(subscriber);
                }
                // Whose connection is going away misses nothing that it could have had.
                Err(Unsent::Disconnected | Unsent::NotSubscribed) => {}
            }
        }
        if !is_taken {
            return Err(refusal);
        }
        for subscriber in missed {
            subscriber.missed.fetch_add(1, Ordering::Relaxed);
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Sends what is staged; so many messages were relayed and refused since the last time.
    pub(super) fn flush(&self, relayed: u64, refused: u64) {
        if relayed > 0 {
            let subscribers = Arc::clone(&self.lock());
            for subscriber in subscribers.iter() {
                subscriber.listener.flush();
                subscriber.log_missed(false);
            }
        }
        self.relayed.fetch_add(relayed, Ordering::Relaxed);
        self.refused.fetch_add(refused, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Vec<Arc<Subscriber>>>> {
        self.subscribers.lock().expect("a panic ends the process")
    }

    /// On how many data connections the room is subscribed to.
    pub fn subscribers(&self) -> usize {
        self.lock().len()
    }

    /// Messages that were answered with success.
    pub fn relayed(&self) -> u64 {
        self.relayed.load(Ordering::Relaxed)
    }

    /// Messages that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Messages that were answered with success, and that a connection missed whose queue was full;
    /// counted once for each connection.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::UpdateQueue;

    /// A queue in which there is no room.
    struct Full;

    impl UpdateQueue for Full {
        fn free(&self) -> usize {
            0
        }

        fn capacity(&self) -> usize {
            usize::MAX
        }

        fn is_closed(&self) -> bool {
            false
        }

        fn buffer(&self) -> Vec<u8> {
            Vec::new()
        }

        fn set_staged(&self, _before: usize, _now: usize) {}
        fn send_updates(&self, _lines: Vec<u8>, _updates: u64) {}
        fn send_replies(&self, _lines: Vec<u8>) {}
    }

    #[test]
    fn a_full_queue_is_the_reason_whichever_server_comes_last() {
        let full = ItemEventListener::new(|| 5);
        full.attach(Arc::new(Full));
        full.open(ITEM, b"1", false);
        let gone = ItemEventListener::new(|| 5);
        let connection = Connection::new("data".into());
        for listeners in [[&full, &gone], [&gone, &full]] {
            let room = Room::default();
            for listener in listeners {
                room.enter(listener, &connection);
            }
            let event = Fields::new().field("message", "a");
            assert_eq!(room.publish(&event), Err(Unsent::Congested));
            assert_eq!(room.missed(), 0, "what nobody got is refused, not missed");
        }
    }
}
