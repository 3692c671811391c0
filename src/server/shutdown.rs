//! The way to stop: one request that wakes every wait and every blocked read.

use super::waker::Waker;
use crate::provider::lock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shared by all connections that are stopped together.
#[derive(Debug, Default)]
pub struct Shutdown {
    is_requested: AtomicBool,
    /// The connections in service, whose queues are to be written out.
    serving: Mutex<Vec<Arc<Waker>>>,
    /// The end was requested, or a connection has ended.
    changed: Condvar,
}

impl Shutdown {
    /// Whether the end was requested.
    pub fn is_requested(&self) -> bool {
        self.is_requested.load(Ordering::SeqCst)
    }

    /// Waits; says whether the end was requested meanwhile.
    pub fn wait(&self, time: Duration) -> bool {
        self.wait_while(time, |_| !self.is_requested())
    }

    /// Waits until the end is requested.
    pub fn wait_for_request(&self) {
        let is_running = |_: &mut Vec<_>| !self.is_requested();
        drop(self.changed.wait_while(lock(&self.serving), is_running));
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
        // Under the lock: whoever is about to wait has not looked yet, or is woken.
        let serving = lock(&self.serving);
        self.is_requested.store(true, Ordering::SeqCst);
        for waker in serving.iter() {
            waker.wake();
        }
        self.changed.notify_all();
    }

    /// Waits until every connection in service has written out what it had to; says whether that
    /// was before the deadline.
    pub fn wait_for_connections(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        self.wait_while(left, |serving| !serving.is_empty())
    }

    /// Waits for as long as something holds; says whether that is over in time.
    fn wait_while(&self, time: Duration, holds: impl Fn(&mut Vec<Arc<Waker>>) -> bool) -> bool {
        let serving = lock(&self.serving);
        let waited = self.changed.wait_timeout_while(serving, time, holds);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
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
        self.shutdown.changed.notify_all();
    }
}
