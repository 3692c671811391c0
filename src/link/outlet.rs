//! The way to a writer thread: a channel of batches, bounded by the bytes in it.
//!
//! Sending never blocks. Updates ask for room first and are refused when there is none; for
//! replies the reader waits, before it reads more, until enough has left.

use super::pulse::Pulse;
use crate::ari::handler::Outlet;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The most that may wait for a writer, in bytes of memory, updates included.
pub const QUEUE_LIMIT: usize = 8 << 20;

/// A reader reads on only while less than this waits for its writer, in bytes of memory.
pub const REPLY_LIMIT: usize = 1 << 20;

/// What a batch costs beside its bytes: its place in the channel and the allocator's.
const OVERHEAD: usize = 64;

/// Buffers kept for reuse, and how large they may be.
const SPARES: usize = 8;
const SPARE_SIZE: usize = 512 << 10;

/// What a writer is told.
#[derive(Debug)]
pub enum Item {
    /// Whole lines, to be written.
    Lines(Vec<u8>),
    /// From now on a keepalive is due after so much silence; zero: never.
    Keepalive(Duration),
    /// TLS owes the peer something.
    Flush,
    /// Everything before this is still to be written, then the stream ends.
    End,
}

/// The sending end, shared by everybody who has something to say on the connection.
#[derive(Debug)]
pub struct Queue {
    name: String,
    items: Sender<Item>,
    /// Bytes of memory that the batches take which are sent and not yet written.
    queued: AtomicUsize,
    closed: AtomicBool,
    spares: (Sender<Vec<u8>>, Receiver<Vec<u8>>),
    /// A reader waits for `drained`.
    waiting: AtomicBool,
    drained: (Sender<()>, Receiver<()>),
}

impl Queue {
    /// A queue for the connection of that name, and what its writer receives from.
    #[must_use]
    pub fn new(name: String) -> (Queue, Receiver<Item>) {
        // The bound is kept by counting bytes. A channel bounded by entries would either hold
        // few batches of one message, or cost the memory of its slots from the start.
        let (items, received) = unbounded();
        let queue = Queue {
            name,
            items,
            queued: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            spares: bounded(SPARES),
            waiting: AtomicBool::new(false),
            drained: bounded(1),
        };
        (queue, received)
    }

    /// Tells the writer something beside lines.
    pub fn tell(&self, item: Item) {
        // The writer keeps its end until the reader has taken it back: this cannot fail while
        // anybody cares.
        let _ = self.items.send(item);
    }

    /// Bytes of memory that wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Nothing that is sent from now on will leave.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake_reader();
    }

    /// Blocks while the peer does not take what is queued for it, so that no more is asked of it.
    /// Returns at once when the connection is going away.
    pub fn wait_for_room(&self, pulse: &Pulse) {
        while self.queued() > REPLY_LIMIT && !self.is_closed() {
            self.waiting.store(true, Ordering::SeqCst);
            if self.queued.load(Ordering::SeqCst) > REPLY_LIMIT && !self.is_closed() {
                pulse.beat();
                let _ = match pulse.every() {
                    Some(time) => self.drained.1.recv_timeout(time).is_ok(),
                    None => self.drained.1.recv().is_ok(),
                };
            }
            self.waiting.store(false, Ordering::SeqCst);
        }
    }

    /// A batch has left, or never will: its memory is free again.
    pub fn written(&self, mut batch: Vec<u8>) {
        self.queued.fetch_sub(cost(&batch), Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) && self.queued() <= REPLY_LIMIT {
            self.wake_reader();
        }
        if batch.capacity() <= SPARE_SIZE {
            batch.clear();
            let _ = self.spares.0.try_send(batch); // there are enough
        }
    }

    fn wake_reader(&self) {
        let _ = self.drained.0.try_send(()); // it is being woken already
    }
}

fn cost(batch: &Vec<u8>) -> usize {
    batch.capacity() + OVERHEAD
}

impl Outlet for Queue {
    fn free(&self) -> usize {
        QUEUE_LIMIT.saturating_sub(self.queued())
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn buffer(&self) -> Vec<u8> {
        self.spares.1.try_recv().unwrap_or_default()
    }

    fn send(&self, lines: Vec<u8>) {
        if lines.is_empty() {
            let _ = self.spares.0.try_send(lines); // as in `written`
            return;
        }
        self.queued.fetch_add(cost(&lines), Ordering::SeqCst);
        self.tell(Item::Lines(lines));
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_and_given_back() {
        let (queue, received) = Queue::new("data".into());
        assert_eq!(queue.free(), QUEUE_LIMIT);
        queue.send(Vec::new());
        assert!(received.is_empty(), "nothing to write is nothing to send");
        queue.send(vec![b'x'; 1000]);
        assert_eq!(queue.free(), QUEUE_LIMIT - 1000 - OVERHEAD);
        let Ok(Item::Lines(batch)) = received.try_recv() else {
            panic!()
        };
        queue.written(batch);
        assert_eq!(queue.queued(), 0);
        let capacities: Vec<_> = queue.spares.1.try_iter().map(|b| b.capacity()).collect();
        assert_eq!(capacities, [0, 1000]);
    }

    #[test]
    fn a_reader_waits_until_enough_has_left() {
        let (queue, received) = Queue::new("metadata".into());
        for _ in 0..3 {
            queue.send(vec![b'x'; REPLY_LIMIT]);
        }
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| queue.wait_for_room(&Pulse::new(None)));
            for item in received.iter().take(3) {
                assert!(!reader.is_finished());
                let Item::Lines(batch) = item else { panic!() };
                queue.written(batch);
            }
        });
        assert_eq!(queue.queued(), 0);
    }

    #[test]
    fn a_closed_queue_keeps_nobody_waiting() {
        let (queue, _received) = Queue::new("metadata".into());
        queue.send(vec![b'x'; 2 * REPLY_LIMIT]);
        std::thread::scope(|scope| {
            scope.spawn(|| queue.wait_for_room(&Pulse::new(None)));
            queue.close();
        });
        assert!(queue.is_closed());
    }
}
