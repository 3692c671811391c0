//! TLS to a Proxy: whom to trust, who to be, and the two halves of a session.
//!
//! It knows sockets, but nothing of ARI. Built on `rustls`.

mod handshake;
mod identity;
mod names;
mod session;
mod trust;
mod verify;
mod words;

pub use handshake::HANDSHAKE;
pub use session::{Reader, Session, Spent};
pub use words::Stage;

use super::steps::Steps;
use crate::shown::Shown;
use identity::Identity;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use trust::Trust;
use verify::Verifier;

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

    fn passing(what: impl Into<String>) -> Failure {
        Failure {
            what: what.into(),
            lasting: false,
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
    /// What was said last of the trust and of files gone bad, so as to say it only when it
    /// changes.
    said: [String; 4],
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
            Failure::lasting(format!(
                "{name} is not a name that a certificate can carry; --tls-name NAME gives one"
            ))
        })?;
        Ok(Tls {
            trust: Arc::new(Trust::read(&settings.ca)?),
            identity: Arc::new(Identity::read(settings.identity.as_ref())?),
            settings,
            name,
            said: Default::default(),
        })
    }

    /// What the next connection is to use. `link` is what the log is told of the link.
    ///
    /// # Errors
    /// [`Failure`], when what was read does not fit together.
    pub fn client(&mut self, link: &Arc<Steps>) -> Result<Client, Failure> {
        let [said_of_trust, bad_trust, bad_identity, warned] = &mut self.said;
        match Trust::read(&self.settings.ca) {
            // Built-in roots are no substitute for a store that was there before.
            Ok(trust) if self.trust.is_store() && !trust.is_store() => {
                let trouble = trust.trouble().unwrap_or("the platform's store is empty");
                say_gone_bad(link, trouble, bad_trust);
            }
            Ok(trust) => {
                say_good_again(link, "what is trusted", bad_trust);
                self.trust = Arc::new(trust);
            }
            Err(failure) => say_gone_bad(link, &failure.what, bad_trust),
        }
        match Identity::read(self.settings.identity.as_ref()) {
            Ok(identity) => {
                say_good_again(link, "the client certificate", bad_identity);
                self.identity = Arc::new(identity);
            }
            Err(failure) => say_gone_bad(link, &failure.what, bad_identity),
        }
        let warning = self.identity.warning.as_deref().unwrap_or_default();
        if warned != warning {
            warning.clone_into(warned);
            if !warning.is_empty() {
                link.trouble(format_args!("TLS: {warning}"));
            }
        }
        if *said_of_trust != self.trust.origin() {
            let origin = self.trust.origin();
            let what = format_args!("TLS: trusting {origin}");
            let is_said = match self.trust.trouble() {
                Some(_) => link.trouble(what),
                None => link.step(what),
            };
            if is_said {
                origin.clone_into(said_of_trust);
            }
        }
        // What a connection learns of its peer is its own.
        let verifier = Arc::new(Verifier::new(&self.trust)?);
        let resolver = Arc::new(self.identity.resolver());
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| Failure::lasting(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _);
        let mut config = builder.with_client_cert_resolver(Arc::clone(&resolver) as _);
        // Each connection verifies its peer by the files as they are then.
        config.resumption = Resumption::disabled();
        Ok(Client {
            link: Arc::clone(link),
            config: Arc::new(config),
            name: self.name.clone(),
            has_given: !self.trust.given().is_empty(),
            verifier,
            resolver,
        })
    }
}

/// Says that something cannot be used any more, unless that is known.
fn say_gone_bad(link: &Steps, what: &str, said: &mut String) {
    if said != what {
        what.clone_into(said);
        let link = link.name();
        log::error!("{link}: TLS: {what}; what was read before is used on");
    }
}

/// Says that it can be used again, if the contrary was said.
fn say_good_again(link: &Steps, what: &str, said: &mut String) {
    if !said.is_empty() {
        said.clear();
        let link = link.name();
        log::info!("{link}: TLS: {what} can be read again");
    }
}

/// What one connection uses.
#[derive(Debug)]
pub struct Client {
    link: Arc<Steps>,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// Whether certificates were given, by `--tls-ca`.
    has_given: bool,
    verifier: Arc<Verifier>,
    resolver: Arc<identity::Resolver>,
}

impl Client {
    fn connection(&self) -> Result<ClientConnection, Failure> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let mut connection = connection.map_err(|e| Failure::lasting(e.to_string()))?;
        connection.set_buffer_limit(None); // batches are bounded before they come here
        Ok(connection)
    }
}
