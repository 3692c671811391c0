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
        let hint = self.keepalive_hint.filter(|&hint| hint > 0);
        match hint.map(|hint| Duration::from_millis(hint.unsigned_abs())) {
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
        version::agree(side, self.version.as_deref())
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

/// No longer line is taken before an init has come, in bytes: whoever connects is a stranger until then.
pub const OPENING_LINE: usize = 64 << 10;

/// A wait without end is logged after this time.
const LOG_AFTER: Duration = Duration::from_secs(10);

/// A wait that is long for any server is warned of after this time, and again each time.
const WARN_AFTER: Duration = Duration::from_secs(60);

/// A peer that has begun to speak, and came to no init, is given up after this time.
const NOT_ARI_AFTER: Duration = Duration::from_secs(30);

/// How much of a line that is not ARI is logged, in bytes.
const SHOWN: usize = 64;

/// How other services begin what they say to a stranger, and what they are.
const OTHER_SERVICES: [(&[u8], &str); 7] = [
    (b"HTTP/", "an HTTP server"),
    (b"SSH-", "an SSH server"),
    (b"-ERR", "a Redis or POP3 server"),
    (b"+OK", "a POP3 server"),
    (b"220", "an FTP or SMTP server"),
    (b"* OK", "an IMAP server"),
    (b"ERROR", "a memcached server"),
];

/// One connection's wait for its init.
#[derive(Debug)]
pub struct InitWait {
    side: Side,
    since: Instant,
    /// When to log next that nothing comes.
    log_at: Instant,
    /// When the peer began to speak.
    spoke: Option<Instant>,
    /// The first line that came and is no request.
    not_ari: Option<String>,
    /// An init came, and was malformed: the Proxy has taken the hello, and may send another.
    pub has_taken_hello: bool,
}

impl InitWait {
    /// A wait that begins now, on a connection of this side.
    pub fn new(side: Side) -> InitWait {
        let since = Instant::now();
        InitWait {
            side,
            since,
            log_at: since + LOG_AFTER,
            spoke: None,
            not_ari: None,
            has_taken_hello: false,
        }
    }

    /// A line came that is no request. The first is logged.
    ///
    /// # Errors
    /// [`Disconnect::NotAri`], where it shows what the peer is.
    pub fn line_is_not_ari(
        &mut self,
        connection: &Connection,
        line: &[u8],
    ) -> Result<(), Disconnect> {
        self.spoke.get_or_insert_with(Instant::now);
        if line.trim_ascii().is_empty() || self.not_ari.is_some() {
            return Ok(());
        }
        let what = EscapedLine(line).to_string();
        if let Some((_, name)) = OTHER_SERVICES.iter().find(|row| line.starts_with(row.0)) {
            return Err(self.given_up(format!("it looks like {name}: {what}")));
        }
        let option = self.option();
        connection.warn_unless_quiet(format_args!(
            "what came before the init is no request, skipped: {what}; is {option} right?"
        ));
        self.not_ari = Some(what);
        Ok(())
    }

    /// An init came that is malformed, and was answered so: a right one may follow.
    pub fn init_is_malformed(&mut self) {
        self.has_taken_hello = true;
        self.spoke = None;
    }

    /// Whether the peer said a word so far, `pending` being what there is of a line.
    pub fn is_silent(&self, pending: &[u8]) -> bool {
        !self.has_taken_hello && self.spoke.is_none() && pending.is_empty()
    }

    /// What it means that the stream ended, if that was not ARI.
    pub fn end(&self) -> Option<Disconnect> {
        self.not_ari.clone().map(|what| self.given_up(what))
    }

    /// Whether to wait on, and for how long until the next look. `pending` is what there is of a
    /// line that has not ended.
    ///
    /// # Errors
    /// [`Disconnect::NotAri`].
    pub fn check(
        &mut self,
        connection: &Connection,
        pending: &[u8],
        now: Instant,
    ) -> Result<Duration, Disconnect> {
        if !pending.is_empty() {
            self.spoke.get_or_insert(now);
        }
        if let Some(spoke) = self.spoke {
            let left = (spoke + NOT_ARI_AFTER).saturating_duration_since(now);
            return match left.is_zero() {
                true => Err(self.given_up(self.heard(pending))),
                false => Ok(left),
            };
        }
        if now >= self.log_at {
            connection.set_quiet(false); // this leads somewhere
            let waited = now.duration_since(self.since);
            if waited < WARN_AFTER {
                connection.step(format_args!(
                    "waiting for the init; the server may be starting"
                ));
                self.log_at = self.since + WARN_AFTER;
            } else {
                connection.warn(format_args!(
                    "no init for {} s, waiting on: is the server still starting, older than 7.4, \
                     or does it have a notify_port and wait for a second connection? Or is {} the \
                     port of something else?",
                    waited.as_secs(),
                    self.option()
                ));
                self.log_at = now + WARN_AFTER;
            }
        }
        Ok(self.log_at.saturating_duration_since(now))
    }

    /// What came so far, for the log.
    fn heard(&self, pending: &[u8]) -> String {
        let begun = &pending[..pending.len().min(SHOWN)];
        match &self.not_ari {
            Some(line) => line.clone(),
            None if begun.is_empty() => "blank lines alone".into(),
            None => format!("a line without end: {}", EscapedLine(begun)),
        }
    }

    fn given_up(&self, what: String) -> Disconnect {
        Disconnect::NotAri(what, self.option())
    }

    /// The option of the program that names this side's port.
    fn option(&self) -> &'static str {
        match self.side {
            Side::Metadata => "--metadata_rrport",
            Side::Data => "--data_rrport",
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

    /// What a peer came to by 29 s and by 30 s after the first of this, if that is the end.
    fn given_up(lines: &[&str], pending: &[u8]) -> [Option<String>; 2] {
        let connection = Connection::new("data".into());
        let mut wait = InitWait::new(Side::Data);
        let start = Instant::now();
        for line in lines {
            if let Err(reason) = wait.line_is_not_ari(&connection, line.as_bytes()) {
                return [Some(reason.to_string()), None];
            }
        }
        let _ = wait.check(&connection, pending, start);
        [29, 31].map(|second| {
            let now = start + Duration::from_secs(second);
            let checked = wait.check(&connection, pending, now);
            checked.err().map(|reason| reason.to_string())
        })
    }

    #[test]
    fn a_peer_that_speaks_and_comes_to_no_init_has_half_a_minute() {
        let port = "is --data_rrport the request_reply_port of that Proxy?";
        for (lines, pending, what) in [
            (&[][..], &b"who"[..], "a line without end: who"),
            (&["", " "], b"", "blank lines alone"),
            (&["hello", "there"], b"1|", "hello"),
        ] {
            let told = format!("given up: this peer does not speak ARI: {what}; {port}");
            assert_eq!(given_up(lines, pending), [None, Some(told)]);
        }
        assert_eq!(given_up(&[], b""), [None, None]);
    }

    #[test]
    fn what_shows_which_service_it_is_ends_the_wait_at_once() {
        for (line, name) in [
            ("HTTP/1.1 400 Bad Request", "an HTTP server"),
            ("-ERR unknown command", "a Redis or POP3 server"),
            ("SSH-2.0-OpenSSH_9.2", "an SSH server"),
            ("220 mail.example.com ESMTP", "an FTP or SMTP server"),
        ] {
            let [told, _] = given_up(&["", line], b"");
            let what = format!("it looks like {name}: {line}");
            assert!(told.unwrap().contains(&what), "{line}");
        }
    }

    #[test]
    fn a_silent_peer_is_waited_for_and_looked_at_after_10_and_60_s_and_each_minute() {
        let connection = Connection::new("data".into());
        let mut wait = InitWait::new(Side::Data);
        let mut now = wait.since;
        let mut looks = Vec::new();
        for _ in 0..4 {
            now += wait.check(&connection, b"", now).unwrap();
            looks.push(now.duration_since(wait.since).as_secs());
        }
        assert_eq!(looks, [10, 60, 120, 180]);
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
