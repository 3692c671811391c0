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
    /// How many there have been.
    opened: AtomicU64,
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
    /// No other has it.
    number: u64,
    outlet: Arc<dyn Outlet>,
    /// What its updates have before the sender's address, but for the time.
    opening: Vec<u8>,
    /// Updates of the present batch, and the most that it may grow to.
    staged: Vec<u8>,
    limit: usize,
    /// The connection was gone when the present batch began.
    closed: bool,
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
            number: self.opened.fetch_add(1, Ordering::Relaxed),
            outlet: Arc::clone(outlet),
            opening,
            staged: Vec::new(),
            limit: 0,
            closed: false,
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

    /// Holds the subscriptions as they are, to relay a batch of messages to them.
    #[must_use]
    pub fn enter(&self) -> Audience<'_> {
        let mut open = self.lock();
        for subscription in open.iter_mut() {
            // One that closes later takes the whole batch, and counts it as lost.
            subscription.closed = subscription.outlet.is_closed();
            subscription.limit = match subscription.closed {
                true => 0,
                false => subscription.outlet.free(),
            };
            if subscription.limit > 0 {
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
        if self.closed {
            return Ok(Err(Unheard::Nobody));
        }
        let parts = [stamp.millis(), &self.opening, sender.ip, sender.label];
        if append(&mut self.staged, self.limit, parts, body, stamp)? {
            return Ok(Ok(()));
        }
        Ok(Err(match self.may_ever_fit(parts, body, stamp)? {
            true => Unheard::Congested,
            false => Unheard::TooLong,
        }))
    }

    /// Whether a message that does not fit now would, were there nothing else.
    fn may_ever_fit(
        &self,
        parts: [&[u8]; 4],
        body: Body<'_>,
        stamp: &Stamp,
    ) -> Result<bool, Malformed> {
        let capacity = self.outlet.capacity();
        let steady = parts.iter().map(|part| part.len()).sum::<usize>() + stamp.closing().len();
        // Three bytes for one is the most that the encoding makes of a text.
        if steady.saturating_add(body.len() * 3) <= capacity {
            return Ok(true);
        }
        append(&mut Vec::new(), capacity, parts, body, stamp)
    }
}

/// Appends one update, if the whole is not longer than `limit` then. Says whether it is not.
#[inline]
fn append<const N: usize>(
    out: &mut Vec<u8>,
    limit: usize,
    beginning: [&[u8]; N],
    body: Body<'_>,
    stamp: &Stamp,
) -> Result<bool, Malformed> {
    let (start, closing) = (out.len(), stamp.closing());
    let size = beginning.iter().map(|part| part.len()).sum::<usize>() + closing.len();
    if start + size > limit {
        return Ok(false);
    }
    // The common case is known to the byte, and then nothing below has to grow the buffer.
    out.reserve(size + body.len());
    for part in beginning {
        out.extend_from_slice(part);
    }
    match body {
        Body::Encoded(part) => text::transcode(part, out).map_err(|e| {
            out.truncate(start);
            Malformed::text("the message", e)
        })?,
        Body::Decoded(text) => Encoding::Smart.put(Some(text), out),
    }
    out.extend_from_slice(closing);
    if out.len() > limit {
        out.truncate(start);
        return Ok(false);
    }
    Ok(true)
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
    /// The number of the subscription, and what its updates have between the time and the sender's
    /// address, if there is just one.
    #[must_use]
    pub fn only(&self) -> Option<(u64, &[u8])> {
        match &self.open[..] {
            [only] => Some((only.number, &only.opening)),
            _ => None,
        }
    }

    /// Relays a message to the only subscription there is, if nothing speaks against it: what
    /// stands before the text is known already. Says whether it has.
    ///
    /// # Errors
    /// As [`hear`](Self::hear).
    #[inline]
    pub fn hear_quickly(
        &mut self,
        beginning: &[u8],
        body: Body<'_>,
        stamp: &Stamp,
    ) -> Result<bool, Malformed> {
        match &mut self.open[..] {
            [only] => append(&mut only.staged, only.limit, [beginning], body, stamp),
            _ => Ok(false),
        }
    }

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
            // One that hears is enough.
            match subscription.stage(sender, body, stamp)? {
                Err(Unheard::Nobody) => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    /// A connection that ends in memory.
    struct Memory {
        sent: Mutex<Vec<u8>>,
        free: usize,
        capacity: usize,
        closed: bool,
    }

    impl Outlet for Memory {
        fn free(&self) -> usize {
            self.free
        }

        fn capacity(&self) -> usize {
            self.capacity
        }

        fn is_closed(&self) -> bool {
            self.closed
        }

        fn buffer(&self) -> Vec<u8> {
            Vec::new()
        }

        fn send(&self, lines: Vec<u8>) {
            self.sent.lock().unwrap().extend(lines);
        }

        fn note(&self, _: fmt::Arguments<'_>) {}

        fn warn(&self, _: fmt::Arguments<'_>) {}
    }

    const SENDER: Sender<'_> = Sender {
        ip: b"192.0.2.7",
        label: b"|label|",
    };

    fn stamp() -> Stamp {
        let mut stamp = Stamp::new(jiff::tz::TimeZone::UTC);
        stamp.set(1_732_348_805_123);
        stamp
    }

    fn outlet(free: usize, capacity: usize, closed: bool) -> Arc<Memory> {
        Arc::new(Memory {
            sent: Mutex::default(),
            free,
            capacity,
            closed,
        })
    }

    /// What becomes of a text in a room that goes to these.
    fn say(text: &str, outlets: &[Arc<Memory>]) -> Result<(), Unheard> {
        let room = Room::default();
        for (number, outlet) in outlets.iter().enumerate() {
            let outlet = Arc::clone(outlet) as Arc<dyn Outlet>;
            room.subscribe(&outlet, format!("{number}").as_bytes(), Vec::new());
        }
        let mut audience = room.enter();
        audience
            .hear(SENDER, Body::Decoded(text), &stamp())
            .unwrap()
    }

    /// How long the update of a text is.
    fn size(text: &str) -> usize {
        let all = outlet(usize::MAX, usize::MAX, false);
        assert_eq!(say(text, &[Arc::clone(&all)]), Ok(()));
        all.sent.lock().unwrap().len()
    }

    #[test]
    fn what_fits_to_the_byte_is_taken() {
        for text in ["hello", "||||", "+"] {
            let size = size(text);
            assert_eq!(say(text, &[outlet(size, usize::MAX, false)]), Ok(()));
            let full = outlet(size - 1, usize::MAX, false);
            assert_eq!(say(text, &[Arc::clone(&full)]), Err(Unheard::Congested));
            assert!(full.sent.lock().unwrap().is_empty());
        }
    }

    #[test]
    fn what_can_never_fit_is_told_from_what_must_wait() {
        for text in ["hello", "||||", "+"] {
            let size = size(text);
            for free in [0, size - 1] {
                let waits = [outlet(free, size, false)];
                assert_eq!(say(text, &waits), Err(Unheard::Congested));
                let never = [outlet(free, size - 1, false)];
                assert_eq!(say(text, &never), Err(Unheard::TooLong));
            }
        }
    }

    #[test]
    fn a_closed_connection_is_nobody() {
        assert_eq!(say("hello", &[]), Err(Unheard::Nobody));
        let closed = || outlet(usize::MAX, usize::MAX, true);
        assert_eq!(say("hello", &[closed()]), Err(Unheard::Nobody));
        let full = || outlet(0, usize::MAX, false);
        for pair in [[closed(), full()], [full(), closed()]] {
            assert_eq!(say("hello", &pair), Err(Unheard::Congested));
        }
    }

    #[test]
    fn one_that_hears_is_enough_and_all_that_can_do() {
        let free = || outlet(usize::MAX, usize::MAX, false);
        for other in [outlet(0, usize::MAX, false), outlet(0, 0, true), free()] {
            for turned in [false, true] {
                let hears = free();
                let mut pair = [Arc::clone(&hears), Arc::clone(&other)];
                if turned {
                    pair.reverse();
                }
                assert_eq!(say("hello", &pair), Ok(()));
                assert!(!hears.sent.lock().unwrap().is_empty());
            }
        }
        let pair = [free(), free()];
        assert_eq!(say("hello", &pair), Ok(()));
        let sent = pair.map(|outlet| outlet.sent.lock().unwrap().clone());
        assert!(sent[0].starts_with(b"1732348805123|UD3|S|chat_room|S|0|"));
        assert!(sent[1].starts_with(b"1732348805123|UD3|S|chat_room|S|1|"));
    }

    #[test]
    fn only_a_single_subscription_is_spoken_to_quickly() {
        let room = Room::default();
        let (one, other) = (
            outlet(usize::MAX, usize::MAX, false),
            outlet(usize::MAX, usize::MAX, false),
        );
        let subscribe = |outlet: &Arc<Memory>| {
            let outlet = Arc::clone(outlet) as Arc<dyn Outlet>;
            room.subscribe(&outlet, b"1", Vec::new());
        };
        let quickly = || {
            let mut audience = room.enter();
            let number = audience.only().map(|(number, _)| number);
            let heard = audience.hear_quickly(b"begins", Body::Decoded("x"), &stamp());
            assert_eq!(heard.unwrap(), number.is_some());
            number
        };
        assert_eq!(quickly(), None);
        subscribe(&one);
        let first = quickly().unwrap();
        subscribe(&one);
        assert_ne!(quickly().unwrap(), first);
        subscribe(&other);
        assert_eq!(quickly(), None);
        assert!(other.sent.lock().unwrap().is_empty());
    }
}
