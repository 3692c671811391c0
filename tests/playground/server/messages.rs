//! What clients tell: messages go to the adapter, those of a named sequence one after the other in the order of their
//! numbers, and their outcome comes back.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use super::desk::Awaited;
use super::{ClientId, Server, Ticket};
use crate::ari::{Refusal, Side};
use crate::tlcp::{self, Refused, Request, code};

/// How long a sequence waits for a number that is missing, when the client says nothing of it, and at the most.
const MAX_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How clients name the absence of a sequence.
const UNORDERED: &str = "UNORDERED_MESSAGES";

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    sequence: Option<String>,
    /// Its number; absent where the outcome is of no interest.
    progressive: Option<u64>,
    wants_outcome: bool,
    text: String,
}

/// The messages of a session that go by one name.
pub(super) struct Sequence {
    /// The number that is due.
    next: u64,
    /// Whether the adapter has yet to answer the one before.
    busy: bool,
    waiting: BTreeMap<u64, Message>,
    deadline: Option<Instant>,
    patience: Duration,
}

impl Sequence {
    /// When it gives up on the numbers that are missing.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Server {
    pub(super) fn message(&mut self, ticket: &Ticket, request: &Request) -> Result<(), Refused> {
        let wants_outcome = request.unless_false("LS_outcome");
        let sequence = request.get("LS_sequence").filter(|name| *name != UNORDERED);
        let progressive = request.number("LS_msg_prog")?;
        // An empty message is a message: whether it is welcome is for the adapter to say.
        let text = request
            .raw("LS_message")
            .ok_or_else(|| request.refused(code::MALFORMED, "LS_message is missing"))?;
        if wants_outcome || sequence.is_some() {
            request.need("LS_msg_prog")?;
        }
        let message = Message {
            sequence: sequence.map(str::to_owned),
            progressive,
            wants_outcome,
            text: text.to_owned(),
        };
        self.acknowledge(ticket.client, request);
        let (Some(name), Some(number)) = (sequence, progressive) else {
            self.pass_on(ticket, message);
            return Ok(());
        };
        let millis = request.number("LS_max_wait")?.map(Duration::from_millis);
        let patience = millis.unwrap_or(MAX_WAIT).min(LONGEST_WAIT);
        let Some(session) = self.session(ticket) else {
            return Ok(());
        };
        let sequence = session
            .sequences
            .entry(name.to_owned())
            .or_insert_with(|| Sequence {
                next: 1,
                busy: false,
                waiting: BTreeMap::new(),
                deadline: None,
                patience,
            });
        sequence.patience = patience;
        if number < sequence.next {
            let text = "a message of this number came before";
            self.outcome(
                ticket.client,
                &message,
                Err((code::PROGRESSIVE_TOO_LOW, text)),
            );
        } else if let Entry::Vacant(place) = sequence.waiting.entry(number) {
            place.insert(message);
            self.advance(ticket, name);
        } else {
            let text = "a message of this number is waiting";
            self.outcome(
                ticket.client,
                &message,
                Err((code::PROGRESSIVE_TWICE, text)),
            );
        }
        Ok(())
    }

    /// Passes on what is due in a sequence, and sees to its deadline.
    fn advance(&mut self, ticket: &Ticket, name: &str) {
        let now = self.now;
        let session = self.session(ticket);
        let Some(sequence) = session.and_then(|session| session.sequences.get_mut(name)) else {
            return;
        };
        let due = !sequence.busy && sequence.waiting.contains_key(&sequence.next);
        let is_stuck = !sequence.busy && !due && !sequence.waiting.is_empty();
        sequence.deadline = match sequence.deadline {
            deadline @ Some(_) if is_stuck => deadline,
            None if is_stuck => Some(now + sequence.patience),
            _ => None,
        };
        if due && let Some(message) = sequence.waiting.remove(&sequence.next) {
            sequence.next += 1;
            sequence.busy = true;
            self.pass_on(ticket, message);
        }
    }

    /// What time it is. Sequences that waited long enough go on without what is missing.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.now = now;
        let mut late = Vec::new();
        for (client, guest) in &mut self.clients {
            let Some(session) = &mut guest.session else {
                continue;
            };
            for (name, sequence) in &mut session.sequences {
                let Some((first, _)) = sequence.waiting.first_key_value() else {
                    continue;
                };
                if sequence.deadline.is_none_or(|deadline| deadline > now) {
                    continue;
                }
                let missing = first - sequence.next;
                sequence.next = *first;
                sequence.deadline = None;
                let ticket = Ticket {
                    client: *client,
                    session: session.id.clone(),
                };
                late.push((ticket, name.clone(), first - 1, missing));
            }
        }
        for (ticket, name, last, missing) in late {
            let (last, skipped) = (last.to_string(), code::SKIPPED.to_string());
            let arguments = [&*name, &last, &skipped, &missing.to_string()];
            self.tell(ticket.client, &tlcp::line("MSGFAIL", &arguments));
            self.advance(&ticket, &name);
        }
    }

    fn pass_on(&mut self, ticket: &Ticket, message: Message) {
        let Some(session) = self.session(ticket) else {
            return;
        };
        let user = session.user.clone();
        let text = message.text.clone();
        let arguments = [user.as_deref(), Some(&*ticket.session), Some(&*text)];
        let awaited = Awaited::Message(ticket.clone(), message);
        self.ask(Side::Metadata, "NUM", &arguments, awaited);
    }

    pub(super) fn message_answered(
        &mut self,
        ticket: &Ticket,
        message: &Message,
        result: Result<Vec<String>, Refusal>,
    ) {
        let Some(session) = self.session(ticket) else {
            return;
        };
        let sequence = message.sequence.as_deref();
        if let Some(sequence) = sequence.and_then(|name| session.sequences.get_mut(name)) {
            sequence.busy = false;
        }
        let outcome = match &result {
            Ok(_) => Ok(()),
            Err(refusal) => Err(match (&refusal.for_client, refusal.kind) {
                (Some((code, text)), _) => (*code, text.as_str()),
                (None, Some('N')) => (code::REFUSED, refusal.message.as_str()),
                _ => (code::MESSAGE_FAILED, refusal.message.as_str()),
            }),
        };
        self.outcome(ticket.client, message, outcome);
        if let Some(name) = sequence {
            self.advance(ticket, name);
        }
    }

    fn outcome(&mut self, client: ClientId, message: &Message, outcome: Result<(), (i32, &str)>) {
        let Message {
            sequence,
            progressive: Some(progressive),
            wants_outcome: true,
            ..
        } = message
        else {
            return;
        };
        let (name, number) = (sequence.as_deref().unwrap_or("*"), progressive.to_string());
        let line = match outcome {
            Ok(()) => tlcp::line("MSGDONE", &[name, &number, ""]),
            Err((code, text)) => tlcp::line("MSGFAIL", &[name, &number, &code.to_string(), text]),
        };
        self.tell(client, &line);
    }
}
