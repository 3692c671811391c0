//! TLS to a Proxy, built on `rustls`: what is trusted, the client certificate, the handshake, and a
//! session that one thread reads while another writes.
//!
//! It knows sockets, but nothing of the protocol that runs over them.

mod certificate;
mod client_certificate;
mod error;
mod explain;
mod files;
mod handshake;
mod keys;
mod session;
mod trust;

pub use error::TlsError;
pub(super) use explain::Stage;
pub(super) use handshake::HANDSHAKE_TIMEOUT;
pub(super) use session::{RecordLimit, Session};

use crate::ari::escape::Escaped;
use crate::provider::Connection;
use crate::server::file::When;
use client_certificate::{ClientCertificate, Resolver};
use explain::describe;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use trust::{Trust, Verifier, names};

/// Whom to trust, and what to show. Its documentation names the options of `chat-adapter`, as the texts of
/// errors do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Trust exactly what is in these files; the platform's store when there are none.
    pub ca: Vec<PathBuf>,
    /// The name that the server's certificate must carry, when it is not the host's.
    pub name: Option<String>,
    /// A client certificate: the file of its chain, and the file of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Let in Proxies with a certificate of exactly the authorities in these files; not asked for one when
    /// there are none.
    pub client_ca: Vec<PathBuf>,
}

/// The settings in a few words, such as `TLS (trusting proxies.pem, no client certificate)`.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TLS (trusting ")?;
        match self.ca.is_empty() {
            true => f.write_str("the platform's store")?,
            false => f.write_str(&names(&self.ca))?,
        }
        if let Some(name) = &self.name {
            write!(f, ", server's name {}", Escaped::of(name))?;
        }
        match &self.identity {
            Some((certificate, _)) => {
                write!(f, ", client certificate {})", Escaped::of(certificate))
            }
            None => f.write_str(", no client certificate)"),
        }
    }
}

/// TLS for the connections to one port, one after the other.
///
/// The files are read again for each; while they are no good, what was read last is used.
#[derive(Debug)]
pub(super) struct Tls {
    settings: Settings,
    name: ServerName<'static>,
    trust: Arc<Trust>,
    certificate: ClientCertificate,
    logged: Logged,
}

/// What was logged last about the files; empty if nothing was. It is logged again when it changes.
#[derive(Debug, Default)]
struct Logged {
    /// Where what is trusted comes from.
    origin: String,
    /// Why it cannot be read again.
    trust_error: String,
    /// Why the client certificate cannot be read again.
    certificate_error: String,
    /// What is wrong with the mode of the key's file.
    warning: String,
}

impl Tls {
    /// Reads all files for the first time. `host` is the name to verify, unless `settings` has one.
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
        Ok(Tls {
            trust: Arc::new(Trust::read(&settings.ca, When::Start)?),
            certificate: ClientCertificate::read(settings.identity.as_ref(), When::Start)?,
            settings,
            name,
            logged: Logged::default(),
        })
    }

    /// How long [`client`](Self::client) may take to read the files.
    pub fn longest_read(&self) -> Duration {
        // The platform's store, the chain, and the key.
        When::Connection.longest(self.settings.ca.len() + 3)
    }

    /// What the files hold, a line for each thing.
    pub fn describe(&self) -> Vec<String> {
        let (name, trust) = (self.name.to_str(), &self.trust);
        let mut lines = vec![
            format!("TLS: the server's certificate must be for {name}"),
            format!("TLS: trusting {}", trust.origin),
        ];
        let given = trust.given.iter();
        lines.extend(given.map(|given| format!("TLS: trusting {}", describe(given))));
        let own = &self.certificate;
        if let Some(key) = &own.certified_key {
            let certificate = describe(&key.cert[0]);
            lines.push(format!(
                "TLS: client certificate {certificate}; its key fits"
            ));
        }
        if !own.warning.is_empty() {
            lines.push(format!("TLS: {}", own.warning));
        }
        lines
    }

    /// What the next connection is to use. `connection` is what the log knows of it.
    ///
    /// # Errors
    /// [`TlsError`], when what was read does not fit together.
    pub fn client(&mut self, connection: &Connection) -> Result<Client, TlsError> {
        let logged = &mut self.logged;
        let error = match Trust::read(&self.settings.ca, When::Connection) {
            // Built-in roots are no substitute for a store that was there before.
            Ok(trust) if self.trust.is_store && !trust.is_store => trust
                .trouble
                .unwrap_or("the platform's store is empty".into()),
            Ok(trust) => {
                self.trust = Arc::new(trust);
                String::new()
            }
            Err(error) => error.message,
        };
        log_reload(
            connection,
            "what is trusted",
            error,
            &mut logged.trust_error,
        );
        let identity = self.settings.identity.as_ref();
        let error = match ClientCertificate::read(identity, When::Connection) {
            Ok(certificate) => {
                self.certificate = certificate;
                String::new()
            }
            Err(error) => error.message,
        };
        log_reload(
            connection,
            "the client certificate",
            error,
            &mut logged.certificate_error,
        );
        let warning = &self.certificate.warning;
        if logged.warning != *warning && !warning.is_empty() {
            connection.trouble(format_args!("TLS: {warning}"));
        }
        logged.warning.clone_from(warning);
        let origin = &self.trust.origin;
        let write = match self.trust.trouble {
            Some(_) => Connection::trouble,
            None => Connection::step,
        };
        if logged.origin != *origin && write(connection, format_args!("TLS: trusting {origin}")) {
            logged.origin.clone_from(origin);
        }
        // Both keep what they learn of one server.
        let verifier = Arc::new(Verifier {
            trust: Arc::clone(&self.trust),
            rejected: OnceLock::new(),
        });
        let resolver = Arc::new(Resolver {
            certified_key: self.certificate.certified_key.clone(),
            answer: OnceLock::new(),
        });
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::lasting)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_client_cert_resolver(Arc::clone(&resolver) as _);
        // Each connection verifies its server by the files as they are then.
        config.resumption = Resumption::disabled();
        Ok(Client {
            connection: connection.clone(),
            config: Arc::new(config),
            name: self.name.clone(),
            verifier,
            resolver,
        })
    }
}

/// Logs when `what` cannot be read again, because of `error`, and when it can, because that is empty.
fn log_reload(connection: &Connection, what: &str, error: String, logged: &mut String) {
    let name = connection.name();
    match error.as_str() {
        same if same == logged => {}
        "" => log::info!("{name}: TLS: {what} can be read again"),
        error => log::error!("{name}: TLS: {error}; what was read before is used on"),
    }
    *logged = error;
}

/// What one connection uses.
#[derive(Debug)]
pub(super) struct Client {
    connection: Connection,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    verifier: Arc<Verifier>,
    resolver: Arc<Resolver>,
}
