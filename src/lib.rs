//! `chat-adapter`: the Remote Adapter of Lightstreamer's Basic Chat Demo.
//!
//! Lightstreamer Server keeps the connections to browsers and phones. What they may do, and what
//! they get, is decided here: this process connects to the server's two Proxy Adapters and
//! answers what they ask. Arrows point one way:
//!
//! - [`cli`], [`credentials`], [`logging`], [`system`], [`service`]: how the program is
//!   started, watched and ended;
//! - [`link`]: one connection to a Proxy, its threads, its life and death;
//! - [`chat`]: what is answered; pure state;
//! - [`ari`]: the protocol; pure functions.
//!
//! [`Adapter::start`] puts them together.

pub mod ari;
pub mod chat;
pub mod cli;
pub mod credentials;
pub mod link;
pub mod logging;
pub mod secret;
pub mod service;
pub mod shown;
mod stderr;
pub mod system;

use ari::Side;
use ari::handler::Handler;
use chat::data::Data;
use chat::metadata::Metadata;
use chat::room::Room;
use link::shutdown::Shutdown;
use link::status::Status;
use link::tls::{self, Tls};
use link::{Link, LinkConfig, SharedCredentials};
use std::fmt;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's host: a name or an address.
    pub host: String,
    /// `request_reply_port` of the Proxy Metadata Adapter.
    pub metadata_port: u16,
    /// `request_reply_port` of the Proxy Data Adapter.
    pub data_port: u16,
    /// Where to find credentials, for Proxies that demand them.
    pub credentials: credentials::Sources,
    /// TLS, if it is wanted.
    pub tls: Option<tls::Settings>,
    /// The longest silence on a connection; zero: only what a Proxy asks for; `None`: 10 s, or
    /// 1 s with a Proxy of the 1.8 family.
    pub keepalive: Option<Duration>,
    /// How much to log; `None`: as the environment says.
    pub log: Option<log::LevelFilter>,
    /// How often each thread must prove that it is alive; `None`: nobody wants to know.
    pub pulse: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            host: "localhost".into(),
            metadata_port: 8003,
            data_port: 8001,
            credentials: credentials::Sources::default(),
            tls: None,
            keepalive: None,
            log: None,
            pulse: None,
        }
    }
}

/// Why the adapter cannot start; one line that names the thing.
#[derive(Debug)]
pub enum StartError {
    /// The command line is wrong.
    Usage(String),
    /// Something else is.
    Other(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (StartError::Usage(what) | StartError::Other(what)) = self;
        f.write_str(what)
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::Other(error.to_string())
    }
}

impl From<tls::Failure> for StartError {
    fn from(failure: tls::Failure) -> Self {
        StartError::Other(format!("TLS: {failure}"))
    }
}

impl From<credentials::Problem> for StartError {
    fn from(problem: credentials::Problem) -> Self {
        match problem {
            credentials::Problem::Usage(what) => StartError::Usage(what),
            credentials::Problem::File(what) => StartError::Other(what),
        }
    }
}

/// A running adapter: two links and the room between them.
pub struct Adapter {
    shutdown: Arc<Shutdown>,
    links: [(Side, Arc<Status>); 2],
    room: Arc<Room>,
    sources: credentials::Sources,
    credentials: SharedCredentials,
    /// What was warned of when the sources were last read.
    warned: Mutex<Vec<String>>,
}

impl Adapter {
    /// Starts both links. They connect when their Proxies are there, in either order.
    ///
    /// # Errors
    /// [`StartError`], when credentials or certificates are no good, or when there is no thread
    /// to be had.
    pub fn start(config: &Config) -> Result<Adapter, StartError> {
        let adapter = Adapter {
            shutdown: Arc::default(),
            links: [Side::Metadata, Side::Data]
                .map(|side| (side, Arc::new(Status::new(config.pulse)))),
            room: Arc::default(),
            sources: config.credentials.clone(),
            credentials: Arc::default(),
            warned: Mutex::default(),
        };
        adapter.reload()?;
        let tls = || {
            let settings = config.tls.clone();
            settings
                .map(|settings| Tls::new(settings, &config.host))
                .transpose()
        };
        let (metadata, data) = (tls()?, tls()?);
        let zone = jiff::tz::TimeZone::system();
        adapter.link(
            config,
            metadata,
            Metadata::new(Arc::clone(&adapter.room), zone),
        )?;
        adapter.link(config, data, Data::new(Arc::clone(&adapter.room)))?;
        Ok(adapter)
    }

    /// Looks for the credentials again; connections to come use what is found.
    ///
    /// # Errors
    /// [`credentials::Problem`]; what was known before is used on then.
    pub fn reload(&self) -> Result<(), credentials::Problem> {
        let found = self.sources.find(|name| std::env::var_os(name))?;
        let shared = self.credentials.lock();
        let mut shared = shared.unwrap_or_else(PoisonError::into_inner);
        if shared.is_some() && found.credentials.is_none() {
            return Err(credentials::Problem::File(
                "there were credentials, and now there are none".into(),
            ));
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in found.warnings.iter().filter(|w| !warned.contains(w)) {
            log::warn!("{warning}");
        }
        *warned = found.warnings;
        *shared = found.credentials;
        Ok(())
    }

    fn link<H: Handler + 'static>(
        &self,
        config: &Config,
        tls: Option<Tls>,
        handler: H,
    ) -> io::Result<()> {
        let side = handler.side();
        let [metadata, data] = &self.links;
        let (port, (_, status)) = match side {
            Side::Metadata => (config.metadata_port, metadata),
            Side::Data => (config.data_port, data),
        };
        let config = LinkConfig {
            side,
            host: config.host.clone(),
            port,
            credentials: Arc::clone(&self.credentials),
            tls,
            keepalive: config.keepalive,
        };
        let (shutdown, status) = (Arc::clone(&self.shutdown), Arc::clone(status));
        let link = Link::new(config, handler, shutdown, status);
        thread::Builder::new()
            .name(side.to_string())
            .spawn(|| link.run())?;
        Ok(())
    }

    /// Requests the end and waits for it: what was answered is written out first. Says whether
    /// that was done within `patience`.
    #[must_use]
    pub fn stop(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.shutdown.request();
        self.shutdown.finished(deadline)
    }

    /// Requests the end, and does not wait.
    pub fn request_stop(&self) {
        self.shutdown.request();
    }

    /// Whether every thread has been heard of as it promised.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.links.iter().all(|(_, status)| status.is_alive())
    }

    /// How things are, in one line.
    #[must_use]
    pub fn state(&self) -> String {
        let [metadata, data] = &self.links;
        let tally = &self.room.tally;
        let link = |(side, status): &(Side, Arc<Status>)| {
            format!(
                "{side} {} ({} reconnections, {} bytes queued)",
                status.phase(),
                status.reconnections(),
                status.queued()
            )
        };
        format!(
            "{}, {}, {} sessions, room {}, messages {} relayed, {} refused, {} lost",
            link(metadata),
            link(data),
            tally.sessions.load(Ordering::Relaxed),
            if self.room.is_open() {
                "open"
            } else {
                "closed"
            },
            tally.relayed.load(Ordering::Relaxed),
            tally.refused.load(Ordering::Relaxed),
            data.1.lost_updates(),
        )
    }
}
