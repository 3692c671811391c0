//! What a connection is doing and has done, for an operator who asks.

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
    /// The present phase, and since when.
    phase: Mutex<(Phase, Instant)>,
    /// What the present connection has to write.
    outbox: Mutex<Weak<Outbox>>,
    /// Connections that came to serve.
    pub(super) served: AtomicU64,
    /// Updates that were accepted and could not be written.
    pub(super) lost_updates: AtomicU64,
    /// Of the thread that connects and reads.
    pub(super) reader: Heartbeat,
    /// Of the present connection's writer.
    pub(super) writer: Heartbeat,
}

impl Status {
    /// That of a connection whose threads have to give a heartbeat so often, if at all.
    pub fn new(heartbeat: Option<Duration>) -> Status {
        Status {
            phase: Mutex::new((Phase::Connecting, Instant::now())),
            outbox: Mutex::default(),
            served: AtomicU64::new(0),
            lost_updates: AtomicU64::new(0),
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
