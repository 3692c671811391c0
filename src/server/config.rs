//! How to speak to Proxies: what the connections of one side share, and those to one Proxy.

use super::affinity::Member;
use super::allow::Network;
use super::credentials::Credentials;
use super::failures::Failures;
use super::outbox::AllQueued;
use super::shutdown::Shutdown;
use super::status::{Connections, Status};
use super::tls;
use crate::provider::Connection;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How to speak to Proxies.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    /// The adapter as it names itself.
    pub product: String,
    /// What to say in the hello, if anything; it may be changed for connections to come.
    pub credentials: Arc<Mutex<Option<Credentials>>>,
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
    /// What ends connections.
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
}

/// What is the same for all connections to one Proxy.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// How to speak to Proxies.
    pub config: Arc<Config>,
    /// The connection's name and its limits in the log.
    pub connection: Connection,
    /// Those of all connections from the same place, if there are several.
    pub failures: Arc<Mutex<Failures>>,
    /// Its part among the connections to a server that is called; `None`: the Proxy calls us.
    pub member: Option<Member>,
    /// What it is doing, for those who ask.
    pub status: Arc<Status>,
}

impl Context {
    /// That of a Proxy which is not connected yet.
    pub fn new(
        config: &Arc<Config>,
        connection: Connection,
        failures: Arc<Mutex<Failures>>,
        member: Option<Member>,
    ) -> Context {
        Context {
            status: Arc::new(Status::new(connection.name(), config.heartbeat)),
            config: Arc::clone(config),
            connection,
            failures,
            member,
        }
    }
}
