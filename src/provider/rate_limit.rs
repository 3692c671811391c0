//! Lines of the log that somebody outside could provoke without end: some are written, the rest
//! counted.

use std::time::{Duration, Instant};

/// The time for which a limit counts.
const PERIOD: Duration = Duration::from_secs(60);

/// Allows so many lines within each minute.
#[derive(Debug)]
pub(super) struct RateLimit {
    limit: u32,
    since: Instant,
    count: u32,
}

impl RateLimit {
    pub(super) fn new(limit: u32) -> RateLimit {
        RateLimit {
            limit,
            since: Instant::now(),
            count: 0,
        }
    }

    /// Whether one more line may be written; if so, how many were not since the last one.
    pub(super) fn allow(&mut self, now: Instant) -> Option<u32> {
        let mut suppressed = 0;
        if now.duration_since(self.since) >= PERIOD {
            suppressed = self.count.saturating_sub(self.limit);
            self.since = now;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        (self.count <= self.limit).then_some(suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_minute_are_written_and_the_rest_counted() {
        let mut limit = RateLimit::new(10);
        let start = limit.since;
        for _ in 0..10 {
            assert_eq!(limit.allow(start), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(limit.allow(start), None);
        }
        let later = start + PERIOD;
        assert_eq!(limit.allow(later), Some(7));
        assert_eq!(limit.allow(later), Some(0));
        assert_eq!(limit.allow(later + PERIOD), Some(0));
    }
}
