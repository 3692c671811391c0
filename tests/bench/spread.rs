//! The load of many servers: one thread that plays the Proxies of all of them. Each server sends messages
//! of its own, every message is awaited on every server, and in the end all must have got the same in
//! the same order.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crc32fast::Hasher;
use memchr::memchr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::clients::Client;
use crate::load::{Sample, Span};
use crate::procfs::Usage;
use crate::proxies::{Connections, SUBSCRIPTION};
use crate::script::{Script, Text};
use crate::stats::Latencies;
use crate::wire::{Channel, PATIENCE};

const MILLIS: usize = "1732348800000".len();

/// How many messages are outstanding on all servers together.
pub(crate) const WINDOW: u64 = 256;

/// One server under load.
struct Server<'a> {
    connections: &'a mut Connections,
    script: Script,
    /// How the updates of its messages begin, behind the time.
    head: Vec<u8>,
    /// Whether it sends.
    is_sender: bool,
    /// Whether its updates are read.
    is_reader: bool,
    sent: u64,
    part: usize,
    replied: u64,
    /// Updates that came here, from all servers, and what they were.
    updates: u64,
    digest: Hasher,
    /// Its own messages that came to the server which is watched for them.
    arrived: u64,
    writes: VecDeque<(u64, Instant)>,
    /// When something came last: metadata and data.
    heard: [Instant; 2],
}

/// All of them.
pub(crate) struct Spread<'a> {
    servers: Vec<Server<'a>>,
    /// How many messages may be sent in a second; none: as many as there is room for.
    pace: Option<f64>,
    begun: Instant,
    now: Instant,
    latencies: Latencies,
    /// The longest time in which nothing came on a connection.
    silence: Duration,
}

impl<'a> Spread<'a> {
    /// Opens a session on each server. Those whose number `is_sender` accepts send; the one `stalled`
    /// reads no updates.
    pub(crate) fn new(
        connections: &'a mut [Connections],
        is_sender: impl Fn(usize) -> bool,
        stalled: Option<usize>,
        pace: Option<f64>,
    ) -> io::Result<Self> {
        let now = Instant::now();
        let mut servers = Vec::new();
        for (number, connections) in connections.iter_mut().enumerate() {
            let client = Client {
                number: number as u32,
                agents: 200,
            };
            let session = format!("1|NNS|{}", client.context());
            connections.metadata.say(&session)?;
            let reply = connections.metadata.read_line()?;
            if reply != "1|NNS|V" {
                return Err(io::Error::other(format!("a session is answered “{reply}”")));
            }
            connections.metadata.set_blocking(false)?;
            connections.data.set_blocking(false)?;
            let length = WINDOW as usize * 2;
            let head = format!(
                "|UD3|S|chat_room|S|{SUBSCRIPTION}|B|0|S|IP|S|{}|",
                client.ip()
            );
            servers.push(Server {
                connections,
                script: Script::chat(&[client], Text::Plain(64), length, SUBSCRIPTION),
                head: head.into(),
                is_sender: is_sender(number),
                is_reader: stalled != Some(number),
                sent: 0,
                part: 0,
                replied: 0,
                updates: 0,
                digest: Hasher::new(),
                arrived: 0,
                writes: VecDeque::new(),
                heard: [now; 2],
            });
        }
        Ok(Self {
            servers,
            pace,
            begun: now,
            now,
            latencies: Latencies::default(),
            silence: Duration::ZERO,
        })
    }

    /// Measures in the midst of that much load, takes in what is left, and compares what came.
    pub(crate) fn measure(mut self, pid: u32, span: Span) -> io::Result<(Sample, Duration)> {
        while self.now.duration_since(self.begun) < span.warm {
            self.step(true)?;
        }
        let (used, own) = (Usage::of(pid)?, Usage::of(std::process::id())?);
        let before = self.sent();
        while self.done() < before {
            self.step(true)?;
        }
        self.latencies.clear();
        let (start, done) = (Instant::now(), self.done());
        while self.now.duration_since(start) < span.measure {
            self.step(true)?;
        }
        let (elapsed, messages) = (start.elapsed(), self.done() - done);
        let used = Usage::of(pid)? - used;
        let generator = Usage::of(std::process::id())? - own;
        let latency = self.latencies.percentiles();
        while !self.is_idle() {
            self.step(false)?;
        }
        self.compare()?;
        let sample = Sample {
            messages: messages as f64,
            seconds: elapsed.as_secs_f64(),
            used,
            generator,
            latency,
        };
        Ok((sample, self.silence))
    }

    fn sent(&self) -> u64 {
        self.servers.iter().map(|server| server.sent).sum()
    }

    /// How many messages have come to every server that reads.
    fn done(&self) -> u64 {
        let readers = self.servers.iter().filter(|server| server.is_reader);
        readers.map(|server| server.updates).min().unwrap_or(0)
    }

    fn is_idle(&self) -> bool {
        let mut servers = self.servers.iter();
        self.done() == self.sent()
            && servers.all(|server| server.part == 0 && server.replied == server.sent)
    }

    /// All that read have got the same, in the same order.
    fn compare(&self) -> io::Result<()> {
        let readers = self.servers.iter().filter(|server| server.is_reader);
        let mut digests: Vec<_> = readers
            .map(|server| server.digest.clone().finalize())
            .collect();
        digests.dedup();
        match digests.len() {
            1 => Ok(()),
            _ => Err(io::Error::other("servers saw different orders of messages")),
        }
    }

    /// Sends what may be sent, waits until something has come, and takes it.
    fn step(&mut self, is_sending: bool) -> io::Result<()> {
        let may_send = self.send(is_sending)?;
        let ready = self.wait(may_send)?;
        self.now = Instant::now();
        for (number, [metadata, data]) in ready.into_iter().enumerate() {
            if metadata {
                self.take_replies(number)?;
            }
            if data {
                self.take_updates(number)?;
            }
        }
        Ok(())
    }

    /// Says whether there would be more to send, were there room in a socket or were it time.
    fn send(&mut self, is_sending: bool) -> io::Result<bool> {
        self.now = Instant::now();
        let mut room = (self.done() + WINDOW).saturating_sub(self.sent());
        if let Some(pace) = self.pace {
            let due = self.now.duration_since(self.begun).as_secs_f64() * pace;
            room = room.min((due as u64).saturating_sub(self.sent()));
        }
        let senders = self.servers.iter().filter(|server| server.is_sender);
        let share = WINDOW / (senders.count() as u64).max(1);
        let first = self.sent() as usize % self.servers.len();
        let mut is_behind = false;
        for number in 0..self.servers.len() {
            let at = (first + number) % self.servers.len();
            let server = &mut self.servers[at];
            let own = share.saturating_sub(server.sent - server.replied);
            let count = match is_sending && server.is_sender {
                true => own.min(room),
                // A request that has left in part.
                false => u64::from(server.part > 0),
            };
            if count > 0 {
                let written = server.send(count, self.now)?;
                room = room.saturating_sub(written);
                is_behind |= server.part > 0;
            }
        }
        Ok(is_behind || self.pace.is_some() && is_sending)
    }

    /// Waits until something comes, or for a moment if there `is_more` to send.
    fn wait(&self, is_more: bool) -> io::Result<Vec<[bool; 2]>> {
        let time = if is_more {
            Duration::from_millis(1)
        } else {
            PATIENCE
        };
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        let mut sockets = Vec::new();
        for server in &self.servers {
            let data = match server.is_reader {
                true => PollFlags::IN,
                false => PollFlags::empty(),
            };
            sockets.push(PollFd::new(&server.connections.metadata, PollFlags::IN));
            sockets.push(PollFd::new(&server.connections.data, data));
        }
        if poll(&mut sockets, Some(&time))? == 0 && !is_more {
            let connections = &self.servers[0].connections;
            return Err(connections.data.silence());
        }
        let is_ready = |socket: &PollFd<'_>| !socket.revents().is_empty();
        let pairs = sockets.chunks(2);
        Ok(pairs
            .map(|pair| [is_ready(&pair[0]), is_ready(&pair[1])])
            .collect())
    }

    fn take_replies(&mut self, number: usize) -> io::Result<()> {
        let server = &mut self.servers[number];
        server.connections.metadata.fill()?;
        self.silence = self.silence.max(server.heard(0, self.now));
        let (script, replied) = (&server.script, &mut server.replied);
        for_lines(&mut server.connections.metadata, |line| {
            let at = (*replied % script.len() as u64) as usize;
            if line == script.replies.get(at..at + 1) {
                *replied += 1;
            } else if line != b"KEEPALIVE\r\n" {
                let line = line.escape_ascii();
                return Err(io::Error::other(format!("a message is answered “{line}”")));
            }
            Ok(())
        })
    }

    fn take_updates(&mut self, number: usize) -> io::Result<()> {
        let count = self.servers.len();
        // Whose messages are timed here: those of the server before this one.
        let mut origin = (number + count - 1) % count;
        if !self.servers[origin].is_reader {
            origin = (origin + count - 1) % count;
        }
        let head = self.servers[origin].head.clone();
        let server = &mut self.servers[number];
        server.connections.data.fill()?;
        self.silence = self.silence.max(server.heard(1, self.now));
        let mut arrived = 0;
        let (digest, updates) = (&mut server.digest, &mut server.updates);
        for_lines(&mut server.connections.data, |line| {
            if line == b"KEEPALIVE\r\n" {
                return Ok(());
            }
            let body = line.get(MILLIS..).unwrap_or_default();
            if !body.starts_with(b"|UD3|S|chat_room|S|") {
                let line = line.escape_ascii();
                return Err(io::Error::other(format!("no update: “{line}”")));
            }
            digest.update(body);
            *updates += 1;
            arrived += u64::from(body.starts_with(&head));
            Ok(())
        })?;
        self.servers[origin].arrived(arrived, self.now, &mut self.latencies);
        Ok(())
    }
}

impl Server<'_> {
    /// Sends so many messages, or as many as the socket takes; says how many.
    fn send(&mut self, count: u64, now: Instant) -> io::Result<u64> {
        let first = (self.sent % self.script.len() as u64) as usize;
        let last = self.script.len().min(first + count as usize);
        let requests = &self.script.requests;
        let bytes = &requests.get(first..last)[self.part..];
        let written = self.connections.metadata.write(bytes)?;
        let whole = requests.whole(first, self.part + written);
        self.part = self.part + written - requests.get(first..first + whole).len();
        self.sent += whole as u64;
        if whole > 0 {
            self.writes.push_back((self.sent, now));
        }
        Ok(whole as u64)
    }

    fn arrived(&mut self, count: u64, now: Instant, latencies: &mut Latencies) {
        let mut first = self.arrived;
        self.arrived += count;
        while let Some(&(end, left)) = self.writes.front() {
            let upto = end.min(self.arrived);
            if upto > first {
                latencies.add(now - left, upto - first);
                first = upto;
            }
            if end > self.arrived {
                break;
            }
            self.writes.pop_front();
        }
    }

    /// For how long nothing had come.
    fn heard(&mut self, side: usize, now: Instant) -> Duration {
        now - std::mem::replace(&mut self.heard[side], now)
    }
}

/// Calls `f` with each whole line that has arrived.
fn for_lines(channel: &mut Channel, mut f: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut taken = 0;
    let mut rest = channel.bytes();
    while let Some(end) = memchr(b'\n', rest) {
        let (line, behind) = rest.split_at(end + 1);
        f(line)?;
        (taken, rest) = (taken + end + 1, behind);
    }
    channel.consume(taken);
    Ok(())
}
