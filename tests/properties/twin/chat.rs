//! The chat itself: its sessions, the subscription, and what each request must be answered.

use std::collections::BTreeMap;

use super::request::Ask;
use super::text::{Encoding, encode};

/// What the Proxy must be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Exactly this after the method.
    Exact(String),
    /// An error of this kind; its message is free.
    Error(&'static str),
    /// An error of this kind with this message.
    Saying(&'static str, &'static str),
}

/// An event for everybody, as it stands on a data connection.
pub(crate) type Event = Vec<u8>;

/// How a sender is labelled.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    ip: String,
    nick: String,
}

/// The whole of it.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    sessions: BTreeMap<String, Label>,
    instance: Option<String>,
    /// The id of the open subscription.
    subscription: Option<Vec<u8>>,
    /// The data connection takes nothing any more.
    is_broken: bool,
    /// Bytes of events that may still be queued.
    pub(crate) room: usize,
    /// Messages answered with success, and messages refused.
    pub(crate) relayed: u64,
    pub(crate) refused: u64,
    /// Milliseconds since the epoch.
    pub(crate) now: u64,
}

const LOST: &str = "Session lost! Please reload the browser page(s).";

impl Chat {
    /// The number of sessions.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Whether anybody is subscribed.
    pub(crate) fn is_open(&self) -> bool {
        self.subscription.is_some()
    }

    /// The metadata connection was opened by this instance of a Proxy.
    pub(crate) fn metadata_opened(&mut self, instance: Option<&str>) {
        if instance.is_none() || instance != self.instance.as_deref() {
            self.sessions.clear();
        }
        self.instance = instance.map(str::to_owned);
    }

    /// The data connection was lost and opened again.
    pub(crate) fn data_reopened(&mut self) {
        self.subscription = None;
        self.is_broken = false;
    }

    /// The data connection breaks: it takes nothing any more.
    pub(crate) fn data_broken(&mut self) {
        self.is_broken = true;
    }

    /// Answers a data request; what comes first is an event that goes before the answer.
    pub(crate) fn data(&mut self, id: &[u8], ask: Result<Ask, ()>) -> (Option<Event>, Answer) {
        let is_room = |item: &Option<String>| item.as_deref() == Some("chat_room");
        match ask {
            Err(()) => (None, Answer::Error("E")),
            Ok(Ask::Subscribe(item)) if is_room(&item) => {
                self.subscription = Some(id.to_vec());
                (Some(self.notification("EOS", id)), void())
            }
            Ok(Ask::Subscribe(_)) => (None, Answer::Saying("EU", "No such item")),
            Ok(Ask::Unsubscribe(item)) => {
                if is_room(&item) {
                    self.subscription = None;
                }
                (None, void())
            }
            Ok(other) => unreachable!("{other:?} is no data request"),
        }
    }

    /// Answers a metadata request; what comes with it is the event of a message.
    pub(crate) fn metadata(
        &mut self,
        method: &str,
        encoding: Encoding,
        ask: Result<Ask, ()>,
    ) -> (Option<Event>, Answer) {
        let answer = match ask {
            Err(()) => Answer::Error("E"),
            Ok(Ask::Login) => Answer::Exact("D|0.0|B|0".to_owned()),
            Ok(Ask::Open(user, session, context)) => {
                self.open(user, session, &context);
                void()
            }
            Ok(Ask::Close(session)) => {
                self.sessions.remove(&session.unwrap_or_default());
                void()
            }
            Ok(Ask::Names(list)) => names(method, encoding, &list.unwrap_or_default()),
            Ok(Ask::Items(items)) => {
                let items = items.iter().map(|item| properties(method, item.as_deref()));
                Answer::Exact(items.collect::<Vec<_>>().join("|"))
            }
            Ok(Ask::Assent) => void(),
            Ok(Ask::Message(session, message)) => return self.message(session, message),
            Ok(other) => unreachable!("{other:?} is no metadata request"),
        };
        (None, answer)
    }

    fn open(
        &mut self,
        user: Option<String>,
        session: String,
        context: &[(Option<String>, Option<String>)],
    ) {
        let last = |wanted: &str| {
            let found = context
                .iter()
                .rev()
                .find(|(name, _)| name.as_deref() == Some(wanted));
            found.and_then(|(_, value)| value.clone())
        };
        let known = |value: &Option<String>| value.as_deref().is_some_and(|text| !text.is_empty());
        let first = |values: Vec<Option<String>>| {
            values
                .into_iter()
                .find(known)
                .flatten()
                .unwrap_or_else(|| "unknown".to_owned())
        };
        let label = Label {
            ip: first(vec![last("REMOTE_IP")]),
            nick: first(vec![last("USER_AGENT"), user]),
        };
        self.sessions.insert(session, label);
    }

    fn message(
        &mut self,
        session: Option<String>,
        message: Option<String>,
    ) -> (Option<Event>, Answer) {
        let outcome = self.relay(session, message);
        match outcome {
            Ok(event) => {
                self.room -= event.len();
                self.relayed += 1;
                (Some(event), void())
            }
            Err(refusal) => {
                self.refused += 1;
                (None, refusal)
            }
        }
    }

    fn relay(&self, session: Option<String>, message: Option<String>) -> Result<Event, Answer> {
        let refusal = Answer::Error("EN");
        let message = message.ok_or_else(|| refusal.clone())?;
        let text = message
            .strip_prefix("CHAT|")
            .ok_or_else(|| refusal.clone())?;
        if text.is_empty() {
            return Err(refusal);
        }
        let label = self.sessions.get(&session.unwrap_or_default());
        let label = label.ok_or(Answer::Saying("EN", LOST))?;
        let subscription = self.subscription.as_ref().filter(|_| !self.is_broken);
        let subscription = subscription.ok_or_else(|| refusal.clone())?;
        let event = self.event(subscription, label, text);
        if event.len() > self.room {
            return Err(refusal);
        }
        Ok(event)
    }

    fn event(&self, subscription: &[u8], label: &Label, text: &str) -> Event {
        let seconds = self.now / 1000;
        let clock = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
        let fields = [
            ("IP", label.ip.clone()),
            ("nick", label.nick.clone()),
            ("message", text.to_owned()),
            (
                "timestamp",
                clock.map(|part| format!("{part:02}")).join(":"),
            ),
            ("raw_timestamp", self.now.to_string()),
        ];
        let mut line = self.notification("UD3", subscription);
        line.extend_from_slice(b"|B|0");
        for (name, value) in fields {
            let value = encode(Encoding::Smart, Some(&value));
            line.extend_from_slice(format!("|S|{name}|S|{value}").as_bytes());
        }
        line.extend_from_slice(b"\r\n");
        line
    }

    /// What every notification starts with; an end of snapshot ends there too.
    fn notification(&self, method: &str, subscription: &[u8]) -> Event {
        let mut line = format!("{}|{method}|S|chat_room|S|", self.now).into_bytes();
        line.extend_from_slice(subscription);
        if method == "EOS" {
            line.extend_from_slice(b"\r\n");
        }
        line
    }
}

fn void() -> Answer {
    Answer::Exact("V".to_owned())
}

fn names(method: &str, encoding: Encoding, list: &str) -> Answer {
    let names: Vec<String> = list
        .split(' ')
        .filter(|name| !name.is_empty())
        .map(|name| format!("S|{}", encode(encoding, Some(name))))
        .collect();
    match (names.is_empty(), method) {
        (true, "GIS") => Answer::Error("EI"),
        (true, _) => Answer::Error("ES"),
        _ => Answer::Exact(names.join("|")),
    }
}

fn properties(method: &str, item: Option<&str>) -> String {
    let (history, modes) = if item == Some("chat_room") {
        (30, "D")
    } else {
        (0, "RMDC")
    };
    let number = if method == "GIT" { history } else { 0 };
    format!("I|{number}|D|0.0|M|{modes}")
}
