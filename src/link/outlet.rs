//! The way out of a connection: a channel of batches to its writer thread, bounded by the bytes in
//! it, with a short cut where there is nothing to wait for.
//!
//! Sending never blocks. When nothing else is on its way, the sender writes a batch itself, as far
//! as the system takes it at once: no other thread has to wake up, and the batch is still in the
//! cache. The rest, and all that comes before the rest has left, is the writer's. Updates ask for
//! room first and are refused when there is none; for replies the reader waits, before it reads
//! more, until enough has left.

use super::pulse::Pulse;
use super::steps::Steps;
use super::transport::Transport;
use crate::ari::handler::Outlet;
use crate::ari::reply::count_unwritten_updates;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most that may wait for a writer, in bytes, updates included. One batch more may be on its
/// way in when it is reached.
pub const QUEUE_LIMIT: usize = 8 << 20;

/// A reader reads on only while less than this waits for its writer, in bytes. From here on
/// batches are also stored in no more memory than they need.
pub const REPLY_LIMIT: usize = 1 << 20;

/// What a batch costs beside its bytes: its place in the channel and the allocator's.
const OVERHEAD: usize = 64;

/// Buffers kept for reuse while there is traffic, and how large they may be: what holds the updates
/// of a full read doubled its size a moment before.
const SPARES: usize = 4;
const SPARE_SIZE: usize = 2 * DIRECT;

/// Who waits for room looks so often whether there is still something to wait for.
const HEED: Duration = Duration::from_millis(200);

/// The most that a sender writes by itself, in bytes. It is more than the updates of one read come
/// to, unless user agents are several times longer than browsers': to leave full reads to the writer
/// costs a fifth of the throughput at 4096 outstanding where two cores are all there is.
const DIRECT: usize = 2 << 20;

/// What a writer is told.
#[derive(Debug)]
pub enum Item {
    /// Whole lines, to be written.
    Lines(Vec<u8>),
    /// A sender wrote something, for the first time since the writer last looked whether such
    /// things arrive.
    Wrote,
    /// From now on a keepalive is due after so much silence; zero: never.
    Keepalive(Duration),
    /// TLS owes the peer something, or a sender left a rest.
    Flush,
    /// Everything before this is still to be written, then the stream ends.
    End,
}

/// The sending end, shared by everybody who has something to say on the connection.
#[derive(Debug)]
pub struct Queue {
    steps: Arc<Steps>,
    items: Sender<Item>,
    /// What the batches cost which are sent and not yet written.
    queued: AtomicUsize,
    closed: AtomicBool,
    spares: (Sender<Vec<u8>>, Receiver<Vec<u8>>),
    /// A reader waits for `drained`.
    waiting: AtomicBool,
    drained: (Sender<()>, Receiver<()>),
    transport: Arc<Transport>,
    gate: Mutex<Gate>,
}

/// Who may write to the transport. Held while bytes are handed to the system without waiting, and
/// never while anybody waits.
#[derive(Debug)]
struct Gate {
    /// The writer writes, and may be waiting: all others queue.
    taken: bool,
    /// What a sender could not write. It leaves before anything else.
    rest: Rest,
    last_write: Instant,
    /// The writer knows that there is something to look after.
    wrote: bool,
    /// For ciphertext.
    scratch: Vec<u8>,
}

/// The end of a batch of which the system took the beginning.
#[derive(Debug, Default)]
pub struct Rest {
    /// As it must leave.
    pub bytes: Vec<u8>,
    /// How many updates end in it.
    pub updates: u64,
}

impl Queue {
    /// A queue for a connection, and what its writer receives from.
    #[must_use]
    pub fn new(steps: Arc<Steps>, transport: Arc<Transport>) -> (Queue, Receiver<Item>) {
        // The bound is kept by counting bytes. A channel bounded by entries would either hold
        // few batches of one message, or cost the memory of its slots from the start.
        let (items, received) = unbounded();
        let queue = Queue {
            steps,
            items,
            queued: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            spares: bounded(SPARES),
            waiting: AtomicBool::new(false),
            drained: bounded(1),
            transport,
            gate: Mutex::new(Gate {
                taken: false,
                rest: Rest::default(),
                last_write: Instant::now(),
                wrote: false,
                scratch: Vec::new(),
            }),
        };
        (queue, received)
    }

    /// What the log is told of the link.
    #[must_use]
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Tells the writer something beside lines.
    pub fn tell(&self, item: Item) {
        // The writer keeps its end until the reader has taken it back: this cannot fail while
        // anybody cares.
        let _ = self.items.send(item);
    }

    /// Bytes that wait to be written.
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
    /// Returns at once when the connection is going away, and soon when `stopping`.
    pub fn wait_for_room(&self, pulse: &Pulse, stopping: impl Fn() -> bool) {
        while self.queued() > REPLY_LIMIT && !self.is_closed() && !stopping() {
            self.waiting.store(true, Ordering::SeqCst);
            if self.queued.load(Ordering::SeqCst) > REPLY_LIMIT && !self.is_closed() {
                pulse.beat();
                let time = pulse.every().map_or(HEED, |every| every.min(HEED));
                let _ = self.drained.1.recv_timeout(time); // looked at again in any case
            }
            self.waiting.store(false, Ordering::SeqCst);
        }
    }

    /// When something was written last.
    #[must_use]
    pub fn last_write(&self) -> Instant {
        self.gate().last_write
    }

    /// The writer is about to write: nobody else will until [`done`](Self::done). Gives what must
    /// leave first.
    #[must_use]
    pub fn take(&self) -> Rest {
        let mut gate = self.gate();
        gate.taken = true;
        mem::take(&mut gate.rest)
    }

    /// Gives back the memory that was kept for reuse.
    pub fn tidy(&self) {
        self.spares.1.try_iter().for_each(drop);
        self.gate().scratch = Vec::new();
    }

    /// The writer has written, and others may.
    pub fn done(&self, at: Instant) {
        let mut gate = self.gate();
        gate.taken = false;
        gate.last_write = at;
    }

    /// The writer looks whether everything arrived, and wants to know of the next write by a
    /// sender.
    pub fn looking(&self) {
        self.gate().wrote = false;
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a batch without the writer, if nothing is on its way that it could overtake. Gives
    /// the batch back if not.
    fn send_directly(&self, lines: Vec<u8>) -> Result<(), Vec<u8>> {
        // The writer traces; a log that blocks must not do so here.
        let is_traced = log::log_enabled!(log::Level::Trace);
        if lines.len() > DIRECT || is_traced || self.queued() > 0 || self.is_closed() {
            return Err(lines);
        }
        let mut gate = self.gate();
        // Looked at again: what was queued before this thread came to know of it is counted.
        if gate.taken || self.queued.load(Ordering::SeqCst) > 0 {
            return Err(lines);
        }
        let Gate { scratch, .. } = &mut *gate;
        let (rest, left) = self.transport.try_write(&lines, scratch);
        gate.last_write = Instant::now();
        if !mem::replace(&mut gate.wrote, true) {
            self.tell(Item::Wrote);
        }
        if !rest.is_empty() {
            let updates = count_unwritten_updates(&lines, left);
            self.queued.fetch_add(cost(&rest), Ordering::SeqCst);
            gate.rest = Rest {
                bytes: rest,
                updates,
            };
            self.tell(Item::Flush);
        }
        drop(gate);
        self.recycle(lines);
        Ok(())
    }

    /// A batch has left, or never will: its memory is free again.
    pub fn written(&self, batch: Vec<u8>) {
        self.queued.fetch_sub(cost(&batch), Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) && self.queued() <= REPLY_LIMIT {
            self.wake_reader();
        }
        self.recycle(batch);
    }

    fn recycle(&self, mut batch: Vec<u8>) {
        if batch.capacity() <= SPARE_SIZE {
            batch.clear();
            let _ = self.spares.0.try_send(batch); // there are enough
        }
    }

    fn wake_reader(&self) {
        let _ = self.drained.0.try_send(()); // it is being woken already
    }
}

fn cost(batch: &[u8]) -> usize {
    batch.len() + OVERHEAD
}

impl Outlet for Queue {
    fn free(&self) -> usize {
        QUEUE_LIMIT.saturating_sub(self.queued())
    }

    fn capacity(&self) -> usize {
        QUEUE_LIMIT
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn buffer(&self) -> Vec<u8> {
        self.spares.1.try_recv().unwrap_or_default()
    }

    fn send(&self, lines: Vec<u8>) {
        if lines.is_empty() {
            return self.recycle(lines);
        }
        let Err(mut lines) = self.send_directly(lines) else {
            return;
        };
        if self.queued() > REPLY_LIMIT {
            lines.shrink_to_fit();
        }
        self.queued.fetch_add(cost(&lines), Ordering::SeqCst);
        self.tell(Item::Lines(lines));
    }

    fn note(&self, what: fmt::Arguments<'_>) {
        self.steps.note(what);
    }

    fn warn(&self, what: fmt::Arguments<'_>) {
        self.steps.trouble(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// A queue and its peer. The gate is taken, so that everything goes to the writer.
    fn queue() -> (Queue, Receiver<Item>, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let transport = Arc::new(Transport::Plain(Arc::new(socket)));
        let (queue, items) = Queue::new(Arc::new(Steps::new("data".into())), transport);
        assert!(queue.take().bytes.is_empty());
        (queue, items, listener.accept().unwrap().0)
    }

    #[test]
    fn what_waits_is_counted_and_given_back() {
        let (queue, items, _peer) = queue();
        assert_eq!(queue.free(), QUEUE_LIMIT);
        queue.send(Vec::new());
        assert!(items.is_empty(), "nothing to write is nothing to send");
        queue.send(vec![b'x'; 1000]);
        assert_eq!(queue.free(), QUEUE_LIMIT - 1000 - OVERHEAD);
        let Ok(Item::Lines(batch)) = items.try_recv() else {
            panic!()
        };
        queue.written(batch);
        assert_eq!(queue.queued(), 0);
        let capacities: Vec<_> = queue.spares.1.try_iter().map(|b| b.capacity()).collect();
        assert_eq!(capacities, [0, 1000]);
    }

    #[test]
    fn a_reader_waits_until_enough_has_left() {
        let (queue, items, _peer) = queue();
        for _ in 0..3 {
            queue.send(vec![b'x'; REPLY_LIMIT]);
        }
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| queue.wait_for_room(&Pulse::new(None), || false));
            for item in items.iter().take(3) {
                assert!(!reader.is_finished());
                let Item::Lines(batch) = item else { panic!() };
                queue.written(batch);
            }
        });
        assert_eq!(queue.queued(), 0);
    }

    #[test]
    fn a_closed_queue_keeps_nobody_waiting() {
        let (queue, _items, _peer) = queue();
        queue.send(vec![b'x'; 2 * REPLY_LIMIT]);
        std::thread::scope(|scope| {
            scope.spawn(|| queue.wait_for_room(&Pulse::new(None), || false));
            queue.close();
        });
        assert!(queue.is_closed());
    }

    #[test]
    fn a_batch_takes_the_short_cut_unless_something_is_before_it() {
        let (queue, items, mut peer) = queue();
        queue.send(b"queued\r\n".to_vec());
        queue.done(Instant::now());
        queue.send(b"behind it\r\n".to_vec());
        for expected in ["queued\r\n", "behind it\r\n"] {
            let Ok(Item::Lines(batch)) = items.try_recv() else {
                panic!("{expected}")
            };
            assert_eq!(batch, expected.as_bytes());
            queue.written(batch);
        }
        queue.send(b"at once\r\n".to_vec());
        assert_eq!(queue.queued(), 0);
        let mut said = [0; 9];
        peer.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"at once\r\n");
        assert!(matches!(items.try_recv(), Ok(Item::Wrote)));
        queue.send(vec![b'x'; DIRECT + 1]);
        assert!(matches!(items.try_recv(), Ok(Item::Lines(_))));
    }

    #[test]
    fn what_the_system_does_not_take_is_the_writers_and_goes_first() {
        // A batch of some KiB, and the updates of a full read.
        for lines in [4_000, 60_000] {
            leave_a_rest(lines);
        }
    }

    fn leave_a_rest(lines: usize) {
        let (queue, items, mut peer) = queue();
        queue.done(Instant::now());
        let line = b"1|UD3|x\r\n";
        let batch = line.repeat(lines);
        let mut sent = 0;
        while queue.queued() == 0 {
            queue.send(batch.clone());
            sent += batch.len();
        }
        queue.send(line.to_vec());
        let rest = queue.take();
        let lines_left = rest.bytes.len().div_ceil(line.len());
        assert_eq!(rest.updates, lines_left as u64);
        // What the peer gets is all of it, in order.
        let all = thread_reading(&mut peer, sent + line.len(), || {
            let mut socket = &**queue.transport.socket();
            socket.write_all(&rest.bytes).unwrap();
            queue.written(rest.bytes.clone());
            for item in items.try_iter() {
                if let Item::Lines(batch) = item {
                    socket.write_all(&batch).unwrap();
                }
            }
        });
        assert!(all.chunks_exact(line.len()).all(|found| found == line));
    }

    #[test]
    fn what_must_leave_is_not_given_back() {
        let (queue, _items, _peer) = queue();
        queue.recycle(Vec::with_capacity(1 << 16));
        let mut gate = queue.gate();
        gate.scratch = Vec::with_capacity(1 << 16);
        gate.rest.bytes = b"rest".to_vec();
        drop(gate);
        queue.tidy();
        assert_eq!(queue.gate().scratch.capacity(), 0);
        assert_eq!(queue.buffer().capacity(), 0);
        assert_eq!(queue.take().bytes, b"rest");
    }

    fn thread_reading(peer: &mut TcpStream, count: usize, write: impl FnOnce()) -> Vec<u8> {
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut all = vec![0; count];
                peer.read_exact(&mut all).unwrap();
                all
            });
            write();
            reading.join().unwrap()
        })
    }
}
