//! The client sessions as the server knows them, and what it can be sure that the adapter knows.

use std::collections::VecDeque;

use crate::random::Random;
use crate::standin::Encoding;

/// One client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Its session id.
    pub(crate) id: String,
    /// What its messages are labelled with.
    pub(crate) ip: String,
    pub(crate) nick: String,
    /// The arguments of its NNS.
    context: Vec<(&'static str, Option<String>)>,
    user: Option<String>,
    /// Its NNS was answered.
    known: bool,
}

/// The open sessions, and some that were closed.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Vec<Client>,
    closed: VecDeque<String>,
    made: u64,
}

/// The most that are open at a time, and how many closed ones are remembered.
const MOST: usize = 400;
const CLOSED: usize = 50;

impl Sessions {
    /// A new client, open from now on.
    pub(crate) fn open(&mut self, random: &mut Random) -> &Client {
        self.made += 1;
        let n = self.made;
        let ip = random.chance(90).then(|| format!("2001:db8::{n:x}"));
        let agent = random.chance(80).then(|| match random.chance(80) {
            true => format!("Mozilla/5.0 (X11; Linux x86_64) {}", n % 7),
            false => format!("{n} {}", random.text(12)),
        });
        let user = random.chance(30).then(|| format!("user {n}"));
        let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        self.open.push(Client {
            id: format!("S{n:x}T{}", random.between(0, 1000)),
            ip: known(&ip),
            nick: known(&agent.clone().or_else(|| user.clone())),
            context: vec![("REMOTE_IP", ip), ("COOKIES", None), ("USER_AGENT", agent)],
            user,
            known: false,
        });
        &self.open[self.open.len() - 1]
    }

    /// Whether there are so many that one should be closed instead.
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= MOST
    }

    /// One of those that are open.
    pub(crate) fn any(&self, random: &mut Random) -> Option<&Client> {
        (!self.open.is_empty()).then(|| &self.open[random.between(0, self.open.len())])
    }

    /// Closes one of them.
    pub(crate) fn close_any(&mut self, random: &mut Random) -> Option<String> {
        let at = (!self.open.is_empty()).then(|| random.between(0, self.open.len()))?;
        let id = self.open.swap_remove(at).id;
        self.remember(id.clone());
        Some(id)
    }

    fn remember(&mut self, id: String) {
        self.closed.truncate(CLOSED - 1);
        self.closed.push_front(id);
    }

    /// Those that were closed lately.
    pub(crate) fn closed(&self) -> impl Iterator<Item = &String> {
        self.closed.iter()
    }

    /// The id of a session that there is not.
    pub(crate) fn nobody(&self, random: &mut Random) -> String {
        match self.closed.get(random.between(0, CLOSED)) {
            Some(id) => id.clone(),
            None => format!("S{}N", random.between(0, 1000)),
        }
    }

    /// The adapter is one that knows none of them.
    pub(crate) fn forget(&mut self) {
        for client in std::mem::take(&mut self.open) {
            self.remember(client.id);
        }
    }

    /// The adapter knows this one.
    pub(crate) fn set_known(&mut self, id: &str) {
        if let Some(client) = self.open.iter_mut().find(|client| client.id == id) {
            client.known = true;
        }
    }

    /// Those the adapter may not know.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &Client> {
        self.open.iter().filter(|client| !client.known)
    }
}

impl Client {
    /// The arguments that introduce it.
    pub(crate) fn introduction(&self, encoding: Encoding) -> String {
        let mut arguments = string(encoding, self.user.as_deref());
        arguments += &string(encoding, Some(&self.id));
        for (name, value) in &self.context {
            arguments += &string(encoding, Some(name));
            arguments += &string(encoding, value.as_deref());
        }
        arguments
    }
}

/// One argument.
pub(crate) fn string(encoding: Encoding, value: Option<&str>) -> String {
    format!("|S|{}", encoding.encode(value))
}
