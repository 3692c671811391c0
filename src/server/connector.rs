//! The connection to a Proxy that listens, over and over: connect, serve, wait, connect.

use super::affinity::Member;
use super::backoff::{Backoff, SERVED};
use super::connection::{Config, ProxyConnection};
use super::disconnect::Disconnect;
use super::dispatch::{STEADY, Service};
use super::failures::Failures;
use super::host::Host;
use super::resolve::resolve;
use super::socket;
use super::status::{Phase, Status};
use super::tls::{Tls, TlsError};
use super::transport::Transport;
use super::waker::Waker;
use crate::provider::Connection;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// Connects to one Proxy of a server.
pub(super) struct Connector {
    host: Host,
    port: u16,
    tls: Option<Tls>,
    member: Member,
    proxy: ProxyConnection,
    backoff: Backoff,
    failures: Failures,
}

impl Connector {
    /// One that is yet to [`run`](Self::run); `port` is that of servers without one of their own.
    ///
    /// # Errors
    /// [`TlsError`], when the files or the name for TLS cannot be used.
    pub fn new(
        config: Config,
        host: Host,
        port: u16,
        service: Box<dyn Service>,
        heartbeat: Option<Duration>,
        lost_updates: Arc<AtomicU64>,
    ) -> Result<Connector, TlsError> {
        let tls = config.tls.clone();
        let tls = tls.map(|settings| Tls::new(settings, &host.name));
        let tls = tls.transpose()?;
        let side = service.side();
        let connection = Connection::new(format!("{side} {}", host.address(side, port)));
        let status = Arc::new(Status::new(connection.name(), heartbeat, lost_updates));
        if let Some(tls) = &tls {
            tls.warn(&connection);
        }
        let member = host.affinity.add(connection.name());
        Ok(Connector {
            port: host.port(side, port),
            host,
            tls,
            proxy: ProxyConnection::new(config, connection, member.clone(), service, status),
            member,
            backoff: Backoff::default(),
            failures: Failures::default(),
        })
    }

    /// What the connection is doing.
    pub fn status(&self) -> &Arc<Status> {
        &self.proxy.status
    }

    /// Connects and serves, again and again, until the end is requested.
    pub fn run(mut self) {
        self.proxy.connection.step(format_args!("connecting"));
        let shutdown = Arc::clone(&self.proxy.config.shutdown);
        while !shutdown.is_requested() {
            let (Ok(reason) | Err(reason)) = self.connect_and_serve();
            if shutdown.is_requested() {
                return;
            }
            let status = &self.proxy.status;
            let served = match status.phase() {
                (Phase::Serving(_), time) => time,
                _ => Duration::ZERO,
            };
            status.set(Phase::Connecting);
            if served >= SERVED {
                self.backoff.reset();
            }
            let wait = match reason.is_lasting() {
                true => self.backoff.next_long_wait(),
                false => self.backoff.next_wait(),
            };
            if served >= STEADY {
                self.failures.clear();
            }
            self.failures
                .log(&self.proxy.connection, &reason, Some(wait));
            self.proxy.leave();
            if self.wait(wait) {
                return;
            }
        }
    }

    /// Waits before the next try; says whether the end was requested meanwhile.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let (heartbeat, shutdown) = (&self.proxy.status.reader, &self.proxy.config.shutdown);
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
        let ProxyConnection {
            config,
            connection,
            status,
            ..
        } = &self.proxy;
        let (host, heartbeat) = (&self.host.name, &status.reader);
        let addresses = resolve(host, self.port, connection, heartbeat, &config.shutdown)?;
        let addresses = self.member.order(self.port, addresses);
        let (socket, address) = socket::connect(&addresses, heartbeat)?;
        let socket = Arc::new(socket);
        let transport = Transport::open(socket, self.tls.as_ref(), connection, heartbeat)?;
        let waker = Arc::new(Waker::new().map_err(|error| Disconnect::Broken {
            doing: "opening it",
            error,
        })?);
        self.member.connected(address, Arc::clone(&waker));
        let how = format_args!("connected to {address}");
        Ok(self.proxy.run(&transport, how, true, &waker))
    }
}
