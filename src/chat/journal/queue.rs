//! The way from whoever serves sessions to the thread that writes the journal: bounded, and nobody
//! waits on it.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// So many bytes may wait to be written.
const LIMIT: usize = 8 << 20;

/// What an event takes beside its text.
const OVERHEAD: usize = 64;

/// What the writing thread is told.
#[derive(Debug)]
pub enum Event {
    /// The key of an instance, and bodies of lines that belong to it, each with a line end.
    Lines(u64, Vec<u8>),
    /// The key and the name of an instance that was dropped.
    Dropped(u64, String),
    /// What was to be synchronized with the disk under this number, is, or cannot be.
    Synced(u64, io::Result<()>),
    /// All there was to write was said: write it out, and say when that is done.
    End(Sender<()>),
}

/// The sending end.
#[derive(Clone, Debug)]
pub struct Queue {
    sender: Sender<Event>,
    shared: Arc<Shared>,
}

/// The receiving end.
#[derive(Debug)]
pub struct Events {
    /// What was sent, in that order.
    pub receiver: Receiver<Event>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicUsize,
    has_overflowed: AtomicBool,
}

/// Both ends.
pub fn queue() -> (Queue, Events) {
    let (sender, receiver) = unbounded();
    let shared = Arc::new(Shared::default());
    let events = Events {
        receiver,
        shared: Arc::clone(&shared),
    };
    (Queue { sender, shared }, events)
}

impl Queue {
    /// Sends lines of an instance. If there is no room for them they are dropped, and so is all from
    /// then on, until the journal is written anew; says `false` for the first.
    pub fn lines(&self, key: u64, bodies: Vec<u8>) -> bool {
        self.send_if_room(bodies.len(), Event::Lines(key, bodies))
    }

    /// Says that an instance was dropped, likewise.
    pub fn dropped(&self, key: u64, name: &str) -> bool {
        self.send_if_room(name.len(), Event::Dropped(key, name.to_owned()))
    }

    fn send_if_room(&self, size: usize, event: Event) -> bool {
        if self.shared.has_overflowed.load(Ordering::SeqCst) {
            return true;
        }
        let size = size + OVERHEAD;
        if self.shared.bytes.fetch_add(size, Ordering::SeqCst) + size > LIMIT {
            self.shared.bytes.fetch_sub(size, Ordering::SeqCst);
            return self.shared.has_overflowed.swap(true, Ordering::SeqCst);
        }
        self.send(event);
        true
    }

    /// Says that what has this number is on the disk, or why it is not.
    pub fn synced(&self, number: u64, result: io::Result<()>) {
        self.send(Event::Synced(number, result));
    }

    /// Has all written out that was sent before; says whether that was done by the deadline.
    pub fn finish(&self, deadline: Instant) -> bool {
        let (done, finished) = bounded(1);
        self.send(Event::End(done));
        finished.recv_deadline(deadline).is_ok()
    }

    fn send(&self, event: Event) {
        let _ = self.sender.send(event); // nobody writes any more
    }
}

impl Events {
    /// What was received with so many bytes of text takes no room any more.
    pub fn taken(&self, size: usize) {
        let size = size + OVERHEAD;
        self.shared.bytes.fetch_sub(size, Ordering::SeqCst);
    }

    /// Whether lines were dropped since the last [`reset`](Self::reset).
    pub fn has_overflowed(&self) -> bool {
        self.shared.has_overflowed.load(Ordering::SeqCst)
    }

    /// From now on lines are taken again: what was dropped is to come from the table itself.
    pub fn reset(&self) {
        self.shared.has_overflowed.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_dropped_with_all_that_follows_until_it_is_reset() {
        let (queue, events) = queue();
        let taken = (0..9).map(|_| queue.lines(0, vec![b'x'; 1 << 20]));
        assert_eq!(taken.filter(|taken| !taken).count(), 1);
        queue.lines(0, b"small".to_vec());
        let count = |events: &Events| {
            let mut count = 0;
            while let Ok(event) = events.receiver.try_recv() {
                match event {
                    Event::Lines(_, bodies) => events.taken(bodies.len()),
                    Event::Dropped(_, name) => events.taken(name.len()),
                    other => panic!("{other:?}"),
                }
                count += 1;
            }
            count
        };
        assert!(events.has_overflowed());
        assert_eq!(count(&events), 7);
        queue.lines(0, b"still dropped".to_vec());
        queue.dropped(0, "an instance, likewise");
        assert_eq!(count(&events), 0);
        events.reset();
        queue.lines(0, b"taken".to_vec());
        assert_eq!((count(&events), events.has_overflowed()), (1, false));
        // The names of instances may be long.
        let taken = (0..9).map(|_| queue.dropped(0, &"x".repeat(1 << 20)));
        assert_eq!(taken.filter(|taken| !taken).count(), 1);
        assert_eq!((count(&events), events.has_overflowed()), (7, true));
        assert_eq!(events.shared.bytes.load(Ordering::SeqCst), 0);
    }
}
