//! A connection as the log knows it: its name, and no more lines than an operator can read,
//! whatever the peer does.

use super::lock::lock;
use super::rate_limit::RateLimit;
use log::Level;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// So many lines of a connection's own steps and of its troubles are written within a minute: losing
/// the connection and coming back six times fits.
const OWN: u32 = 30;

/// So many lines of what a Proxy asked for, and of requests that are malformed.
const PROVOKED: u32 = 10;

/// What a line is about; each kind has a limit of its own.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Step,
    Trouble,
    Provider,
    Request,
}

const LIMITS: [u32; 4] = [OWN, OWN, PROVOKED, PROVOKED];

/// The connection to one Proxy, as it stands in the log. It is cheap to clone.
///
/// One that is lost and made again keeps its name and its limits.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Log>);

#[derive(Debug)]
struct Log {
    name: String,
    limits: Arc<Limits>,
}

/// What bounds the lines of connections from one place.
#[derive(Debug)]
struct Limits {
    /// Steps are not worth a line: the connection is lost again and again.
    is_quiet: AtomicBool,
    kinds: [Mutex<RateLimit>; 4],
}

impl Connection {
    pub(crate) fn new(name: String) -> Connection {
        let limits = Arc::new(Limits {
            is_quiet: AtomicBool::new(false),
            kinds: LIMITS.map(|limit| Mutex::new(RateLimit::new(limit))),
        });
        Connection(Arc::new(Log { name, limits }))
    }

    /// Another connection from the same place, under the same limits.
    pub(crate) fn renamed(&self, name: String) -> Connection {
        let limits = Arc::clone(&self.0.limits);
        Connection(Arc::new(Log { name, limits }))
    }

    /// Its name in the log, such as `data localhost:8001`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Logs a line with the connection's name, at level `info`: what a Proxy asked for, for example.
    ///
    /// Ten such lines are written in a minute at the most. The others appear at `debug`, as all do
    /// while the connection is lost again and again. Text from outside is to be escaped first
    /// ([`Escaped`](crate::ari::escape::Escaped)).
    pub fn info(&self, what: fmt::Arguments<'_>) {
        self.log_unless_quiet(Level::Info, Kind::Provider, what);
    }

    /// The same at level `warn`: something that went wrong, which a person should know. Thirty such lines
    /// are written in a minute at the most, those of the connection itself included. Says whether this one
    /// was.
    pub fn warn(&self, what: fmt::Arguments<'_>) -> bool {
        self.log(Level::Warn, Kind::Trouble, what)
    }

    /// From now on steps are worth a line, or are not.
    pub(crate) fn set_quiet(&self, quiet: bool) {
        self.0.limits.is_quiet.store(quiet, Ordering::Relaxed);
    }

    /// Logs at `info` what the connection is doing, or at `debug` if it is quiet. Says whether it
    /// was at `info`.
    pub(crate) fn step(&self, what: fmt::Arguments<'_>) -> bool {
        self.log_unless_quiet(Level::Info, Kind::Step, what)
    }

    /// Warns of something that went wrong, unless the connection is lost again and again.
    pub(crate) fn warn_unless_quiet(&self, what: fmt::Arguments<'_>) {
        self.log_unless_quiet(Level::Warn, Kind::Trouble, what);
    }

    /// Warns of a request that is not as it should be.
    pub(crate) fn bad_request(&self, what: fmt::Arguments<'_>) {
        self.log(Level::Warn, Kind::Request, what);
    }

    /// Logs at `debug` what is worth no line.
    pub(crate) fn detail(&self, what: fmt::Arguments<'_>) {
        log::debug!("{}: {what}", self.0.name);
    }

    fn log_unless_quiet(&self, level: Level, kind: Kind, what: fmt::Arguments<'_>) -> bool {
        if self.0.limits.is_quiet.load(Ordering::Relaxed) {
            self.detail(what);
            return false;
        }
        self.log(level, kind, what)
    }

    fn log(&self, level: Level, kind: Kind, what: fmt::Arguments<'_>) -> bool {
        let name = &self.0.name;
        let allowed = lock(&self.0.limits.kinds[kind as usize]).allow(Instant::now());
        let Some(suppressed) = allowed else {
            self.detail(what);
            return false;
        };
        if suppressed > 0 {
            log::log!(
                level,
                "{name}: {suppressed} lines before this one were not written"
            );
        }
        log::log!(level, "{name}: {what}");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_limit_of_its_own() {
        let connection = Connection::new("data".into());
        connection.set_quiet(true);
        for _ in 0..OWN * 2 {
            assert!(!connection.step(format_args!("not worth a line")));
        }
        connection.set_quiet(false);
        let written = (0..OWN * 2).filter(|n| connection.step(format_args!("{n}")));
        assert_eq!(written.count(), OWN as usize);
        assert!(connection.warn(format_args!("of another kind")));
        for _ in 0..PROVOKED {
            assert!(connection.log(Level::Info, Kind::Provider, format_args!("another")));
        }
        assert!(!connection.log(Level::Info, Kind::Provider, format_args!("one too many")));
        assert!(connection.log(Level::Warn, Kind::Request, format_args!("yet another")));
    }
}
