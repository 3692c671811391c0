//! The failures of one connection, as the log tells of them: each at once, and while it repeats a
//! sum once a minute.

use super::disconnect::Disconnect;
use crate::provider::Connection;
use std::time::{Duration, Instant};

/// A failure that repeats is logged so often.
const LOG_AGAIN: Duration = Duration::from_secs(60);

/// So many different failures in turn are taken for some that repeat.
const REMEMBERED: usize = 4;

/// What the first line of an outage adds.
const REPEATS: &str = " (what repeats is summed up once a minute)";

/// The failures since a connection served well.
#[derive(Debug, Default)]
pub struct Failures(Vec<Failure>);

#[derive(Debug)]
struct Failure {
    text: String,
    /// When it was written last, if ever.
    logged: Option<Instant>,
    /// How often it came since then.
    tries: u32,
}

impl Failures {
    /// The connection served well: the next failure begins an outage of its own.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A connection failed, and the next is tried after `wait`, if that is up
    /// to us. While the same failures repeat
    /// after being connected, the steps in between are not worth a line either.
    pub fn log(&mut self, connection: &Connection, reason: &Disconnect, wait: Option<Duration>) {
        let text = reason.to_string();
        if !matches!(reason, Disconnect::Connect(..) | Disconnect::Resolve(_)) {
            let known = self.0.iter().find(|failure| failure.text == text);
            connection.set_quiet(known.is_some_and(|failure| failure.logged.is_some()));
        }
        self.say(connection, text, wait);
    }

    /// Logs what failed, unless that was logged within the last minute.
    pub fn say(&mut self, connection: &Connection, text: String, wait: Option<Duration>) {
        let mut failure = self.take(text);
        let now = Instant::now();
        let (is_due, line) = failure.line(wait, self.0.is_empty(), now);
        if !is_due {
            connection.detail(format_args!("{line}"));
        } else if connection.warn(format_args!("{line}")) {
            // One that the limit suppressed is logged the next time.
            failure.logged = Some(now);
            failure.tries = 0;
        }
        self.0.push(failure);
    }

    /// The failure with this text, as it is known, with one more try.
    fn take(&mut self, text: String) -> Failure {
        let known = self.0.iter().position(|failure| failure.text == text);
        if known.is_none() && self.0.len() == REMEMBERED {
            self.0.remove(0);
        }
        let mut failure = known.map_or(
            Failure {
                text,
                logged: None,
                tries: 0,
            },
            |at| self.0.remove(at),
        );
        failure.tries += 1;
        failure
    }
}

impl Failure {
    /// What there is to say of it, and whether that is due. `is_only`: no other failure is known.
    fn line(&self, wait: Option<Duration>, is_only: bool, now: Instant) -> (bool, String) {
        let Failure { text, tries, .. } = self;
        let (is_due, sum, note) = match self.logged.map(|logged| now.duration_since(logged)) {
            None if is_only => (true, String::new(), REPEATS),
            None => (true, String::new(), ""),
            Some(since) if since < LOG_AGAIN => (false, String::new(), ""),
            Some(since) => {
                let sum = format!("; {tries} tries in {} s", since.as_secs());
                (true, sum, "")
            }
        };
        let next = match wait {
            Some(wait) => format!("next try in {} ms", wait.as_millis()),
            None => "the Proxy may connect again".into(),
        };
        let line = format!("{text}{sum}; {next}{note}");
        (is_due, line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Option<Duration> = Some(Duration::from_millis(90));

    #[test]
    fn the_first_says_that_repeats_are_summed_up_and_the_sum_counts_them() {
        let mut failures = Failures::default();
        let start = Instant::now();
        let first = failures.take("lost".into());
        assert_eq!(
            first.line(WAIT, true, start),
            (true, format!("lost; next try in 90 ms{REPEATS}"))
        );
        let logged = Some(start);
        failures.0.push(Failure {
            logged,
            tries: 0,
            ..first
        });
        let other = failures.take("refused".into());
        let line = other.line(WAIT, failures.0.is_empty(), start);
        assert_eq!(line, (true, "refused; next try in 90 ms".into()));
        for second in 1..=12 {
            let again = failures.take("lost".into());
            let now = start + Duration::from_secs(second);
            let line = again.line(WAIT, true, now);
            assert_eq!(line, (false, "lost; next try in 90 ms".into()));
            failures.0.push(again);
        }
        let again = failures.take("lost".into());
        let line = again.line(WAIT, true, start + Duration::from_secs(63));
        let sum = "lost; 13 tries in 63 s; next try in 90 ms";
        assert_eq!(line, (true, sum.into()));
    }

    #[test]
    fn of_many_different_ones_the_last_are_remembered() {
        let mut failures = Failures::default();
        for n in 0..100 {
            let failure = failures.take(n.to_string());
            failures.0.push(failure);
        }
        assert_eq!(failures.0.len(), REMEMBERED);
        assert_eq!(failures.take("99".into()).tries, 2);
        assert_eq!(failures.take("95".into()).tries, 1);
    }
}
