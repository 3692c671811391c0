//! The subscriptions of the room, one after the other, and what each may still bring.

use super::{Connection, Message, Tick};

/// What is left of a way for a message that was answered with success and has not arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It may arrive yet.
    Open,
    /// It went the way of a connection that is lost.
    Lost,
    /// There is none, and never was.
    None,
}

/// One subscription.
#[derive(Debug)]
struct Subscription {
    connection: Connection,
    id: String,
    /// When its `SUB` was about to be sent: no event is older.
    asked: Tick,
    snapshot_ended: bool,
    /// From when to when it was open beyond doubt.
    sure_from: Option<Tick>,
    sure_until: Option<Tick>,
    /// When it was over beyond doubt.
    over: Option<Tick>,
    unsubscribed: bool,
}

/// A connection's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Open,
    Lost,
    /// It ended in good order: everything that was queued has come.
    Ended,
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    all: Vec<Subscription>,
    /// State, and number of the last message that arrived.
    connections: Vec<(Line, u64)>,
}

impl Subscriptions {
    pub(super) fn begin(&mut self, now: Tick) -> Connection {
        let connection = self.connections.len();
        if let Some(last) = connection.checked_sub(1)
            && self.connections[last].0 == Line::Open
        {
            self.gone(last, false, now);
        }
        self.connections.push((Line::Open, 0));
        connection
    }

    pub(super) fn asking(&mut self, connection: Connection, id: &str, now: Tick) {
        self.all.push(Subscription {
            connection,
            id: id.to_owned(),
            asked: now,
            snapshot_ended: false,
            sure_from: None,
            sure_until: None,
            over: None,
            unsubscribed: false,
        });
    }

    fn find(&mut self, id: &str) -> Result<&mut Subscription, String> {
        let found = self.all.iter_mut().rfind(|one| one.id == id);
        found.ok_or_else(|| format!("no such subscription: {id}"))
    }

    pub(super) fn end_of_snapshot(
        &mut self,
        connection: Connection,
        id: &str,
    ) -> Result<(), String> {
        let one = self.find(id)?;
        let is_due = one.connection == connection && !one.snapshot_ended && one.sure_from.is_none();
        one.snapshot_ended = true;
        if is_due {
            Ok(())
        } else {
            Err(format!("an end of snapshot out of order: {id}"))
        }
    }

    pub(super) fn granted(&mut self, id: &str, now: Tick) -> Result<(), String> {
        let one = self.find(id)?;
        one.sure_from = Some(now);
        if one.snapshot_ended {
            Ok(())
        } else {
            Err(format!("subscribed without an end of snapshot: {id}"))
        }
    }

    /// Whatever is open may end at any moment now.
    pub(super) fn unsure(&mut self, now: Tick) {
        for one in self.all.iter_mut().rev().take(2) {
            one.sure_until.get_or_insert(now);
        }
    }

    pub(super) fn ended(&mut self, id: &str, now: Tick) {
        if let Ok(one) = self.find(id) {
            one.over.get_or_insert(now);
            one.unsubscribed = true;
        }
    }

    pub(super) fn gone(&mut self, connection: Connection, in_order: bool, now: Tick) {
        self.connections[connection].0 = if in_order { Line::Ended } else { Line::Lost };
        let of_it = self
            .all
            .iter_mut()
            .rev()
            .take_while(|one| one.connection == connection);
        for one in of_it {
            one.sure_until.get_or_insert(now);
            one.over.get_or_insert(now);
        }
    }

    /// An event came under this subscription; gives when that was asked for.
    pub(super) fn arriving(
        &mut self,
        connection: Connection,
        id: &str,
        number: u64,
    ) -> Result<Tick, String> {
        let newest = self.all.iter().rposition(|one| one.snapshot_ended);
        let Some(one) = newest.map(|at| &self.all[at]).filter(|one| one.id == id) else {
            return Err(format!(
                "message {number} came under a stale subscription: {id}"
            ));
        };
        if one.connection != connection || one.unsubscribed {
            return Err(format!(
                "message {number} came after its subscription had ended: {id}"
            ));
        }
        self.connections[connection].1 = number;
        Ok(one.asked)
    }

    /// Whether a subscription was open beyond doubt from one moment to another.
    pub(super) fn surely_open(&self, from: Tick, to: Tick) -> bool {
        self.all.iter().rev().take(2).any(|one| {
            one.sure_from.is_some_and(|since| since <= from)
                && one.sure_until.is_none_or(|until| until >= to)
        })
    }

    /// What is left for a message: it was relayed at some moment between question and answer.
    pub(super) fn way(&self, number: u64, message: &Message) -> Way {
        let answered = message.granted.unwrap_or(Tick::MAX);
        let mut best = Way::None;
        for one in self.all.iter().rev() {
            if one.over.is_some_and(|over| over < message.asked) {
                break;
            }
            let (line, last_arrived) = self.connections[one.connection];
            if one.asked > answered || one.unsubscribed || last_arrived > number {
                continue;
            }
            match line {
                Line::Open => return Way::Open,
                Line::Lost => best = Way::Lost,
                Line::Ended => {}
            }
        }
        best
    }

    /// The error where there is none.
    pub(super) fn unexplained(&self, number: u64, message: &Message) -> String {
        format!(
            "message {number} was answered with success and cannot have been queued, or was not sent: asked at {}, \
             answered at {:?}; the last subscriptions: {:#?}",
            message.asked,
            message.granted,
            self.all.iter().rev().take(3).collect::<Vec<_>>()
        )
    }
}
