//! How long the adapter may stay away: a copy of the backoff's rules, from the outside.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
const LASTING: Duration = Duration::from_secs(30);

/// What goes before the wait: the adapter lets its peer read to the end.
const ORDERLY_END: Duration = Duration::from_millis(500);

/// A machine that runs other tests at the same time is slow now and then.
const MARGIN: Duration = Duration::from_secs(3);

/// How long one connection may take.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    /// The present wait.
    wait: Duration,
}

impl Backoff {
    /// The adapter is starting.
    pub(crate) fn new() -> Self {
        Self {
            next: FIRST,
            wait: FIRST,
        }
    }

    /// A connection ended after it had served for so long; `None`: it never served.
    pub(crate) fn ended(&mut self, served: Option<Duration>) {
        // After a second the waits begin anew. But the adapter sees less of it than its peer does, which is the one
        // that is asked here.
        if served.is_some_and(|time| time >= Duration::from_secs(2)) {
            self.next = FIRST;
        }
        self.wait = self.next;
        self.next = (self.next * 2).min(LONGEST);
    }

    /// The same in a way that a person must mend.
    pub(crate) fn ended_lastingly(&mut self) {
        self.wait = LASTING;
        self.next = LONGEST;
    }

    /// Meanwhile connections were refused for so long: each try made the next wait twice as long.
    pub(crate) fn refused_for(&mut self, time: Duration) {
        self.wait = (self.wait + time * 5 / 4).clamp(FIRST, LASTING);
        self.next = LONGEST.min(self.wait * 2);
    }

    /// Until when the adapter must be back.
    pub(crate) fn bound(&self) -> Duration {
        self.wait + ORDERLY_END + MARGIN
    }
}
