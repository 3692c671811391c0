//! What was asked on one connection and is not answered yet: one reply each, of the right kind.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::standin::{Encoding, Reply};

/// What a request must be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Exactly this.
    Exactly(Cow<'static, str>),
    /// An error of this kind.
    Error(&'static str),
    /// Success or a refusal: a message, by its number.
    Message(u64),
    /// Success: the session of this id is open.
    Session(String),
    /// Success: the subscription of the room under this id.
    Subscription(String),
    /// Success: the end of that subscription.
    Unsubscription(String),
}

impl Due {
    /// Plain success.
    pub(crate) const VOID: Self = Self::Exactly(Cow::Borrowed("V"));
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing more to it.
    Plain,
    /// A message was answered with success.
    Granted(u64),
    /// A message was refused.
    Refused(u64),
    /// The adapter knows of this session.
    Opened(String),
    /// The room is subscribed to.
    Subscribed(String),
    /// It is no more.
    Unsubscribed(String),
}

/// The open requests of one connection.
#[derive(Debug)]
pub(crate) struct Requests {
    encoding: Encoding,
    open: HashMap<String, (&'static str, Due)>,
}

impl Requests {
    /// None yet.
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            open: HashMap::new(),
        }
    }

    /// A request is about to be sent.
    pub(crate) fn asked(&mut self, id: &str, method: &'static str, due: Due) {
        self.open.insert(id.to_owned(), (method, due));
    }

    /// A reply came.
    pub(crate) fn answered(&mut self, reply: &Reply) -> Result<Outcome, String> {
        let Some((method, due)) = self.open.remove(&reply.id) else {
            return Err(format!("answered twice, or never asked: {reply:?}"));
        };
        let error = reply.error(self.encoding)?;
        let error = error.as_ref().map(|error| error.kind.as_str());
        let wrong = || {
            Err(format!(
                "{method} was due {due:.300?}, and got {reply:.300?}"
            ))
        };
        if reply.method != method {
            return wrong();
        }
        Ok(match due {
            Due::Exactly(result) if reply.result == result => Outcome::Plain,
            Due::Error(kind) if error == Some(kind) => Outcome::Plain,
            Due::Message(number) if reply.is_void() => Outcome::Granted(number),
            Due::Message(number) if error == Some("EN") => Outcome::Refused(number),
            Due::Session(id) if reply.is_void() => Outcome::Opened(id),
            Due::Subscription(id) if reply.is_void() => Outcome::Subscribed(id),
            Due::Unsubscription(id) if reply.is_void() => Outcome::Unsubscribed(id),
            _ => return wrong(),
        })
    }

    /// How many have no answer.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// One of them, for a failure.
    pub(crate) fn example(&self) -> String {
        format!("{:?}", self.open.iter().next())
    }
}
