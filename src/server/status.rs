//! What connections are doing and have done, for an operator who asks.

use super::heartbeat::Heartbeat;
use super::outbox::Outbox;
use crate::ari::version::Version;
use crate::provider::lock;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking for the Proxy.
    Connecting,
    /// Connected: the Proxy has yet to say its init.
    Opening,
    /// Serving requests, by this version.
    Serving(Version),
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Phase::Connecting => f.write_str("not connected"),
            Phase::Opening => f.write_str("waiting for the init"),
            Phase::Serving(version) => write!(f, "serving, ARI {version}"),
        }
    }
}

/// One connection's state, and counts since the start.
#[derive(Debug)]
pub struct Status {
    /// The connection's name in the log.
    pub(super) name: String,
    /// The present phase, and since when.
    phase: Mutex<(Phase, Instant)>,
    /// What the present connection has to write.
    outbox: Mutex<Weak<Outbox>>,
    /// Connections that came to serve.
    pub(super) served: AtomicU64,
    /// Of the thread that connects and reads.
    pub(super) reader: Heartbeat,
    /// Of the present connection's writer.
    pub(super) writer: Heartbeat,
}

impl Status {
    /// That of a connection of this name, whose threads have to give a heartbeat so often, if at all.
    pub(super) fn new(name: &str, heartbeat: Option<Duration>) -> Status {
        Status {
            name: name.into(),
            phase: Mutex::new((Phase::Connecting, Instant::now())),
            outbox: Mutex::default(),
            served: AtomicU64::new(0),
            reader: Heartbeat::new(heartbeat),
            writer: Heartbeat::new(heartbeat),
        }
    }

    /// Enters a phase.
    pub fn set(&self, phase: Phase) {
        if let Phase::Serving(_) = phase {
            self.served.fetch_add(1, Ordering::Relaxed);
        }
        *lock(&self.phase) = (phase, Instant::now());
    }

    /// The present phase, and for how long it has lasted.
    pub fn phase(&self) -> (Phase, Duration) {
        let (phase, since) = *lock(&self.phase);
        (phase, since.elapsed())
    }

    /// Whether requests are served.
    pub(super) fn is_serving(&self) -> bool {
        matches!(self.phase().0, Phase::Serving(_))
    }

    /// For how long requests have been served.
    pub(super) fn served_for(&self) -> Duration {
        match self.phase() {
            (Phase::Serving(_), time) => time,
            _ => Duration::ZERO,
        }
    }

    /// How often the Proxy was lost and found again.
    fn reconnections(&self) -> u64 {
        self.served.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// A new connection has this outbox.
    pub(super) fn attach(&self, outbox: &Arc<Outbox>) {
        *lock(&self.outbox) = Arc::downgrade(outbox);
    }

    /// Bytes of memory that wait to be written on the present connection.
    pub fn queued(&self) -> usize {
        let outbox = lock(&self.outbox).upgrade();
        outbox.map_or(0, |outbox| outbox.queued())
    }
}

/// The connection in a few words, such as `serving, ARI 1.9.1 (0 reconnections, 0 bytes queued)`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.phase().0)?;
        put_figures(f, self.reconnections(), self.queued())
    }
}

fn put_figures(f: &mut fmt::Formatter<'_>, reconnections: u64, queued: usize) -> fmt::Result {
    write!(f, "({reconnections} reconnections, {queued} bytes queued)")
}

/// The connections of one side. Displayed such as `62 of 64 serving (3 reconnections, 0 bytes queued)`,
/// or as the only one.
#[derive(Debug, Default)]
pub struct Connections {
    list: Mutex<Vec<Arc<Status>>>,
    /// Of the threads that accept connections, one for each port of ours.
    listening: Mutex<Vec<Arc<Heartbeat>>>,
    /// Updates that were accepted and could not be written on any of them.
    pub(super) lost_updates: AtomicU64,
    /// Connections that Proxies had opened, and that came to serve and have ended.
    pub(super) left: AtomicU64,
    /// Peers that connected and were not let in.
    pub(super) turned_away: AtomicU64,
}

impl Connections {
    /// Adds one.
    pub(super) fn add(&self, status: &Arc<Status>) {
        lock(&self.list).push(Arc::clone(status));
    }

    /// Removes one.
    pub(super) fn remove(&self, status: &Arc<Status>) {
        lock(&self.list).retain(|other| !Arc::ptr_eq(other, status));
    }

    /// Adds a port of ours; yields the heartbeat of its thread, which is due so often, if at all.
    pub(super) fn listening(&self, interval: Option<Duration>) -> Arc<Heartbeat> {
        let heartbeat = Arc::new(Heartbeat::new(interval));
        lock(&self.listening).push(Arc::clone(&heartbeat));
        heartbeat
    }

    /// All there are.
    pub(super) fn all(&self) -> Vec<Arc<Status>> {
        lock(&self.list).clone()
    }

    /// Whether no thread has missed its heartbeat.
    pub(super) fn is_alive(&self) -> bool {
        let is_alive =
            |status: &Arc<Status>| status.reader.is_on_time() && status.writer.is_on_time();
        let mut ports = lock(&self.listening).clone().into_iter();
        ports.all(|port| port.is_on_time()) && self.all().iter().all(is_alive)
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, is_listening) = (self.all(), !lock(&self.listening).is_empty());
        if let [only] = &all[..]
            && !is_listening
        {
            return only.fmt(f);
        }
        let serving = all.iter().filter(|status| status.is_serving()).count();
        write!(f, "{serving} of {} serving ", all.len())?;
        let reconnections: u64 = all.iter().map(|status| status.reconnections()).sum();
        let left = self.left.load(Ordering::Relaxed);
        let queued = all.iter().map(|status| status.queued()).sum();
        put_figures(f, reconnections + left, queued)?;
        match self.turned_away.load(Ordering::Relaxed) {
            _ if !is_listening => Ok(()),
            count => write!(f, ", {count} turned away"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_thread_that_misses_its_heartbeat_is_noticed() {
        let interval = Some(Duration::ZERO);
        let all: Vec<_> = (0..4)
            .map(|late| {
                let connections = Connections::default();
                let status = ["one", "two"].map(|name| Arc::new(Status::new(name, interval)));
                status.iter().for_each(|status| connections.add(status));
                let ports = [(); 2].map(|()| connections.listening(interval));
                assert!(connections.is_alive());
                let [_, last] = &status;
                [&last.reader, &last.writer, &*ports[0], &*ports[1]][late].beat();
                (connections, status, ports)
            })
            .collect();
        let start = Instant::now();
        while all.iter().any(|(connections, ..)| connections.is_alive()) {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "one is not missed"
            );
        }
        for (connections, [_, last], ports) in &all {
            // A connection that is gone is missed no more, and an accepting thread that has ended.
            connections.remove(last);
            ports.iter().for_each(|port| port.stop());
            assert!(connections.is_alive());
        }
    }
}
