//! The room: the data connections that are subscribed to it, and one order of messages for all.

use crate::provider::{Event, ItemEventListener, Unsent};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// The one item there is.
pub const ITEM: &str = "chat_room";

/// What the two sides of the chat share.
#[derive(Debug, Default)]
pub struct Room {
    /// The data connections on which the room is subscribed to. Held while a message is handed
    /// over, so that all of them see the same order; never across anything that waits.
    listeners: Mutex<Vec<ItemEventListener>>,
    relayed: AtomicU64,
    refused: AtomicU64,
}

impl Room {
    /// Adds a connection, if it is not there yet.
    pub(super) fn enter(&self, listener: &ItemEventListener) {
        let mut listeners = self.lock();
        if !listeners.contains(listener) {
            listeners.push(listener.clone());
        }
    }

    /// Removes one; says whether it was there.
    pub(super) fn leave(&self, listener: &ItemEventListener) -> bool {
        let mut listeners = self.lock();
        let before = listeners.len();
        listeners.retain(|other| other != listener);
        listeners.len() < before
    }

    /// Stages an event for everybody; one who takes it is enough.
    #[inline]
    pub(super) fn publish(&self, fill: impl Fn(&mut Event<'_>)) -> Result<(), Unsent> {
        let mut result = Err(Unsent::NotSubscribed);
        for listener in self.lock().iter() {
            result = match listener.stage(ITEM, false, &fill) {
                Err(_) if result.is_ok() => result,
                staged => staged,
            };
        }
        result
    }

    /// Sends what is staged; so many messages were relayed and refused since the last time.
    pub(super) fn flush(&self, relayed: u64, refused: u64) {
        if relayed > 0 {
            self.lock().iter().for_each(ItemEventListener::flush);
        }
        self.relayed.fetch_add(relayed, Ordering::Relaxed);
        self.refused.fetch_add(refused, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ItemEventListener>> {
        self.listeners.lock().expect("a panic ends the process")
    }

    /// Whether anybody is subscribed.
    pub fn is_open(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Messages that were answered with success.
    pub fn relayed(&self) -> u64 {
        self.relayed.load(Ordering::Relaxed)
    }

    /// Messages that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
