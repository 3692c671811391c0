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
    /// Waiting for Proxies to connect, on a port of ours.
    Listening,
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
            Phase::Listening => f.write_str("listening"),
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
    /// Updates that were accepted and could not be written.
    pub(super) lost_updates: Arc<AtomicU64>,
    /// Of the thread that connects and reads.
    pub(super) reader: Heartbeat,
    /// Of the present connection's writer.
    pub(super) writer: Heartbeat,
}

impl Status {
    /// That of a connection of this name, whose threads have to give a heartbeat so often, if at all.
    /// What it loses is added to `lost_updates`.
    pub(super) fn new(
        name: &str,
        heartbeat: Option<Duration>,
        lost_updates: Arc<AtomicU64>,
    ) -> Status {
        Status {
            name: name.into(),
            phase: Mutex::new((Phase::Connecting, Instant::now())),
            outbox: Mutex::default(),
            served: AtomicU64::new(0),
            lost_updates,
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
    /// Updates that were accepted and could not be written on any of them.
    pub(super) lost_updates: Arc<AtomicU64>,
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

    /// All there are; those that wait for Proxies on a port of ours are among them.
    pub(super) fn all(&self) -> Vec<Arc<Status>> {
        lock(&self.list).clone()
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all();
        if let [only] = &all[..]
            && only.phase().0 != Phase::Listening
        {
            return only.fmt(f);
        }
        let (listening, proxies): (Vec<_>, Vec<_>) = all
            .iter()
            .partition(|status| status.phase().0 == Phase::Listening);
        let serving = proxies.iter().filter(|status| status.is_serving()).count();
        write!(f, "{serving} of {} serving ", proxies.len())?;
        let reconnections: u64 = proxies.iter().map(|status| status.reconnections()).sum();
        let left = self.left.load(Ordering::Relaxed);
        put_figures(
            f,
            reconnections + left,
            proxies.iter().map(|it| it.queued()).sum(),
        )?;
        match listening.len() {
            0 => Ok(()),
            _ => write!(
                f,
                ", {} turned away",
                self.turned_away.load(Ordering::Relaxed)
            ),
        }
    }
}
