//! Why there is no connection, in the words of a log line, and how long that tends to last.

use super::tls::Failure;
use crate::shown::Shown;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// What ended a connection, or an attempt at one.
#[derive(Debug)]
pub enum Lost {
    /// The adapter itself is ending.
    Stopping,
    /// A session of TLS 1.2 has encrypted as much as it may.
    Spent,
    /// The host's name has no address.
    Resolve(io::Error),
    /// No address could be connected to; this is what the last one said.
    Connect(SocketAddr, io::Error),
    /// TLS could not be set up, or broke.
    Tls(Failure),
    /// The Proxy ended the stream.
    Closed,
    /// The Proxy ended the stream right after the hello, which is how it refuses credentials.
    ClosedAtHello {
        /// The user name that was given, if any.
        user: Option<String>,
        /// Whether that was without TLS.
        plain: bool,
    },
    /// The Proxy said `CLOSE`.
    CloseRequest {
        /// Its reason, if it gave one.
        reason: Option<String>,
        /// Whether that was before its init, and which user name had been given.
        at_hello: Option<Option<String>>,
    },
    /// Reading or writing failed.
    Broken {
        /// Which of the two.
        doing: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The init cannot be agreed to.
    Refused(String),
    /// The peer broke the protocol's rules.
    Protocol(String),
    /// The peer does not speak ARI.
    NotAri(String),
}

impl Lost {
    /// Whether nothing can be said to the peer any more.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        match self {
            // What TLS found fault with: the peer is to get an alert that says so.
            Lost::Broken { error, .. } => error.kind() != io::ErrorKind::InvalidData,
            // The end of what the peer sends; it may go on reading.
            Lost::Closed => false,
            Lost::ClosedAtHello { .. } => true,
            _ => false,
        }
    }

    /// Whether a person must mend it, so that there is no hurry to try again.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Lost::Tls(failure) => failure.lasting,
            Lost::CloseRequest { at_hello, .. } => at_hello.is_some(),
            // Without credentials it is more likely a server that is coming or going.
            Lost::ClosedAtHello { user, .. } => user.is_some(),
            Lost::Refused(_) => true,
            _ => false,
        }
    }
}

/// Names the user a Proxy turned away, or says that none was named.
fn turned_away(f: &mut fmt::Formatter<'_>, user: Option<&str>) -> fmt::Result {
    match user {
        Some(user) => write!(
            f,
            "wrong credentials? The Proxy turned away user {:?}",
            Shown(user.as_bytes()).to_string()
        ),
        None => f.write_str("credentials wanted? The Proxy turned away a hello without user"),
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Stopping => f.write_str("shutting down"),
            Lost::Spent => f.write_str(
                "ended: this session of TLS 1.2 has encrypted as much as is safe (TLS 1.3 has no \
                 such limit)",
            ),
            Lost::Resolve(error) => write!(f, "the host's name cannot be resolved: {error}"),
            Lost::Connect(address, error) => write!(f, "cannot connect to {address}: {error}"),
            Lost::Tls(failure) => write!(f, "TLS: {failure}"),
            Lost::Closed => f.write_str("lost: the Proxy closed the connection"),
            Lost::ClosedAtHello { user, plain } => {
                f.write_str("refused: ")?;
                turned_away(f, user.as_deref())?;
                f.write_str(" without a word (a server that is stopping does so too")?;
                f.write_str(if *plain {
                    ", or one that wants --tls)"
                } else {
                    ")"
                })
            }
            Lost::CloseRequest { reason, at_hello } => {
                match at_hello {
                    Some(user) => {
                        f.write_str("refused: ")?;
                        turned_away(f, user.as_deref())?;
                    }
                    None => f.write_str("lost: the Proxy said CLOSE")?,
                }
                match reason {
                    Some(reason) => write!(f, ": {}", Shown(reason.as_bytes())),
                    None => f.write_str(" and gave no reason"),
                }
            }
            Lost::Broken { doing, error } => write!(f, "lost while {doing}: {error}"),
            Lost::Refused(why) => write!(f, "refused: {why}"),
            Lost::Protocol(what) => write!(f, "lost: protocol error: {what}"),
            Lost::NotAri(what) => write!(f, "given up: this peer does not speak ARI: {what}"),
        }
    }
}

impl std::error::Error for Lost {}
