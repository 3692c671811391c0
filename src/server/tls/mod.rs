//! TLS, built on `rustls`, in both roles: what is trusted, the certificate that is shown, the handshake,
//! and a session that one thread reads while another writes.
//!
//! It knows sockets, but nothing of the protocol that runs over them.

mod certificate;
mod endpoint;
mod error;
mod explain;
mod files;
mod handshake;
mod identity;
mod keys;
mod role;
mod session;
mod trust;

pub use error::TlsError;
pub(super) use session::Session;

use super::heartbeat::Heartbeat;
use crate::ari::escape::Escaped;
use crate::provider::{Connection, lock};
use crate::server::file::{LIMIT, When};
use endpoint::Endpoint;
use explain::describe;
use handshake::HANDSHAKE_TIMEOUT;
use identity::{Identity, Resolver};
use role::Role;
use rustls::pki_types::ServerName;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use trust::{Trust, Verifier, names};

/// Whom to trust, and what to show. Its documentation names the options of `chat-adapter`, as the texts of
/// errors do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Trust as servers exactly what is in these files; the platform's store when there are none.
    pub ca: Vec<PathBuf>,
    /// The name that the server's certificate must carry, when it is not the host's.
    pub name: Option<String>,
    /// A certificate: the file of its chain, and the file of its key. It is shown to servers that ask
    /// for one, and to all clients.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Accept as clients exactly those that these files vouch for; when there are none, no client is
    /// asked who it is.
    pub client_ca: Vec<PathBuf>,
}

impl Settings {
    /// Whether clients must show a certificate.
    pub(super) fn verifies_clients(&self) -> bool {
        !self.client_ca.is_empty()
    }

    /// Whether they make sense for so many servers to call, and for an adapter that listens or does not.
    ///
    /// # Errors
    /// What makes no sense, in a line that names options.
    pub(super) fn validate(&self, hosts: usize, listens: bool) -> Result<(), String> {
        Err(match self {
            _ if !listens && self.verifies_clients() => "--tls-client-ca needs a --listen",
            _ if listens && self.identity.is_none() => {
                "--listen with --tls needs --tls-cert and --tls-key, for what Proxies see"
            }
            _ if hosts > 1 && self.name.is_some() => {
                "--tls-name is for one --host: the names of several are verified as they are"
            }
            _ => return Ok(()),
        }
        .into())
    }

    /// The settings in a few words, such as `TLS (trusting proxies.pem, no client certificate)`: those
    /// for an adapter that `calls`, or that `listens`, or both.
    pub(super) fn in_words(&self, calls: bool, listens: bool) -> String {
        let mut words = Vec::new();
        if calls {
            words.push(match self.ca.is_empty() {
                true => "trusting the platform's store".to_owned(),
                false => format!("trusting {}", names(&self.ca)),
            });
            let name = self.name.as_ref();
            words.extend(name.map(|name| format!("server's name {}", Escaped::of(name))));
        }
        let whose = if calls {
            "client certificate"
        } else {
            "certificate"
        };
        words.push(match &self.identity {
            Some((file, _)) => format!("{whose} {}", Escaped::of(file)),
            None => format!("no {whose}"),
        });
        if listens {
            words.push(match self.client_ca.is_empty() {
                true => "clients not verified".to_owned(),
                false => format!("clients trusted by {}", names(&self.client_ca)),
            });
        }
        format!("TLS ({})", words.join(", "))
    }
}

/// TLS in one role: for the connections to one port, or for those that are accepted.
///
/// The files are read again for each; while they are no good, what was read last is used.
#[derive(Debug)]
pub(super) struct Tls {
    settings: Settings,
    role: Role,
    loaded: Mutex<Loaded>,
}

/// What the files held when they were last good.
#[derive(Debug)]
struct Loaded {
    trust: Arc<Trust>,
    identity: Identity,
    logged: Logged,
}

/// What was logged last about the files; empty if nothing was. It is logged again when it changes.
#[derive(Debug, Default)]
struct Logged {
    /// Where what is trusted comes from.
    origin: String,
    /// Why it cannot be read again.
    trust_error: String,
    /// Why the certificate cannot be read again.
    identity_error: String,
    /// What is wrong with the certificate, or the mode of the key's file.
    warnings: Vec<String>,
}

impl Tls {
    /// Reads all files for the first time, to call servers. `host` is the name to verify, unless
    /// `settings` has one.
    ///
    /// # Errors
    /// [`TlsError`], naming the file or the name that is no good.
    pub fn new(settings: Settings, host: &str) -> Result<Tls, TlsError> {
        let name = settings.name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            let name = Escaped(name.as_bytes());
            TlsError::lasting(format_args!(
                "{name} is not a name that a certificate can carry; --tls-name NAME gives one"
            ))
        })?;
        Tls::start(settings, Role::Client(name))
    }

    /// Reads all files for the first time, to be called by clients. They must show a certificate if
    /// [`Settings::client_ca`] says whose: a handshake that comes to its end has verified it then.
    ///
    /// # Errors
    /// [`TlsError`], naming the file that is no good.
    pub fn server(settings: Settings) -> Result<Tls, TlsError> {
        let verifies = settings.verifies_clients();
        Tls::start(settings, Role::Server { verifies })
    }

    fn start(settings: Settings, role: Role) -> Result<Tls, TlsError> {
        let (trust, identity) = read(&settings, &role, When::Start);
        let loaded = Loaded {
            trust: Arc::new(trust?),
            identity: identity?,
            logged: Logged::default(),
        };
        Ok(Tls {
            settings,
            role,
            loaded: Mutex::new(loaded),
        })
    }

    /// Begins a session on this socket. `heartbeat` is told how long it may take.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn open(
        &self,
        socket: Arc<TcpStream>,
        connection: &Connection,
        heartbeat: &Heartbeat,
    ) -> Result<Session, TlsError> {
        let Settings { ca, client_ca, .. } = &self.settings;
        // The platform's store, the chain, and the key.
        let files = ca.len().max(client_ca.len()) + 3;
        heartbeat.beat_before(LIMIT * files as u32);
        let endpoint = self.endpoint(connection);
        heartbeat.beat_before(HANDSHAKE_TIMEOUT);
        Session::establish(socket, endpoint)
    }

    /// What the files hold, a line for each thing.
    pub fn describe(&self) -> Vec<String> {
        let Loaded {
            trust, identity, ..
        } = &*lock(&self.loaded);
        let (mut lines, trusting, certificate) = match &self.role {
            Role::Client(name) => {
                let name = name.to_str();
                let line = format!("TLS: the server's certificate must be for {name}");
                (vec![line], "trusting", "client certificate")
            }
            Role::Server { .. } => (vec![], "clients trusted by", "certificate for clients"),
        };
        let origin = [&trust.origin].into_iter().filter(|it| !it.is_empty());
        let given = trust.given.iter().map(|given| describe(given));
        let trusted = origin.cloned().chain(given);
        lines.extend(trusted.map(|trusted| format!("TLS: {trusting} {trusted}")));
        if let Some(key) = &identity.certified_key {
            let own = describe(&key.cert[0]);
            lines.push(format!("TLS: {certificate} {own}; its key fits"));
        }
        let warnings = identity.warnings.iter();
        lines.extend(warnings.map(|warning| format!("TLS: {warning}")));
        lines
    }

    /// Logs what an operator should know about the files, unless it was logged.
    pub fn warn(&self, connection: &Connection) {
        lock(&self.loaded).warn(connection);
    }

    /// What the next connection is to use. `connection` is what the log knows of it.
    fn endpoint(&self, connection: &Connection) -> Endpoint {
        let (trust, identity) = read(&self.settings, &self.role, When::Connection);
        let mut loaded = lock(&self.loaded);
        loaded.update(connection, trust, identity);
        // Both keep what they learn of one peer.
        let verifier = Verifier {
            trust: Arc::clone(&loaded.trust),
            rejected: OnceLock::new(),
        };
        let resolver = Resolver {
            certified_key: loaded.identity.certified_key.clone(),
            answer: OnceLock::new(),
        };
        Endpoint {
            connection: connection.clone(),
            role: self.role.clone(),
            verifier: Arc::new(verifier),
            resolver: Arc::new(resolver),
        }
    }
}

fn read(
    settings: &Settings,
    role: &Role,
    when: When,
) -> (Result<Trust, TlsError>, Result<Identity, TlsError>) {
    let trust = match role {
        Role::Client(_) => Trust::in_servers(&settings.ca, when),
        Role::Server { .. } => Trust::given("--tls-client-ca", &settings.client_ca, when),
    };
    let identity = Identity::read(settings.identity.as_ref(), role, when);
    (trust, identity)
}

impl Loaded {
    /// Takes over what was read again, as far as it is good; logs what is news.
    fn update(
        &mut self,
        connection: &Connection,
        trust: Result<Trust, TlsError>,
        identity: Result<Identity, TlsError>,
    ) {
        // Built-in roots are no substitute for a store that was there before.
        let (was_store, empty) = (self.trust.is_store, "the platform's store is empty");
        let trust = trust.and_then(|trust| match was_store && !trust.is_store {
            true => Err(TlsError::lasting(trust.trouble.unwrap_or(empty.into()))),
            false => Ok(Arc::new(trust)),
        });
        let (name, logged) = (connection.name(), &mut self.logged);
        let place = (&mut self.trust, &mut logged.trust_error);
        take_over(trust, place, name, "what is trusted");
        let place = (&mut self.identity, &mut logged.identity_error);
        take_over(identity, place, name, "the certificate");
        self.warn(connection);
        let origin = &self.trust.origin;
        let write = match self.trust.trouble {
            Some(_) => Connection::warn,
            None => Connection::step,
        };
        let logged = &mut self.logged.origin;
        if logged != origin && write(connection, format_args!("TLS: trusting {origin}")) {
            logged.clone_from(origin);
        }
    }

    fn warn(&mut self, connection: &Connection) {
        let (logged, warnings) = (&mut self.logged.warnings, &self.identity.warnings);
        for warning in warnings.iter().filter(|warning| !logged.contains(warning)) {
            connection.warn(format_args!("TLS: {warning}"));
        }
        logged.clone_from(warnings);
    }
}

/// Puts `what` in its place if it is good, and its error, empty then, beside it; logs that when it
/// changes.
fn take_over<T>(
    read: Result<T, TlsError>,
    (place, logged): (&mut T, &mut String),
    name: &str,
    what: &str,
) {
    let error = match read {
        Ok(read) => {
            *place = read;
            String::new()
        }
        Err(error) => error.message,
    };
    match error.as_str() {
        same if same == logged => {}
        "" => log::info!("{name}: TLS: {what} can be read again"),
        error => log::error!("{name}: TLS: {error}; what was read before is used on"),
    }
    *logged = error;
}
