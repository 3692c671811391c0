//! How long to wait before the next try.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// The wait after something that only a person can mend.
const LONG: Duration = Duration::from_secs(30);

/// A connection that served for so long starts anew at the shortest wait.
pub const SERVED: Duration = Duration::from_secs(1);

/// Waits that double from try to try.
///
/// Each is shortened by up to a fifth, at random, so that the adapters of many hosts do not come
/// back to one server in step.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { next: FIRST }
    }
}

impl Backoff {
    /// The wait before the next try.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        shortened(wait)
    }

    /// The wait after something that only a person can mend. The next ordinary failure waits
    /// longest too.
    pub fn next_long_wait(&mut self) -> Duration {
        self.next = LONGEST;
        shortened(LONG)
    }

    /// A connection has served.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

fn shortened(wait: Duration) -> Duration {
    // A new one has new keys, and so gives another number each time.
    let share = RandomState::new().hash_one(()) % 200; // thousandths
    wait - wait * share as u32 / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_within_a_fifth(wait: Duration, of: Duration) {
        assert!(wait <= of && wait > of * 4 / 5, "{wait:?} of {of:?}");
    }

    #[test]
    fn it_doubles_to_five_seconds_and_starts_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..2 {
            for millis in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
                assert_within_a_fifth(backoff.next_wait(), Duration::from_millis(millis));
            }
            backoff.reset();
        }
    }

    #[test]
    fn what_somebody_must_mend_waits_half_a_minute() {
        let mut backoff = Backoff::default();
        assert_within_a_fifth(backoff.next_long_wait(), LONG);
        assert_within_a_fifth(backoff.next_wait(), LONGEST);
    }

    #[test]
    fn waits_differ() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..20).map(|_| backoff.next_long_wait()).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
