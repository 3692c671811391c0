//! Proof for the watchdog that a thread is alive: it says in time when it will be heard of again.
//!
//! Threads wake up for it only if there is a watchdog.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One thread's heartbeat.
#[derive(Debug)]
pub struct Heartbeat {
    /// How often the thread has to beat, and so for how long it may block at a time; `None`: for ever.
    pub interval: Option<Duration>,
    start: Instant,
    /// When the next beat is due, in milliseconds after `start`.
    due: AtomicU64,
}

/// What may block a thread for a moment without an announcement, such as a log that is not read or
/// a question to the system.
const MOMENT: Duration = Duration::from_secs(1);

/// No beat is due, ever.
const NEVER: u64 = u64::MAX;

impl Heartbeat {
    /// That of a thread which has to beat so often; `None`: never.
    pub fn new(interval: Option<Duration>) -> Heartbeat {
        Heartbeat {
            interval,
            start: Instant::now(),
            due: AtomicU64::new(NEVER),
        }
    }

    /// `time`, or the interval if that is shorter.
    pub fn at_most(&self, time: Duration) -> Duration {
        self.interval.map_or(time, |interval| interval.min(time))
    }

    /// The thread is alive, and will beat again in time.
    pub fn beat(&self) {
        self.beat_before(Duration::ZERO);
    }

    /// The same before something that may take so long and cannot be interrupted.
    pub fn beat_before(&self, blocking: Duration) {
        if let Some(interval) = self.interval {
            // Twice the time, since a machine may be busy.
            let due = self.start.elapsed() + interval * 2 + MOMENT + blocking;
            self.due.store(due.as_millis() as u64, Ordering::Relaxed);
        }
    }

    /// The thread ends, as it should.
    pub fn stop(&self) {
        self.due.store(NEVER, Ordering::Relaxed);
    }

    /// When the next beat is due; it grows with each.
    #[cfg(test)]
    pub fn due(&self) -> u64 {
        self.due.load(Ordering::Relaxed)
    }

    /// Whether no beat is overdue.
    pub fn is_on_time(&self) -> bool {
        self.start.elapsed().as_millis() <= u128::from(self.due.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_on_time_or_overdue() {
        let heartbeat = Heartbeat::new(Some(Duration::ZERO));
        assert!(heartbeat.is_on_time(), "none is due yet");
        heartbeat.beat_before(Duration::from_secs(1000));
        assert!(heartbeat.is_on_time());
        heartbeat.beat();
        let start = Instant::now();
        while heartbeat.is_on_time() {
            assert!(start.elapsed() < Duration::from_secs(10));
        }
        heartbeat.stop();
        assert!(heartbeat.is_on_time());
    }

    #[test]
    fn without_a_watchdog_none_is_due() {
        let heartbeat = Heartbeat::new(None);
        heartbeat.beat();
        assert_eq!(heartbeat.due.load(Ordering::Relaxed), NEVER);
        assert_eq!(heartbeat.at_most(Duration::MAX), Duration::MAX);
    }
}
