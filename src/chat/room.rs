//! What the two sides share: the open subscriptions of the room, and the ways to their writers.
//!
//! Subscribing and relaying exclude each other by one lock, taken for a batch at a time and never
//! held across anything that blocks. That makes the promise exact: a message that is answered
//! with success is on its way under the subscription open at that moment, before the reply to
//! its `USB` and after its `EOS`.

use super::sessions::Sender;
use super::stamp::Stamp;
use super::talkers::Talkers;
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
    /// The same with the time and the sender, for those who talk at present.
    talkers: Talkers,
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
            talkers: Talkers::default(),
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
            // One that closes later takes the batch all the same and counts it as lost.
            subscription.limit = match subscription.outlet.is_closed() {
                true => 0,
                false => subscription.outlet.free(),
            };
            subscription.talkers.set_time(stamp.millis());
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

    /// Appends the update of one who talks at present. Says whether it did; if not, it takes
    /// [`stage`](Self::stage) to tell why.
    #[inline]
    fn stage_quickly(
        &mut self,
        session: Session<'_>,
        body: Body<'_>,
        stamp: &Stamp,
    ) -> Result<bool, Malformed> {
        match self.talkers.beginning(session.token, session.generation) {
            Some(beginning) => append(&mut self.staged, self.limit, [beginning], body, stamp),
            None => Ok(false),
        }
    }

    /// Appends one update, or nothing.
    fn stage(
        &mut self,
        sender: Sender<'_>,
        body: Body<'_>,
        stamp: &Stamp,
    ) -> Result<Result<(), Unheard>, Malformed> {
        if self.outlet.is_closed() {
            return Ok(Err(Unheard::Nobody));
        }
        let parts = beginning(&self.opening, sender, stamp);
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
        let steady = parts.concat().len() + stamp.closing().len();
        // Three bytes for one is the most that the encoding makes of a text.
        if steady.saturating_add(body.len() * 3) <= capacity {
            return Ok(true);
        }
        append(&mut Vec::new(), capacity, parts, body, stamp)
    }
}

/// What an update has before its text.
fn beginning<'a>(opening: &'a [u8], sender: Sender<'a>, stamp: &'a Stamp) -> [&'a [u8]; 4] {
    [stamp.millis(), opening, sender.ip, sender.label]
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

/// A sender that has not been looked up.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// Its id as it stands on the wire.
    pub token: &'a [u8],
    /// The [generation](super::sessions::Sessions::generation) of the sessions.
    pub generation: u64,
}

/// The subscriptions, held still. Dropping it sends what was said.
pub struct Audience<'a> {
    open: MutexGuard<'a, Vec<Subscription>>,
}

impl Audience<'_> {
    /// Relays a message of one who talks at present, if that can be done without a look at the
    /// sessions and nothing speaks against it. Says whether it has.
    ///
    /// # Errors
    /// As [`hear`](Self::hear).
    #[inline]
    pub fn hear_quickly(
        &mut self,
        session: Session<'_>,
        body: Body<'_>,
        stamp: &Stamp,
    ) -> Result<bool, Malformed> {
        match &mut self.open[..] {
            [only] => only.stage_quickly(session, body, stamp),
            _ => Ok(false),
        }
    }

    /// Keeps what it takes to hear a sender quickly, as one who talks at present.
    pub fn keep(&mut self, session: Session<'_>, sender: Sender<'_>, stamp: &Stamp) {
        for subscription in self.open.iter_mut() {
            let parts = beginning(&subscription.opening, sender, stamp);
            let Session { token, generation } = session;
            subscription.talkers.keep(token, generation, &parts);
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
