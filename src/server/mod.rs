//! Runs a provider against a Proxy: connects, serves, and connects again, until it is stopped.
//!
//! ```no_run
//! use chat_adapter::provider::MetadataProvider;
//! use chat_adapter::server::{Servers, StartError};
//!
//! struct Everybody;
//! impl MetadataProvider for Everybody {}
//!
//! fn main() -> Result<(), StartError> {
//!     let servers = Servers::builder().host("localhost").credentials("user1", "pwd1");
//!     servers.metadata(8003, || Everybody)?.wait();
//!     Ok(())
//! }
//! ```
//!
//! Each connection has two threads: one reads and calls the provider, the other writes. A Proxy that
//! is not there yet, or not any more, is tried again and again. Requests that are malformed are
//! answered with an error and never reach the provider (section 8 of the protocol). A panic in a
//! provider ends the process: half an adapter would look alive and serve nobody.
//!
//! What is to be logged goes to the crate `log`.

mod abort;
mod affinity;
mod allow;
mod backoff;
mod connection;
mod credentials;
mod data;
mod diagnosis;
mod disconnect;
mod dispatch;
mod failures;
pub(crate) mod file;
mod heartbeat;
mod init;
pub mod local;
mod metadata;
mod orderly_close;
mod outbox;
mod reader;
mod resolve;
mod shutdown;
mod socket;
mod stall;
mod status;
pub mod tls;
mod transport;
mod waker;
mod writer;

pub use allow::Network;
pub use connection::DRAIN;
pub use credentials::{Credentials, Secret};
pub use disconnect::Disconnect;
pub use outbox::{REPLY_LIMIT, UPDATE_LIMIT};
pub use status::Phase;

use crate::ari::Side;
use crate::ari::escape::Escaped;
use crate::provider::{DataProvider, MetadataProvider, system_time};
use abort::AbortOnPanic;
use affinity::Affinity;
use connection::{Config, ProxyConnection};
use credentials::SharedCredentials;
use data::DataService;
use dispatch::Service;
use metadata::MetadataService;
use shutdown::Shutdown;
use status::Status;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use tls::TlsError;

/// Where the Proxies are, and how to connect to them: what the providers of one adapter share.
///
/// Clones stop together and share their credentials, which stay what was set last on any of them; the
/// rest is each one's own.
#[derive(Clone, Debug)]
pub struct Servers {
    config: Config,
    heartbeat: Option<Duration>,
    shutdown: Arc<Shutdown>,
}

/// How it connects, in one line, such as `without TLS, user "user1", keepalive after 10000 ms, no
/// watchdog`; what is switched off is named, too.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.config.tls {
            Some(settings) => write!(f, "{settings}, ")?,
            None => f.write_str("without TLS, ")?,
        }
        match self.current_credentials() {
            Some(Credentials { user, .. }) => write!(f, "user \"{}\", ", Escaped::of(&user))?,
            None => f.write_str("no credentials, ")?,
        }
        match init::keepalive_before_init(self.config.keepalive).as_millis() {
            0 => f.write_str("no keepalive of its own, ")?,
            millis => write!(f, "keepalive after {millis} ms, ")?,
        }
        f.write_str(match self.heartbeat {
            Some(_) => "watchdog",
            None => "no watchdog",
        })
    }
}

/// Why a provider cannot be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The files or the name for TLS cannot be used.
    Tls(TlsError),
    /// There is no thread to be had.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Tls(error) => write!(f, "TLS: {error}"),
            StartError::Thread(error) => write!(f, "no thread can be started: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl Servers {
    /// The Proxies of a server on this host, without credentials and without TLS.
    #[must_use]
    pub fn builder() -> Servers {
        Servers {
            config: Config {
                host: "localhost".into(),
                product: concat!("chat-adapter ", env!("CARGO_PKG_VERSION")).into(),
                credentials: SharedCredentials::default(),
                tls: None,
                keepalive: None,
                affinity: Affinity::default(),
            },
            heartbeat: None,
            shutdown: Arc::default(),
        }
    }

    /// The server's host: a name or an address; `localhost` by default.
    ///
    /// All connections by this value and its clones are to one server, also where the name stands for
    /// several. To reach another, on the same host too, call this on a clone.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Servers {
        self.config.host = host.into();
        self.config.affinity = Affinity::default();
        self
    }

    /// User and password, for Proxies that demand them; none by default.
    #[must_use]
    pub fn credentials(self, user: impl Into<String>, password: impl Into<String>) -> Servers {
        self.set_credentials(Some(Credentials {
            user: user.into(),
            password: Secret::new(password.into()),
        }));
        self
    }

    /// Connects by TLS.
    #[must_use]
    pub fn tls(mut self, settings: tls::Settings) -> Servers {
        self.config.tls = Some(settings);
        self
    }

    /// The longest silence on a connection, before a keepalive is sent; zero: only what a Proxy
    /// asks for. By default 10 s, or 1 s with a Proxy of the 1.8 family (section 4).
    #[must_use]
    pub fn keepalive(mut self, silence: Duration) -> Servers {
        self.config.keepalive = Some(silence);
        self
    }

    /// The name and version by which the adapter makes itself known to a Proxy, for the server's log;
    /// those of this crate by default.
    #[must_use]
    pub fn product(mut self, product: impl Into<String>) -> Servers {
        self.config.product = product.into();
        self
    }

    /// How often each thread has to show that it is alive, for
    /// [`ProviderServer::is_alive`]; never by default.
    #[must_use]
    pub fn heartbeat(self, interval: Duration) -> Servers {
        let heartbeat = Some(interval);
        Servers { heartbeat, ..self }
    }

    /// Host and port of a Proxy, as they stand in the log.
    #[must_use]
    pub fn address(&self, port: u16) -> String {
        self.config.address(port)
    }

    /// Changes user and password for connections to come.
    pub fn set_credentials(&self, credentials: Option<Credentials>) {
        self.config.credentials.set(credentials);
    }

    /// User and password that connections to come will use.
    #[must_use]
    pub fn current_credentials(&self) -> Option<Credentials> {
        self.config.credentials.get()
    }

    /// Finds out what can be known without connecting: the host's addresses, what the files for TLS
    /// hold, and what the Proxies on these ports need in `adapters.xml`. Adds a line for each thing.
    ///
    /// # Errors
    /// [`StartError`], as a start would give it.
    pub fn check(&self, ports: &[(Side, u16)], found: &mut Vec<String>) -> Result<(), StartError> {
        let host = &self.config.host;
        found.push(match resolve::addresses(host, 0) {
            Ok(addresses) => {
                let addresses = addresses.iter().map(|address| address.ip().to_string());
                let addresses: Vec<_> = addresses.collect();
                format!("addresses of the host: {}", addresses.join(", "))
            }
            Err(error) => format!("{}; a start waits for it", Disconnect::Resolve(error)),
        });
        if let Some(settings) = self.config.tls.clone() {
            let tls = tls::Tls::new(settings, host).map_err(StartError::Tls)?;
            found.extend(tls.describe());
        }
        let switch = |is_on| if is_on { "Y" } else { "N" };
        let tls = switch(self.config.tls.is_some());
        let auth = switch(self.current_credentials().is_some());
        for (side, port) in ports {
            found.push(format!(
                "adapters.xml, {side}_provider: <param name=\"request_reply_port\">{port}</param> \
                 <param name=\"tls\">{tls}</param> <param name=\"auth\">{auth}</param>"
            ));
        }
        Ok(())
    }

    /// Starts a metadata provider: connects to the Proxy Metadata Adapter on that port, its
    /// `request_reply_port`, as soon as it is there, and does not wait for it. `provider` makes one
    /// provider for each server.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn metadata<P: MetadataProvider + 'static>(
        &self,
        port: u16,
        provider: impl Fn() -> P,
    ) -> Result<MetadataProviderServer, StartError> {
        self.start(port, Box::new(MetadataService::new(provider())))
    }

    /// Starts a data provider: connects to the Proxy Data Adapter on that port, its
    /// `request_reply_port`, as soon as it is there, and does not wait for it. `provider` makes one
    /// provider for each server.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn data<P: DataProvider + 'static>(
        &self,
        port: u16,
        provider: impl Fn() -> P,
    ) -> Result<DataProviderServer, StartError> {
        self.start(port, Box::new(DataService::new(provider(), system_time)))
    }

    fn start(&self, port: u16, service: Box<dyn Service>) -> Result<ProviderServer, StartError> {
        let side = service.side();
        let status = Arc::new(Status::new(self.heartbeat));
        let shutdown = Arc::clone(&self.shutdown);
        let config = self.config.clone();
        let connection = ProxyConnection::new(config, port, service, shutdown, Arc::clone(&status))
            .map_err(StartError::Tls)?;
        thread::Builder::new()
            .name(side.to_string())
            .spawn(|| {
                let _abort = AbortOnPanic;
                connection.run();
            })
            .map_err(StartError::Thread)?;
        Ok(ProviderServer {
            side,
            status,
            shutdown: Arc::clone(&self.shutdown),
        })
    }

    /// Requests the end, and does not wait.
    pub fn request_stop(&self) {
        self.shutdown.request();
    }

    /// Requests the end and waits until what was answered is written out. Says whether that was
    /// done within `timeout`; [`DRAIN`] is always enough unless a Proxy does not read.
    #[must_use]
    pub fn stop(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        self.shutdown.request();
        self.shutdown.wait_for_connections(deadline)
    }
}

/// A provider that is running. To drop this stops nothing: [`Servers::stop`] does, from a signal
/// handler's thread for example.
#[derive(Debug)]
pub struct ProviderServer {
    side: Side,
    status: Arc<Status>,
    shutdown: Arc<Shutdown>,
}

/// A metadata provider that is running.
pub type MetadataProviderServer = ProviderServer;

/// A data provider that is running.
pub type DataProviderServer = ProviderServer;

impl ProviderServer {
    /// Blocks until the end is requested ([`Servers::request_stop`]), which is the end of all
    /// providers of the same [`Servers`].
    pub fn wait(&self) {
        self.shutdown.wait_for_request();
    }

    /// Whether no thread has missed its heartbeat; always, without [`Servers::heartbeat`].
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.status.reader.is_on_time() && self.status.writer.is_on_time()
    }

    /// What the connection is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.status.phase().0
    }

    /// Updates since the start that were accepted and could not be written.
    #[must_use]
    pub fn lost_updates(&self) -> u64 {
        self.status.lost_updates.load(Ordering::Relaxed)
    }
}

/// The connection in a few words, such as `data serving, ARI 1.9.1 (0 reconnections, 0 bytes queued)`.
impl fmt::Display for ProviderServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (side, phase) = (self.side, self.phase());
        let reconnections = self.status.served.load(Ordering::Relaxed).saturating_sub(1);
        let queued = self.status.queued();
        write!(
            f,
            "{side} {phase} ({reconnections} reconnections, {queued} bytes queued)"
        )
    }
}
