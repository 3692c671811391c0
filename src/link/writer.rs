//! The writer thread: batches out, in order; a keepalive when there was silence (section 4).

use super::outlet::{Item, Queue};
use super::pulse::Pulse;
use super::transport::{SLICES, Transport};
use super::watch::{LOOK_AFTER, Watch};
use crate::ari::reply::{KEEPALIVE, count_unwritten_updates};
use crate::shown::ShownLine;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::io;
use std::mem;
use std::net::Shutdown;
use std::time::{Duration, Instant};

/// Batches that are waiting go out together, up to about so many bytes.
const GATHER: usize = 256 << 10;

/// The writing half of one connection.
#[derive(Debug)]
pub struct Writer<'a> {
    transport: &'a Transport,
    queue: &'a Queue,
    items: Receiver<Item>,
    keepalive: Duration,
    batches: Vec<Vec<u8>>,
    /// Updates in what a sender left and this could not write.
    rest_updates: u64,
    /// Ciphertext, with TLS.
    scratch: Vec<u8>,
    watch: Watch<'a>,
    /// When to look whether what was written arrived.
    look_at: Option<Instant>,
    pulse: &'a Pulse,
}

/// How a writer ended.
#[derive(Debug)]
pub struct Ended {
    /// What it could not write, if that is what ended it.
    pub error: Option<io::Error>,
    /// Updates that were sent and are not known to have left.
    pub unwritten: u64,
    /// What it did not get to.
    items: Receiver<Item>,
}

impl Ended {
    /// All updates that were lost. To be asked when nobody can send any more.
    #[must_use]
    pub fn lost_updates(&self) -> u64 {
        let waiting = self.items.try_iter().map(|item| match item {
            Item::Lines(batch) => count_unwritten_updates(&batch, 0),
            _ => 0,
        });
        self.unwritten + waiting.sum::<u64>()
    }
}

impl<'a> Writer<'a> {
    /// A writer that has written nothing yet.
    #[must_use]
    pub fn new(
        transport: &'a Transport,
        queue: &'a Queue,
        items: Receiver<Item>,
        keepalive: Duration,
        pulse: &'a Pulse,
    ) -> Writer<'a> {
        Writer {
            transport,
            queue,
            items,
            keepalive,
            batches: Vec::with_capacity(SLICES),
            rest_updates: 0,
            scratch: Vec::new(),
            watch: Watch::new(transport.socket(), queue.steps(), pulse),
            look_at: None,
            pulse,
        }
    }

    /// Writes until told to end, or until the connection breaks; then it wakes the reader.
    #[must_use]
    pub fn run(mut self) -> Ended {
        let result = self.write_on();
        self.pulse.rest();
        let mut unwritten = 0;
        let error = match result {
            Ok(()) => None,
            Err((written, error)) => {
                self.queue.close();
                unwritten += self.rest_updates;
                let mut written = written;
                for batch in &self.batches {
                    unwritten += count_unwritten_updates(batch, written);
                    written = written.saturating_sub(batch.len());
                }
                let _ = self.transport.socket().shutdown(Shutdown::Both); // it is broken
                Some(error)
            }
        };
        Ended {
            error,
            unwritten,
            items: self.items,
        }
    }

    fn write_on(&mut self) -> Result<(), (usize, io::Error)> {
        loop {
            match self.next_item() {
                None => self.time_passed()?,
                Some(Item::Lines(lines)) => {
                    if self.write_gathered(lines)? {
                        return Ok(());
                    }
                }
                Some(Item::Keepalive(interval)) => self.keepalive = interval,
                Some(Item::Flush) => self.write_batches()?,
                Some(Item::Wrote) => self.look_later(),
                Some(Item::End) => return Ok(()),
            }
        }
    }

    /// What comes next; `None` when there is something to be done at this time.
    fn next_item(&self) -> Option<Item> {
        self.pulse.beat();
        let pulse_at = self.pulse.every().map(|every| Instant::now() + every);
        let due = [self.keepalive_at(), self.look_at, pulse_at];
        let received = match due.into_iter().flatten().min() {
            Some(deadline) => self.items.recv_deadline(deadline),
            None => self.items.recv().map_err(RecvTimeoutError::from),
        };
        match received {
            Ok(item) => Some(item),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Item::End),
        }
    }

    fn keepalive_at(&self) -> Option<Instant> {
        (!self.keepalive.is_zero()).then(|| self.queue.last_write() + self.keepalive)
    }

    fn look_later(&mut self) {
        self.look_at
            .get_or_insert_with(|| Instant::now() + LOOK_AFTER);
    }

    fn look_if_due(&mut self, now: Instant) {
        if self.look_at.is_some_and(|at| at <= now) {
            // Whatever a sender writes from here on is announced, and looked after next time.
            self.queue.looking();
            let is_settled = self.watch.look();
            // What a rush has left behind is the allocator's again.
            self.queue.tidy();
            self.scratch = Vec::new();
            self.look_at = (!is_settled).then(|| now + LOOK_AFTER);
        }
    }

    fn time_passed(&mut self) -> Result<(), (usize, io::Error)> {
        let now = Instant::now();
        self.look_if_due(now);
        if self.keepalive_at().is_some_and(|at| at <= now) {
            self.write(&[KEEPALIVE.to_vec()])?;
            self.look_later();
        }
        Ok(())
    }

    /// Writes a batch and what waits behind it. Says whether the end stood there.
    fn write_gathered(&mut self, lines: Vec<u8>) -> Result<bool, (usize, io::Error)> {
        let mut size = lines.len();
        self.batches.push(lines);
        let mut last = None;
        while self.batches.len() < SLICES && size < GATHER {
            match self.items.try_recv() {
                Ok(Item::Lines(lines)) => {
                    size += lines.len();
                    self.batches.push(lines);
                }
                Ok(other) => {
                    last = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        self.write_batches()?;
        match last {
            Some(Item::Keepalive(interval)) => self.keepalive = interval,
            Some(Item::End) => return Ok(true),
            // The write looked after both.
            Some(Item::Flush | Item::Wrote | Item::Lines(_)) | None => {}
        }
        Ok(false)
    }

    fn write_batches(&mut self) -> Result<(), (usize, io::Error)> {
        let batches = mem::take(&mut self.batches);
        let written = self.write(&batches);
        self.batches = batches;
        written?;
        for batch in self.batches.drain(..) {
            self.queue.written(batch);
        }
        self.look_later();
        // Where there is always something to write, no time ever passes otherwise.
        self.look_if_due(self.queue.last_write());
        Ok(())
    }

    /// Writes what a sender left, then some batches.
    fn write(&mut self, batches: &[Vec<u8>]) -> Result<(), (usize, io::Error)> {
        for batch in batches {
            self.trace(batch);
        }
        let rest = self.queue.take();
        if !rest.bytes.is_empty() {
            let written = self.transport.write_rest(&rest.bytes, &mut self.watch);
            written.map_err(|(taken, error)| {
                self.rest_updates = self.transport.updates_left(&rest, taken);
                (0, error)
            })?;
            self.queue.written(rest.bytes);
        }
        self.transport
            .write(batches, &mut self.scratch, &mut self.watch)?;
        self.queue.done(Instant::now());
        Ok(())
    }

    fn trace(&self, batch: &[u8]) {
        if log::log_enabled!(log::Level::Trace) {
            for line in batch.split_inclusive(|&byte| byte == b'\n') {
                let line = line.trim_ascii_end();
                log::trace!("{} <- {}", self.queue.steps().name(), ShownLine(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ari::handler::Outlet;
    use crate::link::steps::Steps;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    /// What a writer writes to, with the listener that keeps its peer alive.
    fn connected() -> (TcpListener, Arc<Transport>, Queue, Receiver<Item>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let transport = Arc::new(Transport::Plain(Arc::new(socket)));
        let steps = Arc::new(Steps::new("data".into()));
        let (queue, items) = Queue::new(steps, Arc::clone(&transport));
        (listener, transport, queue, items)
    }

    #[test]
    fn a_keepalive_is_looked_after_like_anything_that_is_written() {
        let (_listener, transport, queue, items) = connected();
        let pulse = Pulse::new(None);
        let due = Duration::from_nanos(1);
        let mut writer = Writer::new(&transport, &queue, items, due, &pulse);
        assert!(writer.look_at.is_none());
        writer.time_passed().unwrap();
        assert!(writer.look_at.is_some());
    }

    #[test]
    fn buffers_are_given_back_after_a_while() {
        let (_listener, transport, queue, items) = connected();
        let pulse = Pulse::new(None);
        let mut writer = Writer::new(&transport, &queue, items, Duration::ZERO, &pulse);
        let mut lines = Vec::with_capacity(1 << 16);
        for _ in 0..2 {
            lines.extend_from_slice(b"1|UD3|x\r\n");
            queue.send(lines);
            lines = queue.buffer();
            assert_eq!(lines.capacity(), 1 << 16);
        }
        lines.extend_from_slice(b"1|UD3|x\r\n");
        queue.send(lines);
        writer.scratch = Vec::with_capacity(1 << 16);
        writer.look_at = Some(Instant::now());
        writer.time_passed().unwrap();
        assert_eq!(
            (queue.buffer().capacity(), writer.scratch.capacity()),
            (0, 0)
        );
    }
}
