//! What the log is told of one link: its steps and its troubles, and not more of them than an
//! operator can read, whatever the peer does.

use super::sparing::{Sparing, Verdict};
use log::Level;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many steps are said within a minute, and as many troubles. Six times losing a connection and
/// coming back fit.
const MOST: u32 = 30;

/// So many notes of what a Proxy asked for.
const MOST_NOTES: u32 = 10;

/// A connection that served for so long is not part of a loop.
pub const STEADY: Duration = Duration::from_secs(10);

/// The voice of one link.
#[derive(Debug)]
pub struct Steps {
    name: String,
    /// Steps are no news, since they lead nowhere: the link goes round in a loop.
    quiet: AtomicBool,
    /// Of steps, of troubles and of notes; neither takes from another.
    rations: [Mutex<Sparing>; 3],
}

impl Steps {
    /// That of the link which has this name in the log, such as `data localhost:8001`.
    #[must_use]
    pub fn new(name: String) -> Steps {
        Steps {
            name,
            quiet: AtomicBool::new(false),
            rations: [MOST, MOST, MOST_NOTES].map(|most| Mutex::new(Sparing::new(most))),
        }
    }

    /// The link's name in the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// From now on steps are news, or are not.
    pub fn set_quiet(&self, quiet: bool) {
        self.quiet.store(quiet, Ordering::Relaxed);
    }

    /// Says at `info` what the link is doing, or at `debug` if that is no news. Tells which.
    pub fn step(&self, what: fmt::Arguments<'_>) -> bool {
        match self.quiet.load(Ordering::Relaxed) {
            true => self.detail(what),
            false => self.say(Level::Info, &self.rations[0], what),
        }
    }

    /// Warns of something that went wrong. Tells whether it was said.
    pub fn trouble(&self, what: fmt::Arguments<'_>) -> bool {
        self.say(Level::Warn, &self.rations[1], what)
    }

    /// Says, as a step, what the Proxy has asked for.
    pub fn note(&self, what: fmt::Arguments<'_>) -> bool {
        match self.quiet.load(Ordering::Relaxed) {
            true => self.detail(what),
            false => self.say(Level::Info, &self.rations[2], what),
        }
    }

    /// Says at `debug` what would be no news.
    pub fn detail(&self, what: fmt::Arguments<'_>) -> bool {
        log::debug!("{}: {what}", self.name);
        false
    }

    fn say(&self, level: Level, ration: &Mutex<Sparing>, what: fmt::Arguments<'_>) -> bool {
        let name = &self.name;
        let verdict = ration
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .judge();
        match verdict {
            Verdict::Count => return self.detail(what),
            Verdict::SayAfter(unsaid) => {
                log::log!(
                    level,
                    "{name}: {unsaid} lines before this one were not written"
                );
            }
            Verdict::Say => {}
        }
        log::log!(level, "{name}: {what}");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_said_until_they_are_too_many_and_the_rest_is_detail() {
        let steps = Steps::new("data".into());
        steps.set_quiet(true);
        for _ in 0..MOST * 2 {
            assert!(!steps.step(format_args!("no news")));
        }
        steps.set_quiet(false);
        let said = (0..MOST * 2).filter(|n| steps.step(format_args!("{n}")));
        assert_eq!(said.count(), MOST as usize);
        assert!(steps.trouble(format_args!("of another kind")));
        assert!(steps.note(format_args!("of yet another")));
    }
}
