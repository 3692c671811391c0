//! A port on which Proxies connect to us (section 9): who is let in, and how many at a time. Each
//! connection is then served as one that we have opened, in threads of its own; to come again is up to
//! the Proxy.

use super::abort::spawn;
use super::config::{Config, Context};
use super::connection::ProxyConnection;
use super::disconnect::Disconnect;
use super::dispatch::Service;
use super::failures::Failures;
use super::heartbeat::Heartbeat;
use super::socket::prepare;
use super::tls::Tls;
use super::transport::Transport;
use super::waker::Waker;
use crate::ari::Side;
use crate::provider::{Connection, lock};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
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
    place: IpAddr,
    socket: Arc<TcpStream>,
    waker: Arc<Waker>,
    context: Context,
}

/// What counts as one address. A stranger who has one of IPv6 has all that begin with the same 64 bits;
/// servers that are known may well be neighbours there.
fn place(address: IpAddr, is_known: bool) -> IpAddr {
    match address {
        IpAddr::V6(address) if !is_known => {
            Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()
        }
        _ => address,
    }
}

impl Incoming {
    fn is_opening(&self) -> bool {
        !self.context.status.is_serving() && !self.waker.is_ended()
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
            it.is_opening() && now.saturating_duration_since(it.waker.since) >= INIT
        };
        if let Some(oldest) = list.iter().find(is_late) {
            oldest.close();
        }
        false
    }

    fn add(&self, incoming: &Arc<Incoming>) {
        let mut list = lock(&self.0);
        let of_address = |it: &&Arc<Incoming>| it.place == incoming.place && it.is_opening();
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

/// The hosts from which Proxies connect, as the log knows them from one connection to the next.
type Callers = BTreeMap<IpAddr, (Connection, Arc<Mutex<Failures>>)>;

/// Accepts connections on one port, and serves them.
pub(super) struct Acceptor {
    side: Side,
    config: Arc<Config>,
    /// The connections of all ports.
    accepted: Arc<Accepted>,
    /// TLS, if it is wanted.
    tls: Option<Arc<Tls>>,
    /// Makes what serves one connection.
    service: Arc<NewService>,
    /// The port as the log knows it.
    connection: Connection,
    /// Of what is no caller's own.
    failures: Mutex<Failures>,
    heartbeat: Arc<Heartbeat>,
    waker: Arc<Waker>,
}

/// Makes what serves one connection.
pub(super) type NewService = dyn Fn() -> Box<dyn Service> + Send + Sync;

impl Acceptor {
    /// One that is yet to [`run`](Self::run).
    ///
    /// # Errors
    /// The system's.
    pub fn new(
        side: Side,
        listener: &TcpListener,
        config: &Arc<Config>,
        accepted: &Arc<Accepted>,
        tls: Option<Arc<Tls>>,
        service: &Arc<NewService>,
    ) -> io::Result<Acceptor> {
        // Who comes may be gone before it is accepted.
        listener.set_nonblocking(true)?;
        let connection = Connection::new(format!("{side} {}", listener.local_addr()?));
        if let Some(tls) = &tls {
            tls.warn(&connection);
        }
        Ok(Acceptor {
            side,
            config: Arc::clone(config),
            accepted: Arc::clone(accepted),
            tls,
            service: Arc::clone(service),
            connection,
            failures: Mutex::default(),
            heartbeat: config.connections.listening(config.heartbeat),
            waker: Arc::new(Waker::new()?),
        })
    }

    /// Accepts connections until the end is requested, and listens no longer, however long those last that
    /// were accepted.
    pub fn run(self: Arc<Self>, listener: TcpListener) {
        let (shutdown, heartbeat) = (&self.config.shutdown, &self.heartbeat);
        let _serving = shutdown.serving(&self.waker);
        let mut callers = Callers::new();
        self.connection.step(format_args!("listening"));
        while !shutdown.is_requested() {
            heartbeat.beat();
            let ready = self.waker.wait(&listener, heartbeat.interval);
            let accepted = ready.and_then(|is_ready| match is_ready {
                false => Ok(()),
                true if self.accepted.has_room(Instant::now()) => {
                    self.accept(&listener, &mut callers)
                }
                true => Err(io::Error::other(format!(
                    "{MAX_CONNECTIONS} connections are open"
                ))),
            });
            let Err(error) = accepted else { continue };
            match error.kind() {
                // Woken, or whoever came is gone.
                ErrorKind::Interrupted | ErrorKind::WouldBlock => {}
                ErrorKind::ConnectionAborted | ErrorKind::NotConnected => {}
                // Such as no descriptor or no thread.
                _ => {
                    let what = format!("cannot accept: {error}: who connects waits");
                    lock(&self.failures).say(&self.connection, what, Some(RECHECK));
                    shutdown.wait(heartbeat.at_most(RECHECK));
                }
            }
        }
        heartbeat.stop();
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener, callers: &mut Callers) -> io::Result<()> {
        // First, so that whoever it is wanting for waits, and is not closed.
        let waker = Arc::new(Waker::new()?);
        let (socket, peer) = listener.accept()?;
        let address = peer.ip().to_canonical();
        let allow = &self.config.allow;
        if !allow.is_empty() && !allow.iter().any(|network| network.contains(address)) {
            let what = format!("{address} is in no network of --allow: closed without a word");
            self.turn_away(&self.failures, what);
            return Ok(());
        }
        let place = place(address, !allow.is_empty());
        if callers.len() >= MAX_CALLERS {
            callers.retain(|_, (_, failures)| Arc::strong_count(failures) > 1); // is connected
        }
        let (log, failures) = callers.entry(place).or_insert_with(|| {
            (Connection::new(String::new()), Arc::default()) // each has a name of its own
        });
        let name = format!("{} {}", self.side, SocketAddr::new(address, peer.port()));
        let failures = Arc::clone(failures);
        let context = Context::new(&self.config, log.renamed(name), failures, None);
        let incoming = Arc::new(Incoming {
            address,
            place,
            socket: Arc::new(prepare(socket, &context.status.reader)?),
            waker,
            context,
        });
        let (acceptor, served) = (Arc::clone(self), Arc::clone(&incoming));
        self.accepted.add(&incoming);
        let spawned = spawn(self.side, move || {
            acceptor.serve(&served);
            acceptor.accepted.remove(&served);
        });
        spawned.inspect_err(|_| self.accepted.remove(&incoming))
    }

    /// Serves a connection from its beginning to its end.
    fn serve(&self, incoming: &Incoming) {
        let Incoming { waker, context, .. } = incoming;
        let (status, tls) = (&context.status, self.tls.as_deref());
        let socket = Arc::clone(&incoming.socket);
        let transport = match Transport::open(socket, tls, &self.connection, &status.reader) {
            Ok(transport) => transport,
            Err(reason) => {
                let reason = waker.take_reason().unwrap_or(reason);
                let what = format!("{}: {reason}", incoming.address);
                self.turn_away(&context.failures, what);
                return;
            }
        };
        let mut proxy = ProxyConnection::new(context.clone(), (self.service)());
        let connections = &self.config.connections;
        connections.add(status);
        let how = format_args!("accepted by {}", self.connection.name());
        let reason = proxy.run(&transport, how, waker);
        connections.remove(status);
        if status.is_serving() {
            connections.left.fetch_add(1, Ordering::Relaxed);
        }
        if !self.config.shutdown.is_requested() {
            proxy.tell_end(&reason, status.served_for(), None);
        }
    }

    /// Somebody is not let in.
    fn turn_away(&self, failures: &Mutex<Failures>, what: String) {
        let turned_away = &self.config.connections.turned_away;
        turned_away.fetch_add(1, Ordering::Relaxed);
        lock(failures).say(&self.connection, what, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::MetadataService;
    use super::super::status::Phase;
    use super::*;
    use crate::ari::version::Version;
    use crate::provider::MetadataProvider;
    use socket2::{Domain, Socket, Type};

    /// Connections of their own addresses, eight each at the most.
    fn incoming(count: usize) -> Vec<Arc<Incoming>> {
        let address = |n: usize| IpAddr::from([10, 0, (n / MAX_OPENING) as u8, 1]);
        incoming_from((0..count).map(address))
    }

    fn incoming_from(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Arc<Incoming>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, config) = (Arc::new(peer), Arc::default());
        let incoming = |address| {
            Arc::new(Incoming {
                address,
                place: place(address, false),
                socket: Arc::clone(&socket),
                waker: Arc::new(Waker::new().unwrap()),
                context: Context::new(
                    &config,
                    Connection::new(String::new()),
                    Arc::default(),
                    None,
                ),
            })
        };
        addresses.into_iter().map(incoming).collect()
    }

    fn ended(all: &[Arc<Incoming>]) -> Vec<usize> {
        let all = all.iter().enumerate();
        let ended = all.filter(|(_, incoming)| incoming.waker.is_ended());
        ended.map(|(n, _)| n).collect()
    }

    #[test]
    fn where_there_are_too_many_the_oldest_without_an_init_goes_after_a_while() {
        let (accepted, all) = (Accepted::default(), incoming(MAX_CONNECTIONS));
        let [first, last] = [&all[0], &all[MAX_CONNECTIONS - 1]].map(|one| one.waker.since);
        for (n, one) in all.iter().enumerate() {
            assert!(accepted.has_room(last + 2 * INIT), "{n} are not too many");
            accepted.add(one);
        }
        // These have sent theirs.
        for one in &all[..2] {
            one.context.status.set(Phase::Serving(Version::V1_9_1));
        }
        assert!(!accepted.has_room(first + INIT - Duration::from_millis(1)));
        // A clock may stand still.
        assert!(!accepted.has_room(first - Duration::from_millis(1)));
        assert!(ended(&all).is_empty());
        // One at each look, and nobody twice.
        for n in 2..5 {
            assert!(!accepted.has_room(last + INIT));
            assert_eq!(ended(&all), (2..=n).collect::<Vec<_>>());
        }
        // There is room as soon as one is gone.
        accepted.remove(&all[3]);
        assert!(accepted.has_room(last + INIT));
        assert_eq!(ended(&all), [2, 3, 4]);
    }

    #[test]
    fn of_one_address_the_oldest_without_an_init_goes_at_once() {
        let accepted = Accepted::default();
        let mut all = incoming(3 * MAX_OPENING);
        for one in &all {
            accepted.add(one);
        }
        assert!(ended(&all).is_empty());
        // Of the second address one serves: there may be one more of it.
        all[MAX_OPENING]
            .context
            .status
            .set(Phase::Serving(Version::V1_9_1));
        let mut more = incoming(MAX_OPENING + 3).split_off(MAX_OPENING);
        for (n, one) in more.iter().enumerate() {
            accepted.add(one);
            let ended = ended(&all);
            assert_eq!(ended, (9..9 + n).collect::<Vec<_>>());
        }
        // One that has ended for another reason takes no place, though it is not gone yet.
        more[0].waker.end(Disconnect::Closed);
        let later = incoming(MAX_OPENING + 1).split_off(MAX_OPENING);
        accepted.add(&later[0]);
        all.append(&mut more);
        assert_eq!(ended(&all), [9, 10, 24]);
    }

    #[test]
    fn all_addresses_of_ipv6_that_one_host_can_have_count_as_one() {
        let accepted = Accepted::default();
        let host = 0x2001_0db8_0000_0001_u128 << 64;
        let own = |n: usize| {
            IpAddr::from(Ipv6Addr::from_bits(
                host + (n as u128) * (u64::MAX / 9) as u128,
            ))
        };
        let neighbour = Ipv6Addr::from_bits(host + (1 << 64));
        let mut all = incoming_from((0..MAX_OPENING).map(own).chain([neighbour.into()]));
        all.iter().for_each(|one| accepted.add(one));
        assert!(ended(&all).is_empty());
        all.extend(incoming_from([own(MAX_OPENING)]));
        accepted.add(&all[MAX_OPENING + 1]);
        assert_eq!(ended(&all), [0]);
        // Of those that --allow names each counts.
        assert_eq!(place(own(1), true), own(1));
    }

    #[test]
    fn hosts_that_are_gone_are_forgotten() {
        struct Everybody;
        impl MetadataProvider for Everybody {}

        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let service: Arc<NewService> = Arc::new(|| Box::new(MetadataService::new(Everybody)));
        let (config, accepted) = (Arc::default(), Arc::default());
        let acceptor = Acceptor::new(
            Side::Metadata,
            &listener,
            &config,
            &accepted,
            None,
            &service,
        );
        let (acceptor, mut callers) = (Arc::new(acceptor.unwrap()), Callers::new());
        for n in 0..MAX_CALLERS as u16 + 100 {
            let [high, low] = n.to_be_bytes();
            let peer = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let from = SocketAddr::from(([127, 1, high, low], 0));
            peer.bind(&from.into()).unwrap();
            peer.connect(&address.into()).unwrap();
            acceptor.accept(&listener, &mut callers).unwrap();
            drop(peer);
            // Those before it are gone by then.
            while n % 256 == 0 && !lock(&accepted.0).is_empty() {
                std::thread::yield_now();
            }
        }
        assert!(callers.len() < MAX_CALLERS, "{}", callers.len());
    }
}
