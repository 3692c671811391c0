//! Opening a connection: the wait for the Proxy's init, what it says, and what it is answered
//! (sections 3 and 4).
//!
//! A Proxy may take as long as it likes, since its server may be starting; TCP tells when the
//! host is gone. A peer that sends something else is given up.

use super::disconnect::Disconnect;
use crate::ari::Side;
use crate::ari::escape::EscapedLine;
use crate::ari::parameters::Parameters;
use crate::ari::reply::{ErrorKind, Reply};
use crate::ari::request::Method;
use crate::ari::version::{self, Version};
use crate::provider::Connection;
use std::time::{Duration, Instant};

/// The shortest interval that a Proxy's hint can ask for.
const SHORTEST_HINT: Duration = Duration::from_secs(1);

/// The interval when neither user nor Proxy says anything.
const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(10);

/// The same for a Proxy of the 1.8 family, which may not say what it needs.
const DEFAULT_KEEPALIVE_1_8: Duration = Duration::from_secs(1);

/// What an init says, as far as the connection itself needs it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Init {
    version: Option<String>,
    keepalive_hint: Option<i64>,
}

impl Init {
    /// Reads the parameters.
    pub fn read(parameters: &Parameters<'_>) -> Init {
        let hint = parameters.get("keepalive_hint.millis");
        Init {
            version: parameters.get("ARI.version").map(Into::into),
            keepalive_hint: hint.and_then(|hint| hint.trim().parse().ok()),
        }
    }

    /// After how much silence a keepalive is due; zero: never (section 4). `configured` is what
    /// the user asked for, if anything.
    pub fn keepalive(&self, version: Version, configured: Option<Duration>) -> Duration {
        let default = match self.keepalive_hint {
            None if version.is_1_8() => DEFAULT_KEEPALIVE_1_8,
            _ => DEFAULT_KEEPALIVE,
        };
        let own = configured.unwrap_or(default);
        let hint = self
            .keepalive_hint
            .and_then(|hint| u64::try_from(hint).ok());
        match hint.filter(|&hint| hint > 0).map(Duration::from_millis) {
            Some(hint) if own.is_zero() || hint < own => hint.max(SHORTEST_HINT),
            _ => own,
        }
    }

    /// Agrees on a version with the Proxy that sent its init as `method` to a connection of `side`.
    ///
    /// # Errors
    /// Why there is none, for the reply and for the log.
    pub fn agree(&self, side: Side, method: Method) -> Result<Version, String> {
        if let Some(other) = method.side().filter(|&other| other != side) {
            return Err(format!(
                "This is the {side} connection of the Remote Adapter, and the Proxy here is a \
                 {other} Proxy: are the ports of the two mixed up?"
            ));
        }
        version::agree(side, self.version.as_deref()).map_err(|refusal| refusal.to_string())
    }
}

/// Ends a reply of success to an init.
pub fn put_agreed(reply: Reply<'_>, version: Version) {
    match version {
        Version::V1_8_0 => reply.void(),
        _ => reply
            .string(Some("ARI.version"))
            .string(Some(version.name()))
            .end(),
    }
}

/// The kind of error that refuses an init.
pub fn refusal(method: Method) -> ErrorKind {
    match method {
        Method::Dpi => ErrorKind::Data,
        _ => ErrorKind::Metadata,
    }
}

/// The interval until an init says otherwise.
pub fn keepalive_before_init(configured: Option<Duration>) -> Duration {
    configured.unwrap_or(DEFAULT_KEEPALIVE)
}

/// So often a wait without end is looked at.
pub const CHECK_EVERY: Duration = Duration::from_secs(10);

/// A peer that sent something which is not ARI, and no init, is given up after this time.
const NOT_ARI_AFTER: Duration = Duration::from_secs(30);

/// A long wait is logged so often.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// How much of a line that is not ARI is logged, in bytes.
const SHOWN: usize = 64;

/// One connection's wait for its init.
#[derive(Debug)]
pub struct InitWait {
    since: Instant,
    logged: Option<Instant>,
    /// What came that is no request, and when the first of it did.
    not_ari: Option<(Instant, String)>,
    /// An init came, and was malformed: the Proxy has taken the hello, and may send another.
    pub has_taken_hello: bool,
}

impl InitWait {
    /// A wait that begins now.
    pub fn new() -> InitWait {
        InitWait {
            since: Instant::now(),
            logged: None,
            not_ari: None,
            has_taken_hello: false,
        }
    }

    /// A line came that is no request. The first is logged.
    pub fn line_is_not_ari(&mut self, connection: &Connection, line: &[u8]) {
        if self.not_ari.is_none() {
            let what = EscapedLine(line).to_string();
            connection.trouble(format_args!(
                "what came before the init is no request, skipped: {what}"
            ));
            self.not_ari = Some((Instant::now(), what));
        }
    }

    /// Nothing came for a while; `pending` is what there is of a line that has not ended.
    pub fn nothing_came(&mut self, connection: &Connection, pending: &[u8]) {
        if self.since.elapsed() < CHECK_EVERY {
            return;
        }
        if !pending.is_empty() {
            let what = EscapedLine(&pending[..pending.len().min(SHOWN)]).to_string();
            self.not_ari.get_or_insert((self.since, what));
        }
        let is_due = self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY);
        if self.not_ari.is_none() && is_due {
            self.logged = Some(Instant::now());
            connection.set_quiet(false); // this leads somewhere
            connection.step(format_args!(
                "waiting for the init; the server may be starting"
            ));
        }
    }

    /// Whether the peer said a word so far, `pending` being what there is of a line.
    pub fn is_silent(&self, pending: &[u8]) -> bool {
        !self.has_taken_hello && self.not_ari.is_none() && pending.is_empty()
    }

    /// Whether to wait on.
    ///
    /// # Errors
    /// [`Disconnect::NotAri`].
    pub fn check(&self) -> Result<(), Disconnect> {
        match &self.not_ari {
            Some((since, what)) if since.elapsed() >= NOT_ARI_AFTER => {
                Err(Disconnect::NotAri(what.clone()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ari::request::Head;

    fn init(line: &str) -> Init {
        let head = Head::of(line.as_bytes()).unwrap();
        Init::read(&Parameters::of_init(head.args).unwrap())
    }

    #[test]
    fn the_parameters_that_matter_are_found_in_any_order() {
        let read = init(
            "1|MPI|S|mine|S|#|S|proxy.instance_id|S|hew+b|S|ARI.version|S|1.9.1|S|keepalive_hint.millis|S|8000",
        );
        let expected = Init {
            version: Some("1.9.1".into()),
            keepalive_hint: Some(8000),
        };
        assert_eq!(read, expected);
        assert_eq!(init("1|MPI|"), Init::default());
    }

    #[test]
    fn the_interval_by_every_rule() {
        // configured, hint, expected; first for a 1.9 Proxy, then for a 1.8 one
        let rows: [(Option<u64>, Option<i64>, u64, u64); 14] = [
            (None, None, 10_000, 1_000),
            (None, Some(8_000), 8_000, 8_000),
            (None, Some(20_000), 10_000, 10_000),
            (None, Some(10), 1_000, 1_000),
            (None, Some(0), 10_000, 10_000),
            (None, Some(-1), 10_000, 10_000),
            (Some(3_000), None, 3_000, 3_000),
            (Some(3_000), Some(2_000), 2_000, 2_000),
            (Some(3_000), Some(4_000), 3_000, 3_000),
            (Some(500), Some(100), 1_000, 1_000),
            (Some(500), Some(600), 500, 500),
            (Some(0), None, 0, 0),
            (Some(0), Some(0), 0, 0),
            (Some(0), Some(30_000), 30_000, 30_000),
        ];
        for (configured, hint, modern, old) in rows {
            let init = Init {
                keepalive_hint: hint,
                ..Init::default()
            };
            let configured = configured.map(Duration::from_millis);
            for (version, millis) in [(Version::V1_9_1, modern), (Version::V1_8_3, old)] {
                let interval = init.keepalive(version, configured);
                let row = (configured, hint, version);
                assert_eq!(interval, Duration::from_millis(millis), "{row:?}");
            }
        }
    }
}
