//! The way from whoever serves sessions to the thread that writes the journal: bounded, and nobody
//! waits on it.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// So many bytes may wait to be written.
const LIMIT: usize = 8 << 20;

/// What a line takes beside its text.
const OVERHEAD: usize = 64;

/// What the writing thread is told.
#[derive(Debug)]
pub enum Event {
    /// The body of a line, and the generation of the instance it belongs to.
    Line(u64, Vec<u8>),
    /// Sessions belong to another instance now.
    Instance,
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
    /// Sends a line. One for which there is no room is dropped, and so are all from then on, until the
    /// journal is written anew; says `false` for the first.
    pub fn line(&self, generation: u64, body: Vec<u8>) -> bool {
        if self.shared.has_overflowed.load(Ordering::SeqCst) {
            return true;
        }
        let size = body.len() + OVERHEAD;
        if self.shared.bytes.fetch_add(size, Ordering::SeqCst) + size > LIMIT {
            self.shared.bytes.fetch_sub(size, Ordering::SeqCst);
            return self.shared.has_overflowed.swap(true, Ordering::SeqCst);
        }
        self.send(Event::Line(generation, body));
        true
    }

    /// Says that sessions belong to another instance now.
    pub fn instance(&self) {
        self.send(Event::Instance);
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
    /// A line that was received takes no room any more.
    pub fn taken(&self, body: &[u8]) {
        let size = body.len() + OVERHEAD;
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
        let taken = (0..9).map(|_| queue.line(0, vec![b'x'; 1 << 20]));
        assert_eq!(taken.filter(|taken| !taken).count(), 1);
        queue.line(0, b"small".to_vec());
        let count = |events: &Events| {
            let mut count = 0;
            while let Ok(Event::Line(_, body)) = events.receiver.try_recv() {
                events.taken(&body);
                count += 1;
            }
            count
        };
        assert!(events.has_overflowed());
        assert_eq!(count(&events), 7);
        queue.line(0, b"still dropped".to_vec());
        assert_eq!(count(&events), 0);
        events.reset();
        queue.line(0, b"taken".to_vec());
        assert_eq!((count(&events), events.has_overflowed()), (1, false));
        assert_eq!(events.shared.bytes.load(Ordering::SeqCst), 0);
    }
}
