//! The metadata side: everybody may come in, everything that is said goes into the room.

use super::clock::{Clock, LocalTime};
use super::room::{ITEM, Room};
use super::store::{ServedSessions, SessionStore};
use crate::provider::{
    Connection, Fields, MetadataError, MetadataProvider, Mode, Names, Parameters, Text, Unsent,
    system_time,
};
use std::mem::take;
use std::sync::Arc;
use std::time::Instant;

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
    sessions: ServedSessions,
    clock: Clock,
    now: fn() -> u64,
    /// The message that is being relayed, encoded once for all servers; for reuse.
    event: Fields,
    /// Messages of the present read.
    relayed: u64,
    refused: u64,
}

impl ChatMetadata {
    /// No sessions yet. Messages carry the local time.
    pub fn new(room: Arc<Room>, local: impl Into<LocalTime>) -> ChatMetadata {
        ChatMetadata {
            room,
            sessions: ServedSessions::new(Arc::default()),
            clock: Clock::new(local.into()),
            now: system_time,
            event: Fields::new(),
            relayed: 0,
            refused: 0,
        }
    }

    /// The same with sessions that are kept elsewhere.
    pub fn with_store(self, store: Arc<SessionStore>) -> ChatMetadata {
        let sessions = ServedSessions::new(store);
        ChatMetadata { sessions, ..self }
    }

    /// The same with another clock, which gives milliseconds since the epoch.
    pub fn with_clock(self, now: fn() -> u64) -> ChatMetadata {
        ChatMetadata { now, ..self }
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
        let sessions = self.sessions.lock();
        let (ip, nick) = sessions.get(session_id).ok_or(SESSION_LOST)?;
        if self.relayed == 0 {
            self.clock.set((self.now)());
        }
        self.event.add("IP", ip).add_all(nick);
        self.event.add("message", text).add_all(self.clock.fields());
        let published = self.room.publish(&self.event);
        self.event.clear();
        published.map_err(|unsent| match unsent {
            Unsent::TooLong => "The message is too long",
            Unsent::Congested => "Too many messages are waiting: try again later",
            _ => "Nobody is subscribed: the message would reach no one",
        })
    }
}

/// A list must not be empty.
fn check_list(what: &str, names: &Names<'_>) -> Result<(), String> {
    match names.is_empty() {
        true => Err(format!(
            "The {what} is empty: it must list one name or more"
        )),
        false => Ok(()),
    }
}

impl MetadataProvider for ChatMetadata {
    fn initialize(
        &mut self,
        connection: &Connection,
        parameters: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        let instance = parameters.get("proxy.instance_id");
        let begun = self.sessions.begin(instance.as_deref(), Instant::now());
        if let Some(count) = begun.kept {
            connection.info(format_args!(
                "the same server as before: {count} sessions kept"
            ));
        }
        if begun.dropped > 0 {
            connection.warn(format_args!(
                "not the server of before: {} sessions dropped",
                begun.dropped
            ));
        }
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
        self.sessions
            .open(user, session_id, ip.as_deref(), agent.as_deref());
        Ok(())
    }

    fn notify_session_close(&mut self, session_id: &str) -> Result<(), MetadataError> {
        self.sessions.close(session_id);
        Ok(())
    }

    fn get_items(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        group: &str,
        items: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        check_list("group", items.split(group)).map_err(MetadataError::Items)
    }

    fn get_schema(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        _group: &str,
        schema: &str,
        fields: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        check_list("schema", fields.split(schema)).map_err(MetadataError::Schema)
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
            Ok(()) => self.relayed += 1,
            Err(_) => self.refused += 1,
        }
        relayed.map_err(|why| MetadataError::Notification(why.into()))
    }

    fn requests_served(&mut self) {
        let (relayed, refused) = (take(&mut self.relayed), take(&mut self.refused));
        self.room.flush(relayed, refused);
        self.sessions.flush();
    }
}
