//! What the threads share: the clock of the run, the ledger, how far things have come, what happened lately, and the
//! first thing that must not have been.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ledger::Ledger;

/// So many happenings are kept.
const HAPPENINGS: usize = 120;

/// The run is over: something must not have been, here or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Halt(pub(crate) String);

/// What every step of the run results in.
pub(crate) type Run<T> = Result<T, Halt>;

impl From<String> for Halt {
    fn from(violation: String) -> Self {
        Self(violation)
    }
}

/// How far things have come, after the last fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// There may be faults yet, or connections that recover from one.
    Chaos,
    /// The data connection serves, and the room is subscribed to.
    Open,
    /// A message got through for everything that was sent: both connections serve.
    Served,
    /// The adapter is being told to end.
    Ending,
}

/// The world of one run.
pub(crate) struct World {
    start: Instant,
    misbehaves_until: Instant,
    long: bool,
    ledger: Mutex<Ledger>,
    state: Mutex<State>,
    changed: Condvar,
    overloaded: AtomicBool,
}

struct State {
    phase: Phase,
    violation: Option<String>,
    happenings: VecDeque<String>,
    figures: String,
}

impl World {
    /// One in which there are faults for so long; in a long run there are those that last.
    pub(crate) fn new(time: Duration, long: bool) -> Self {
        let start = Instant::now();
        Self {
            start,
            misbehaves_until: start + time,
            long,
            ledger: Mutex::default(),
            state: Mutex::new(State {
                phase: Phase::Chaos,
                violation: None,
                happenings: VecDeque::new(),
                figures: String::new(),
            }),
            changed: Condvar::new(),
            overloaded: AtomicBool::new(false),
        }
    }

    /// Whether no fault may begin any more.
    pub(crate) fn is_calm(&self) -> bool {
        Instant::now() >= self.misbehaves_until
    }

    /// Whether there is time for faults that the adapter answers with a long wait.
    pub(crate) fn is_long(&self) -> bool {
        self.long
    }

    /// What was sent and came so far, and what may follow.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far things have come.
    pub(crate) fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Things have come so far.
    pub(crate) fn reached(&self, phase: Phase) {
        self.happened("world", &format!("{phase:?}"));
        self.state().phase = phase;
        self.changed.notify_all();
    }

    /// Lets time pass, but not after the run is over.
    pub(crate) fn wait(&self, time: Duration) -> Run<()> {
        let until = Instant::now() + time;
        let mut state = self.state();
        loop {
            if state.violation.is_some() {
                return Err(Halt("another thread has stopped".to_owned()));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the metadata side sends more than fits anywhere, so that the data side had better not read.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::SeqCst)
    }

    /// Whether it does from now on.
    pub(crate) fn set_overloaded(&self, overloaded: bool) {
        self.overloaded.store(overloaded, Ordering::SeqCst);
    }

    /// Notes something for whoever has to understand a failure.
    pub(crate) fn happened(&self, who: &str, what: &str) {
        let line = format!("{:>9.3} {who}: {what}", self.start.elapsed().as_secs_f64());
        let mut state = self.state();
        if state.happenings.len() == HAPPENINGS {
            state.happenings.pop_front();
        }
        state.happenings.push_back(line);
    }

    /// Runs one thread's part. Where it fails, the run is over.
    pub(crate) fn guard(&self, who: &str, part: impl FnOnce() -> Run<()>) {
        let outcome = catch_unwind(AssertUnwindSafe(part));
        let violation = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(Halt(violation))) => violation,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                format!("panicked: {}", text.unwrap_or("no message"))
            }
        };
        let mut state = self.state();
        state
            .violation
            .get_or_insert_with(|| format!("{who}: {violation}"));
        self.changed.notify_all();
    }

    /// What must not have been, and what happened before.
    pub(crate) fn violation(&self) -> Option<String> {
        let state = self.state();
        let mut text = state.violation.clone()? + "\nwhat happened before:\n";
        for line in &state.happenings {
            let _ = writeln!(text, "  {line}");
        }
        Some(text)
    }

    /// What was measured, in words.
    pub(crate) fn set_figures(&self, figures: String) {
        self.state().figures = figures;
    }

    /// The same.
    pub(crate) fn figures(&self) -> String {
        self.state().figures.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
