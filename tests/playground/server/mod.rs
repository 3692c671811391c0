//! The stand-in server itself, as a state machine: what clients and adapters say goes in, what is to be said to them
//! comes out. It must not know of sockets, threads and clocks, so that every turn of it can be tested.
//!
//! Its rooms: [`opening`] sessions come and go; [`subscribing`] what a client gets to see; [`items`] what the adapter
//! tells, and who is told; [`status`] the item that tells of the adapter; [`messages`] what clients tell; [`desk`] the
//! requests that adapters have yet to answer.

mod desk;
mod items;
mod messages;
mod opening;
mod status;
mod subscribing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::ari::{self, Line, Side};
use crate::codec::Encoding;
use crate::tlcp::{self, Refused, Request, code};

use desk::{Awaited, Desk};
use items::Item;
use messages::Sequence;
use status::Status;
use subscribing::Subscription;

/// A connection of a client.
pub(crate) type ClientId = u64;

/// What is known of a client before it says anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) ip: String,
    /// Its port.
    pub(crate) port: u16,
    /// Its `User-Agent` header, if it sent one.
    pub(crate) agent: Option<String>,
}

/// Something to be done for the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Send these lines to a client, in one frame.
    Tell(ClientId, String),
    /// From now on a client is never to be left without a word for so long.
    Probe(ClientId, Duration),
    /// Send what is queued to a client, and close its connection.
    HangUp(ClientId),
    /// Send this line to an adapter.
    Ask(Side, String),
    /// Tell the person at the terminal.
    Note(String),
}

/// The server.
pub(crate) struct Server {
    /// What it calls itself to clients.
    name: String,
    seed: u64,
    /// What time it is, as far as anybody said.
    now: Instant,
    sessions_opened: u64,
    /// The number of subscriptions that were ever asked for.
    serials: u64,
    clients: BTreeMap<ClientId, Client>,
    metadata: Desk,
    data: Desk,
    items: BTreeMap<String, Item>,
    status: Status,
    /// Sessions whose end no adapter has confirmed yet.
    closed_sessions: Vec<String>,
    /// Questions that nobody will answer.
    orphans: VecDeque<Awaited>,
    effects: Vec<Effect>,
}

struct Client {
    peer: Peer,
    session: Option<Session>,
}

struct Session {
    id: String,
    user: Option<String>,
    phase: Phase,
    /// The longest silence that the client puts up with.
    keepalive: Duration,
    subscriptions: BTreeMap<u64, Subscription>,
    sequences: HashMap<String, Sequence>,
}

/// How far the opening of a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The adapter is asked whether this user may log in.
    Login,
    /// The adapter is told of the session.
    Introduction,
    /// The client may do as it likes.
    Open,
}

/// Whose request an answer is for. Client and session may be gone when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ticket {
    client: ClientId,
    session: String,
}

impl Server {
    /// A server without clients and adapters; `name` is what clients are told of it, the seed makes its session ids,
    /// `status_item` is the one that tells of the data connection.
    pub(crate) fn new(name: String, seed: u64, now: Instant, status_item: Option<String>) -> Self {
        Self {
            name,
            seed,
            now,
            sessions_opened: 0,
            serials: 0,
            clients: BTreeMap::new(),
            metadata: Desk::default(),
            data: Desk::default(),
            items: BTreeMap::new(),
            status: Status::new(status_item),
            closed_sessions: Vec::new(),
            orphans: VecDeque::new(),
            effects: Vec::new(),
        }
    }

    /// What is to be done, in this order.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        // One after the other, since giving up on one question can lead to the next.
        while let Some(awaited) = self.orphans.pop_front() {
            self.give_up(awaited);
        }
        std::mem::take(&mut self.effects)
    }

    /// A client has connected.
    pub(crate) fn joined(&mut self, client: ClientId, peer: Peer) {
        let session = None;
        self.clients.insert(client, Client { peer, session });
    }

    /// The connection of a client has ended.
    pub(crate) fn left(&mut self, client: ClientId) {
        self.end_session(client);
        self.clients.remove(&client);
    }

    /// A client has said something.
    pub(crate) fn frame(&mut self, client: ClientId, frame: &str) {
        for request in tlcp::parse(frame) {
            let served = request.and_then(|request| self.serve(client, &request));
            if let Err(refused) = served {
                self.tell(client, &refused.line());
            }
        }
    }

    fn serve(&mut self, client: ClientId, request: &Request) -> Result<(), Refused> {
        match request.name.as_str() {
            "heartbeat" => Ok(()),
            "wsok" => {
                self.tell(client, "WSOK\r\n");
                Ok(())
            }
            "create_session" => {
                self.create_session(client, request);
                Ok(())
            }
            "bind_session" => {
                self.bind_session(client, request);
                Ok(())
            }
            "msg" => {
                let ticket = self.ticket(client, request)?;
                self.message(&ticket, request)
            }
            "control" => {
                let ticket = self.ticket(client, request)?;
                self.control(&ticket, request)
            }
            other => {
                let name: String = other.chars().take(60).collect();
                let text = format!("there is no request {name:?} here");
                Err(request.refused(code::UNKNOWN, text))
            }
        }
    }

    /// The open session that a request is about, which must be that of its own connection.
    fn ticket(&self, client: ClientId, request: &Request) -> Result<Ticket, Refused> {
        let session = self.clients.get(&client).and_then(|c| c.session.as_ref());
        match session {
            Some(session)
                if session.phase == Phase::Open
                    && request.get("LS_session").is_none_or(|id| id == session.id) =>
            {
                Ok(Ticket {
                    client,
                    session: session.id.clone(),
                })
            }
            _ => Err(request.refused(code::SESSION, "no such session on this connection")),
        }
    }

    fn control(&mut self, ticket: &Ticket, request: &Request) -> Result<(), Refused> {
        match request.need("LS_op")? {
            "add" => return self.add(ticket, request),
            "delete" => return self.delete(ticket, request),
            "reconf" => return self.reconfigure(ticket, request),
            "constrain" => {
                self.acknowledge(ticket.client, request);
                self.tell(ticket.client, "CONS,unlimited\r\n");
            }
            "force_rebind" => {
                self.acknowledge(ticket.client, request);
                self.tell(ticket.client, "LOOP,0\r\n");
            }
            "destroy" => {
                self.acknowledge(ticket.client, request);
                self.end_session(ticket.client);
                if request.get("LS_close_socket") == Some("true") {
                    self.effects.push(Effect::HangUp(ticket.client));
                } else {
                    let end = tlcp::line("END", &["31", "destroyed by the client"]);
                    self.tell(ticket.client, &end);
                }
            }
            other => {
                let text = format!("there is no operation {other:?} here");
                return Err(request.refused(code::UNKNOWN, text));
            }
        }
        Ok(())
    }

    /// Says `REQOK`, unless the client does without.
    fn acknowledge(&mut self, client: ClientId, request: &Request) {
        if let Some(id) = request.get("LS_reqId")
            && request.unless_false("LS_ack")
        {
            self.tell(client, &tlcp::line("REQOK", &[id]));
        }
    }

    /// An adapter has come, and the opening of its connection is over.
    pub(crate) fn adapter_up(&mut self, side: Side, encoding: Encoding) {
        self.desk(side).encoding = Some(encoding);
        match side {
            // It is not known whether the previous adapter was told of these.
            Side::Metadata => {
                for session in self.closed_sessions.clone() {
                    let awaited = Awaited::SessionClose(session.clone());
                    self.ask(side, "NSC", &[Some(&session)], awaited);
                }
            }
            Side::Data => {
                let items: Vec<String> = self.items.keys().cloned().collect();
                for item in items {
                    self.subscribe_item(&item);
                }
                self.tell_status("connected");
            }
        }
    }

    /// The connection of an adapter has ended.
    pub(crate) fn adapter_down(&mut self, side: Side) {
        self.desk(side).encoding = None;
        let unanswered = std::mem::take(&mut self.desk(side).awaited);
        self.orphans
            .extend(unanswered.into_iter().map(|(_, awaited)| awaited));
        if side == Side::Data {
            self.items.values_mut().for_each(Item::forsake);
            self.tell_status("reconnecting");
        }
    }

    /// An adapter has said something.
    pub(crate) fn adapter_line(&mut self, side: Side, line: &str) {
        let understood = ari::parse(line).and_then(|line| match (side, line) {
            (_, Line::Keepalive) => Ok(()),
            (_, Line::Reply(reply)) => self.answered(side, reply),
            (Side::Data, Line::EndOfSnapshot(origin)) => {
                self.end_of_snapshot(&origin);
                Ok(())
            }
            (Side::Data, Line::ClearSnapshot(origin)) => {
                self.clear_snapshot(&origin);
                Ok(())
            }
            (Side::Data, Line::Update(origin, update)) => {
                self.update(&origin, update);
                Ok(())
            }
            (Side::Data, Line::Failure(why)) => {
                Err(format!("the adapter says that it is broken: {why}"))
            }
            (Side::Metadata, _) => Err("a notification on the metadata connection".to_owned()),
        });
        if let Err(problem) = understood {
            self.note(format!("{}: {problem}", side.name()));
        }
    }

    /// When [`Server::tick`] is due, if at all.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let sessions = self.clients.values().filter_map(|c| c.session.as_ref());
        let sequences = sessions.flat_map(|session| session.sequences.values());
        sequences.filter_map(Sequence::deadline).min()
    }

    /// The server is about to end: every client is told goodbye.
    pub(crate) fn end(&mut self) {
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.end_session(client);
            self.effects.push(Effect::HangUp(client));
        }
    }

    /// Whether no adapter has anything left to answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.metadata.awaited.is_empty() && self.data.awaited.is_empty()
    }

    fn session(&mut self, ticket: &Ticket) -> Option<&mut Session> {
        let session = self.clients.get_mut(&ticket.client)?.session.as_mut()?;
        (session.id == ticket.session).then_some(session)
    }

    fn tell(&mut self, client: ClientId, lines: &str) {
        if let Some(Effect::Tell(last, text)) = self.effects.last_mut()
            && *last == client
        {
            text.push_str(lines);
        } else {
            let tell = Effect::Tell(client, lines.to_owned());
            self.effects.push(tell);
        }
    }

    fn note(&mut self, text: impl Into<String>) {
        self.effects.push(Effect::Note(text.into()));
    }
}
