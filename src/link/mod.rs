//! One connection to a Proxy, over and over: connect, hello, serve, lost, wait, connect.
//!
//! Two threads a connection: the link's own reads and serves, another one writes. A link drives
//! anything that is a [`Handler`]; what is said is none of its business.

pub mod backoff;
mod conversation;
mod farewell;
mod fate;
pub mod lost;
mod opening;
mod outlet;
mod pulse;
mod reader;
pub mod shutdown;
mod socket;
mod sparing;
pub mod status;
mod steps;
pub mod tls;
mod transport;
mod turn;
mod waiting;
mod watch;
mod writer;

use crate::ari::Side;
use crate::ari::handler::{Handler, Outlet};
use crate::ari::reply;
use crate::secret::Secret;
use backoff::{Backoff, SERVED};
use conversation::Conversation;
use crossbeam_channel::{RecvTimeoutError, bounded};
use farewell::{LINGER, farewell};
use lost::Lost;
use outlet::{Item, Queue};
pub use outlet::{QUEUE_LIMIT, REPLY_LIMIT};
use shutdown::Shutdown;
use sparing::Sparing;
use status::{Phase, Status};
use std::net;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use steps::{STEADY, Steps};
use tls::{Session, Tls};
use transport::Transport;
use writer::{Ended, Writer};

/// The adapter as it names itself to a Proxy.
const PRODUCT: &str = concat!("chat-adapter ", env!("CARGO_PKG_VERSION"));

/// A failure that repeats is mentioned so often.
const MENTION_AGAIN: Duration = Duration::from_secs(60);

/// So many different failures in turn are one loop.
const MENTIONED: usize = 4;

/// How long an orderly end may take: what is queued leaves, the peer hears the end, and what
/// could not leave is counted.
pub const DRAIN: Duration = Duration::from_secs(5);

/// What is queued when a connection ends has this long of it to leave.
const WRITE_OUT: Duration = Duration::from_secs(4);

/// How long it may take to learn that a peer did not want to hear the hello.
const UNHEARD: Duration = Duration::from_millis(200);

/// User and password for a Proxy that demands them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// What must not be seen.
    pub password: Secret,
}

/// Credentials that may be changed for connections to come.
pub type SharedCredentials = Arc<Mutex<Option<Credentials>>>;

/// What one link is to connect to, and how.
#[derive(Debug)]
pub struct LinkConfig {
    /// Which Proxy it is.
    pub side: Side,
    /// A name or an address.
    pub host: String,
    /// The Proxy's `request_reply_port`.
    pub port: u16,
    /// What to say in the hello, if anything.
    pub credentials: SharedCredentials,
    /// TLS, if it is wanted.
    pub tls: Option<Tls>,
    /// After how much silence to send a keepalive; zero: never; `None`: as the Proxy wants it.
    pub keepalive: Option<Duration>,
}

impl LinkConfig {
    fn credentials(&self) -> Option<Credentials> {
        let credentials = self.credentials.lock();
        credentials.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The link's name in the log, such as `data localhost:8001`.
    #[must_use]
    pub fn name(&self) -> String {
        let LinkConfig {
            side, host, port, ..
        } = self;
        match host.contains(':') {
            true => format!("{side} [{host}]:{port}"),
            false => format!("{side} {host}:{port}"),
        }
    }
}

/// One link.
pub struct Link<H> {
    config: LinkConfig,
    steps: Arc<Steps>,
    handler: H,
    shutdown: Arc<Shutdown>,
    status: Arc<Status>,
    backoff: Backoff,
    /// The failures that were said since a connection served well, and when.
    mentioned: Vec<(String, Instant)>,
    /// Rations the warnings that the peer can provoke.
    warnings: Sparing,
}

impl<H: Handler> Link<H> {
    /// A link that is yet to [`run`](Self::run).
    #[must_use]
    pub fn new(
        config: LinkConfig,
        handler: H,
        shutdown: Arc<Shutdown>,
        status: Arc<Status>,
    ) -> Link<H> {
        Link {
            steps: Arc::new(Steps::new(config.name())),
            config,
            handler,
            shutdown,
            status,
            backoff: Backoff::default(),
            mentioned: Vec::new(),
            warnings: Sparing::default(),
        }
    }

    /// Connects and serves, again and again, until the end is requested.
    pub fn run(mut self) {
        self.steps.step(format_args!("connecting"));
        while !self.shutdown.is_requested() {
            let lost = match self.connection() {
                Ok(lost) => lost,
                Err(lost) => lost,
            };
            if self.shutdown.is_requested() {
                return;
            }
            let served = self.status.served();
            self.status.set(Phase::Connecting);
            if served.is_some_and(|time| time >= SERVED) {
                self.backoff.reset();
            }
            let wait = match lost.is_lasting() {
                true => self.backoff.next_lasting_wait(),
                false => self.backoff.next_wait(),
            };
            self.mention(&lost, wait, served);
            if self.wait(wait) {
                return;
            }
        }
    }

    /// Waits before the next try; says whether the end was requested meanwhile.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            let pulse = &self.status.reader;
            pulse.beat();
            let left = until.saturating_duration_since(Instant::now());
            let nap = pulse.every().map_or(left, |every| every.min(left));
            if left.is_zero() || self.shutdown.wait(nap) {
                return self.shutdown.is_requested();
            }
        }
    }

    /// Says what happened, unless it was said a short while ago. When the link goes round in a loop
    /// of the same failures after being connected, the steps in between are no news either.
    fn mention(&mut self, lost: &Lost, wait: Duration, served: Option<Duration>) {
        if served.is_some_and(|time| time >= STEADY) {
            self.mentioned.clear();
        }
        let text = lost.to_string();
        let before = self.mentioned.iter().position(|(said, _)| *said == text);
        let before = before.map(|at| self.mentioned.remove(at));
        if !matches!(lost, Lost::Connect(..) | Lost::Resolve(_)) {
            self.steps.set_quiet(before.is_some());
        }
        let millis = wait.as_millis();
        let what = format_args!("{text}; next try in {millis} ms");
        let when = match before {
            Some((_, when)) if when.elapsed() < MENTION_AGAIN => {
                self.steps.detail(what);
                Some(when)
            }
            // One that there was no room for is said the next time.
            _ => self.steps.trouble(what).then(Instant::now),
        };
        self.mentioned.extend(when.map(|when| (text, when)));
        if self.mentioned.len() > MENTIONED {
            self.mentioned.remove(0);
        }
    }

    /// One connection from its beginning to its end.
    fn connection(&mut self) -> Result<Lost, Lost> {
        let pulse = &self.status.reader;
        let socket = socket::connect(&self.config.host, self.config.port, pulse)?;
        let peer = socket.peer_addr();
        let peer = peer.map_or_else(|e| e.to_string(), |peer| peer.to_string());
        let transport = Arc::new(self.transport(socket)?);
        let serving = self.shutdown.serving(transport.socket());
        let agreed = match &*transport {
            Transport::Plain(_) => String::new(),
            Transport::Tls(session) => format!(", {}", session.agreed()),
        };
        self.steps.step(format_args!("connected to {peer}{agreed}"));
        self.status.set(Phase::Opening);

        let (queue, items) = Queue::new(Arc::clone(&self.steps), Arc::clone(&transport));
        let queue = Arc::new(queue);
        self.status.attach(&queue);
        queue.send(self.hello());
        let keepalive = opening::keepalive_before_init(self.config.keepalive);
        let (lost, ended, (writer_broke, ended_at)) = thread::scope(|scope| {
            let writer = Writer::new(&transport, &queue, items, keepalive, &self.status.writer);
            let name = format!("{}-writer", self.config.side);
            let (running, finished) = bounded::<()>(0);
            let writer = thread::Builder::new().name(name).spawn_scoped(scope, || {
                let _running = running;
                writer.run()
            });
            let writer = match writer {
                Ok(writer) => writer,
                Err(error) => return (no_thread(error), None, (false, Instant::now())),
            };
            let mut conversation = Conversation {
                handler: &mut self.handler,
                queue: Arc::clone(&queue),
                config: &self.config,
                status: &self.status,
                shutdown: &self.shutdown,
                warnings: &mut self.warnings,
                unsaid: None,
            };
            let mut source = transport.reader(&queue);
            let lost = reader::read_on(&mut source, transport.socket(), &mut conversation);
            let ended_at = Instant::now();
            // A writer that broke has ended the stream for the reader.
            let writer_broke = queue.is_closed();
            let lost = unless_unheard(lost, transport.socket(), &self.shutdown);
            // From here on nobody sends: what was answered with success is queued.
            self.handler.lost();
            queue.tell(Item::End);
            self.status.reader.promise(DRAIN + LINGER);
            if lost.is_dead() || finished.recv_timeout(WRITE_OUT) == Err(RecvTimeoutError::Timeout)
            {
                // A writer that the peer keeps waiting returns then.
                let _ = transport.socket().shutdown(net::Shutdown::Both);
            }
            (lost, writer.join().ok(), (writer_broke, ended_at))
        });
        let at_hello = self.status.phase() == Phase::Opening;
        let Some(ended) = ended else { return Ok(lost) };
        self.last_words(&transport, &queue, &lost, ended_at);
        // First what TLS knows: a writer only finds that nobody listens any more.
        let lost = transport.explain(lost, at_hello);
        let lost = self.account(lost, ended, writer_broke);
        // Whoever waits for the end waits for the account, too.
        drop(serving);
        Ok(lost)
    }

    fn transport(&mut self, socket: net::TcpStream) -> Result<Transport, Lost> {
        let socket = Arc::new(socket);
        let Some(tls) = &mut self.config.tls else {
            return Ok(Transport::Plain(socket));
        };
        self.status.reader.beat();
        let client = tls.client(&self.steps).map_err(Lost::Tls)?;
        self.status.reader.promise(tls::HANDSHAKE);
        let session = Session::establish(socket, client).map_err(Lost::Tls)?;
        Ok(Transport::Tls(Box::new(session)))
    }

    fn hello(&self) -> Vec<u8> {
        let credentials = self.config.credentials();
        let credentials = credentials.as_ref();
        let credentials = credentials.map(|c| (c.user.as_str(), c.password.reveal()));
        let mut hello = Vec::new();
        reply::put_hello(credentials, PRODUCT, &mut hello);
        hello
    }

    /// Ends the stream, unless the peer has gone already.
    fn last_words(&self, transport: &Transport, queue: &Queue, lost: &Lost, ended_at: Instant) {
        if queue.is_closed() {
            return;
        }
        let deaf = matches!(lost, Lost::Stopping | Lost::Spent);
        if !farewell(transport, deaf, ended_at + WRITE_OUT) && deaf {
            self.steps.trouble(format_args!(
                "the Proxy did not take all that was written in time"
            ));
        }
    }

    /// Reports what the end of the connection cost, and settles why it ended.
    fn account(&self, lost: Lost, ended: Ended, writer_broke: bool) -> Lost {
        let count = ended.lost_updates();
        if count > 0 {
            self.status.add_lost_updates(count);
            self.steps.trouble(format_args!(
                "at least {count} messages that were answered with success are lost"
            ));
        }
        match (lost, ended.error) {
            // Where the writer broke first, it knows why. To whom not even the hello could be
            // said, that one has refused nothing.
            (Lost::Closed | Lost::Broken { .. }, Some(error)) if writer_broke => {
                broken_writing(error)
            }
            (Lost::ClosedAtHello { .. }, Some(error)) => broken_writing(error),
            (lost, _) => lost,
        }
    }
}

/// A Proxy that closes without having read the hello, as one does that is going away, has refused
/// nothing: TCP says so a moment later.
fn unless_unheard(lost: Lost, socket: &net::TcpStream, shutdown: &Shutdown) -> Lost {
    if !matches!(lost, Lost::ClosedAtHello { .. }) || shutdown.wait(UNHEARD) {
        return lost;
    }
    match socket.take_error() {
        Ok(Some(error)) => Lost::Broken {
            doing: "saying hello",
            error,
        },
        _ => lost,
    }
}

fn broken_writing(error: std::io::Error) -> Lost {
    Lost::Broken {
        doing: "writing",
        error,
    }
}

fn no_thread(error: std::io::Error) -> Lost {
    Lost::Broken {
        doing: "starting the writer thread",
        error,
    }
}
