//! What was sent and what came on all servers, and whether it can be.
//!
//! The order of entries is a clock: what is asked before it and answered after it may have taken effect at any moment
//! between. Texts are short and few are on their way, so that no queue is ever full.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::standin::Update;

/// The order of entries.
type Tick = u64;

/// A message, by its number.
pub(crate) type Number = usize;

/// A metadata connection, or a data connection, numbered.
pub(crate) type Connection = usize;

#[derive(Debug)]
struct Message {
    text: String,
    nick: String,
    /// The metadata connection on which it was sent.
    from: Connection,
    asked: Tick,
    outcome: Outcome,
    arrived: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Asked,
    Granted(Tick),
    Refused,
    /// The connection is lost on which the answer was due.
    Unknown,
}

#[derive(Debug)]
struct Subscription {
    id: String,
    asked: Tick,
    has_snapshot: bool,
    /// From when to when it was open beyond doubt.
    sure_from: Option<Tick>,
    sure_until: Option<Tick>,
    /// When it was over beyond doubt.
    over: Option<Tick>,
}

#[derive(Debug, Default)]
struct DataConnection {
    subscriptions: Vec<Subscription>,
    arrivals: Vec<Number>,
    /// It ended in good order: everything that was queued has come.
    is_complete: bool,
}

/// All that was entered.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    now: Tick,
    messages: Vec<Message>,
    talks: usize,
    connections: Vec<DataConnection>,
    replaced: usize,
}

impl Ledger {
    fn tick(&mut self) -> Tick {
        self.now += 1;
        self.now
    }

    /// A metadata connection serves.
    pub(crate) fn metadata_begins(&mut self) -> Connection {
        self.talks += 1;
        self.talks
    }

    /// A message is about to be sent there; yields its number, and its text, which begins with that.
    pub(crate) fn sending(&mut self, from: Connection, nick: &str, rest: &str) -> (Number, String) {
        let (number, asked) = (self.messages.len(), self.tick());
        let text = format!("{number} {rest}");
        self.messages.push(Message {
            text: text.clone(),
            nick: nick.to_owned(),
            from,
            asked,
            outcome: Outcome::Asked,
            arrived: 0,
        });
        (number, text)
    }

    /// It was answered with success.
    pub(crate) fn granted(&mut self, number: Number) {
        let now = self.tick();
        self.messages[number].outcome = Outcome::Granted(now);
    }

    /// It was refused, which must be for want of anybody who hears it.
    pub(crate) fn refused(&mut self, number: Number) -> Result<(), String> {
        let now = self.tick();
        let message = &mut self.messages[number];
        message.outcome = Outcome::Refused;
        if message.arrived > 0 {
            return Err(format!("refused, and had arrived: {message:?}"));
        }
        let asked = message.asked;
        let is_sure = |it: &Subscription| {
            it.sure_from.is_some_and(|from| from <= asked)
                && it.sure_until.is_none_or(|until| until >= now)
        };
        let mut all = self.connections.iter().flat_map(|it| &it.subscriptions);
        match all.find(|it| is_sure(it)) {
            Some(open) => Err(format!("message {number} was refused in spite of {open:?}")),
            None => Ok(()),
        }
    }

    /// A metadata connection is gone.
    pub(crate) fn metadata_gone(&mut self, from: Connection) {
        self.tick();
        for message in self.messages.iter_mut().filter(|it| it.from == from) {
            if message.outcome == Outcome::Asked {
                message.outcome = Outcome::Unknown;
            }
        }
    }

    /// A data connection serves.
    pub(crate) fn data_begins(&mut self) -> Connection {
        self.connections.push(DataConnection::default());
        self.connections.len() - 1
    }

    /// A `SUB` of the room is about to be sent.
    pub(crate) fn subscribing(&mut self, on: Connection, id: &str) {
        let asked = self.tick();
        self.connections[on].subscriptions.push(Subscription {
            id: id.to_owned(),
            asked,
            has_snapshot: false,
            sure_from: None,
            sure_until: None,
            over: None,
        });
    }

    fn last(&mut self, on: Connection, id: &str) -> Result<&mut Subscription, String> {
        let last = self.connections[on].subscriptions.last_mut();
        last.filter(|last| last.id == id)
            .ok_or_else(|| format!("not the subscription that there is: {id}"))
    }

    /// Its snapshot is complete.
    pub(crate) fn end_of_snapshot(&mut self, on: Connection, id: &str) -> Result<(), String> {
        self.tick();
        let one = self.last(on, id)?;
        match std::mem::replace(&mut one.has_snapshot, true) || one.sure_from.is_some() {
            true => Err(format!("an end of snapshot out of order: {id}")),
            false => Ok(()),
        }
    }

    /// It was answered with success.
    pub(crate) fn subscribed(&mut self, on: Connection, id: &str) -> Result<(), String> {
        let now = self.tick();
        let one = self.last(on, id)?;
        one.sure_from = Some(now);
        match one.has_snapshot {
            true => Ok(()),
            false => Err(format!("subscribed without an end of snapshot: {id}")),
        }
    }

    /// It may end from now on: its `USB` is about to be sent, or the connection is about to break.
    pub(crate) fn may_end(&mut self, on: Connection) {
        let now = self.tick();
        for one in &mut self.connections[on].subscriptions {
            one.sure_until.get_or_insert(now);
        }
    }

    /// It has ended, and the adapter knows.
    pub(crate) fn ended(&mut self, on: Connection) {
        let now = self.tick();
        for one in &mut self.connections[on].subscriptions {
            one.sure_until.get_or_insert(now);
            one.over.get_or_insert(now);
        }
    }

    /// The connection was over when the next one was answered.
    pub(crate) fn replaced(&mut self, on: Connection) {
        self.replaced += 1;
        self.ended(on);
    }

    /// It has ended in good order: all that was queued has come.
    pub(crate) fn complete(&mut self, on: Connection) {
        self.connections[on].is_complete = true;
        self.ended(on);
    }

    /// An event came.
    pub(crate) fn arrived(&mut self, on: Connection, update: &Update) -> Result<(), String> {
        self.tick();
        let chat = update.chat()?;
        let one = self.last(on, &update.subscription)?;
        if !one.has_snapshot || update.item != "chat_room" || update.snapshot {
            return Err(format!("not a live event of the room: {update:?}"));
        }
        let digits = chat.message.split(' ').next().unwrap_or_default();
        let number: Number = digits.parse().map_err(|_| format!("not ours: {chat:?}"))?;
        let Some(message) = self.messages.get_mut(number) else {
            return Err(format!("never sent: {chat:?}"));
        };
        if (&message.text, &message.nick) != (&chat.message, &chat.nick) {
            return Err(format!("not what was sent: {chat:?}, but {message:?}"));
        }
        if message.outcome == Outcome::Refused {
            return Err(format!("arrived, and was refused: {message:?}"));
        }
        message.arrived += 1;
        let from = message.from;
        let connection = &mut self.connections[on];
        let mut before = connection.arrivals.iter().rev();
        if let Some(last) = before.find(|&&last| self.messages[last].from == from)
            && *last >= number
        {
            return Err(format!("message {number} came after {last}, of one sender"));
        }
        connection.arrivals.push(number);
        Ok(())
    }

    /// Whether all that was answered with success has come on this connection, where it had to.
    pub(crate) fn has_all(&self, on: Connection) -> bool {
        let connection = &self.connections[on];
        let came: BTreeSet<_> = connection.arrivals.iter().copied().collect();
        self.must_have(connection)
            .all(|number| came.contains(&number))
    }

    /// The messages that must come on this connection, if it lives long enough.
    fn must_have(&self, connection: &DataConnection) -> impl Iterator<Item = Number> {
        let messages = self.messages.iter().enumerate();
        messages.filter_map(|(number, message)| {
            let Outcome::Granted(answered) = message.outcome else {
                return None;
            };
            let is_under = |it: &Subscription| {
                it.sure_from.is_some_and(|from| from < message.asked)
                    && it.sure_until.is_none_or(|until| until > answered)
            };
            connection
                .subscriptions
                .iter()
                .any(is_under)
                .then_some(number)
        })
    }

    /// At the end of the run: whether all is as it must be; the run in words.
    pub(crate) fn settle(&self) -> Result<String, String> {
        for (at, connection) in self.connections.iter().enumerate() {
            self.nothing_is_missing(connection)
                .map_err(|violation| format!("data connection {at}: {violation}"))?;
        }
        for (number, message) in self.messages.iter().enumerate() {
            let Outcome::Granted(answered) = message.outcome else {
                continue;
            };
            let may_be_lost = |connection: &DataConnection| {
                let is_way = |it: &Subscription| {
                    it.asked < answered && it.over.is_none_or(|over| over > message.asked)
                };
                !connection.is_complete && connection.subscriptions.iter().any(is_way)
            };
            if message.arrived == 0 && !self.connections.iter().any(may_be_lost) {
                return Err(format!(
                    "message {number} had success and no way: {message:?}"
                ));
            }
        }
        self.order()?;
        let count =
            |outcome: fn(&Message) -> bool| self.messages.iter().filter(|it| outcome(it)).count();
        Ok(format!(
            "{} messages, {} of them on all three, {} refused; {} metadata and {} data connections, {} replaced",
            self.messages.len(),
            count(|it| it.arrived >= 3),
            count(|it| it.outcome == Outcome::Refused),
            self.talks,
            self.connections.len(),
            self.replaced
        ))
    }

    /// What a connection must have is there: all of it, or, where the connection broke, up to some moment.
    fn nothing_is_missing(&self, connection: &DataConnection) -> Result<(), String> {
        let came: BTreeSet<_> = connection.arrivals.iter().copied().collect();
        let mut last_of: HashMap<Connection, Number> = HashMap::new();
        for number in &connection.arrivals {
            last_of.insert(self.messages[*number].from, *number);
        }
        for number in self.must_have(connection).filter(|it| !came.contains(it)) {
            let message = &self.messages[number];
            let later = last_of.get(&message.from).filter(|last| **last > number);
            if connection.is_complete || later.is_some() {
                return Err(format!("message {number} is missing: {message:?}"));
            }
        }
        Ok(())
    }

    /// All connections have seen one order.
    fn order(&self) -> Result<(), String> {
        let (mut follow, mut before) =
            (BTreeMap::<Number, BTreeSet<Number>>::new(), HashMap::new());
        for connection in &self.connections {
            for pair in connection.arrivals.windows(2) {
                if follow.entry(pair[0]).or_default().insert(pair[1]) {
                    *before.entry(pair[1]).or_insert(0) += 1;
                }
            }
        }
        let all: BTreeSet<_> = self
            .connections
            .iter()
            .flat_map(|it| &it.arrivals)
            .collect();
        let is_first = |number: &&Number| !before.contains_key(*number);
        let mut next: Vec<Number> = all.iter().copied().filter(is_first).copied().collect();
        let mut seen = 0;
        while let Some(number) = next.pop() {
            seen += 1;
            for later in follow.get(&number).into_iter().flatten() {
                let left = before.get_mut(later).expect("it was counted");
                *left -= 1;
                if *left == 0 {
                    next.push(*later);
                }
            }
        }
        match seen == all.len() {
            true => Ok(()),
            false => Err("the servers have not seen one order".to_owned()),
        }
    }
}
