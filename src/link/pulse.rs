//! Proof that a thread is alive: it promises when it will be heard of again, and keeps doing so.
//!
//! Only somebody who watches makes threads wake up for it; otherwise a promise is for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One thread's promise.
#[derive(Debug)]
pub struct Pulse {
    /// How often the thread is to be heard of, if anybody listens.
    every: Option<Duration>,
    start: Instant,
    /// Milliseconds after `start` until which the last promise holds.
    until: AtomicU64,
}

/// Beyond any promise.
const FOR_EVER: u64 = u64::MAX;

impl Pulse {
    /// The pulse of a thread that is to be heard of so often; `None`: never.
    #[must_use]
    pub fn new(every: Option<Duration>) -> Pulse {
        Pulse {
            every,
            start: Instant::now(),
            until: AtomicU64::new(FOR_EVER),
        }
    }

    /// How long a thread may block at a time.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        self.every
    }

    /// The thread is alive, and will be heard of again in time.
    pub fn beat(&self) {
        self.promise(Duration::ZERO);
    }

    /// The same after something that may take so long and cannot be interrupted.
    pub fn promise(&self, longer: Duration) {
        if let Some(every) = self.every {
            // Twice the time, since a machine may be busy.
            let until = self.start.elapsed() + every * 2 + longer;
            self.until
                .store(until.as_millis() as u64, Ordering::Relaxed);
        }
    }

    /// The thread ends, as it should.
    pub fn rest(&self) {
        self.until.store(FOR_EVER, Ordering::Relaxed);
    }

    /// Whether the promise holds.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.start.elapsed().as_millis() <= u128::from(self.until.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_kept_or_broken() {
        let pulse = Pulse::new(Some(Duration::ZERO));
        assert!(pulse.is_kept(), "nothing was promised yet");
        pulse.promise(Duration::from_secs(1000));
        assert!(pulse.is_kept());
        pulse.beat();
        let start = Instant::now();
        while pulse.is_kept() {
            assert!(start.elapsed() < Duration::from_secs(10));
        }
        pulse.rest();
        assert!(pulse.is_kept());
    }

    #[test]
    fn nobody_listens_and_nothing_is_promised() {
        let pulse = Pulse::new(None);
        pulse.beat();
        assert_eq!(pulse.until.load(Ordering::Relaxed), FOR_EVER);
    }
}
