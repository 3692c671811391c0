//! What the adapter tells, and who is told: the items that clients hold, their history, the order of their
//! subscriptions with the adapter.

use std::collections::VecDeque;

use super::desk::Awaited;
use super::subscribing::{Snapshot, Subscription, View};
use super::{ClientId, Server};
use crate::ari::{Origin, Side, Update};
use crate::tlcp;

/// An item that somebody holds.
pub(super) struct Item {
    /// The id of the SUB request that is in force, while there is an adapter.
    subscription: Option<String>,
    /// The past, up to the length that the adapter asked for.
    history: VecDeque<Update>,
    length: usize,
    snapshot_ended: bool,
    holders: Vec<Holder>,
}

/// Who holds an item: a client, the number of its subscription, and which item of that it is, counted from 0.
pub(super) type Holder = (ClientId, u64, usize);

impl Item {
    /// There is no adapter any more. What is known of the past stays.
    pub(super) fn forsake(&mut self) {
        self.subscription = None;
    }
}

impl Server {
    /// A client holds an item from now on, and gets to see its past.
    pub(super) fn attach(&mut self, holder: Holder, name: &str, history: usize) {
        let is_new = !self.items.contains_key(name);
        let is_status = self.status.is(name);
        let known = is_status.then(|| self.status.update());
        let item = self.items.entry(name.to_owned()).or_insert_with(|| Item {
            subscription: None,
            history: known.into_iter().collect(),
            length: if is_status { 1 } else { history },
            snapshot_ended: is_status,
            holders: Vec::new(),
        });
        item.holders.push(holder);
        let (past, ended) = (item.history.clone(), item.snapshot_ended);
        let (client, number, at) = holder;
        let wanted = match self.view(client, number).map(|view| view.snapshot) {
            Some(Snapshot::All) => past.len(),
            Some(Snapshot::Last(most)) => past.len().min(most),
            _ => 0,
        };
        for update in past.iter().skip(past.len() - wanted) {
            self.show((client, number, at), update);
        }
        if ended {
            self.show_end_of_snapshot((client, number, at));
        }
        if is_new {
            self.subscribe_item(name);
        }
    }

    /// A client holds the items of a subscription no longer.
    pub(super) fn detach(&mut self, client: ClientId, number: u64, subscription: &Subscription) {
        let Some(view) = &subscription.view else {
            return;
        };
        for glimpse in &view.items {
            let name = &glimpse.item;
            let Some(item) = self.items.get_mut(name) else {
                continue;
            };
            item.holders
                .retain(|(c, n, _)| (*c, *n) != (client, number));
            if item.holders.is_empty() {
                let was_asked_for = item.subscription.is_some();
                self.items.remove(name);
                if was_asked_for {
                    self.ask(Side::Data, "USB", &[Some(name)], Awaited::Unsubscribe);
                }
            }
        }
    }

    /// Asks the adapter for the updates of an item, if there is an adapter and the Proxy has them not from itself.
    pub(super) fn subscribe_item(&mut self, name: &str) {
        if self.status.is(name) {
            return;
        }
        let awaited = Awaited::Subscribe(name.to_owned());
        let id = self.ask(Side::Data, "SUB", &[Some(name)], awaited);
        if let Some(item) = self.items.get_mut(name) {
            item.subscription = id;
        }
    }

    /// The item that a notification is about, unless it belongs to a subscription that is over.
    fn origin(&mut self, origin: &Origin) -> Option<&mut Item> {
        let item = self.items.get_mut(&origin.item)?;
        (item.subscription.as_ref() == Some(&origin.subscription)).then_some(item)
    }

    pub(super) fn update(&mut self, origin: &Origin, update: Update) {
        if self.origin(origin).is_some() {
            self.update_item(&origin.item, update);
        }
    }

    /// Something happened to an item: its holders are told, and it becomes part of the past.
    pub(super) fn update_item(&mut self, name: &str, update: Update) {
        let Some(item) = self.items.get(name) else {
            return;
        };
        for holder in item.holders.clone() {
            let wants_past = |view: &mut View| view.snapshot != Snapshot::None;
            if !update.is_snapshot || self.view(holder.0, holder.1).is_some_and(wants_past) {
                self.show(holder, &update);
            }
        }
        if let Some(item) = self.items.get_mut(name) {
            item.history.push_back(update);
            let surplus = item.history.len().saturating_sub(item.length);
            item.history.drain(..surplus);
        }
    }

    pub(super) fn end_of_snapshot(&mut self, origin: &Origin) {
        let Some(item) = self.origin(origin) else {
            return;
        };
        item.snapshot_ended = true;
        for holder in item.holders.clone() {
            self.show_end_of_snapshot(holder);
        }
    }

    pub(super) fn clear_snapshot(&mut self, origin: &Origin) {
        let Some(item) = self.origin(origin) else {
            return;
        };
        item.history.clear();
        for (client, number, at) in item.holders.clone() {
            let arguments = [number.to_string(), (at + 1).to_string()];
            let line = tlcp::line("CS", &[&arguments[0], &arguments[1]]);
            self.tell(client, &line);
        }
    }

    fn view(&mut self, client: ClientId, number: u64) -> Option<&mut View> {
        let session = self.clients.get_mut(&client)?.session.as_mut()?;
        session.subscriptions.get_mut(&number)?.view.as_mut()
    }

    /// Shows an update to a client, leaving out what has not changed since the one before.
    fn show(&mut self, (client, number, at): Holder, update: &Update) {
        let Some(view) = self.view(client, number) else {
            return;
        };
        let now: Vec<Option<&str>> = view.fields.iter().map(|name| update.field(name)).collect();
        let glimpse = &mut view.items[at];
        let values: Vec<Option<Option<&str>>> = match &glimpse.last {
            None => now.iter().map(|value| Some(*value)).collect(),
            Some(last) => {
                let pairs = now.iter().zip(last);
                pairs
                    .map(|(value, last)| (*value != last.as_deref()).then_some(*value))
                    .collect()
            }
        };
        let line = tlcp::update(number, at + 1, &values);
        glimpse.last = Some(now.iter().map(|value| value.map(str::to_owned)).collect());
        self.tell(client, &line);
    }

    fn show_end_of_snapshot(&mut self, (client, number, at): Holder) {
        let Some(view) = self.view(client, number) else {
            return;
        };
        if std::mem::replace(&mut view.items[at].snapshot_ended, true) {
            return;
        }
        let arguments = [number.to_string(), (at + 1).to_string()];
        let line = tlcp::line("EOS", &[&arguments[0], &arguments[1]]);
        self.tell(client, &line);
    }
}
