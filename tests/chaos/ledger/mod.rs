//! Every message and every subscription of the run, entered as the server sees them, and what follows: which answers and
//! which events are possible now, and which must have come by now.
//!
//! The order of entries is a clock. What the server asked before it, and was answered after it, may have taken effect at
//! any moment between; so a thing is called wrong only if no such moments make it right.

mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use subscriptions::{Subscriptions, Way};

use crate::standin::Update;

/// The order of entries.
pub(crate) type Tick = u64;

/// A data connection, numbered.
pub(crate) type Connection = usize;

/// So many bytes must be on their way before a message may be refused because too many are. The adapter's bound
/// is 8 MiB; texts are counted here as they are, and may be more than twice as long when they are written.
const CONGESTED: usize = 2 << 20;

/// What an update costs beside its text, at least.
const OVERHEAD: usize = 150;

/// A message that the adapter has every reason to relay, if anybody is subscribed.
#[derive(Clone, Debug)]
struct Message {
    text: String,
    ip: String,
    nick: String,
    /// When it was about to be sent.
    asked: Tick,
    /// When success was read.
    granted: Option<Tick>,
}

/// All that was entered.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    now: Tick,
    subscriptions: Subscriptions,
    /// Messages without an answer.
    asked: HashMap<u64, Message>,
    /// Messages that arrived and have no answer yet.
    early: HashSet<u64>,
    /// Messages answered with success that have not arrived.
    granted: BTreeMap<u64, Message>,
    /// Messages whose answer was lost with the connection.
    unanswered: BTreeMap<u64, Message>,
    last_asked: u64,
    last_arrived: u64,
    /// Bytes that are on their way at the most, and when that was last a reason to refuse.
    weight: usize,
    congested: Tick,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    arrived: u64,
    refused: u64,
    crowded: u64,
    lost: u64,
    unanswered: u64,
    subscriptions: u64,
}

impl Ledger {
    fn tick(&mut self) -> Tick {
        self.now += 1;
        self.now
    }

    /// A number for a message; those that must be refused get one too.
    pub(crate) fn number(&mut self) -> u64 {
        self.last_asked += 1;
        self.last_asked
    }

    /// A message is about to be sent on the metadata connection. Its text starts with its number.
    pub(crate) fn sending(&mut self, number: u64, text: &str, ip: &str, nick: &str) {
        let asked = self.tick();
        let message = Message {
            text: text.to_owned(),
            ip: ip.to_owned(),
            nick: nick.to_owned(),
            asked,
            granted: None,
        };
        self.weight += message.weight();
        if self.weight >= CONGESTED {
            self.congested = asked;
        }
        self.asked.insert(number, message);
    }

    /// It was answered with success.
    pub(crate) fn granted(&mut self, number: u64) -> Result<(), String> {
        let now = self.tick();
        if self.early.remove(&number) {
            return Ok(());
        }
        let Some(mut message) = self.asked.remove(&number) else {
            return Err(format!("message {number} was answered and never asked"));
        };
        message.granted = Some(now);
        match self.subscriptions.way(number, &message) {
            Way::Open => {
                self.granted.insert(number, message);
            }
            Way::Lost => self.lose(&message),
            Way::None => return Err(self.subscriptions.unexplained(number, &message)),
        }
        Ok(())
    }

    /// It was refused.
    pub(crate) fn refused(&mut self, number: u64) -> Result<(), String> {
        let now = self.tick();
        if self.early.contains(&number) {
            return Err(format!("message {number} was refused, and had arrived"));
        }
        let Some(message) = self.asked.remove(&number) else {
            return Err(format!("message {number} was answered and never asked"));
        };
        let crowded = self.subscriptions.surely_open(message.asked, now);
        if crowded && self.congested < message.asked {
            return Err(format!(
                "message {number} was refused, with a subscription open all the time and {} bytes on their way",
                self.weight
            ));
        }
        self.weight -= message.weight();
        self.counts.refused += 1;
        self.counts.crowded += u64::from(crowded);
        Ok(())
    }

    /// The metadata connection is gone. What was not answered may have been relayed, or may be yet.
    pub(crate) fn metadata_gone(&mut self) {
        self.tick();
        self.counts.unanswered += self.asked.len() as u64;
        self.unanswered.extend(self.asked.drain());
        self.early.clear();
    }

    /// An event came on a data connection.
    pub(crate) fn arrived(
        &mut self,
        connection: Connection,
        update: &Update,
    ) -> Result<(), String> {
        self.tick();
        let chat = update.chat()?;
        if update.item != "chat_room" || update.snapshot {
            return Err(format!("not a live event of the room: {update:?}"));
        }
        let number = number_of(&chat.message)?;
        let asked = self
            .subscriptions
            .arriving(connection, &update.subscription, number)?;
        if number <= self.last_arrived {
            let last = self.last_arrived;
            return Err(format!(
                "message {number} arrived twice or late: after {last}"
            ));
        }
        self.last_arrived = number;
        let message = self.take(number)?;
        if message.granted.is_some_and(|granted| granted < asked) {
            return Err(format!(
                "message {number} came under a subscription younger than itself"
            ));
        }
        if (&message.text, &message.ip, &message.nick) != (&chat.message, &chat.ip, &chat.nick) {
            return Err(format!("not what was sent: {chat:?}, but {message:?}"));
        }
        self.weight -= message.weight();
        self.counts.arrived += 1;
        self.settle(Some(number))
    }

    /// The message of that number, if it may arrive.
    fn take(&mut self, number: u64) -> Result<Message, String> {
        let known = self
            .granted
            .remove(&number)
            .or_else(|| self.unanswered.remove(&number));
        if let Some(message) = known {
            return Ok(message);
        }
        let message = self.asked.remove(&number).ok_or_else(|| {
            format!("message {number} arrived, which was refused, or was over, or was never sent")
        })?;
        self.early.insert(number);
        Ok(message)
    }

    /// Looks after the messages before this one, or after all: those that success was undelivered for must have a way left.
    fn settle(&mut self, before: Option<u64>) -> Result<(), String> {
        let beyond = before.unwrap_or(u64::MAX);
        let mut over = Vec::new();
        for (number, message) in self.granted.range(..beyond) {
            match self.subscriptions.way(*number, message) {
                Way::Open => {}
                Way::Lost => over.push(*number),
                Way::None => return Err(self.subscriptions.unexplained(*number, message)),
            }
        }
        for number in over {
            if let Some(message) = self.granted.remove(&number) {
                self.lose(&message);
            }
        }
        if before.is_some() {
            // The room has one order: what comes before an event and has not arrived never will.
            let later = self.unanswered.split_off(&beyond);
            let never = std::mem::replace(&mut self.unanswered, later);
            self.weight -= never.values().map(Message::weight).sum::<usize>();
        }
        Ok(())
    }

    fn lose(&mut self, message: &Message) {
        self.weight -= message.weight();
        self.counts.lost += 1;
    }

    /// A data connection begins; whatever was before it is gone for the adapter too.
    pub(crate) fn data_begins(&mut self) -> Result<Connection, String> {
        let now = self.tick();
        let connection = self.subscriptions.begin(now);
        self.settle(None)?;
        Ok(connection)
    }

    /// A `SUB` of the room is about to be sent.
    pub(crate) fn subscribing(&mut self, connection: Connection, id: &str) {
        let now = self.tick();
        self.counts.subscriptions += 1;
        self.subscriptions.asking(connection, id, now);
    }

    /// Its snapshot is complete.
    pub(crate) fn end_of_snapshot(
        &mut self,
        connection: Connection,
        id: &str,
    ) -> Result<(), String> {
        self.tick();
        self.subscriptions.end_of_snapshot(connection, id)
    }

    /// It was answered with success.
    pub(crate) fn subscribed(&mut self, id: &str) -> Result<(), String> {
        let now = self.tick();
        self.subscriptions.granted(id, now)
    }

    /// Its `USB` is about to be sent.
    pub(crate) fn unsubscribing(&mut self) {
        let now = self.tick();
        self.subscriptions.unsure(now);
    }

    /// That was answered with success.
    pub(crate) fn unsubscribed(&mut self, id: &str) -> Result<(), String> {
        let now = self.tick();
        self.subscriptions.ended(id, now);
        self.settle(None)
    }

    /// The data connection is about to break, or the adapter to end.
    pub(crate) fn data_may_end(&mut self) {
        let now = self.tick();
        self.subscriptions.unsure(now);
    }

    /// The data connection is gone, and the adapter knows. If it ended in good order, all that was queued has come.
    pub(crate) fn data_gone(
        &mut self,
        connection: Connection,
        in_order: bool,
    ) -> Result<(), String> {
        let now = self.tick();
        self.subscriptions.gone(connection, in_order, now);
        self.settle(None)
    }

    /// Whether a message that was answered with success is still to come.
    pub(crate) fn has_debts(&self) -> bool {
        !self.granted.is_empty()
    }

    /// Bytes of messages that were answered with success and have not arrived, at the least.
    pub(crate) fn undelivered(&self) -> usize {
        self.granted.values().map(Message::weight).sum()
    }

    /// Whether this message has arrived, or a later one.
    pub(crate) fn has_arrived(&self, number: u64) -> bool {
        self.last_arrived >= number
    }

    /// The whole run in a line.
    pub(crate) fn summary(&self) -> String {
        let Counts {
            arrived,
            refused,
            crowded,
            lost,
            unanswered,
            subscriptions,
        } = &self.counts;
        format!(
            "{arrived} messages arrived, {refused} refused ({crowded} in a crowd), {lost} lost with their connection, \
             {unanswered} never answered, {subscriptions} subscriptions"
        )
    }
}

impl Message {
    fn weight(&self) -> usize {
        self.text.len() + OVERHEAD
    }
}

fn number_of(text: &str) -> Result<u64, String> {
    let digits = text
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    digits
        .parse()
        .map_err(|_| format!("no message of this run: {text:?}"))
}
