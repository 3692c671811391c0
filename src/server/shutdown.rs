//! The way to stop: one request that wakes every wait and every blocked read.

use super::waker::Waker;
use crate::provider::lock;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Who waits for connections looks so often whether any is left.
const RECHECK: Duration = Duration::from_millis(50);

/// Shared by all connections that are stopped together.
#[derive(Debug)]
pub struct Shutdown {
    is_requested: AtomicBool,
    /// Dropped to wake everybody who waits on the other end.
    alive: Mutex<Option<Sender<()>>>,
    ended: Receiver<()>,
    /// The connections in service, whose queues are to be written out.
    serving: Mutex<Vec<Arc<Waker>>>,
    finished: (Sender<()>, Receiver<()>),
}

impl Default for Shutdown {
    fn default() -> Self {
        let (alive, ended) = bounded(0);
        Shutdown {
            is_requested: AtomicBool::new(false),
            alive: Mutex::new(Some(alive)),
            ended,
            serving: Mutex::default(),
            finished: bounded(1),
        }
    }
}

impl Shutdown {
    /// Whether the end was requested.
    pub fn is_requested(&self) -> bool {
        self.is_requested.load(Ordering::SeqCst)
    }

    /// Waits; says whether the end was requested meanwhile.
    pub fn wait(&self, time: Duration) -> bool {
        self.ended.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    /// Waits until the end is requested.
    pub fn wait_for_request(&self) {
        let _ = self.ended.recv(); // nothing is ever sent
    }

    /// Announces a connection in service, until what it returns is dropped.
    pub fn serving(self: &Arc<Self>, waker: &Arc<Waker>) -> Serving {
        lock(&self.serving).push(Arc::clone(waker));
        if self.is_requested() {
            waker.wake();
        }
        Serving {
            shutdown: Arc::clone(self),
            waker: Arc::clone(waker),
        }
    }

    /// Requests the end: no connection reads on, nobody waits on.
    pub fn request(&self) {
        self.is_requested.store(true, Ordering::SeqCst);
        lock(&self.alive).take();
        for waker in lock(&self.serving).iter() {
            waker.wake();
        }
    }

    /// Waits until every connection in service has written out what it had to; says whether that
    /// was before the deadline.
    pub fn wait_for_connections(&self, deadline: Instant) -> bool {
        while !lock(&self.serving).is_empty() {
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            // Somebody else who waits may have taken the wake-up.
            let _ = self.finished.1.recv_deadline(deadline.min(now + RECHECK));
        }
        true
    }
}

/// A connection in service.
#[derive(Debug)]
pub struct Serving {
    shutdown: Arc<Shutdown>,
    waker: Arc<Waker>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        lock(&self.shutdown.serving).retain(|waker| !Arc::ptr_eq(waker, &self.waker));
        let _ = self.shutdown.finished.0.try_send(()); // one wake-up is enough
    }
}
