//! The way from a data provider to the clients: open subscriptions, and the events staged for them.
//!
//! One lock orders everything that goes into a connection's outbox. It is held for a moment at a
//! time, never across anything that waits, and never while a provider is called. So an event leaves
//! under the subscription that was open when it was accepted, after its `EOS` and before the reply
//! to its `USB`, whichever thread sent it.

use super::event::Event;
use crate::ari::notification;
use crate::ari::reply::put_decimal;
use std::collections::BTreeMap;
use std::fmt;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

/// A buffer that has grown beyond this is not kept for reuse, in bytes: what holds the updates of a full
/// read doubled its size a moment before.
pub(crate) const MAX_REUSABLE_SIZE: usize = 1 << 20;

/// What is staged is announced to the queue in steps of this size, in bytes.
const STAGED_STEP: usize = 64 << 10;

/// Where a listener puts what has to leave: the outbox of a connection.
pub(crate) trait UpdateQueue: Send + Sync {
    /// How many bytes of updates may be queued now.
    fn free(&self) -> usize;

    /// How many bytes of updates may be queued when nothing else is.
    fn capacity(&self) -> usize;

    /// Whether nothing that is queued now will leave.
    fn is_closed(&self) -> bool;

    /// An empty buffer to fill and send.
    fn buffer(&self) -> Vec<u8>;

    /// So many bytes of updates are to be queued soon, where it was so many before.
    fn set_staged(&self, before: usize, now: usize);
    /// Queues whole lines with so many updates in them; never waits.
    fn send_updates(&self, lines: Vec<u8>, updates: u64);

    /// Queues replies, behind all that was queued before; never waits.
    fn send_replies(&self, lines: Vec<u8>);
}

/// The way from a data provider to the clients. Clone it into any thread; nothing here waits for a
/// Proxy.
///
/// A listener lives as long as its provider. Between connections it answers
/// [`Unsent::Disconnected`]. Memory is bounded: what a Proxy does not take in time fills its queue,
/// and then events are refused. `Ok` means that the event is queued for the Proxy; if the connection
/// breaks before it leaves, it is lost and counted.
#[derive(Clone)]
pub struct ItemEventListener {
    state: Arc<Mutex<State>>,
    now: fn() -> u64,
}

/// Why an event was not sent. It can be sent again, or dropped; nothing else is affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// Nobody wants events of that item now.
    NotSubscribed,
    /// There is no connection, or it is going away.
    Disconnected,
    /// The event is longer than all that may ever be queued.
    TooLong,
    /// So much is queued that the event does not fit.
    Congested,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsent::NotSubscribed => "nobody is subscribed",
            Unsent::Disconnected => "there is no connection",
            Unsent::TooLong => "the event is too long",
            Unsent::Congested => "too much is queued already",
        })
    }
}

impl std::error::Error for Unsent {}

#[derive(Default)]
struct State {
    /// None between connections.
    queue: Option<Arc<dyn UpdateQueue>>,
    subscriptions: BTreeMap<Box<str>, Subscription>,
    /// Whole lines that are yet to be queued, and how many updates are among them.
    staged: Vec<u8>,
    updates: u64,
    /// So much of it has been announced to the queue.
    announced: usize,
    /// When the first of them was staged, in decimal.
    time: Vec<u8>,
}

struct Subscription {
    /// The id of its `SUB`.
    id: Box<[u8]>,
    /// What its updates have between the time and the fields, but for the value of `B`.
    head: Box<[u8]>,
    /// The `EOS` is yet to be sent, before anything else.
    owes_end_of_snapshot: bool,
    /// The provider has a snapshot of the item, and did not end it yet.
    is_snapshot_open: bool,
}

impl ItemEventListener {
    /// A listener without a connection; `now` gives milliseconds since the epoch.
    pub(crate) fn new(now: fn() -> u64) -> ItemEventListener {
        ItemEventListener {
            state: Arc::default(),
            now,
        }
    }

    /// Sends an event of an item (`UD3`). `fill` writes its fields. While it runs, other threads wait
    /// for the listener: it must not use the listener itself, nor take a lock under which somebody
    /// else does.
    ///
    /// `is_snapshot` marks the events of the snapshot, where the provider has one
    /// ([`is_snapshot_available`](super::DataProvider::is_snapshot_available)).
    ///
    /// # Errors
    /// [`Unsent`]; nothing is sent then.
    pub fn update(
        &self,
        item: &str,
        is_snapshot: bool,
        fill: impl FnOnce(&mut Event<'_>),
    ) -> Result<(), Unsent> {
        let mut state = self.lock();
        state.stage_update(self.now, item, is_snapshot, fill)?;
        state.flush();
        Ok(())
    }

    /// The same, but the event only leaves with the next [`flush`](Self::flush), or before whatever
    /// else leaves on the connection: for many events at a time.
    ///
    /// # Errors
    /// [`Unsent`]; nothing is staged then.
    #[inline]
    pub fn stage(
        &self,
        item: &str,
        is_snapshot: bool,
        fill: impl FnOnce(&mut Event<'_>),
    ) -> Result<(), Unsent> {
        let mut state = self.lock();
        state.stage_update(self.now, item, is_snapshot, fill)
    }

    /// Sends what is staged.
    pub fn flush(&self) {
        self.lock().flush();
    }

    /// The snapshot of an item is complete (`EOS`). Of no effect for an item that has none
    /// ([`is_snapshot_available`](super::DataProvider::is_snapshot_available)), and when it was
    /// said already.
    ///
    /// # Errors
    /// [`Unsent`].
    pub fn end_of_snapshot(&self, item: &str) -> Result<(), Unsent> {
        let mut state = self.lock();
        let known = state.subscriptions.get(item);
        if known.is_some_and(|subscription| !subscription.is_snapshot_open) {
            return Ok(());
        }
        state.notify(self.now, "EOS", item)?;
        if let Some(subscription) = state.subscriptions.get_mut(item) {
            subscription.is_snapshot_open = false;
        }
        Ok(())
    }

    /// The snapshot of an item is empty from now on (`CLS`).
    ///
    /// # Errors
    /// [`Unsent`].
    pub fn clear_snapshot(&self, item: &str) -> Result<(), Unsent> {
        self.lock().notify(self.now, "CLS", item)
    }

    /// The adapter is broken for good (`FAL`): the server gives it up. A robust Proxy waits for the
    /// next one that connects. Without a connection nobody is told.
    pub fn failure(&self, message: &str) {
        let mut state = self.lock();
        if state.queue.is_some() {
            state.begin(self.now);
            let State { staged, time, .. } = &mut *state;
            staged.extend_from_slice(time);
            notification::put_failure(message, staged);
            state.flush();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What somebody's `fill` left behind when it panicked is half a line.
        self.state.lock().unwrap_or_else(|_| process::abort())
    }

    /// A connection was opened; nothing is subscribed to yet.
    pub(crate) fn attach(&self, queue: Arc<dyn UpdateQueue>) {
        self.lock().queue = Some(queue);
    }

    /// The connection is going away: what is staged is queued, and nothing more is accepted.
    pub(crate) fn detach(&self) {
        let mut state = self.lock();
        state.flush();
        *state = State::default();
    }

    /// Opens a subscription under the id of its `SUB`.
    pub(crate) fn open(&self, item: &str, id: &[u8], has_snapshot: bool) {
        let mut head = Vec::new();
        notification::put_head("UD3", item, id, &mut head);
        head.extend_from_slice(b"|B|");
        let subscription = Subscription {
            id: id.into(),
            head: head.into(),
            owes_end_of_snapshot: !has_snapshot,
            is_snapshot_open: has_snapshot,
        };
        self.lock().subscriptions.insert(item.into(), subscription);
    }

    /// Queues `replies`, and behind them the `EOS` of the subscription if it is still due, whatever
    /// is queued already. The reply to its `SUB` comes next.
    pub(crate) fn confirm(&self, item: &str, replies: &mut Vec<u8>) {
        let mut state = self.lock();
        state.send_replies(replies);
        state.begin(self.now);
        let State {
            subscriptions,
            staged,
            time,
            ..
        } = &mut *state;
        if let Some(subscription) = subscriptions.get_mut(item) {
            subscription.put_due_end(item, time, staged);
        }
    }

    /// Closes a subscription, and queues what was staged until then, then `replies`.
    pub(crate) fn close(&self, item: &str, replies: &mut Vec<u8>) {
        let mut state = self.lock();
        state.subscriptions.remove(item);
        state.send_replies(replies);
    }

    /// Queues what is staged, then `replies`.
    pub(crate) fn reply(&self, replies: &mut Vec<u8>) {
        self.lock().send_replies(replies);
    }
}

impl State {
    #[inline]
    fn stage_update(
        &mut self,
        now: fn() -> u64,
        item: &str,
        is_snapshot: bool,
        fill: impl FnOnce(&mut Event<'_>),
    ) -> Result<(), Unsent> {
        self.stage(now, item, |out, subscription| {
            out.extend_from_slice(&subscription.head);
            out.push(if is_snapshot { b'1' } else { b'0' });
            fill(&mut Event::new(out));
        })?;
        self.updates += 1;
        Ok(())
    }

    /// Appends a line of an item to what is staged, unless something speaks against it. `put` writes
    /// what stands between the time and the line's end.
    #[inline]
    fn stage(
        &mut self,
        now: fn() -> u64,
        item: &str,
        put: impl FnOnce(&mut Vec<u8>, &Subscription),
    ) -> Result<(), Unsent> {
        match &self.queue {
            Some(queue) if !queue.is_closed() => {}
            _ => return Err(Unsent::Disconnected),
        }
        self.begin(now);
        let State {
            queue: Some(queue),
            subscriptions,
            staged,
            time,
            announced,
            ..
        } = self
        else {
            return Err(Unsent::Disconnected);
        };
        let subscription = subscriptions.get_mut(item).ok_or(Unsent::NotSubscribed)?;
        let start = staged.len();
        let owed = subscription.owes_end_of_snapshot;
        subscription.put_due_end(item, time, staged);
        staged.extend_from_slice(time);
        put(staged, subscription);
        staged.extend_from_slice(b"\r\n");
        if staged.len() <= queue.free() {
            if staged.len() >= *announced + STAGED_STEP {
                queue.set_staged(*announced, staged.len());
                *announced = staged.len();
            }
            return Ok(());
        }
        let size = staged.len() - start;
        staged.truncate(start);
        if start == 0 {
            staged.shrink_to(MAX_REUSABLE_SIZE);
        }
        subscription.owes_end_of_snapshot = owed;
        Err(match size > queue.capacity() {
            true => Unsent::TooLong,
            false => Unsent::Congested,
        })
    }

    /// Sends a line of an item that is no update.
    fn notify(&mut self, now: fn() -> u64, method: &str, item: &str) -> Result<(), Unsent> {
        self.stage(now, item, |out, subscription| {
            notification::put_head(method, item, &subscription.id, out);
        })?;
        self.flush();
        Ok(())
    }

    /// Makes ready for the first line that is staged after a flush.
    #[inline]
    fn begin(&mut self, now: fn() -> u64) {
        if self.staged.is_empty() {
            if let Some(queue) = &self.queue
                && self.staged.capacity() == 0
            {
                self.staged = queue.buffer();
            }
            self.time.clear();
            put_decimal(i64::try_from(now()).unwrap_or(i64::MAX), &mut self.time);
        }
    }

    fn flush(&mut self) {
        if let Some(queue) = &self.queue
            && !self.staged.is_empty()
        {
            let lines = std::mem::take(&mut self.staged);
            queue.send_updates(lines, std::mem::take(&mut self.updates));
            if self.announced > 0 {
                queue.set_staged(std::mem::take(&mut self.announced), 0);
            }
        }
    }

    fn send_replies(&mut self, replies: &mut Vec<u8>) {
        self.flush();
        if let Some(queue) = &self.queue
            && !replies.is_empty()
        {
            queue.send_replies(std::mem::take(replies));
        }
    }
}

impl Subscription {
    fn put_due_end(&mut self, item: &str, time: &[u8], out: &mut Vec<u8>) {
        if std::mem::take(&mut self.owes_end_of_snapshot) {
            out.extend_from_slice(time);
            notification::put_head("EOS", item, &self.id, out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// A listener without a provider, which answers [`Unsent::Disconnected`]: to have something until
/// [`set_listener`](super::DataProvider::set_listener).
impl Default for ItemEventListener {
    fn default() -> ItemEventListener {
        ItemEventListener::new(system_time)
    }
}

/// Listeners are equal if they belong to the same provider.
impl PartialEq for ItemEventListener {
    fn eq(&self, other: &ItemEventListener) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }
}

impl Eq for ItemEventListener {}

impl fmt::Debug for ItemEventListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ItemEventListener")
    }
}

/// Milliseconds since the epoch by the system's clock, as events carry them; 0 when it stands before
/// that.
pub fn system_time() -> u64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_millis() as u64) // 580 million years fit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue that takes so many bytes of updates, and keeps them.
    #[derive(Default)]
    struct Kept {
        limit: usize,
        updates: Mutex<(Vec<u8>, u64)>,
    }

    impl UpdateQueue for Kept {
        fn free(&self) -> usize {
            self.limit
        }

        fn capacity(&self) -> usize {
            self.limit
        }

        fn is_closed(&self) -> bool {
            false
        }

        fn buffer(&self) -> Vec<u8> {
            Vec::new()
        }

        fn set_staged(&self, _before: usize, _now: usize) {}
        fn send_updates(&self, lines: Vec<u8>, updates: u64) {
            let mut kept = self.updates.lock().unwrap();
            kept.0.extend(lines);
            kept.1 += updates;
        }

        fn send_replies(&self, _lines: Vec<u8>) {}
    }

    const EVENT: &[u8] = b"5|UD3|S|a|S|1|B|0|S|n|S|7\r\n";

    fn subscribed(limit: usize) -> (ItemEventListener, Arc<Kept>) {
        let queue = Arc::new(Kept {
            limit,
            ..Kept::default()
        });
        let listener = ItemEventListener::new(|| 5);
        listener.attach(Arc::clone(&queue) as _);
        listener.open("a", b"1", true);
        (listener, queue)
    }

    fn stage(listener: &ItemEventListener) -> Result<(), Unsent> {
        listener.stage("a", false, |event| {
            event.field("n", 7);
        })
    }

    #[test]
    fn an_event_of_the_limit_is_taken_and_one_beyond_it_never_is() {
        let (listener, queue) = subscribed(EVENT.len());
        assert_eq!(stage(&listener), Ok(()));
        assert_eq!(stage(&listener), Err(Unsent::Congested));
        listener.flush();
        assert_eq!(*queue.updates.lock().unwrap(), (EVENT.to_vec(), 1));
        let (listener, _queue) = subscribed(EVENT.len() - 1);
        assert_eq!(stage(&listener), Err(Unsent::TooLong));
    }

    #[test]
    fn what_is_staged_when_the_connection_ends_is_queued() {
        let (listener, queue) = subscribed(1000);
        assert_eq!(stage(&listener), Ok(()));
        listener.detach();
        assert_eq!(*queue.updates.lock().unwrap(), (EVENT.to_vec(), 1));
        assert_eq!(stage(&listener), Err(Unsent::Disconnected));
    }
}
