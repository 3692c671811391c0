//! Sessions come and go: login, introduction to the adapter, the words of welcome, the end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::desk::Awaited;
use super::{ClientId, Effect, Phase, Server, Session, Ticket};
use crate::ADAPTER_SET;
use crate::ari::{Refusal, Side};
use crate::tlcp::{self, Request, code};

/// The largest request that a client should send, in bytes.
const REQUEST_LIMIT: &str = "50000";

/// The longest silence, when the client does not ask for another.
const KEEPALIVE_MILLIS: u64 = 5000;

impl Server {
    pub(super) fn create_session(&mut self, client: ClientId, request: &Request) {
        self.end_session(client);
        match request.get("LS_adapter_set") {
            Some(ADAPTER_SET) => {}
            other => {
                let text = match other {
                    Some(name) => format!("no Adapter Set {name:?} here, only {ADAPTER_SET}"),
                    None => format!("LS_adapter_set is missing; {ADAPTER_SET} is the one here"),
                };
                return self.turn_away(client, code::ADAPTER_SET, &text);
            }
        }
        let Some(guest) = self.clients.get_mut(&client) else {
            return;
        };
        let wanted = request.number("LS_keepalive_millis").ok().flatten();
        let keepalive = wanted.unwrap_or(KEEPALIVE_MILLIS).clamp(500, 30_000);
        let user = request.get("LS_user").map(str::to_owned);
        self.sessions_opened += 1;
        let number = self.sessions_opened;
        let id = format!("S{:016x}T{number:07}", self.seed.rotate_left(17) ^ number);
        guest.session = Some(Session {
            id: id.clone(),
            user: user.clone(),
            phase: Phase::Login,
            keepalive: Duration::from_millis(keepalive),
            subscriptions: BTreeMap::new(),
            sequences: HashMap::new(),
        });
        let agent = guest.peer.agent.clone();
        let ticket = Ticket {
            client,
            session: id,
        };
        let mut arguments = vec![user.as_deref(), request.get("LS_password")];
        if agent.is_some() {
            arguments.extend([Some("user-agent"), agent.as_deref()]);
        }
        let awaited = Awaited::Login(ticket);
        self.ask(Side::Metadata, "NUS", &arguments, awaited);
    }

    pub(super) fn logged_in(&mut self, ticket: Ticket, result: Result<Vec<String>, Refusal>) {
        let Some(client) = self.clients.get_mut(&ticket.client) else {
            return;
        };
        let session = client.session.as_mut().filter(|s| s.id == ticket.session);
        let Some(session) = session.filter(|s| s.phase == Phase::Login) else {
            return;
        };
        if let Err(refusal) = result {
            client.session = None;
            return self.refuse_session(ticket.client, &refusal);
        }
        session.phase = Phase::Introduction;
        let (user, peer) = (session.user.clone(), client.peer.clone());
        let port = peer.port.to_string();
        let mut arguments = vec![user.as_deref(), Some(ticket.session.as_str())];
        arguments.extend([Some("REMOTE_IP"), Some(&peer.ip)]);
        arguments.extend([Some("REMOTE_PORT"), Some(&port)]);
        if peer.agent.is_some() {
            arguments.extend([Some("USER_AGENT"), peer.agent.as_deref()]);
        }
        let awaited = Awaited::Introduction(ticket.clone());
        self.ask(Side::Metadata, "NNS", &arguments, awaited);
    }

    pub(super) fn introduced(&mut self, ticket: &Ticket, result: Result<Vec<String>, Refusal>) {
        let Some(session) = self
            .session(ticket)
            .filter(|s| s.phase == Phase::Introduction)
        else {
            return;
        };
        if let Err(refusal) = result {
            if let Some(client) = self.clients.get_mut(&ticket.client) {
                client.session = None;
            }
            return self.refuse_session(ticket.client, &refusal);
        }
        session.phase = Phase::Open;
        let keepalive = session.keepalive;
        self.effects.push(Effect::Probe(ticket.client, keepalive));
        self.welcome(ticket.client);
    }

    /// Takes a session up again, which can be done on its own connection only.
    pub(super) fn bind_session(&mut self, client: ClientId, request: &Request) {
        let wanted = request.get("LS_session");
        let session = self.clients.get(&client).and_then(|c| c.session.as_ref());
        match session {
            Some(session)
                if wanted == Some(&session.id)
                    && session.phase == Phase::Open
                    && request.get("LS_recovery_from").is_none() =>
            {
                self.welcome(client);
            }
            _ => {
                let code = match request.get("LS_recovery_from") {
                    Some(_) => code::RECOVERY,
                    None => code::SESSION,
                };
                let text = "a session ends with its connection here";
                self.turn_away(client, code, text);
            }
        }
    }

    fn welcome(&mut self, client: ClientId) {
        let Some(guest) = self.clients.get(&client) else {
            return;
        };
        let Some(session) = &guest.session else {
            return;
        };
        let millis = session.keepalive.as_millis().to_string();
        let lines = [
            tlcp::line("CONOK", &[&session.id, REQUEST_LIMIT, &millis, "*"]),
            tlcp::line("SERVNAME", &[&self.name]),
            tlcp::line("CLIENTIP", &[&guest.peer.ip]),
            tlcp::line("CONS", &["unlimited"]),
        ];
        self.tell(client, &lines.concat());
    }

    pub(super) fn refuse_session(&mut self, client: ClientId, refusal: &Refusal) {
        let (code, text) = match (&refusal.for_client, refusal.kind) {
            (Some((code, text)), _) => (*code, text.as_str()),
            (None, Some('A' | 'R')) => (code::ACCESS, refusal.message.as_str()),
            _ => (code::ADAPTER_FAILED, refusal.message.as_str()),
        };
        self.turn_away(client, code, text);
    }

    fn turn_away(&mut self, client: ClientId, code: i32, text: &str) {
        let line = tlcp::line("CONERR", &[&code.to_string(), text]);
        self.tell(client, &line);
    }

    /// Ends the session of a client, if it has one, and tells the adapter.
    pub(super) fn end_session(&mut self, client: ClientId) {
        let guest = self.clients.get_mut(&client);
        let Some(session) = guest.and_then(|guest| guest.session.take()) else {
            return;
        };
        for (id, subscription) in session.subscriptions {
            self.detach(client, id, &subscription);
        }
        if session.phase == Phase::Login {
            return;
        }
        self.closed_sessions.push(session.id.clone());
        let awaited = Awaited::SessionClose(session.id.clone());
        self.ask(Side::Metadata, "NSC", &[Some(&session.id)], awaited);
    }
}
