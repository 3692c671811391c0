//! The connection to one Proxy, over and over: connect, hello, serve, disconnect, wait, connect.
//!
//! Two threads a connection: one reads and serves, the other writes. What is served is none of its
//! business.

use super::abort::AbortOnPanic;
use super::affinity::{Affinity, Member};
use super::backoff::{Backoff, SERVED};
use super::credentials::{Credentials, SharedCredentials};
use super::disconnect::Disconnect;
use super::dispatch::{Context, Dispatch, STEADY, Service};
use super::failures::Failures;
use super::init;
use super::orderly_close::{self, LINGER};
use super::outbox::{Item, Outbox};
use super::reader::Reader;
use super::resolve::resolve;
use super::shutdown::Shutdown;
use super::socket;
use super::status::{Phase, Status};
use super::tls::{self, Session, Tls, TlsError};
use super::transport::Transport;
use super::waker::{Source, Waker};
use super::writer::{Ended, Writer};
use crate::ari::Side;
use crate::ari::escape::Escaped;
use crate::ari::reply;
use crate::provider::{Connection, UpdateQueue};
use crossbeam_channel::{RecvTimeoutError, bounded};
use std::io;
use std::net;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// How long an orderly end may take: what is queued leaves, the peer sees the end, and what could
/// not leave is counted.
pub const DRAIN: Duration = Duration::from_secs(5);

/// What is queued when a connection ends has this long of it to leave.
const WRITE_OUT: Duration = Duration::from_secs(4);

/// How long it may take to learn that a peer did not read the hello.
const UNREAD_HELLO: Duration = Duration::from_millis(200);

/// What to connect to, and how: the same for all Proxies of a server.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// A name or an address.
    pub host: String,
    /// The adapter as it names itself.
    pub product: String,
    /// What to say in the hello, if anything.
    pub credentials: SharedCredentials,
    /// TLS, if it is wanted.
    pub tls: Option<tls::Settings>,
    /// After how much silence to send a keepalive; zero: never; `None`: as the Proxy wants it.
    pub keepalive: Option<Duration>,
    /// What these connections know of each other.
    pub affinity: Affinity,
}

impl Config {
    /// Host and port, as they stand in the log.
    pub(super) fn address(&self, port: u16) -> String {
        let host = Escaped(self.host.as_bytes());
        match self.host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        }
    }
}

/// The connection to one Proxy.
pub(super) struct ProxyConnection {
    config: Config,
    /// The Proxy's `request_reply_port`.
    port: u16,
    tls: Option<Tls>,
    connection: Connection,
    member: Member,
    side: Side,
    dispatch: Dispatch,
    shutdown: Arc<Shutdown>,
    status: Arc<Status>,
    backoff: Backoff,
    failures: Failures,
}

impl ProxyConnection {
    /// One that is yet to [`run`](Self::run).
    ///
    /// # Errors
    /// [`TlsError`], when the files or the name for TLS cannot be used.
    pub(super) fn new(
        config: Config,
        port: u16,
        service: Box<dyn Service>,
        shutdown: Arc<Shutdown>,
        status: Arc<Status>,
    ) -> Result<ProxyConnection, TlsError> {
        let tls = config.tls.clone();
        let tls = tls.map(|settings| Tls::new(settings, &config.host));
        let tls = tls.transpose()?;
        let side = service.side();
        let connection = Connection::new(format!("{side} {}", config.address(port)));
        if let Some(tls) = &tls {
            tls.warn(&connection);
        }
        let member = config.affinity.add(connection.name());
        let context = Context {
            connection: connection.clone(),
            member: member.clone(),
            status: Arc::clone(&status),
            is_plain: config.tls.is_none(),
            keepalive: config.keepalive,
        };
        Ok(ProxyConnection {
            connection,
            member,
            config,
            port,
            tls,
            side,
            dispatch: Dispatch::new(service, context),
            shutdown,
            status,
            backoff: Backoff::default(),
            failures: Failures::default(),
        })
    }

    /// Connects and serves, again and again, until the end is requested.
    pub(super) fn run(mut self) {
        self.connection.step(format_args!("connecting"));
        while !self.shutdown.is_requested() {
            let (Ok(reason) | Err(reason)) = self.connect_and_serve();
            if self.shutdown.is_requested() {
                return;
            }
            let served = match self.status.phase() {
                (Phase::Serving(_), time) => time,
                _ => Duration::ZERO,
            };
            self.status.set(Phase::Connecting);
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
            self.failures.log(&self.connection, &reason, wait);
            if self.wait(wait) {
                return;
            }
        }
    }

    /// Waits before the next try; says whether the end was requested meanwhile.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            let heartbeat = &self.status.reader;
            heartbeat.beat();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.shutdown.wait(heartbeat.at_most(left)) {
                return self.shutdown.is_requested();
            }
        }
    }

    /// One connection from its beginning to its end.
    fn connect_and_serve(&mut self) -> Result<Disconnect, Disconnect> {
        let (host, heartbeat) = (&self.config.host, &self.status.reader);
        let addresses = resolve(host, self.port, &self.connection, heartbeat, &self.shutdown)?;
        let addresses = self.member.order(self.port, addresses);
        let (socket, address) = socket::connect(&addresses, heartbeat)?;
        let transport = self.transport(socket)?;
        let waker = Arc::new(Waker::new().map_err(|error| Disconnect::Broken {
            doing: "opening it",
            error,
        })?);
        let serving = self.shutdown.serving(&waker);
        let agreed = match &transport {
            Transport::Plain(_) => String::new(),
            Transport::Tls(session) => format!(", {}", session.negotiated()),
        };
        self.connection
            .step(format_args!("connected to {address}{agreed}"));
        self.status.set(Phase::Opening);
        self.member.connected(address, Arc::clone(&waker));
        let reason = self.serve(&transport, &waker);
        // Whoever waits for the end waits for the account of losses, too.
        drop(serving);
        Ok(reason)
    }

    fn transport(&mut self, socket: net::TcpStream) -> Result<Transport, Disconnect> {
        let socket = Arc::new(socket);
        let Some(tls) = &self.tls else {
            return Ok(Transport::Plain(socket));
        };
        self.status.reader.beat_before(tls.longest_read());
        let endpoint = tls.endpoint(&self.connection);
        self.status.reader.beat_before(tls::HANDSHAKE_TIMEOUT);
        let session = Session::establish(socket, endpoint).map_err(Disconnect::Tls)?;
        Ok(Transport::Tls(Box::new(session)))
    }

    /// Serves a connection that was just opened, in this thread and in a writer's.
    fn serve(&mut self, transport: &Transport, waker: &Arc<Waker>) -> Disconnect {
        let (outbox, items) = Outbox::new();
        let outbox = Arc::new(outbox);
        self.status.attach(&outbox);
        let credentials = self.config.credentials.get();
        outbox.send_replies(hello(credentials.as_ref(), &self.config.product));
        self.dispatch.connected(Arc::clone(&outbox), credentials);
        let (mut is_opening, mut is_unheard) = (true, true);
        let (reason, ended, writer_broke, ended_at) = thread::scope(|scope| {
            // The scope would wait for the writer, which nobody ends then.
            let _abort = AbortOnPanic;
            let writer = Writer::new(
                transport,
                &outbox,
                items,
                &self.connection,
                &self.status.writer,
                waker,
                init::keepalive_before_init(self.config.keepalive),
            );
            let name = format!("{}-writer", self.side);
            let (running, finished) = bounded::<()>(0);
            let writer = thread::Builder::new().name(name).spawn_scoped(scope, || {
                let (_running, _abort) = (running, AbortOnPanic);
                writer.run()
            });
            let writer = match writer {
                Ok(writer) => writer,
                Err(error) => return (no_thread(error), None, false, Instant::now()),
            };
            let source = Source::new(Arc::clone(transport.socket()), Arc::clone(waker));
            let mut input = transport.reader(&source, || outbox.send(Item::Flush));
            let reader = Reader {
                source: &source,
                outbox: &outbox,
                heartbeat: &self.status.reader,
                shutdown: &self.shutdown,
            };
            let reason = reader.run(&mut input, &mut self.dispatch);
            let ended_at = Instant::now();
            // A writer that broke has ended the stream for the reader.
            let writer_broke = outbox.is_closed();
            let reason = unless_hello_unread(reason, transport.socket(), &self.shutdown);
            // From here on nobody sends: what was answered with success is queued.
            is_opening = self.dispatch.is_opening();
            is_unheard = self.dispatch.is_unheard(&[]);
            self.member.ended(!is_opening);
            self.dispatch.disconnected();
            outbox.send(Item::End);
            self.status.reader.beat_before(DRAIN + LINGER);
            if reason.is_broken()
                || finished.recv_timeout(WRITE_OUT) == Err(RecvTimeoutError::Timeout)
            {
                // A writer that the peer keeps waiting returns then.
                let _ = transport.socket().shutdown(net::Shutdown::Both);
            }
            let ended = writer.join().ok();
            (reason, ended, writer_broke, ended_at)
        });
        let Some(ended) = ended else { return reason };
        if !outbox.is_closed() {
            self.close(transport, &reason, ended_at + WRITE_OUT);
        }
        // First what TLS knows: a writer only finds that the connection is broken.
        let reason = transport.explain(reason, is_opening);
        match self.account(reason, ended, writer_broke) {
            Disconnect::Broken { error, .. } if is_unheard && is_reset(&error) => {
                Disconnect::ResetAtHello(error)
            }
            reason => reason,
        }
    }

    /// Ends the stream of a connection that is not broken.
    fn close(&self, transport: &Transport, reason: &Disconnect, deadline: Instant) {
        let has_arrived = orderly_close::close(transport, deadline);
        if !has_arrived && matches!(reason, Disconnect::Stopping | Disconnect::RecordLimit) {
            self.connection.trouble(format_args!(
                "the Proxy did not take all that was written in time"
            ));
        }
    }

    /// Counts what the end of the connection cost, and settles why it ended.
    fn account(&self, reason: Disconnect, ended: Ended, writer_broke: bool) -> Disconnect {
        // The system tells one of the two threads.
        let reading = match &reason {
            Disconnect::Broken { error, .. } => Some(error),
            _ => None,
        };
        let is_timeout = reading
            .into_iter()
            .chain(&ended.error)
            .any(socket::is_timeout);
        let count = ended.lost_updates(is_timeout);
        if count > 0 {
            self.status.lost_updates.fetch_add(count, Ordering::Relaxed);
            self.connection.trouble(format_args!(
                "at least {count} messages that were answered with success are lost"
            ));
        }
        match (reason, ended.error) {
            // Where the writer broke first, it knows why. A peer to which not even the hello could
            // be written has refused nothing.
            (Disconnect::Closed | Disconnect::Broken { .. }, Some(error)) if writer_broke => {
                Disconnect::writing(error)
            }
            (Disconnect::ClosedAtHello { .. }, Some(error)) => Disconnect::writing(error),
            (reason, _) => reason,
        }
    }
}

/// A Proxy that closes without having read the hello, as one does that is stopping, has refused
/// nothing: TCP says so a moment later.
fn unless_hello_unread(
    reason: Disconnect,
    socket: &net::TcpStream,
    shutdown: &Shutdown,
) -> Disconnect {
    if !matches!(reason, Disconnect::ClosedAtHello { .. }) || shutdown.wait(UNREAD_HELLO) {
        return reason;
    }
    match socket.take_error() {
        Ok(Some(error)) => Disconnect::Broken {
            doing: "saying hello",
            error,
        },
        _ => reason,
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn hello(credentials: Option<&Credentials>, product: &str) -> Vec<u8> {
    let credentials = credentials.map(|c| (c.user.as_str(), c.password.reveal()));
    let mut hello = Vec::new();
    reply::put_hello(credentials, product, &mut hello);
    hello
}

fn no_thread(error: io::Error) -> Disconnect {
    Disconnect::Broken {
        doing: "starting the writer thread",
        error,
    }
}
