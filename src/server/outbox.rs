//! What has to leave on one connection: a channel to its writer thread, bounded by bytes.
//!
//! Whoever has something to say puts whole lines in and never waits. Replies and updates are counted
//! apart: too many replies hold back the reader of the same connection, which makes no more of them;
//! too many updates are refused. Nothing here knows the socket.

use super::heartbeat::Heartbeat;
use crate::provider::{MAX_REUSABLE_SIZE, UpdateQueue, lock};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The most that may wait to be written in updates, in bytes.
pub const UPDATE_LIMIT: usize = 8 << 20;

/// The most that may wait in updates on all connections together, in bytes, beside what each has
/// [for itself](RESERVED): so the ones that stall are refused first.
const SHARED_LIMIT: usize = 48 << 20;

/// What each connection may hold in updates however much the others do, in bytes. With 128 data
/// connections that is 16 MiB, and all is 64 MiB.
const RESERVED: usize = 128 << 10;

/// A reader reads on only while less than this waits to be written in replies, in bytes.
pub const REPLY_LIMIT: usize = 1 << 20;

/// What a batch costs beside its bytes: its place in the channel and the allocator's.
const OVERHEAD: usize = 64;

/// From here on batches are stored in no more memory than they need, in bytes that are queued.
const TIGHT: usize = 1 << 20;

/// How many batches go out in one system call at the most.
pub const MAX_BATCHES: usize = 16;

/// Buffers kept for reuse while there is traffic: as many as go out together.
const MAX_REUSABLE: usize = MAX_BATCHES;

/// Who waits for room looks so often whether there is still something to wait for.
const RECHECK: Duration = Duration::from_millis(200);

/// What a writer is told.
#[derive(Debug)]
pub enum Item {
    /// Lines to be written.
    Batch(Batch),
    /// From now on a keepalive is due after so much silence; zero: never.
    Keepalive(Duration),
    /// TLS has something to send by itself.
    Flush,
    /// Everything before this is still to be written, then the stream ends.
    End,
}

/// Whole lines.
#[derive(Debug)]
pub struct Batch {
    /// The lines, each with its end.
    pub lines: Vec<u8>,
    /// Updates of subscriptions, or replies.
    pub kind: Kind,
}

/// What a batch consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Replies.
    Replies,
    /// Events, so many of which are updates.
    Updates(u64),
}

impl Batch {
    /// How many updates are lost when only so many bytes of the batch were taken by the system.
    pub fn lost_updates(&self, taken: usize) -> u64 {
        match self.kind {
            Kind::Replies => 0,
            Kind::Updates(count) => {
                let taken = memchr::memchr_iter(b'\n', &self.lines[..taken]).count();
                count.saturating_sub(taken as u64)
            }
        }
    }
}

/// How much waits in updates on all connections of an adapter together, in bytes.
#[derive(Clone, Debug, Default)]
pub struct AllQueued(Arc<AtomicUsize>);

/// The sending end, shared by everybody who has something to say on the connection.
#[derive(Debug)]
pub struct Outbox {
    items: Sender<Item>,
    /// What the batches cost which are sent and not yet written: replies and updates.
    queued: [AtomicUsize; 2],
    all_queued: AllQueued,
    update_limit: AtomicUsize,
    closed: AtomicBool,
    /// Buffers that were written, for those who fill the next ones.
    reusable: Mutex<Vec<Vec<u8>>>,
    /// A reader waits for `drained`.
    reader_waits: AtomicBool,
    drained: (Sender<()>, Receiver<()>),
}

impl Outbox {
    /// An outbox for a connection, and what its writer receives from. What waits in it is counted in
    /// `all_queued`, too.
    pub fn new(all_queued: AllQueued) -> (Arc<Outbox>, Receiver<Item>) {
        // The bounds are kept by counting bytes. A channel bounded by entries would either hold few
        // batches of one message, or cost the memory of its slots from the start.
        let (items, received) = unbounded();
        let outbox = Outbox {
            items,
            queued: Default::default(),
            all_queued,
            update_limit: AtomicUsize::new(UPDATE_LIMIT),
            closed: AtomicBool::new(false),
            reusable: Mutex::default(),
            reader_waits: AtomicBool::new(false),
            drained: bounded(1),
        };
        (Arc::new(outbox), received)
    }

    /// Changes how many bytes of updates may wait.
    pub(super) fn set_update_limit(&self, bytes: usize) {
        self.update_limit.store(bytes, Ordering::Relaxed);
    }

    /// Tells the writer something.
    pub fn send(&self, item: Item) {
        // The writer's end outlives whoever has something to say.
        let _ = self.items.send(item);
    }

    fn send_batch(&self, mut lines: Vec<u8>, kind: Kind) {
        if self.queued() > TIGHT {
            lines.shrink_to_fit();
        }
        let batch = Batch { lines, kind };
        self.count_in(&batch);
        self.send(Item::Batch(batch));
    }

    /// Counts a batch that is to be written; [`written`](Self::written) takes it back.
    pub fn count_in(&self, batch: &Batch) {
        let cost = cost(&batch.lines);
        self.count(batch.kind).fetch_add(cost, Ordering::SeqCst);
        if batch.kind != Kind::Replies {
            self.all_queued.0.fetch_add(cost, Ordering::Relaxed);
        }
    }

    fn count(&self, kind: Kind) -> &AtomicUsize {
        &self.queued[usize::from(kind != Kind::Replies)]
    }

    /// Bytes that wait to be written.
    pub fn queued(&self) -> usize {
        let queued = self.queued.iter();
        queued.map(|bytes| bytes.load(Ordering::Relaxed)).sum()
    }

    /// A batch was written, or never will be: its memory is free again.
    pub fn written(&self, batch: Batch) {
        let Batch { lines, kind } = batch;
        let cost = cost(&lines);
        self.count(kind).fetch_sub(cost, Ordering::SeqCst);
        if kind != Kind::Replies {
            self.all_queued.0.fetch_sub(cost, Ordering::Relaxed);
        }
        if self.reader_waits.load(Ordering::SeqCst) && self.has_room() {
            self.wake_reader();
        }
        self.recycle(lines);
    }

    fn recycle(&self, mut lines: Vec<u8>) {
        if lines.capacity() <= MAX_REUSABLE_SIZE {
            lines.clear();
            let mut reusable = lock(&self.reusable);
            if reusable.len() < MAX_REUSABLE {
                reusable.push(lines);
            }
        }
    }

    /// Gives back the memory that was kept for reuse.
    pub fn drop_reusable(&self) {
        // Not under the lock, which others take under theirs.
        let reusable = mem::take(&mut *lock(&self.reusable));
        drop(reusable);
    }

    /// Nothing that is sent from now on will leave.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake_reader();
    }

    fn has_room(&self) -> bool {
        self.queued[0].load(Ordering::SeqCst) <= REPLY_LIMIT
    }

    fn wake_reader(&self) {
        let _ = self.drained.0.try_send(()); // it is being woken already
    }

    /// Blocks while the peer does not take its replies, so that no more is read from it. Returns at
    /// once when the connection is going away, and soon when `is_stopping`.
    pub fn wait_for_room(&self, heartbeat: &Heartbeat, is_stopping: impl Fn() -> bool) {
        while !self.has_room() && !self.is_closed() && !is_stopping() {
            self.reader_waits.store(true, Ordering::SeqCst);
            if !self.has_room() && !self.is_closed() {
                heartbeat.beat();
                // Looked at again in any case.
                let _ = self.drained.1.recv_timeout(heartbeat.at_most(RECHECK));
            }
            self.reader_waits.store(false, Ordering::SeqCst);
        }
    }
}

fn cost(lines: &[u8]) -> usize {
    lines.len() + OVERHEAD
}

/// What never left is not counted any longer than the connection lasts.
impl Drop for Outbox {
    fn drop(&mut self) {
        let left = *self.queued[1].get_mut();
        self.all_queued.0.fetch_sub(left, Ordering::Relaxed);
    }
}

impl UpdateQueue for Outbox {
    fn free(&self) -> usize {
        let queued = self.queued[1].load(Ordering::Relaxed);
        let shared = SHARED_LIMIT.saturating_sub(self.all_queued.0.load(Ordering::Relaxed));
        // None grows beyond what is left for the others, so those that stall give way.
        let limit = self.capacity().min(shared.max(RESERVED));
        limit.saturating_sub(queued)
    }

    fn capacity(&self) -> usize {
        self.update_limit.load(Ordering::Relaxed)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn buffer(&self) -> Vec<u8> {
        // The one that was written last: it is the likeliest to be in a cache.
        lock(&self.reusable).pop().unwrap_or_default()
    }

    fn set_staged(&self, before: usize, now: usize) {
        // Together that is what is staged; it may wrap in between.
        let change = now.wrapping_sub(before);
        self.all_queued.0.fetch_add(change, Ordering::Relaxed);
    }

    fn send_updates(&self, lines: Vec<u8>, updates: u64) {
        self.send_batch(lines, Kind::Updates(updates));
    }

    fn send_replies(&self, lines: Vec<u8>) {
        match lines.is_empty() {
            true => self.recycle(lines),
            false => self.send_batch(lines, Kind::Replies),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(items: &Receiver<Item>) -> Batch {
        match items.try_recv() {
            Ok(Item::Batch(batch)) => batch,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_waits_is_counted_and_given_back() {
        let (outbox, items) = Outbox::new(AllQueued::default());
        assert_eq!(outbox.free(), UPDATE_LIMIT);
        outbox.send_replies(Vec::new());
        assert!(items.is_empty(), "nothing to write is nothing to send");
        outbox.send_replies(vec![b'x'; 500]);
        assert_eq!(outbox.free(), UPDATE_LIMIT, "replies are counted apart");
        outbox.send_updates(vec![b'x'; 1000], 1);
        assert_eq!(outbox.free(), UPDATE_LIMIT - 1000 - OVERHEAD);
        assert_eq!(outbox.queued(), 1500 + 2 * OVERHEAD);
        for _ in 0..2 {
            outbox.written(batch(&items));
        }
        assert_eq!(outbox.queued(), 0);
        let capacities: Vec<_> = lock(&outbox.reusable).iter().map(Vec::capacity).collect();
        assert_eq!(capacities, [0, 500, 1000]);
    }

    #[test]
    fn those_that_stall_are_refused_before_the_others() {
        let all = AllQueued::default();
        let outboxes: Vec<_> = (0..10).map(|_| Outbox::new(all.clone())).collect();
        let batch = 64 << 10;
        let send = |outbox: &Outbox| {
            let fits = outbox.free() >= batch + OVERHEAD;
            if fits {
                outbox.send_updates(vec![b'x'; batch], 1);
            }
            fits
        };
        // The last one stalls less than the others do.
        let (last, others) = outboxes.split_last().unwrap();
        while others.iter().filter(|(outbox, _)| send(outbox)).count() > 0 {}
        let queued = || all.0.load(Ordering::Relaxed);
        assert!(queued() <= SHARED_LIMIT);
        // What is left for whoever comes later is as much as each of the others has.
        let each = others[0].0.queued();
        assert!(
            each < SHARED_LIMIT / 8 && each > SHARED_LIMIT / 16,
            "{each}"
        );
        while send(&last.0) {}
        assert!(last.0.queued() > each / 3, "{}", last.0.queued());
        // What is staged counts, too, and what is left of nothing is kept for each.
        let left = SHARED_LIMIT - queued();
        last.0.set_staged(0, left);
        assert_eq!(last.0.free(), 0);
        let (late, _items) = Outbox::new(all.clone());
        assert_eq!(late.free(), RESERVED);
        last.0.set_staged(left, 0);
        drop((outboxes, late));
        assert_eq!(queued(), 0);
    }

    #[test]
    fn only_replies_hold_back_a_reader() {
        let (outbox, items) = Outbox::new(AllQueued::default());
        outbox.send_updates(vec![b'x'; UPDATE_LIMIT], 1);
        outbox.wait_for_room(&Heartbeat::new(None), || false);
        outbox.written(batch(&items));
        for _ in 0..3 {
            outbox.send_replies(vec![b'x'; REPLY_LIMIT]);
        }
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| outbox.wait_for_room(&Heartbeat::new(None), || false));
            while !outbox.reader_waits.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            for _ in 0..3 {
                assert!(!reader.is_finished());
                outbox.written(batch(&items));
            }
        });
        assert_eq!(outbox.queued(), 0);
    }

    #[test]
    fn a_closed_outbox_keeps_nobody_waiting() {
        let (outbox, _items) = Outbox::new(AllQueued::default());
        outbox.send_replies(vec![b'x'; 2 * REPLY_LIMIT]);
        std::thread::scope(|scope| {
            scope.spawn(|| outbox.wait_for_room(&Heartbeat::new(None), || false));
            outbox.close();
        });
        assert!(outbox.is_closed());
    }

    #[test]
    fn updates_that_were_taken_whole_are_not_lost() {
        let lines = b"1|UD3|a\r\n1|UD3|b\r\n".to_vec();
        let mut batch = Batch {
            lines,
            kind: Kind::Updates(2),
        };
        for (taken, lost) in [(0, 2), (8, 2), (9, 1), (17, 1), (18, 0)] {
            assert_eq!(batch.lost_updates(taken), lost, "{taken}");
        }
        batch.kind = Kind::Replies;
        assert_eq!(batch.lost_updates(0), 0);
    }
}
