//! Warnings that something outside could provoke without end: a few are said, the rest counted.

use std::time::{Duration, Instant};

/// So many of a kind of warning are said within each span of time.
const MOST: u32 = 10;
const SPAN: Duration = Duration::from_secs(60);

/// Rations one kind of warning.
#[derive(Debug)]
pub struct Sparing {
    most: u32,
    since: Instant,
    count: u32,
}

/// What is to become of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is said.
    Say,
    /// It is said, after word that so many were not.
    SayAfter(u32),
    /// It is not said.
    Count,
}

impl Default for Sparing {
    fn default() -> Self {
        Sparing::new(MOST)
    }
}

impl Sparing {
    /// Has so many said within a minute.
    #[must_use]
    pub fn new(most: u32) -> Sparing {
        Sparing {
            most,
            since: Instant::now(),
            count: 0,
        }
    }

    /// Decides on one more warning.
    pub fn judge(&mut self) -> Verdict {
        self.judge_at(Instant::now())
    }

    fn judge_at(&mut self, now: Instant) -> Verdict {
        if now.duration_since(self.since) >= SPAN {
            let unsaid = self.count.saturating_sub(self.most);
            self.since = now;
            self.count = 1;
            return match unsaid {
                0 => Verdict::Say,
                unsaid => Verdict::SayAfter(unsaid),
            };
        }
        self.count = self.count.saturating_add(1);
        match self.count <= self.most {
            true => Verdict::Say,
            false => Verdict::Count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_minute_are_said_and_the_rest_counted() {
        let mut sparing = Sparing::default();
        let start = sparing.since;
        for _ in 0..MOST {
            assert_eq!(sparing.judge_at(start), Verdict::Say);
        }
        for _ in 0..7 {
            assert_eq!(sparing.judge_at(start), Verdict::Count);
        }
        let later = start + SPAN;
        assert_eq!(sparing.judge_at(later), Verdict::SayAfter(7));
        assert_eq!(sparing.judge_at(later), Verdict::Say);
        assert_eq!(sparing.judge_at(later + SPAN), Verdict::Say);
    }
}
