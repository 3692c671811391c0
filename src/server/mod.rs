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
mod acceptor;
mod affinity;
mod allow;
mod backoff;
mod connection;
mod connector;
mod credentials;
mod data;
mod diagnosis;
mod disconnect;
mod dispatch;
mod failures;
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub(crate) mod file;
mod heartbeat;
mod host;
mod init;
mod listening;
pub mod local;
mod metadata;
mod orderly_close;
mod outbox;
mod provider_server;
mod reader;
mod resolve;
mod served_proxies;
mod shutdown;
mod socket;
mod stall;
mod status;
#[cfg_attr(not(feature = "tls"), path = "without_tls.rs")]
pub mod tls;
mod transport;
mod waker;
mod writer;

pub use allow::Network;
pub use connection::DRAIN;
pub use credentials::{Credentials, Secret};
pub use disconnect::Disconnect;
pub use outbox::{REPLY_LIMIT, UPDATE_LIMIT};
pub use provider_server::{DataProviderServer, MetadataProviderServer, ProviderServer};
pub use status::Phase;

use crate::ari::Side;
use crate::ari::escape::Escaped;
use crate::provider::{DataProvider, MetadataProvider, lock, system_time};
use abort::AbortOnPanic;
use acceptor::{Accepted, Acceptor, Port};
use connection::Config;
use connector::Connector;
use credentials::SharedCredentials;
use data::DataService;
use dispatch::Service;
use host::Host;
use listening::Places;
use metadata::MetadataService;
use status::Connections;
use std::fmt;
use std::io;
use std::mem;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tls::{Tls, TlsError};

/// Where the Proxies are, and how to connect to them: what the providers of one adapter share.
///
/// Clones stop together and share their credentials, which stay what was set last on any of them; the
/// rest is each one's own.
#[derive(Clone, Debug)]
pub struct Servers {
    /// To connect to; none was named if [`is_default`](Self::is_default).
    hosts: Vec<Host>,
    is_default: bool,
    /// Addresses and names of this host, on which Proxies connect to us.
    listen: Vec<String>,
    /// Who may; everybody if there are none.
    allow: Vec<Network>,
    accepted: Arc<Accepted>,
    places: Arc<Mutex<Places>>,
    config: Config,
    heartbeat: Option<Duration>,
}

/// How it connects, in one line, such as `without TLS, user "user1", keepalive after 10000 ms, no
/// watchdog`; what is switched off is named, too.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.config.tls {
            Some(settings) => {
                let (calls, listens) = (!self.hosts.is_empty(), !self.listen.is_empty());
                write!(f, "{}, ", settings.in_words(calls, listens))?;
            }
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
    /// An address cannot be listened on, or not safely; or a server to connect to is this adapter.
    Listen(String),
    /// There is no thread to be had.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Tls(error) => write!(f, "TLS: {error}"),
            StartError::Listen(what) => f.write_str(what),
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
            hosts: vec![Host::new("localhost".into(), None)],
            is_default: true,
            listen: Vec::new(),
            allow: Vec::new(),
            accepted: Arc::default(),
            places: Arc::default(),
            config: Config {
                product: concat!("chat-adapter ", env!("CARGO_PKG_VERSION")).into(),
                credentials: SharedCredentials::default(),
                tls: None,
                keepalive: None,
                all_queued: Default::default(),
                proxies: Arc::default(),
                shutdown: Arc::default(),
            },
            heartbeat: None,
        }
    }

    /// Connects to a server on this host, a name or an address. Called again: to one more. Where neither
    /// this nor [`listen`](Self::listen) is called, it is `localhost`.
    ///
    /// All connections to it are to one server, also where the name stands for several.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> Servers {
        self.add_host(Host::new(host.into(), None))
    }

    /// The same to a server whose `request_reply_port`s are its own: that of the Proxy Metadata Adapter
    /// and that of the Proxy Data Adapter.
    #[must_use]
    pub fn host_with_ports(self, host: impl Into<String>, metadata: u16, data: u16) -> Servers {
        self.add_host(Host::new(host.into(), Some([metadata, data])))
    }

    fn add_host(mut self, host: Host) -> Servers {
        self.no_default();
        self.hosts.push(host);
        self
    }

    /// Listens on this address or name of this host, for Proxies with a `remote_host`, which connect to
    /// us (section 9). May be called again.
    ///
    /// Whoever reaches a data port hears everything, and whoever reaches a metadata port can speak for
    /// anybody. So a start fails unless all addresses are of the loopback interface, or client
    /// certificates are verified ([`tls::Settings`]), or [`allow`](Self::allow) is called.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Servers {
        self.no_default();
        self.listen.push(address.into());
        self
    }

    /// Lets in Proxies that connect from this network, and others only if this is called for them, too.
    #[must_use]
    pub fn allow(mut self, network: Network) -> Servers {
        self.allow.push(network);
        self
    }

    fn no_default(&mut self) {
        if mem::take(&mut self.is_default) {
            self.hosts.clear();
        }
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

    /// Connects by TLS, which takes the feature `tls`.
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

    /// So many servers there are; `None`: any number, since they connect to us.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        self.listen.is_empty().then_some(self.hosts.len())
    }

    /// Where the Proxies are, as it stands in the log: the ports are those of servers without ports of
    /// their own, and those that are listened on.
    #[must_use]
    pub fn places(&self, metadata: u16, data: u16) -> String {
        let ports = [(Side::Metadata, metadata), (Side::Data, data)];
        let mut places = Vec::new();
        for host in &self.hosts {
            let address = |(side, port)| format!("{side} {}", host.address(side, port));
            places.extend(ports.map(address));
        }
        for name in &self.listen {
            let host = Host::new(name.clone(), None);
            let address =
                |(side, port)| format!("{side} listening on {}", host.address(side, port));
            places.extend(ports.map(address));
        }
        places.extend(
            self.allow
                .iter()
                .map(|network| format!("allowing {network}")),
        );
        places.join(", ")
    }

    /// Whether these user and password may be used: not where peers connect to us that show no
    /// certificate, which could be anybody.
    ///
    /// # Errors
    /// [`StartError::Listen`].
    pub fn guard(&self, credentials: Option<&Credentials>) -> Result<(), StartError> {
        match credentials {
            Some(_) if !self.listen.is_empty() && !self.config.verifies_clients() => {
                Err(StartError::Listen(
                    "a user and a password are not for whoever connects: --listen with credentials \
                     needs --tls-client-ca"
                        .into(),
                ))
            }
            _ => Ok(()),
        }
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
    pub fn check(
        &self,
        metadata: u16,
        data: u16,
        found: &mut Vec<String>,
    ) -> Result<(), StartError> {
        for host in &self.hosts {
            let name = Escaped(host.name.as_bytes());
            found.push(match resolve::addresses(&host.name, 0) {
                Ok(addresses) => {
                    let addresses = addresses.iter().map(|address| address.ip().to_string());
                    let addresses: Vec<_> = addresses.collect();
                    format!("addresses of {name}: {}", addresses.join(", "))
                }
                Err(error) => format!(
                    "{name}: {}; a start waits for it",
                    Disconnect::Resolve(error)
                ),
            });
            if let Some(settings) = self.config.tls.clone() {
                let tls = Tls::new(settings, &host.name).map_err(StartError::Tls)?;
                found.extend(tls.describe());
            }
        }
        if let Some(tls) = self.listening_tls()? {
            found.extend(tls.describe());
        }
        let switch = |is_on| if is_on { "Y" } else { "N" };
        let tls = switch(self.config.tls.is_some());
        let auth = switch(self.current_credentials().is_some());
        let mut all = Places::default();
        for (side, common) in [(Side::Metadata, metadata), (Side::Data, data)] {
            let mut ports: Vec<_> = self
                .hosts
                .iter()
                .map(|host| host.port(side, common))
                .collect();
            ports.dedup();
            let mut places: Vec<_> = ports.iter().map(|&port| (String::new(), port)).collect();
            let mut own = Vec::new();
            for name in &self.listen {
                let is_guarded = !self.allow.is_empty() || self.config.verifies_clients();
                let addresses = listening::resolve(name, common, is_guarded);
                own.extend(addresses.map_err(StartError::Listen)?);
            }
            all.add(side, common, own.iter().copied(), &self.hosts)
                .map_err(StartError::Listen)?;
            for address in own {
                let host = match address.ip() {
                    any if any.is_unspecified() => "an address of this host".into(),
                    own => own.to_string(),
                };
                let remote = format!("<param name=\"remote_host\">{host}</param> ");
                places.push((remote, common));
            }
            for (remote, port) in places {
                found.push(format!(
                    "adapters.xml, {side}_provider: {remote}<param name=\"request_reply_port\">{port}</param> \
                     <param name=\"tls\">{tls}</param> <param name=\"auth\">{auth}</param>"
                ));
            }
        }
        Ok(())
    }

    /// Starts a metadata provider: connects to the Proxy Metadata Adapter on that port, its
    /// `request_reply_port`, as soon as it is there, and does not wait for it. `provider` makes one
    /// provider for each server that is connected to, and one for each connection that is accepted.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn metadata<P: MetadataProvider + 'static>(
        &self,
        port: u16,
        provider: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<MetadataProviderServer, StartError> {
        let service = move || -> Box<dyn Service> { Box::new(MetadataService::new(provider())) };
        self.start(Side::Metadata, port, Box::new(service))
    }

    /// Starts a data provider: connects to the Proxy Data Adapter on that port, its
    /// `request_reply_port`, as soon as it is there, and does not wait for it. `provider` makes one
    /// provider for each server that is connected to, and one for each connection that is accepted.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn data<P: DataProvider + 'static>(
        &self,
        port: u16,
        provider: impl Fn() -> P + Send + Sync + 'static,
    ) -> Result<DataProviderServer, StartError> {
        let service =
            move || -> Box<dyn Service> { Box::new(DataService::new(provider(), system_time)) };
        self.start(Side::Data, port, Box::new(service))
    }

    fn start(
        &self,
        side: Side,
        port: u16,
        service: Box<dyn Fn() -> Box<dyn Service> + Send + Sync>,
    ) -> Result<ProviderServer, StartError> {
        self.guard(self.current_credentials().as_ref())?;
        let tls = self.listening_tls()?;
        let connections = Arc::<Connections>::default();
        let mut listeners = Vec::new();
        for name in &self.listen {
            let is_guarded = !self.allow.is_empty() || self.config.verifies_clients();
            listening::resolve(name, port, is_guarded)
                .and_then(|found| listening::listen(name, &found, &mut listeners))
                .map_err(StartError::Listen)?;
        }
        let own = listeners.iter().flat_map(TcpListener::local_addr);
        lock(&self.places)
            .add(side, port, own, &self.hosts)
            .map_err(StartError::Listen)?;
        for host in &self.hosts {
            let config = self.config.clone();
            let lost_updates = Arc::clone(&connections.lost_updates);
            let (host, heartbeat) = (host.clone(), self.heartbeat);
            let connector = Connector::new(config, host, port, service(), heartbeat, lost_updates)
                .map_err(StartError::Tls)?;
            connections.add(connector.status());
            spawn(side, || connector.run())?;
        }
        let port = Arc::new(Port {
            side,
            tls,
            failures: Default::default(),
            config: self.config.clone(),
            heartbeat: self.heartbeat,
            connections: Arc::clone(&connections),
            accepted: Arc::clone(&self.accepted),
            allow: self.allow.clone(),
            service,
        });
        for listener in listeners {
            let acceptor = Acceptor::new(listener, Arc::clone(&port));
            let acceptor = acceptor.map_err(|error| StartError::Listen(error.to_string()))?;
            spawn(side, || acceptor.run())?;
        }
        Ok(ProviderServer {
            side,
            connections,
            shutdown: Arc::clone(&self.config.shutdown),
        })
    }

    /// TLS for Proxies that connect, if they do.
    fn listening_tls(&self) -> Result<Option<Tls>, StartError> {
        let settings = self.config.tls.clone();
        let settings = settings.filter(|_| !self.listen.is_empty());
        settings
            .map(Tls::server)
            .transpose()
            .map_err(StartError::Tls)
    }

    /// Requests the end, and does not wait.
    pub fn request_stop(&self) {
        self.config.shutdown.request();
    }

    /// Requests the end and waits until what was answered is written out. Says whether that was
    /// done within `timeout`; [`DRAIN`] is always enough unless a Proxy does not read.
    #[must_use]
    pub fn stop(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        self.config.shutdown.request();
        self.config.shutdown.wait_for_connections(deadline)
    }
}

fn spawn(side: Side, run: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    let run = || {
        let _abort = AbortOnPanic;
        run();
    };
    let thread = thread::Builder::new().name(side.to_string()).spawn(run);
    thread.map(drop).map_err(StartError::Thread)
}
