//! The one thread on which the server lives: everything that happens comes in over one channel, in one order, and
//! what is to be done leaves through the queues of the connections. It never waits for any of them: who lets too much
//! pile up is cut off.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::ari::Side;
use crate::client::ToClient;
use crate::codec::Encoding;
use crate::server::{ClientId, Effect, Peer, Server};
use crate::show::Show;

/// How much may happen before it is looked at.
const EVENTS: usize = 256;

/// How long adapters and clients may take to answer to the end of everything.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How many frames or lines may wait for one connection.
const QUEUE: usize = 1 << 16;

/// Something that happened.
pub(crate) enum Event {
    /// A client is there.
    Joined(ClientId, Peer, Outbox<ToClient>),
    /// It said something.
    Frame(ClientId, String),
    /// It is gone.
    Left(ClientId),
    /// An adapter is there, and agreed to a version of ARI and its encoding.
    AdapterUp(Side, String, Encoding, Outbox<String>),
    /// It said something.
    AdapterLine(Side, String),
    /// It is gone.
    AdapterDown(Side),
    /// The playground ends.
    End,
}

/// The way to the thread that writes to a connection, and the means to cut the connection.
pub(crate) struct Outbox<T> {
    queue: Sender<T>,
    socket: TcpStream,
}

impl<T> Outbox<T> {
    /// A queue and its end, for a connection.
    pub(crate) fn new(socket: TcpStream) -> (Self, Receiver<T>) {
        let (queue, items) = unbounded();
        (Self { queue, socket }, items)
    }

    /// Queues something; says whether there was room.
    fn send(&self, item: T) -> bool {
        // A queue whose reader has ended takes nothing, and its connection is ending anyway.
        self.queue.len() < QUEUE && self.queue.send(item).is_ok()
    }

    /// Ends the connection, which its reader notices and reports.
    fn cut(&self) {
        // Fails only where there is nothing left to end.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// What is to happen when there is an adapter.
pub(crate) type Invite = Box<dyn FnOnce() + Send>;

/// The server and the ways to its connections.
pub(crate) struct Hub {
    server: Server,
    events: Receiver<Event>,
    clients: HashMap<ClientId, Outbox<ToClient>>,
    metadata: Option<Outbox<String>>,
    data: Option<Outbox<String>>,
    /// To be called as soon as both sides have an adapter, once.
    invite: Option<Invite>,
    /// When it is over, if that is near.
    end: Option<Instant>,
    show: Show,
}

impl Hub {
    /// A hub, and the way to tell it of events.
    pub(crate) fn new(server: Server, invite: Option<Invite>, show: Show) -> (Self, Sender<Event>) {
        let (sender, events) = bounded(EVENTS);
        let hub = Self {
            server,
            events,
            clients: HashMap::new(),
            metadata: None,
            data: None,
            invite,
            end: None,
            show,
        };
        (hub, sender)
    }

    /// Serves until [`Event::End`], and until adapters and clients have answered to that. Yields the connections of the
    /// adapters, which last as long as what is yielded, so that an adapter can end first.
    pub(crate) fn run(mut self) -> [Option<Outbox<String>>; 2] {
        loop {
            let is_quiet = self.clients.is_empty() && self.server.is_idle();
            if self
                .end
                .is_some_and(|end| is_quiet || end <= Instant::now())
            {
                return [self.metadata, self.data];
            }
            let event = match self.server.deadline().into_iter().chain(self.end).min() {
                Some(deadline) => self.events.recv_deadline(deadline),
                None => self.events.recv().map_err(RecvTimeoutError::from),
            };
            self.server.tick(Instant::now());
            match event {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return [self.metadata, self.data],
            }
            for effect in self.server.take_effects() {
                self.carry_out(effect);
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Joined(client, peer, outbox) => {
                self.clients.insert(client, outbox);
                self.server.joined(client, peer);
            }
            Event::Frame(client, frame) => self.server.frame(client, &frame),
            Event::Left(client) => {
                self.clients.remove(&client);
                self.server.left(client);
            }
            Event::AdapterUp(side, version, encoding, outbox) => {
                *self.adapter(side) = Some(outbox);
                self.server.adapter_up(side, encoding);
                // Not before, so that who waits for this word may rely on it.
                self.show
                    .note(&format!("{}: ARI {version} agreed", side.name()));
                if self.metadata.is_some()
                    && self.data.is_some()
                    && let Some(invite) = self.invite.take()
                {
                    invite();
                }
            }
            Event::AdapterLine(side, line) => self.server.adapter_line(side, &line),
            Event::AdapterDown(side) => {
                *self.adapter(side) = None;
                self.server.adapter_down(side);
            }
            Event::End => {
                self.end = Some(Instant::now() + LAST_WORDS);
                self.server.end();
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let (client, order) = match effect {
            Effect::Tell(client, lines) => (client, ToClient::Frame(lines)),
            Effect::Probe(client, silence) => (client, ToClient::Probe(silence)),
            Effect::HangUp(client) => (client, ToClient::HangUp),
            Effect::Note(text) => return self.show.note(&text),
            Effect::Ask(side, line) => {
                if let Some(adapter) = self.adapter(side)
                    && !adapter.send(line)
                {
                    adapter.cut();
                }
                return;
            }
        };
        if let Some(outbox) = self.clients.get(&client)
            && !outbox.send(order)
        {
            outbox.cut();
        }
    }

    fn adapter(&mut self, side: Side) -> &mut Option<Outbox<String>> {
        match side {
            Side::Metadata => &mut self.metadata,
            Side::Data => &mut self.data,
        }
    }
}
