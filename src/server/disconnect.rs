//! Why there is no connection: one list of reasons, with the words of the log beside each.

use super::tls::TlsError;
use crate::ari::escape::Escaped;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// What ended a connection, or an attempt at one.
#[derive(Debug)]
pub enum Disconnect {
    /// The adapter itself is ending.
    Stopping,
    /// A session of TLS 1.2 has encrypted as much as it may.
    RecordLimit,
    /// The host's name has no address.
    Resolve(io::Error),
    /// No address could be connected to; this is what the last one said.
    Connect(SocketAddr, io::Error),
    /// TLS could not be set up, or broke.
    Tls(TlsError),
    /// The Proxy ended the stream.
    Closed,
    /// The Proxy ended the stream right after the hello, which is how it refuses credentials.
    ClosedAtHello {
        /// The user name that was given, if any.
        user: Option<String>,
        /// Whether that was without TLS.
        plain: bool,
        /// Whether it has accepted the same credentials before.
        is_known: bool,
    },
    /// The Proxy's system reset the connection right after the hello.
    ResetAtHello(io::Error),
    /// Who had connected to us went without a word, and was given no user name.
    SaidNothing,
    /// The Proxy said `CLOSE` (section 5).
    CloseRequest {
        /// Its reason, if it gave one.
        reason: Option<String>,
        /// Whether that was before its init, and which user name had been given.
        at_hello: Option<Option<String>>,
    },
    /// Reading or writing failed.
    Broken {
        /// Which of the two, or what was done before.
        doing: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The init cannot be agreed to (section 3).
    Refused(String),
    /// The init is that of another server than the one that serves another connection.
    OtherServer {
        /// Where this one is.
        address: SocketAddr,
        /// Where the other one is.
        at: SocketAddr,
        /// The name of the connection that is served there.
        by: String,
    },
    /// The server was restarted, as the connection of this name has found.
    Superseded(String),
    /// The same Proxy came again, by the connection of this name (section 9).
    Replaced(String),
    /// An older connection of the same Proxy does not end.
    NotReplaced,
    /// Other peers waited, and this one had not sent its init.
    Crowded,
    /// The peer is an adapter, too: it says hello as this one does.
    Adapter,
    /// The peer broke the protocol's rules (section 8).
    Protocol(String),
    /// The peer does not speak ARI: what came, and the option that names its port.
    NotAri(String, &'static str),
}

impl Disconnect {
    pub(super) fn broken(doing: &'static str, error: io::Error) -> Disconnect {
        Disconnect::Broken { doing, error }
    }

    /// Whether nothing can be said to the peer any more.
    pub fn is_broken(&self) -> bool {
        match self {
            // What TLS found fault with: the peer is to get an alert that says so.
            Disconnect::Broken { error, .. } => error.kind() != io::ErrorKind::InvalidData,
            Disconnect::ClosedAtHello { .. }
            | Disconnect::Superseded(_)
            | Disconnect::Replaced(_)
            | Disconnect::Crowded => true,
            _ => false,
        }
    }

    /// Whether a person must mend it, so that there is no hurry to try again.
    pub fn is_lasting(&self) -> bool {
        match self {
            Disconnect::Tls(error) => error.lasting,
            Disconnect::CloseRequest { at_hello, .. } => at_hello.is_some(),
            // Without credentials, or with good ones, it is more likely a server that is starting
            // or stopping.
            Disconnect::ClosedAtHello { user, is_known, .. } => user.is_some() && !is_known,
            Disconnect::Refused(_) | Disconnect::NotAri(..) | Disconnect::Adapter => true,
            _ => false,
        }
    }
}

/// Names the user that a Proxy refused, or says that none was named.
fn refused_user(f: &mut fmt::Formatter<'_>, user: Option<&str>) -> fmt::Result {
    match user {
        Some(user) => write!(
            f,
            "refused: wrong credentials? The Proxy turned away user {:?}",
            Escaped(user.as_bytes()).to_string()
        ),
        None => {
            f.write_str("refused: credentials wanted? The Proxy turned away a hello without user")
        }
    }
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disconnect::Stopping => f.write_str("shutting down"),
            Disconnect::RecordLimit => f.write_str(
                "ended: this session of TLS 1.2 has encrypted as much as is safe (TLS 1.3 has no \
                 such limit)",
            ),
            Disconnect::Resolve(error) => {
                write!(f, "the host's name cannot be resolved: {error}")
            }
            Disconnect::Connect(address, error) => {
                write!(f, "cannot connect to {address}: {error}")?;
                match error.kind() {
                    io::ErrorKind::ConnectionRefused => {
                        f.write_str(": no server yet, or another adapter is connected already")
                    }
                    _ => Ok(()),
                }
            }
            Disconnect::Tls(error) => write!(f, "TLS: {error}"),
            Disconnect::Closed => f.write_str("lost: the Proxy closed the connection"),
            Disconnect::ClosedAtHello { is_known: true, .. } => f.write_str(
                "lost: the Proxy closed the connection at the hello, with credentials that it has \
                 accepted before: its server may be starting or stopping",
            ),
            Disconnect::ResetAtHello(error) => write!(
                f,
                "lost at the hello: {error}: another adapter may be connected to this Proxy \
                 already, or its server is stopping"
            ),
            Disconnect::ClosedAtHello { user, plain, .. } => {
                refused_user(f, user.as_deref())?;
                f.write_str(" without a word (a server that is stopping does so too")?;
                f.write_str(if *plain {
                    ", or one that wants --tls)"
                } else {
                    ")"
                })
            }
            Disconnect::SaidNothing => f.write_str(
                "closed by the peer, which said nothing: a health check does so, and a Proxy that \
                 wants credentials",
            ),
            Disconnect::CloseRequest { reason, at_hello } => {
                match at_hello {
                    Some(user) => refused_user(f, user.as_deref())?,
                    None => f.write_str("lost: the Proxy said CLOSE")?,
                }
                match reason {
                    Some(reason) => write!(f, ": {}", Escaped(reason.as_bytes())),
                    None => f.write_str(" and gave no reason"),
                }
            }
            Disconnect::Broken { doing, error } => write!(f, "lost while {doing}: {error}"),
            // A provider's words may be anything.
            Disconnect::Refused(why) => write!(f, "refused: {}", Escaped(why.as_bytes())),
            Disconnect::OtherServer { address, at, by } => write!(
                f,
                "closed at the init: {address} is another server than {at}, to which {by} is \
                 connected; it is avoided for as long as that lasts"
            ),
            Disconnect::Superseded(by) => {
                write!(
                    f,
                    "lost: the server was restarted, as the init of {by} shows"
                )
            }
            Disconnect::Replaced(by) => {
                write!(f, "closed: the same Proxy has connected again, as {by}")
            }
            Disconnect::NotReplaced => {
                f.write_str("closed at the init: the older connection of this Proxy does not end")
            }
            Disconnect::Crowded => {
                f.write_str("closed: it has sent no init, and others wait to connect")
            }
            Disconnect::Adapter => f.write_str(
                "given up: the peer is a Remote Adapter, too, and no Proxy: it said hello",
            ),
            Disconnect::Protocol(what) => write!(f, "lost: protocol error: {what}"),
            Disconnect::NotAri(what, option) => write!(
                f,
                "given up: this peer does not speak ARI: {what}; is {option} the request_reply_port \
                 of that Proxy?"
            ),
        }
    }
}

impl std::error::Error for Disconnect {}
