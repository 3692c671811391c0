//! A port on which Proxies connect to us (section 9): who is let in, and how many at a time. Each
//! connection is then served as one that we have opened, in threads of its own; to come again is up to
//! the Proxy.

use super::abort::AbortOnPanic;
use super::affinity::Affinity;
use super::allow::Network;
use super::connection::{Config, ProxyConnection};
use super::disconnect::Disconnect;
use super::dispatch::{STEADY, Service};
use super::failures::Failures;
use super::socket::prepare;
use super::status::{Connections, Phase, Status};
use super::tls::Tls;
use super::transport::Transport;
use super::waker::Waker;
use crate::ari::Side;
use crate::provider::{Connection, lock};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// So many connections may be open that Proxies have opened, on all ports together.
const MAX_CONNECTIONS: usize = 256;

/// So many of one address may be waiting for their init; with one more the oldest is closed.
const MAX_OPENING: usize = 8;

/// A connection that has been waiting for its init so long is closed when others wait to connect.
const INIT: Duration = Duration::from_secs(30);

/// So long it takes until what was impossible is tried again.
const RECHECK: Duration = Duration::from_secs(1);

/// What is remembered of so many hosts that are not connected.
const MAX_CALLERS: usize = 1024;

/// The connections that Proxies have opened, on all ports.
#[derive(Debug, Default)]
pub(super) struct Accepted(Mutex<Vec<Arc<Incoming>>>);

/// One of them.
#[derive(Debug)]
struct Incoming {
    address: IpAddr,
    socket: Arc<TcpStream>,
    waker: Arc<Waker>,
    status: Arc<Status>,
    since: Instant,
}

impl Incoming {
    fn is_opening(&self) -> bool {
        !self.status.is_serving() && !self.waker.is_ended()
    }

    fn close(&self) {
        self.waker.end(Disconnect::Crowded);
        // It may be waiting for a handshake.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Accepted {
    /// Whether there is room for one more. If there is none, the oldest that has sent no init within 30 s
    /// is closed.
    fn has_room(&self, now: Instant) -> bool {
        let list = lock(&self.0);
        if list.len() < MAX_CONNECTIONS {
            return true;
        }
        let is_late = |it: &&Arc<Incoming>| {
            it.is_opening() && now.saturating_duration_since(it.since) >= INIT
        };
        if let Some(oldest) = list.iter().find(is_late) {
            oldest.close();
        }
        false
    }

    fn add(&self, incoming: &Arc<Incoming>) {
        let mut list = lock(&self.0);
        let of_address = |it: &&Arc<Incoming>| it.address == incoming.address && it.is_opening();
        if list.iter().filter(of_address).count() >= MAX_OPENING
            && let Some(oldest) = list.iter().find(of_address)
        {
            oldest.close();
        }
        list.push(Arc::clone(incoming));
    }

    fn remove(&self, incoming: &Arc<Incoming>) {
        lock(&self.0).retain(|other| !Arc::ptr_eq(other, incoming));
    }
}

/// A host from which Proxies connect, as the log knows it from one connection to the next.
#[derive(Clone, Debug)]
struct Caller {
    connection: Connection,
    failures: Arc<Mutex<Failures>>,
}

/// What all connections of a port need.
pub(super) struct Port {
    pub side: Side,
    pub config: Config,
    pub heartbeat: Option<Duration>,
    /// The connections of this side.
    pub connections: Arc<Connections>,
    /// Those of all ports that Proxies have opened.
    pub accepted: Arc<Accepted>,
    /// Whom to let in; whoever comes if there are none.
    pub allow: Vec<Network>,
    /// TLS, if it is wanted.
    pub tls: Option<Tls>,
    /// Of those that were not let in.
    pub failures: Mutex<Failures>,
    /// Makes what serves one connection.
    pub service: Box<dyn Fn() -> Box<dyn Service> + Send + Sync>,
}

/// Accepts connections on one port.
pub(super) struct Acceptor {
    listener: TcpListener,
    /// The port as the log knows it.
    connection: Connection,
    status: Arc<Status>,
    waker: Arc<Waker>,
    port: Arc<Port>,
    callers: BTreeMap<IpAddr, Caller>,
}

impl Acceptor {
    /// One that is yet to [`run`](Self::run).
    ///
    /// # Errors
    /// The system's.
    pub fn new(listener: TcpListener, port: Arc<Port>) -> io::Result<Acceptor> {
        // Who comes may be gone before it is accepted.
        listener.set_nonblocking(true)?;
        let connection = Connection::new(format!("{} {}", port.side, listener.local_addr()?));
        let status = Arc::new(Status::new(
            connection.name(),
            port.heartbeat,
            Arc::default(),
        ));
        status.set(Phase::Listening);
        port.connections.add(&status);
        if let Some(tls) = &port.tls {
            tls.warn(&connection);
        }
        Ok(Acceptor {
            listener,
            connection,
            status,
            waker: Arc::new(Waker::new()?),
            port,
            callers: BTreeMap::new(),
        })
    }

    /// Accepts connections until the end is requested.
    pub fn run(mut self) {
        let shutdown = Arc::clone(&self.port.config.shutdown);
        let (status, waker) = (Arc::clone(&self.status), Arc::clone(&self.waker));
        let heartbeat = &status.reader;
        let _serving = shutdown.serving(&waker);
        self.connection.step(format_args!("listening"));
        while !shutdown.is_requested() {
            heartbeat.beat();
            let ready = waker.wait(&self.listener, heartbeat.interval());
            let accepted = ready.and_then(|is_ready| match is_ready {
                false => Ok(()),
                true if self.port.accepted.has_room(Instant::now()) => self.accept(),
                true => Err(io::Error::other(format!(
                    "{MAX_CONNECTIONS} connections are open"
                ))),
            });
            match accepted.map_err(|error| (error.kind(), error)) {
                Ok(()) => {}
                Err((ErrorKind::Interrupted | ErrorKind::WouldBlock, _)) => {}
                Err((ErrorKind::ConnectionAborted | ErrorKind::NotConnected, _)) => {}
                // Such as no descriptor or no thread.
                Err((_, error)) => {
                    let what = format!("cannot accept: {error}: who connects waits");
                    self.port.say(&self.connection, what, Some(RECHECK));
                    shutdown.wait(heartbeat.at_most(RECHECK));
                }
            }
        }
        heartbeat.stop();
    }

    fn accept(&mut self) -> io::Result<()> {
        // First, so that whoever it is wanting for waits, and is not closed.
        let waker = Arc::new(Waker::new()?);
        let (socket, peer) = self.listener.accept()?;
        let address = peer.ip().to_canonical();
        let port = &self.port;
        let is_in = |network: &Network| network.contains(address);
        if !port.allow.is_empty() && !port.allow.iter().any(is_in) {
            port.connections.turned_away.fetch_add(1, Ordering::Relaxed);
            let what = format!("{address} is in no network of --allow: closed without a word");
            port.say(&self.connection, what, None);
            return Ok(());
        }
        if self.callers.len() >= MAX_CALLERS {
            let is_connected = |caller: &Caller| Arc::strong_count(&caller.failures) > 1;
            self.callers.retain(|_, caller| is_connected(caller));
        }
        let caller = self.callers.entry(address).or_insert_with(|| Caller {
            connection: Connection::new(String::new()), // each has a name of its own
            failures: Arc::default(),
        });
        let name = format!("{} {}", port.side, SocketAddr::new(address, peer.port()));
        let caller = Caller {
            connection: caller.connection.renamed(name),
            failures: Arc::clone(&caller.failures),
        };
        let lost_updates = Arc::clone(&port.connections.lost_updates);
        let status = Status::new(caller.connection.name(), port.heartbeat, lost_updates);
        let incoming = Arc::new(Incoming {
            address,
            socket: Arc::new(prepare(socket, &status.reader)?),
            waker,
            status: Arc::new(status),
            since: Instant::now(),
        });
        let serve = {
            let (port, incoming) = (Arc::clone(port), Arc::clone(&incoming));
            let listening = self.connection.clone();
            move || {
                let _abort = AbortOnPanic;
                port.serve(&incoming, &caller, &listening);
                port.accepted.remove(&incoming);
            }
        };
        port.accepted.add(&incoming);
        let thread = thread::Builder::new().name(port.side.to_string());
        if let Err(error) = thread.spawn(serve) {
            port.accepted.remove(&incoming);
            return Err(error);
        }
        Ok(())
    }
}

impl Port {
    fn say(&self, connection: &Connection, what: String, wait: Option<Duration>) {
        lock(&self.failures).say(connection, what, wait);
    }

    /// Serves a connection from its beginning to its end. `listening` is what the log knows the port by.
    fn serve(&self, incoming: &Arc<Incoming>, caller: &Caller, listening: &Connection) {
        let Incoming { waker, status, .. } = &**incoming;
        let (socket, tls) = (Arc::clone(&incoming.socket), self.tls.as_ref());
        let transport = match Transport::open(socket, tls, listening, &status.reader) {
            Ok(transport) => transport,
            Err(reason) => {
                let turned_away = &self.connections.turned_away;
                turned_away.fetch_add(1, Ordering::Relaxed);
                let reason = waker.take_reason().unwrap_or(reason);
                self.say(listening, format!("{}: {reason}", incoming.address), None);
                return;
            }
        };
        let connection = &caller.connection;
        let mut proxy = ProxyConnection::new(
            self.config.clone(),
            connection.clone(),
            Affinity::default().add(connection.name()),
            (self.service)(),
            Arc::clone(status),
        );
        self.connections.add(status);
        let how = format_args!("accepted by {}", listening.name());
        let reason = proxy.run(&transport, how, self.config.verifies_clients(), waker);
        self.connections.remove(status);
        if status.is_serving() {
            self.connections.left.fetch_add(1, Ordering::Relaxed);
        }
        let mut failures = lock(&caller.failures);
        if matches!(status.phase(), (Phase::Serving(_), time) if time >= STEADY) {
            failures.clear();
        }
        if !self.config.shutdown.is_requested() {
            failures.log(connection, &reason, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ari::version::Version;

    /// Connections of their own addresses, eight each at the most, all of which came at this time.
    fn incoming(count: usize, since: Instant) -> Vec<Arc<Incoming>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = Arc::new(peer);
        let address = |n: usize| IpAddr::from([10, 0, (n / MAX_OPENING) as u8, 1]);
        let incoming = |n: usize| {
            Arc::new(Incoming {
                address: address(n),
                socket: Arc::clone(&socket),
                waker: Arc::new(Waker::new().unwrap()),
                status: Arc::new(Status::new("", None, Arc::default())),
                since,
            })
        };
        (0..count).map(incoming).collect()
    }

    fn ended(all: &[Arc<Incoming>]) -> Vec<usize> {
        let all = all.iter().enumerate();
        let ended = all.filter(|(_, incoming)| incoming.waker.is_ended());
        ended.map(|(n, _)| n).collect()
    }

    #[test]
    fn where_there_are_too_many_the_oldest_without_an_init_goes_after_a_while() {
        let (accepted, start) = (Accepted::default(), Instant::now());
        let all = incoming(MAX_CONNECTIONS, start);
        for (n, one) in all.iter().enumerate() {
            assert!(accepted.has_room(start + 2 * INIT), "{n} are not too many");
            accepted.add(one);
        }
        // These have sent theirs.
        for one in &all[..2] {
            one.status.set(Phase::Serving(Version::V1_9_1));
        }
        assert!(!accepted.has_room(start + INIT - Duration::from_millis(1)));
        // A clock may stand still.
        assert!(!accepted.has_room(start - Duration::from_millis(1)));
        assert!(ended(&all).is_empty());
        // One at each look, and nobody twice.
        for n in 2..5 {
            assert!(!accepted.has_room(start + INIT));
            assert_eq!(ended(&all), (2..=n).collect::<Vec<_>>());
        }
        // There is room as soon as one is gone.
        accepted.remove(&all[3]);
        assert!(accepted.has_room(start + INIT));
        assert_eq!(ended(&all), [2, 3, 4]);
    }

    #[test]
    fn of_one_address_the_oldest_without_an_init_goes_at_once() {
        let (accepted, start) = (Accepted::default(), Instant::now());
        let mut all = incoming(3 * MAX_OPENING, start);
        for one in &all {
            accepted.add(one);
        }
        assert!(ended(&all).is_empty());
        // Of the second address one serves: there may be one more of it.
        all[MAX_OPENING].status.set(Phase::Serving(Version::V1_9_1));
        let mut more = incoming(MAX_OPENING + 3, start).split_off(MAX_OPENING);
        for (n, one) in more.iter().enumerate() {
            accepted.add(one);
            let ended = ended(&all);
            assert_eq!(ended, (9..9 + n).collect::<Vec<_>>());
        }
        // One that has ended for another reason takes no place, though it is not gone yet.
        more[0].waker.end(Disconnect::Closed);
        let later = incoming(MAX_OPENING + 1, start).split_off(MAX_OPENING);
        accepted.add(&later[0]);
        all.append(&mut more);
        assert_eq!(ended(&all), [9, 10, 24]);
    }
}
