//! How to speak to Proxies: what the connections of one side share.

use super::allow::Network;
use super::credentials::SharedCredentials;
use super::outbox::AllQueued;
use super::served_proxies::ServedProxies;
use super::shutdown::Shutdown;
use super::status::Connections;
use super::tls;
use std::sync::Arc;
use std::time::Duration;

/// How to speak to Proxies.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    /// The adapter as it names itself.
    pub product: String,
    /// What to say in the hello, if anything.
    pub credentials: SharedCredentials,
    /// TLS, if it is wanted.
    pub tls: Option<tls::Settings>,
    /// Who may connect to us; everybody if there are none.
    pub allow: Vec<Network>,
    /// After how much silence to send a keepalive; zero: never; `None`: as the Proxy wants it.
    pub keepalive: Option<Duration>,
    /// How often each thread has to give a heartbeat, if at all.
    pub heartbeat: Option<Duration>,
    /// What waits to be written on all connections.
    pub all_queued: AllQueued,
    /// The Proxies in service.
    pub proxies: Arc<ServedProxies>,
    /// What ends all connections.
    pub shutdown: Arc<Shutdown>,
    /// The connections of this side.
    pub connections: Arc<Connections>,
}

impl Config {
    /// Whether Proxies that connect to us have to show a certificate.
    pub fn verifies_clients(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(tls::Settings::verifies_clients)
    }

    /// Whether not everybody who connects to us is let in.
    pub fn is_guarded(&self) -> bool {
        !self.allow.is_empty() || self.verifies_clients()
    }
}
