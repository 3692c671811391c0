//! TLS to a Proxy: whom to trust, who to be, and the two halves of a session.
//!
//! It knows sockets, but nothing of ARI. Built on `rustls`.

mod identity;
mod session;
mod trust;
mod words;

pub use session::{HANDSHAKE, Reader, Session};

use crate::shown::Shown;
use identity::Identity;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use trust::Trust;

/// What is asked for on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Trust exactly what is in these files; the platform's store when there are none.
    pub ca: Vec<PathBuf>,
    /// The name that the server's certificate must carry, when it is not the host's.
    pub name: Option<String>,
    /// A client certificate: the file of its chain, and the file of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why TLS cannot be set up or came to its end; one line that says what a person needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub what: String,
    /// Whether only a person can mend it.
    pub lasting: bool,
}

impl Failure {
    fn lasting(what: impl Into<String>) -> Failure {
        Failure {
            what: what.into(),
            lasting: true,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// TLS as one link uses it, connection after connection.
///
/// The files are read again for each; when they have gone bad meanwhile, what was read last goes
/// on being used.
#[derive(Debug)]
pub struct Tls {
    settings: Settings,
    name: ServerName<'static>,
    trust: Arc<Trust>,
    identity: Arc<Identity>,
    /// What was said last of the trust, so as to say it only when it changes.
    said: String,
}

impl Tls {
    /// Reads all files for the first time.
    ///
    /// # Errors
    /// [`Failure`], naming the file or the name that is no good.
    pub fn new(settings: Settings, host: &str) -> Result<Tls, Failure> {
        let name = settings.name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            let name = Shown(name.as_bytes());
            Failure::lasting(format!("{name} is not a name that a certificate can carry"))
        })?;
        Ok(Tls {
            trust: Arc::new(Trust::read(&settings.ca)?),
            identity: Arc::new(Identity::read(settings.identity.as_ref())?),
            settings,
            name,
            said: String::new(),
        })
    }

    /// What the next connection is to use. `link` names the link in the log.
    ///
    /// # Errors
    /// [`Failure`], when what was read does not fit together.
    pub fn client(&mut self, link: &str) -> Result<Client, Failure> {
        let kept = "what was read before is used on";
        match Trust::read(&self.settings.ca) {
            Ok(trust) => self.trust = Arc::new(trust),
            Err(failure) => log::error!("{link}: TLS: {failure}; {kept}"),
        }
        match Identity::read(self.settings.identity.as_ref()) {
            Ok(identity) => self.identity = Arc::new(identity),
            Err(failure) => log::error!("{link}: TLS: {failure}; {kept}"),
        }
        if self.said != self.trust.origin() {
            self.said = self.trust.origin().to_owned();
            log::info!("{link}: TLS: trusting {}", self.said);
        }
        // What a connection learns of its peer is its own.
        let verifier = Arc::new(self.trust.verifier()?);
        let resolver = Arc::new(self.identity.resolver());
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| Failure::lasting(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _);
        Ok(Client {
            config: Arc::new(builder.with_client_cert_resolver(Arc::clone(&resolver) as _)),
            name: self.name.clone(),
            verifier,
            resolver,
        })
    }
}

/// What one connection uses.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    verifier: Arc<trust::Verifier>,
    resolver: Arc<identity::Resolver>,
}
