//! The wait for a Proxy's init: how long is long, and what is evidently no Proxy.
//!
//! A Proxy may take as long as it likes, since its server may be starting; TCP tells when the
//! host is gone. What sends something else is given up.

use super::lost::Lost;
use super::steps::Steps;
use crate::shown::ShownLine;
use std::time::{Duration, Instant};

/// So often a wait without end is looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A peer that sent something which is not ARI, and no init, is given up after this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A long wait is mentioned so often.
const MENTION_EVERY: Duration = Duration::from_secs(60);

/// How much of a strange line is shown, in bytes.
const SHOWN: usize = 64;

/// One connection's wait.
#[derive(Debug)]
pub struct Waiting {
    since: Instant,
    mentioned: Option<Instant>,
    /// What came that is no request, and when the first of it did.
    strange: Option<(Instant, String)>,
}

impl Waiting {
    /// A wait that begins now.
    #[must_use]
    pub fn new() -> Waiting {
        Waiting {
            since: Instant::now(),
            mentioned: None,
            strange: None,
        }
    }

    /// A line came that is no request. The first is mentioned.
    pub fn strange_line(&mut self, steps: &Steps, what: String) {
        if self.strange.is_none() {
            steps.trouble(format_args!(
                "what came before the init is no request, skipped: {what}"
            ));
            self.strange = Some((Instant::now(), what));
        }
    }

    /// Nothing came for a while; `pending` is what there is of a line that has not ended.
    pub fn silence(&mut self, steps: &Steps, pending: &[u8]) {
        if self.since.elapsed() < LOOK_EVERY {
            return;
        }
        if !pending.is_empty() {
            let what = ShownLine(&pending[..pending.len().min(SHOWN)]).to_string();
            self.strange.get_or_insert((self.since, what));
        }
        let is_due = self
            .mentioned
            .is_none_or(|at| at.elapsed() >= MENTION_EVERY);
        if self.strange.is_none() && is_due {
            self.mentioned = Some(Instant::now());
            steps.set_quiet(false); // this is no loop
            steps.step(format_args!(
                "waiting for the init; the server may be starting"
            ));
        }
    }

    /// What it means that the peer ended the stream now, with `pending` of a line that has not
    /// ended; `refused` is what it means when it never said a word.
    #[must_use]
    pub fn closed(&self, pending: &[u8], refused: Lost) -> Lost {
        match &self.strange {
            None if pending.is_empty() => refused,
            _ => Lost::Closed,
        }
    }

    /// Whether to wait on.
    ///
    /// # Errors
    /// [`Lost::NotAri`].
    pub fn check(&self) -> Result<(), Lost> {
        match &self.strange {
            Some((since, what)) if since.elapsed() >= PATIENCE => Err(Lost::NotAri(what.clone())),
            _ => Ok(()),
        }
    }
}
