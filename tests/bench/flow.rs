//! How the messages of a script flow: as many as the window has room for leave in one write, what
//! has come is taken in one read and compared with the script byte by byte, and only when there was
//! neither does the generator wait. The clock is read once per read and write, not per message, and
//! yet each message's latency is known: all of one write left together, all of one read arrived
//! together.

use std::collections::VecDeque;
use std::io;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use memchr::memchr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::proxies::Connections;
use crate::script::Script;
use crate::stats::{Latencies, Percentiles};
use crate::wire::{Channel, PATIENCE};

const MILLIS: usize = "1732348800000".len();
const TIME: usize = "00:00:00".len();
const RAW: &[u8] = b"|S|raw_timestamp|S|";
const KEEPALIVE: &[u8] = b"KEEPALIVE\r\n";

/// The state of one stretch of load. Messages are numbered from zero; message `n` is line `n %
/// script.len()`.
pub(crate) struct Flow<'a> {
    metadata: &'a mut Channel,
    data: &'a mut Channel,
    script: &'a Script,
    window: u64,
    /// Where to stop sending.
    limit: u64,
    sent: u64,
    /// How many bytes of the request after those have left already.
    part: usize,
    replied: u64,
    updated: u64,
    /// The writes whose updates have not all come: the first message that was not in it, and when
    /// it left.
    writes: VecDeque<(u64, Instant)>,
    latencies: Latencies,
    /// The clock as last read.
    now: Instant,
}

impl<'a> Flow<'a> {
    /// Begins at the start of the script; nothing is sent yet.
    pub(crate) fn new(
        connections: &'a mut Connections,
        script: &'a Script,
        window: usize,
        limit: u64,
    ) -> io::Result<Self> {
        let Connections { metadata, data } = connections;
        // One message at a time is waited for in the reads themselves; polling would only add to
        // the latency.
        metadata.set_blocking(window == 1)?;
        data.set_blocking(window == 1)?;
        Ok(Self {
            metadata,
            data,
            script,
            window: window as u64,
            limit,
            sent: 0,
            part: 0,
            replied: 0,
            updated: 0,
            writes: VecDeque::new(),
            latencies: Latencies::default(),
            now: Instant::now(),
        })
    }

    /// How many messages have got all their answers.
    pub(crate) fn done(&self) -> u64 {
        if self.script.updates.is_some() {
            self.replied.min(self.updated)
        } else {
            self.replied
        }
    }

    /// The clock as last read, which is at most one step ago.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// The latencies noted so far.
    pub(crate) fn percentiles(&mut self) -> Percentiles {
        self.latencies.percentiles()
    }

    /// Takes in all that is outstanding at this moment and forgets the latencies noted until then.
    pub(crate) fn forget_latencies_until_now(&mut self) -> io::Result<()> {
        let outstanding = self.sent;
        while self.done() < outstanding {
            self.step()?;
        }
        self.latencies.clear();
        Ok(())
    }

    /// Sends no more, except for the rest of a request that has left in part, and finishes.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.limit = self.sent + u64::from(self.part > 0);
        self.finish()
    }

    /// Goes on until everything up to the limit is answered, and sees that nothing else has come.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        while self.done() < self.limit {
            self.step()?;
        }
        for channel in [self.metadata, self.data] {
            channel.set_blocking(false)?;
            channel.fill()?;
            let rest = channel.bytes();
            if !rest.is_empty() && !KEEPALIVE.starts_with(rest) {
                return Err(io::Error::other(format!(
                    "nothing was owed, and yet “{}” came",
                    rest.escape_ascii()
                )));
            }
            channel.set_blocking(true)?;
        }
        Ok(())
    }

    /// Sends what may be sent, takes what has come, and waits if there was neither.
    pub(crate) fn step(&mut self) -> io::Result<()> {
        let mut moved = self.send()?;
        if self.script.updates.is_some() && self.updated < self.sent {
            moved |= self.take_updates()?;
        }
        if self.replied < self.sent {
            moved |= self.take_replies()?;
        }
        if moved || self.window == 1 {
            Ok(())
        } else {
            self.wait()
        }
    }

    fn send(&mut self) -> io::Result<bool> {
        let room = self.limit.min(self.done() + self.window) - self.sent;
        if room == 0 && !self.metadata.is_behind() {
            return Ok(false);
        }
        let requests = &self.script.requests;
        let first = self.line(self.sent);
        let last = self.script.len().min(first + room as usize);
        let bytes = &requests.get(first..last)[self.part..];
        self.now = Instant::now();
        let written = self.metadata.write(bytes)?;
        let whole = requests.whole(first, self.part + written);
        self.part = self.part + written - requests.get(first..first + whole).len();
        self.sent += whole as u64;
        if whole > 0 && self.script.updates.is_some() {
            self.writes.push_back((self.sent, self.now));
        }
        Ok(written > 0)
    }

    fn take_updates(&mut self) -> io::Result<bool> {
        let Some(updates) = &self.script.updates else {
            return Ok(false);
        };
        if self.data.fill()? == 0 {
            return Ok(false);
        }
        self.now = Instant::now();
        let before = self.updated;
        let mut consumed = 0;
        let mut latest: &[u8] = b"";
        let bytes = self.data.bytes();
        loop {
            let line = (self.updated % self.script.len() as u64) as usize;
            let steady = updates.get(line..line + 1);
            let length = MILLIS + steady.len() + TIME + RAW.len() + MILLIS + 2;
            let rest = &bytes[consumed..];
            let Some(update) = rest.get(..length).filter(|_| self.updated < self.sent) else {
                break;
            };
            let (head, tail) = update[MILLIS..].split_at(steady.len());
            if head == steady && tail[TIME..].starts_with(RAW) && tail.ends_with(b"\r\n") {
                (consumed, latest) = (consumed + length, update);
                self.updated += 1;
            } else {
                consumed += keepalive(rest, steady)?;
            }
        }
        check_times(latest)?;
        self.data.consume(consumed);
        self.record(before);
        Ok(true)
    }

    fn take_replies(&mut self) -> io::Result<bool> {
        if self.metadata.fill()? == 0 {
            return Ok(false);
        }
        loop {
            let line = self.line(self.replied);
            let bytes = self.metadata.bytes();
            let length = self.script.replies.get(0..1).len();
            let owed = (self.sent - self.replied) as usize;
            let count = (bytes.len() / length)
                .min(owed)
                .min(self.script.len() - line);
            if count == 0 {
                return Ok(true);
            }
            let expected = self.script.replies.get(line..line + count);
            if bytes[..expected.len()] == *expected {
                self.replied += count as u64;
                self.metadata.consume(expected.len());
            } else if bytes[..length] == expected[..length] {
                // The odd one is further down.
                self.replied += 1;
                self.metadata.consume(length);
            } else {
                let skipped = keepalive(bytes, &expected[..length])?;
                self.metadata.consume(skipped);
            }
        }
    }

    /// Notes the latency of the messages from `first` on whose updates have just come.
    fn record(&mut self, mut first: u64) {
        while let Some(&(end, left)) = self.writes.front() {
            let upto = end.min(self.updated);
            if upto > first {
                self.latencies.add(self.now - left, upto - first);
                first = upto;
            }
            if end > self.updated {
                break;
            }
            self.writes.pop_front();
        }
    }

    fn wait(&self) -> io::Result<()> {
        let writing = self.part > 0
            || self.metadata.is_behind()
            || self.done() + self.window > self.sent && self.sent < self.limit;
        let write = if writing {
            PollFlags::OUT
        } else {
            PollFlags::empty()
        };
        let mut sockets = [
            PollFd::new(&*self.data, PollFlags::IN),
            PollFd::new(&*self.metadata, PollFlags::IN | write),
        ];
        let patience = Timespec {
            tv_sec: PATIENCE.as_secs() as i64,
            tv_nsec: 0,
        };
        match poll(&mut sockets, Some(&patience))? {
            0 => Err(if self.replied < self.sent {
                self.metadata.silence()
            } else {
                self.data.silence()
            }),
            _ => Ok(()),
        }
    }

    fn line(&self, message: u64) -> usize {
        (message % self.script.len() as u64) as usize
    }
}

/// Steps over a keepalive; anything else is not what was owed.
fn keepalive(bytes: &[u8], expected: &[u8]) -> io::Result<usize> {
    if bytes.starts_with(KEEPALIVE) {
        return Ok(KEEPALIVE.len());
    }
    let line = memchr(b'\n', bytes).map_or(bytes, |end| &bytes[..=end]);
    let got = line[..line.len().min(1000)].escape_ascii();
    Err(io::Error::other(format!(
        "expected “{}”, got “{got}”",
        expected.escape_ascii()
    )))
}

/// The times in the last update of a read are those of this moment.
fn check_times(update: &[u8]) -> io::Result<()> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(io::Error::other)?
        .as_millis() as i64;
    let Some((update, _)) = update.split_last_chunk::<2>() else {
        return Ok(());
    };
    let raw = update.len() - MILLIS;
    let (time, near) = (
        &update[raw - RAW.len() - TIME..raw - RAW.len()],
        |digits: &[u8]| {
            std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse::<i64>().ok())
                .is_some_and(|ms| (now - ms).abs() < 2000)
        },
    );
    if near(&update[..MILLIS]) && near(&update[raw..]) && time[2] == b':' && time[5] == b':' {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the times in “{}” are not those of now, {now}",
        update.escape_ascii()
    )))
}
