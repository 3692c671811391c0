//! The connection to a Proxy that listens, over and over: connect, serve, wait, connect.

use super::affinity::Member;
use super::backoff::{Backoff, SERVED};
use super::config::{Config, Context};
use super::connection::ProxyConnection;
use super::disconnect::Disconnect;
use super::dispatch::Service;
use super::host::Host;
use super::resolve::resolve;
use super::socket;
use super::status::Phase;
use super::tls::{Tls, TlsError};
use super::transport::Transport;
use super::waker::Waker;
use crate::provider::Connection;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connects to one Proxy of a server.
pub(super) struct Connector {
    host: String,
    port: u16,
    tls: Option<Tls>,
    member: Member,
    proxy: ProxyConnection,
    backoff: Backoff,
}

impl Connector {
    /// One that is yet to [`run`](Self::run); `port` is that of servers without one of their own.
    ///
    /// # Errors
    /// [`TlsError`], when the files or the name for TLS cannot be used.
    pub fn new(
        config: &Arc<Config>,
        host: &Host,
        port: u16,
        service: Box<dyn Service>,
    ) -> Result<Connector, TlsError> {
        let tls = config.tls.clone();
        let tls = tls.map(|settings| Tls::new(settings, &host.name));
        let tls = tls.transpose()?;
        let side = service.side();
        let connection = Connection::new(format!("{side} {}", host.address(side, port)));
        if let Some(tls) = &tls {
            tls.warn(&connection);
        }
        let member = host.affinity.add(connection.name());
        let context = Context::new(config, connection, Arc::default(), Some(member.clone()));
        config.connections.add(&context.status);
        Ok(Connector {
            host: host.name.clone(),
            port: host.port(side, port),
            tls,
            member,
            proxy: ProxyConnection::new(context, service),
            backoff: Backoff::default(),
        })
    }

    /// Connects and serves, again and again, until the end is requested.
    pub fn run(mut self) {
        let Context { config, status, .. } = self.proxy.context.clone();
        let connection = &self.proxy.context.connection;
        connection.step(format_args!("connecting"));
        while !config.shutdown.is_requested() {
            let (Ok(reason) | Err(reason)) = self.connect_and_serve();
            if config.shutdown.is_requested() {
                return;
            }
            let served = status.served_for();
            status.set(Phase::Connecting);
            if served >= SERVED {
                self.backoff.reset();
            }
            let wait = match reason.is_lasting() {
                true => self.backoff.next_long_wait(),
                false => self.backoff.next_wait(),
            };
            self.proxy.tell_end(&reason, served, Some(wait));
            if self.wait(wait) {
                return;
            }
        }
    }

    /// Waits before the next try; says whether the end was requested meanwhile.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let Context { config, status, .. } = &self.proxy.context;
        let (heartbeat, shutdown) = (&status.reader, &config.shutdown);
        loop {
            heartbeat.beat();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || shutdown.wait(heartbeat.at_most(left)) {
                return shutdown.is_requested();
            }
        }
    }

    /// One connection from its beginning to its end.
    fn connect_and_serve(&mut self) -> Result<Disconnect, Disconnect> {
        let context = &self.proxy.context;
        let (connection, heartbeat) = (&context.connection, &context.status.reader);
        let addresses = resolve(&self.host, self.port, context)?;
        let addresses = self.member.order(self.port, addresses);
        let (socket, address) = socket::connect(&addresses, heartbeat)?;
        let socket = Arc::new(socket);
        let transport = Transport::open(socket, self.tls.as_ref(), connection, heartbeat)?;
        let waker = Waker::new().map_err(|error| Disconnect::broken("opening it", error))?;
        let waker = Arc::new(waker);
        self.member.connected(address, Arc::clone(&waker));
        let how = format_args!("connected to {address}");
        Ok(self.proxy.run(&transport, how, &waker))
    }
}
