//! What the two sides share: the open subscriptions of the room, and the ways to their writers.
//!
//! Subscribing and relaying exclude each other by one lock, taken for a batch at a time and never
//! held across anything that blocks. That makes the promise exact: a message that is answered
//! with success is on its way under the subscription open at that moment, before the reply to
//! its `USB` and after its `EOS`.

use super::sessions::Sender;
use super::stamp::Stamp;
use super::update;
use crate::ari::handler::Outlet;
use crate::ari::request::Malformed;
use crate::ari::text::{self, Encoding, Part};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The room. One list of subscriptions for all data connections; there is one today.
#[derive(Default)]
pub struct Room {
    open: Mutex<Vec<Subscription>>,
    /// What an operator may ask for.
    pub tally: Tally,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages answered with success.
    pub relayed: AtomicU64,
    /// Messages refused.
    pub refused: AtomicU64,
    /// Sessions open now.
    pub sessions: AtomicUsize,
}

/// An open subscription of the room.
pub struct Subscription {
    outlet: Arc<dyn Outlet>,
    /// What its updates have before the sender's address, but for the time.
    opening: Vec<u8>,
    /// The same with the time of the present batch before it.
    head: Vec<u8>,
    /// Updates of the present batch, and the most that it may grow to.
    staged: Vec<u8>,
    limit: usize,
}

/// Why a message was not relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// Nobody is subscribed, or there is no data connection.
    Nobody,
    /// It is longer than anything that is ever taken.
    TooLong,
    /// So much is waiting to be written that no more is taken.
    Congested,
}

impl Room {
    /// Opens a subscription of the item under the id of its `SUB`. What must have left before,
    /// and the `EOS`, are `lines`; they are queued before any update can be.
    pub fn subscribe(&self, outlet: &Arc<dyn Outlet>, id: &[u8], lines: Vec<u8>) {
        let mut opening = Vec::new();
        update::put_opening(id, &mut opening);
        let mut open = self.lock();
        open.retain(|subscription| !subscription.is_of(outlet));
        outlet.send(lines);
        open.push(Subscription {
            outlet: Arc::clone(outlet),
            opening,
            head: Vec::new(),
            staged: Vec::new(),
            limit: 0,
        });
    }

    /// Closes the subscription of that connection; says whether there was one.
    pub fn unsubscribe(&self, outlet: &Arc<dyn Outlet>) -> bool {
        let mut open = self.lock();
        let before = open.len();
        open.retain(|subscription| !subscription.is_of(outlet));
        open.len() < before
    }

    /// Whether anybody is subscribed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Holds the subscriptions as they are, to relay a batch of messages to them, all of which
    /// are sent at the time of `stamp`.
    #[must_use]
    pub fn enter(&self, stamp: &Stamp) -> Audience<'_> {
        let mut open = self.lock();
        for subscription in open.iter_mut() {
            subscription.limit = subscription.outlet.free();
            if subscription.limit > 0 {
                subscription.head.clear();
                subscription.head.extend_from_slice(stamp.millis());
                subscription.head.extend_from_slice(&subscription.opening);
                subscription.staged = subscription.outlet.buffer();
            }
        }
        Audience { open }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Subscription>> {
        // A panic ends the process; in tests a poisoned list is still a list.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    fn is_of(&self, outlet: &Arc<dyn Outlet>) -> bool {
        Arc::ptr_eq(&self.outlet, outlet)
    }

    /// Appends one update, or nothing.
    fn stage(
        &mut self,
        sender: Sender<'_>,
        body: Body<'_>,
        stamp: &Stamp,
    ) -> Result<Result<(), Unheard>, Malformed> {
        if self.limit == 0 {
            return Ok(Err(Unheard::Congested));
        }
        let start = self.staged.len();
        let out = &mut self.staged;
        // The common case is known to the byte, and then nothing below has to grow the buffer.
        let fixed = self.head.len() + sender.ip.len() + sender.label.len() + stamp.closing().len();
        out.reserve(fixed + body.len());
        out.extend_from_slice(&self.head);
        out.extend_from_slice(sender.ip);
        out.extend_from_slice(sender.label);
        match body {
            Body::Encoded(part) => text::transcode(part, out).map_err(|e| {
                out.truncate(start);
                Malformed::text("the message", e)
            })?,
            Body::Decoded(text) => Encoding::Smart.put(Some(text), out),
        }
        out.extend_from_slice(stamp.closing());
        if out.len() <= self.limit {
            return Ok(Ok(()));
        }
        let fits_never = out.len() - start > self.outlet.capacity();
        out.truncate(start);
        Ok(Err(match fits_never {
            true => Unheard::TooLong,
            false => Unheard::Congested,
        }))
    }
}

/// The text of a message, as it came or decoded.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// As it came.
    Encoded(Part<'a>),
    /// The text itself.
    Decoded(&'a str),
}

impl Body<'_> {
    fn len(&self) -> usize {
        match self {
            Body::Encoded(part) => part.bytes().len(),
            Body::Decoded(text) => text.len(),
        }
    }
}

/// The subscriptions, held still. Dropping it sends what was said.
pub struct Audience<'a> {
    open: MutexGuard<'a, Vec<Subscription>>,
}

impl Audience<'_> {
    /// Relays a message to everybody. It is on its way when the audience is dropped.
    ///
    /// # Errors
    /// [`Malformed`], when the text does not decode; nothing is relayed then.
    pub fn hear(
        &mut self,
        sender: Sender<'_>,
        body: Body<'_>,
        stamp: &Stamp,
    ) -> Result<Result<(), Unheard>, Malformed> {
        let mut answer = Err(Unheard::Nobody);
        for subscription in self.open.iter_mut() {
            if subscription.outlet.is_closed() {
                continue;
            }
            // One that hears is enough.
            match subscription.stage(sender, body, stamp)? {
                Err(_) if answer.is_ok() => {}
                heard => answer = heard,
            }
        }
        Ok(answer)
    }
}

impl Drop for Audience<'_> {
    fn drop(&mut self) {
        for subscription in self.open.iter_mut() {
            let staged = std::mem::take(&mut subscription.staged);
            subscription.outlet.send(staged);
        }
    }
}

impl Tally {
    pub(super) fn add(counter: &AtomicU64, count: &mut u64) {
        // The handler's thread is the only one that counts, so this needs no atomic addition.
        if *count > 0 {
            counter.store(counter.load(Ordering::Relaxed) + *count, Ordering::Relaxed);
            *count = 0;
        }
    }
}
