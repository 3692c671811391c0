//! The metadata side: everybody may come in, everything that is said goes into the room.

use super::ITEM;
use super::clock::{self, Clock};
use super::room::Room;
use super::sessions::Sessions;
use crate::provider::{
    Connection, MetadataError, MetadataProvider, Mode, Names, Parameters, Text, Unsent,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many messages the server keeps for those who come later.
const HISTORY: i32 = 30;

/// What goes before the text of a message, as clients send it.
const PREFIX: &str = "CHAT|";

/// What clients show when a session is not known any more.
const SESSION_LOST: &str = "Session lost! Please reload the browser page(s).";

/// Answers what a Proxy Metadata Adapter asks about the chat.
#[derive(Debug)]
pub struct ChatMetadata {
    room: Arc<Room>,
    sessions: Sessions,
    /// The Proxy whose sessions these are.
    instance: Option<String>,
    clock: Clock,
    now: fn() -> u64,
    batch: Batch,
}

/// The messages of one read.
#[derive(Debug, Default)]
struct Batch {
    relayed: u64,
    refused: u64,
}

impl ChatMetadata {
    /// No sessions yet. Messages carry the local time of `zone`.
    #[must_use]
    pub fn new(room: Arc<Room>, zone: jiff::tz::TimeZone) -> ChatMetadata {
        ChatMetadata {
            room,
            sessions: Sessions::default(),
            instance: None,
            clock: Clock::new(zone),
            now: clock::system_time,
            batch: Batch::default(),
        }
    }

    /// The same with another clock, which gives milliseconds since the epoch.
    #[must_use]
    pub fn with_clock(self, now: fn() -> u64) -> ChatMetadata {
        ChatMetadata { now, ..self }
    }

    fn count_sessions(&self) {
        let count = self.sessions.len();
        self.room.sessions.store(count, Ordering::Relaxed);
    }

    /// Puts a message into the room; gives the reason when it must be refused.
    fn relay(&mut self, session_id: &str, message: Text<'_>) -> Result<(), &'static str> {
        if message.is_null() {
            return Err("The message is null");
        }
        let text = message.strip_prefix(PREFIX);
        let text = text.ok_or("The message does not start with CHAT|")?;
        if text.is_empty() {
            return Err("The message is empty");
        }
        let sender = self.sessions.get(session_id).ok_or(SESSION_LOST)?;
        if self.batch.relayed == 0 {
            self.clock.set((self.now)());
        }
        let published = self.room.publish(|event| {
            event.field("IP", sender.ip).fields(sender.nick);
            event.field("message", text).fields(self.clock.fields());
        });
        published.map_err(|unsent| match unsent {
            Unsent::TooLong => "The message is too long",
            Unsent::Congested => "Too many messages are waiting: try again later",
            _ => "Nobody is subscribed: the message would reach no one",
        })
    }
}

/// What is neither missing nor empty.
fn present<S: AsRef<str>>(value: &Option<S>) -> Option<&str> {
    let value = value.as_ref().map(AsRef::as_ref);
    value.filter(|value| !value.is_empty())
}

fn empty_list(what: &str) -> String {
    format!("The {what} is empty: it must list one name or more")
}

impl MetadataProvider for ChatMetadata {
    fn initialize(
        &mut self,
        connection: &Connection,
        parameters: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        let instance = parameters.get("proxy.instance_id").map(String::from);
        let count = self.sessions.len();
        if instance.is_some() && instance == self.instance {
            connection.info(format_args!(
                "the same server as before: {count} sessions kept"
            ));
        } else if count > 0 {
            self.sessions = Sessions::default();
            self.count_sessions();
            connection.warn(format_args!(
                "not the server of before: {count} sessions dropped"
            ));
        }
        self.instance = instance;
        Ok(())
    }

    fn notify_new_session(
        &mut self,
        user: Option<&str>,
        session_id: &str,
        client_context: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        let ip = client_context.get("REMOTE_IP");
        let agent = client_context.get("USER_AGENT");
        let nick = present(&agent).or(present(&user)).unwrap_or("unknown");
        let ip = present(&ip).unwrap_or("unknown");
        self.sessions.open(session_id, ip, nick);
        self.count_sessions();
        Ok(())
    }

    fn notify_session_close(&mut self, session_id: &str) -> Result<(), MetadataError> {
        self.sessions.close(session_id);
        self.count_sessions();
        Ok(())
    }

    fn get_items(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        group: &str,
        items: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        match items.split(group).is_empty() {
            true => Err(MetadataError::Items(empty_list("group"))),
            false => Ok(()),
        }
    }

    fn get_schema(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        _group: &str,
        schema: &str,
        fields: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        match fields.split(schema).is_empty() {
            true => Err(MetadataError::Schema(empty_list("schema"))),
            false => Ok(()),
        }
    }

    fn mode_may_be_allowed(&mut self, item: &str, mode: Mode) -> bool {
        item != ITEM || mode == Mode::Distinct
    }

    fn is_mode_allowed(&mut self, _user: Option<&str>, item: &str, mode: Mode) -> bool {
        self.mode_may_be_allowed(item, mode)
    }

    fn get_distinct_snapshot_length(&mut self, item: &str) -> i32 {
        if item == ITEM { HISTORY } else { 0 }
    }

    fn notify_user_message(
        &mut self,
        _user: Option<&str>,
        session_id: &str,
        message: Text<'_>,
    ) -> Result<(), MetadataError> {
        let relayed = self.relay(session_id, message);
        match relayed {
            Ok(()) => self.batch.relayed += 1,
            Err(_) => self.batch.refused += 1,
        }
        relayed.map_err(|why| MetadataError::Notification(why.into()))
    }

    fn requests_served(&mut self) {
        let Batch { relayed, refused } = std::mem::take(&mut self.batch);
        if relayed > 0 {
            self.room.flush();
            self.room.relayed.fetch_add(relayed, Ordering::Relaxed);
        }
        self.room.refused.fetch_add(refused, Ordering::Relaxed);
    }
}
