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
mod config;
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
use abort::spawn;
use acceptor::{Accepted, Acceptor, NewService};
use config::Config;
use connector::Connector;
use data::DataService;
use dispatch::Service;
use host::{Host, address};
use listening::Places;
use metadata::MetadataService;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tls::{Tls, TlsError};

/// Where the Proxies are, and how to connect to them: what the providers of one adapter share.
///
/// Clones stop together and share their credentials, which stay what was set last on any of them; the
/// rest is each one's own.
#[derive(Clone, Debug)]
pub struct Servers {
    /// To connect to.
    hosts: Vec<Host>,
    /// The one to connect to where nothing else is said.
    default: [Host; 1],
    /// Addresses and names of this host, on which Proxies connect to us.
    listen: Vec<String>,
    accepted: Arc<Accepted>,
    places: Arc<Mutex<Places>>,
    config: Config,
}

/// How it connects, in one line, such as `without TLS, user "user1", keepalive after 10000 ms, no
/// watchdog`; what is switched off is named, too.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.config.tls {
            Some(settings) => {
                let (calls, listens) = (!self.hosts().is_empty(), !self.listen.is_empty());
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
        f.write_str(match self.config.heartbeat {
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
    /// An address cannot be listened on, or not safely; or a server to connect to is this adapter, or
    /// one that is connected to anyway.
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
            hosts: Vec::new(),
            default: [Host::new("localhost".into(), None)],
            listen: Vec::new(),
            accepted: Arc::default(),
            places: Arc::default(),
            config: Config {
                product: concat!("chat-adapter ", env!("CARGO_PKG_VERSION")).into(),
                ..Config::default()
            },
        }
    }

    /// Connects to a server on this host, a name or an address. Called again: to one more. Where neither
    /// this nor [`listen`](Self::listen) is called, it is `localhost`.
    ///
    /// All connections to it are to one server, also where the name stands for several.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Servers {
        self.hosts.push(Host::new(host.into(), None));
        self
    }

    /// The same to a server whose `request_reply_port`s are its own: that of the Proxy Metadata Adapter
    /// and that of the Proxy Data Adapter.
    #[must_use]
    pub fn host_with_ports(mut self, host: impl Into<String>, metadata: u16, data: u16) -> Servers {
        let host = Host::new(host.into(), Some([metadata, data]));
        self.hosts.push(host);
        self
    }

    /// The servers to connect to.
    fn hosts(&self) -> &[Host] {
        match self.hosts.is_empty() && self.listen.is_empty() {
            true => &self.default,
            false => &self.hosts,
        }
    }

    /// Listens on this address or name of this host, for Proxies with a `remote_host`, which connect to
    /// us (section 9). May be called again.
    ///
    /// Whoever reaches a data port hears everything, and whoever reaches a metadata port can speak for
    /// anybody. So a start fails unless all addresses are of the loopback interface, or client
    /// certificates are verified ([`tls::Settings`]), or [`allow`](Self::allow) is called.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Servers {
        self.listen.push(address.into());
        self
    }

    /// Lets in Proxies that connect from this network, and others only if this is called for them, too.
    #[must_use]
    pub fn allow(mut self, network: Network) -> Servers {
        self.config.allow.push(network);
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
    pub fn heartbeat(mut self, interval: Duration) -> Servers {
        self.config.heartbeat = Some(interval);
        self
    }

    /// So many servers there are; `None`: any number, since they connect to us.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        self.listen.is_empty().then_some(self.hosts().len())
    }

    /// Where the Proxies are, as it stands in the log: the ports are those of servers without ports of
    /// their own, and those that are listened on.
    #[must_use]
    pub fn places(&self, metadata: u16, data: u16) -> String {
        let ports = [(Side::Metadata, metadata), (Side::Data, data)];
        let called = self.hosts().iter().flat_map(|host| {
            ports.map(|(side, port)| format!("{side} {}", host.address(side, port)))
        });
        let listened = self.listen.iter().flat_map(|name| {
            ports.map(|(side, port)| format!("{side} listening on {}", address(name, port)))
        });
        let allow = self.config.allow.iter();
        let allowed = allow.map(|network| format!("allowing {network}"));
        let places = called.chain(listened).chain(allowed);
        places.collect::<Vec<_>>().join(", ")
    }

    /// Whether all this makes sense together, for Proxies on these ports.
    ///
    /// # Errors
    /// What does not, in a line that names options of `chat-adapter`.
    pub(crate) fn validate(&self, ports: &[(Side, u16)]) -> Result<(), String> {
        if self.listen.is_empty() && !self.config.allow.is_empty() {
            return Err("--allow needs a --listen".into());
        }
        if let Some(tls) = &self.config.tls {
            tls.validate(self.hosts.len(), !self.listen.is_empty())?;
        }
        // A Proxy serves one connection.
        let mut all = Vec::new();
        let ports = ports.iter();
        for (name, port) in ports.flat_map(|&(side, port)| self.called(side, port)) {
            let place = (name.to_ascii_lowercase(), port);
            if all.contains(&place) {
                let name = Escaped(name.as_bytes());
                return Err(format!("--host {name}: its port {port} is given twice"));
            }
            all.push(place);
        }
        Ok(())
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
        *lock(&self.config.credentials) = credentials;
    }

    /// User and password that connections to come will use.
    #[must_use]
    pub fn current_credentials(&self) -> Option<Credentials> {
        lock(&self.config.credentials).clone()
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
        let ports = [(Side::Metadata, metadata), (Side::Data, data)];
        self.validate(&ports).map_err(StartError::Listen)?;
        // Servers may have much in common, which is said once.
        let mut tell = |line: String| match found.contains(&line) {
            true => {}
            false => found.push(line),
        };
        for host in self.hosts() {
            let name = Escaped(host.name.as_bytes());
            tell(match resolve::addresses(&host.name, 0) {
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
                tls.describe().into_iter().for_each(&mut tell);
            }
        }
        if let Some(tls) = self.listening_tls()? {
            tls.describe().into_iter().for_each(&mut tell);
        }
        let switch = |is_on| if is_on { "Y" } else { "N" };
        let tls = switch(self.config.tls.is_some());
        let auth = switch(self.current_credentials().is_some());
        let mut all = Places::default();
        for (side, common) in ports {
            let listened = self.listened(common)?;
            let listened = listened.into_iter().map(|(_, address)| address);
            let called = self.called(side, common);
            all.add(listened.clone(), called.clone())
                .map_err(StartError::Listen)?;
            let called = called.map(|(_, port)| (String::new(), port));
            let listened = listened.map(|address| {
                let host = match address.ip() {
                    // The Proxy verifies it by TLS.
                    _ if self.config.tls.is_some() => "a name in that certificate".into(),
                    any if any.is_unspecified() => "an address of this host".into(),
                    own => own.to_string(),
                };
                let remote = format!("<param name=\"remote_host\">{host}</param> ");
                (remote, common)
            });
            for (remote, port) in called.chain(listened) {
                tell(format!(
                    "adapters.xml, {side}_provider: {remote}<param name=\"request_reply_port\">{port}</param> \
                     <param name=\"tls\">{tls}</param> <param name=\"auth\">{auth}</param>"
                ));
            }
        }
        Ok(())
    }

    /// The hosts that are called for one side, with their ports; `common` is that of those without one
    /// of their own.
    fn called(&self, side: Side, common: u16) -> impl Iterator<Item = (&str, u16)> + Clone {
        let hosts = self.hosts().iter();
        hosts.map(move |host| (host.name.as_str(), host.port(side, common)))
    }

    /// The addresses to listen on for one side, which must be guarded.
    fn listened(&self, port: u16) -> Result<Vec<listening::Place<'_>>, StartError> {
        let is_guarded = !self.config.allow.is_empty() || self.config.verifies_clients();
        listening::resolve(&self.listen, port, is_guarded).map_err(StartError::Listen)
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
        self.start(Side::Metadata, port, Arc::new(service))
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
        self.start(Side::Data, port, Arc::new(service))
    }

    fn start(
        &self,
        side: Side,
        port: u16,
        service: Arc<NewService>,
    ) -> Result<ProviderServer, StartError> {
        self.validate(&[(side, port)]).map_err(StartError::Listen)?;
        self.guard(self.current_credentials().as_ref())?;
        let config = Arc::new(Config {
            connections: Arc::default(),
            ..self.config.clone()
        });
        let tls = self.listening_tls()?.map(Arc::new);
        let (mut connectors, mut acceptors) = (Vec::new(), Vec::new());
        for listener in listening::listen(self.listened(port)?).map_err(StartError::Listen)? {
            let (accepted, tls) = (&self.accepted, tls.clone());
            let acceptor = Acceptor::new(side, &listener, &config, accepted, tls, &service);
            let acceptor = acceptor.map_err(|error| StartError::Listen(error.to_string()))?;
            acceptors.push((Arc::new(acceptor), listener));
        }
        for host in self.hosts() {
            let connector = Connector::new(&config, host, port, service());
            connectors.push(connector.map_err(StartError::Tls)?);
        }
        let listened = acceptors.iter().flat_map(|(_, own)| own.local_addr());
        let added = lock(&self.places).add(listened, self.called(side, port));
        added.map_err(StartError::Listen)?;
        for connector in connectors {
            spawn(side, || connector.run()).map_err(StartError::Thread)?;
        }
        for (acceptor, listener) in acceptors {
            spawn(side, || acceptor.run(listener)).map_err(StartError::Thread)?;
        }
        Ok(ProviderServer { side, config })
    }

    /// TLS for Proxies that connect, if they do.
    fn listening_tls(&self) -> Result<Option<Tls>, StartError> {
        let settings = self.config.tls.clone();
        let settings = settings.filter(|_| !self.listen.is_empty());
        let tls = settings.map(Tls::server).transpose();
        tls.map_err(StartError::Tls)
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
