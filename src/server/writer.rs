//! The writer thread: batches out, in order; a keepalive when there was silence (section 4).
//!
//! Nobody else writes to the socket while it runs.

use super::config::Context;
use super::heartbeat::Heartbeat;
use super::init::keepalive_before_init;
use super::outbox::{Batch, Item, Kind, MAX_BATCHES, Outbox};
use super::stall::{CHECK_AFTER, StallDetector};
use super::transport::Transport;
use super::waker::Waker;
use crate::ari::escape::EscapedLine;
use crate::ari::reply::KEEPALIVE;
use crate::provider::Connection;
use crossbeam_channel::Receiver;
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
    outbox: &'a Outbox,
    connection: &'a Connection,
    heartbeat: &'a Heartbeat,
    /// Wakes the reader, when TLS may encrypt no more.
    waker: &'a Waker,
    items: Receiver<Item>,
    keepalive: Duration,
    last_write: Instant,
    batches: Vec<Batch>,
    /// For TLS, reused.
    ciphertext: Vec<u8>,
    stall: StallDetector<'a>,
    /// When to look whether what was written has arrived.
    check_at: Option<Instant>,
}

/// How a writer ended.
#[derive(Debug)]
pub struct Ended {
    /// What it could not write, if that is what ended it.
    pub error: Option<io::Error>,
    /// Updates in what it began to write and that did not leave.
    lost_updates: u64,
    /// Updates that left, and are lost if a timeout ended the connection.
    unacknowledged: u64,
    /// What it did not get to.
    items: Receiver<Item>,
}

impl Ended {
    /// All updates that are known to be lost; `is_timeout`: the system gave up the peer. To be asked
    /// when nobody can send any more.
    pub fn lost_updates(&self, is_timeout: bool) -> u64 {
        let waiting = self.items.try_iter().map(|item| match item {
            Item::Batch(batch) => batch.lost_updates(0),
            _ => 0,
        });
        let unacknowledged = if is_timeout { self.unacknowledged } else { 0 };
        self.lost_updates + unacknowledged + waiting.sum::<u64>()
    }
}

impl<'a> Writer<'a> {
    /// A writer that has written nothing yet; `waker` wakes the reader.
    pub fn new(
        transport: &'a Transport,
        outbox: &'a Outbox,
        items: Receiver<Item>,
        context: &'a Context,
        waker: &'a Waker,
    ) -> Writer<'a> {
        let (connection, heartbeat) = (&context.connection, &context.status.writer);
        Writer {
            transport,
            outbox,
            connection,
            heartbeat,
            waker,
            items,
            keepalive: keepalive_before_init(context.config.keepalive),
            last_write: Instant::now(),
            batches: Vec::with_capacity(MAX_BATCHES),
            ciphertext: Vec::new(),
            stall: StallDetector::new(&transport.socket, connection, heartbeat),
            check_at: None,
        }
    }

    /// Writes until told to end, or until the connection breaks; then it ends the stream for the reader.
    pub fn run(mut self) -> Ended {
        let result = self.write_on();
        self.heartbeat.stop();
        let (lost_updates, error) = match result {
            Ok(()) => (0, None),
            Err((lost, error)) => {
                self.outbox.close();
                // It is broken; the reader still gets what came in before.
                let _ = self.transport.socket.shutdown(Shutdown::Both);
                (lost, Some(error))
            }
        };
        Ended {
            error,
            lost_updates,
            unacknowledged: self.stall.unacknowledged(),
            items: self.items,
        }
    }

    fn write_on(&mut self) -> Result<(), (u64, io::Error)> {
        let mut behind = None;
        loop {
            match behind.take().or_else(|| self.next()) {
                None => self.time_passed()?,
                Some(Item::Keepalive(interval)) => self.keepalive = interval,
                Some(Item::Flush) => self.write()?,
                Some(Item::End) => return Ok(()),
                Some(Item::Batch(batch)) => {
                    behind = self.gather(batch);
                    self.write()?;
                }
            }
        }
    }

    /// What comes next; `None` when something is due at this time.
    fn next(&self) -> Option<Item> {
        self.heartbeat.beat();
        let keepalive_at = self.keepalive_at();
        let beat_at = self.heartbeat.interval.map(|every| Instant::now() + every);
        let due = [keepalive_at, self.check_at, beat_at];
        // The sending end outlives this thread.
        match due.into_iter().flatten().min() {
            Some(deadline) => self.items.recv_deadline(deadline).ok(),
            None => self.items.recv().ok(),
        }
    }

    fn keepalive_at(&self) -> Option<Instant> {
        (!self.keepalive.is_zero()).then(|| self.last_write + self.keepalive)
    }

    fn time_passed(&mut self) -> Result<(), (u64, io::Error)> {
        let now = Instant::now();
        self.check_if_due(now);
        if self.keepalive_at().is_some_and(|at| at <= now) {
            self.batches.push(Batch {
                lines: KEEPALIVE.to_vec(),
                kind: Kind::Replies,
            });
            self.outbox.count_in(&self.batches[0]);
            self.write()?;
        }
        Ok(())
    }

    fn check_if_due(&mut self, now: Instant) {
        if self.check_at.is_some_and(|at| at <= now) {
            let has_arrived = self.stall.check();
            // What a rush has left behind is the allocator's again.
            self.outbox.drop_reusable();
            self.ciphertext = Vec::new();
            self.check_at = (!has_arrived).then(|| now + CHECK_AFTER);
        }
    }

    /// Takes a batch and those that wait behind it; gives what else came up.
    fn gather(&mut self, first: Batch) -> Option<Item> {
        let mut size = first.lines.len();
        self.batches.push(first);
        while self.batches.len() < MAX_BATCHES && size < GATHER {
            match self.items.try_recv().ok()? {
                Item::Batch(batch) => {
                    size += batch.lines.len();
                    self.batches.push(batch);
                }
                other => return Some(other),
            }
        }
        None
    }

    fn write(&mut self) -> Result<(), (u64, io::Error)> {
        if log::log_enabled!(log::Level::Trace) {
            self.trace();
        }
        let batches = mem::take(&mut self.batches);
        self.transport
            .write(&batches, &mut self.ciphertext, &mut self.stall)?;
        let updates = batches.iter().map(|batch| batch.lost_updates(0));
        self.stall.has_taken(updates.sum());
        self.batches = batches;
        for batch in self.batches.drain(..) {
            self.outbox.written(batch);
        }
        if self.transport.is_limit_reached() {
            self.waker.wake();
        }
        self.last_write = Instant::now();
        self.check_at.get_or_insert(self.last_write + CHECK_AFTER);
        // Where there is always something to write, no time ever passes otherwise.
        self.check_if_due(self.last_write);
        Ok(())
    }

    fn trace(&self) {
        for batch in &self.batches {
            for line in batch.lines.split_inclusive(|&byte| byte == b'\n') {
                self.heartbeat.beat(); // the log may be slow
                let line = EscapedLine(line.trim_ascii_end());
                log::trace!("{} <- {line}", self.connection.name());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::super::socket;
    use super::*;
    use crate::provider::UpdateQueue;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::thread;

    /// Runs `test` with a writer and its peer.
    fn with_writer(keepalive: Duration, test: impl FnOnce(Writer<'_>, &Outbox, TcpStream)) {
        with_beating_writer(None, keepalive, test);
    }

    /// The same with a writer that has to give its heartbeat so often.
    fn with_beating_writer(
        interval: Option<Duration>,
        keepalive: Duration,
        test: impl FnOnce(Writer<'_>, &Outbox, TcpStream),
    ) {
        let config = Config {
            heartbeat: interval,
            keepalive: Some(keepalive),
            ..Config::default()
        };
        let connection = Connection::new("data".into());
        let context = Context::new(&Arc::new(config), connection, Arc::default(), None);
        let waker = Waker::new().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addresses = [listener.local_addr().unwrap()];
        let (socket, _) = socket::connect(&addresses, &context.status.writer).unwrap();
        let transport = Transport {
            socket: Arc::new(socket),
            tls: None,
        };
        let (outbox, items) = Outbox::new(Default::default());
        let writer = Writer::new(&transport, &outbox, items, &context, &waker);
        test(writer, &outbox, listener.accept().unwrap().0);
    }

    #[test]
    fn a_keepalive_is_checked_like_anything_that_is_written() {
        with_writer(Duration::from_nanos(1), |mut writer, outbox, mut peer| {
            assert!(writer.check_at.is_none());
            writer.time_passed().unwrap();
            assert!(writer.check_at.is_some());
            assert_eq!(outbox.queued(), 0);
            let mut line = [0; KEEPALIVE.len()];
            peer.read_exact(&mut line).unwrap();
            assert_eq!(line, KEEPALIVE);
        });
    }

    #[test]
    fn a_peer_that_reads_slowly_lets_the_heartbeat_go_on() {
        const SIZE: usize = 16 << 20; // more than fits between the two
        const PIECE: usize = 1 << 10;
        let interval = Some(Duration::from_millis(10));
        with_beating_writer(interval, Duration::ZERO, |writer, outbox, mut peer| {
            outbox.send_replies(vec![b'x'; SIZE]);
            outbox.send(Item::End);
            let heartbeat = writer.heartbeat;
            thread::scope(move |scope| {
                let writing = scope.spawn(move || writer.run());
                for _ in 0..20 {
                    let (due, start) = (heartbeat.due(), Instant::now());
                    while heartbeat.due() == due {
                        assert!(start.elapsed() < Duration::from_secs(20), "no heartbeat");
                        thread::yield_now();
                    }
                    peer.read_exact(&mut [0; PIECE]).unwrap();
                }
                assert!(!writing.is_finished());
                peer.read_exact(&mut vec![0; SIZE - 20 * PIECE]).unwrap();
            });
        });
    }

    #[test]
    fn buffers_are_given_back_after_a_while() {
        with_writer(Duration::ZERO, |mut writer, outbox, _peer| {
            outbox.send_updates(Vec::with_capacity(1 << 16), 0);
            let Some(Item::Batch(batch)) = writer.next() else {
                panic!("a batch")
            };
            writer.gather(batch);
            writer.write().unwrap();
            let buffer = outbox.buffer();
            assert_eq!(buffer.capacity(), 1 << 16, "kept while there is traffic");
            outbox.send_replies(buffer);
            writer.ciphertext = Vec::with_capacity(1 << 16);
            writer.check_at = Some(Instant::now());
            writer.time_passed().unwrap();
            let left = (outbox.buffer().capacity(), writer.ciphertext.capacity());
            assert_eq!(left, (0, 0));
        });
    }

    #[test]
    fn what_came_behind_a_batch_is_not_forgotten() {
        with_writer(Duration::ZERO, |writer, outbox, mut peer| {
            for (lines, item) in [
                ("1|NUM|V\r\n", Item::Keepalive(Duration::ZERO)),
                ("2|NUM|V\r\n", Item::Flush),
                ("3|NUM|V\r\n", Item::End),
            ] {
                outbox.send_replies(lines.into());
                outbox.send(item);
            }
            outbox.send_updates(b"1|UD3\r\n".to_vec(), 1);
            let ended = writer.run();
            assert!(ended.error.is_none());
            assert_eq!(ended.lost_updates(false), 1, "nobody writes behind the end");
            let mut lines = [0; 27];
            peer.read_exact(&mut lines).unwrap();
            assert_eq!(&lines, b"1|NUM|V\r\n2|NUM|V\r\n3|NUM|V\r\n");
        });
    }

    #[test]
    fn what_was_written_and_not_acknowledged_is_lost_by_a_timeout() {
        with_writer(Duration::ZERO, |writer, outbox, _peer| {
            outbox.send_updates(b"1|UD3\r\n2|UD3\r\n".to_vec(), 2);
            outbox.send(Item::End);
            let ended = writer.run();
            assert_eq!(ended.lost_updates(false), 0);
            assert_eq!(ended.lost_updates(true), 2);
        });
        with_writer(Duration::ZERO, |mut writer, outbox, _peer| {
            outbox.send_updates(b"1|UD3\r\n".to_vec(), 1);
            let Some(Item::Batch(batch)) = writer.next() else {
                panic!("a batch")
            };
            writer.gather(batch);
            writer.write().unwrap();
            // The peer's system has it, though nobody has read it.
            while !writer.stall.check() {}
            outbox.send(Item::End);
            assert_eq!(writer.run().lost_updates(true), 0);
        });
    }

    #[test]
    fn a_writer_that_breaks_counts_what_is_lost() {
        with_writer(Duration::ZERO, |writer, outbox, peer| {
            // With data unread, a close is a reset.
            writer
                .transport
                .socket
                .shutdown(std::net::Shutdown::Write)
                .unwrap();
            drop(peer);
            outbox.send_updates(b"1|UD3\r\n2|UD3\r\n".to_vec(), 2);
            let ended = writer.run();
            assert!(ended.error.is_some());
            outbox.send_updates(b"3|UD3\r\n".to_vec(), 1);
            assert_eq!(ended.lost_updates(false), 3);
            assert!(outbox.is_closed());
        });
    }
}
