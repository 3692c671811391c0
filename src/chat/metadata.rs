//! The metadata side: everybody may come in, everything that is said goes into the room.

use super::clock::{Clock, LocalTime};
use super::room::{ITEM, Room};
use super::sessions::Sessions;
use crate::provider::{
    Connection, MetadataError, MetadataProvider, Mode, Names, Parameters, Text, Unsent, system_time,
};
use std::borrow::Cow;
use std::mem::take;
use std::sync::Arc;

/// How many messages the server keeps for those who come later.
const HISTORY: i32 = 30;

/// What goes before the text of a message, as clients send it.
const PREFIX: &str = "CHAT|";

/// The most of an address or a user agent that is kept and sent, in bytes of UTF-8, [`CUT`] included.
const LONGEST_LABEL: usize = 1000;

/// Stands at the end of one that was cut.
const CUT: &str = "…";

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
    /// Messages of the present read.
    relayed: u64,
    refused: u64,
}

impl ChatMetadata {
    /// No sessions yet. Messages carry the local time.
    pub fn new(room: Arc<Room>, local: impl Into<LocalTime>) -> ChatMetadata {
        ChatMetadata {
            room,
            sessions: Sessions::default(),
            instance: None,
            clock: Clock::new(local.into()),
            now: system_time,
            relayed: 0,
            refused: 0,
        }
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
        let (ip, nick) = self.sessions.get(session_id).ok_or(SESSION_LOST)?;
        if self.relayed == 0 {
            self.clock.set((self.now)());
        }
        let published = self.room.publish(|event| {
            event.field("IP", ip).fields(nick);
            event.field("message", text).fields(self.clock.fields());
        });
        published.map_err(|unsent| match unsent {
            Unsent::TooLong => "The message is too long",
            Unsent::Congested => "Too many messages are waiting: try again later",
            _ => "Nobody is subscribed: the message would reach no one",
        })
    }
}

/// A text that a client chose, cut at a character if it is longer than a label may be.
fn label(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_LABEL {
        return text.into();
    }
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=LONGEST_LABEL - CUT.len()).rev().find(fits);
    [&text[..end.unwrap_or(0)], CUT].concat().into()
}

/// What is neither missing nor empty.
fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
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
        let instance = parameters.get("proxy.instance_id").map(String::from);
        let count = self.sessions.len();
        if instance.is_some() && instance == self.instance {
            connection.info(format_args!(
                "the same server as before: {count} sessions kept"
            ));
        } else if count > 0 {
            self.sessions = Sessions::default();
            self.room.set_sessions(0);
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
        let nick = present(agent.as_deref()).or(present(user));
        let [ip, nick] = [present(ip.as_deref()), nick].map(|it| label(it.unwrap_or("unknown")));
        self.sessions.open(session_id, &ip, &nick);
        self.room.set_sessions(self.sessions.len());
        Ok(())
    }

    fn notify_session_close(&mut self, session_id: &str) -> Result<(), MetadataError> {
        self.sessions.close(session_id);
        self.room.set_sessions(self.sessions.len());
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_label_is_cut_at_a_character() {
        for (text, expected) in [
            ("a".repeat(1000), "a".repeat(1000)),
            ("a".repeat(1001), "a".repeat(997) + "…"),
            ("è".repeat(500), "è".repeat(500)),
            ("è".repeat(501), "è".repeat(498) + "…"),
            ("\u{1f600}".repeat(2000), "\u{1f600}".repeat(249) + "…"),
            ("é".repeat(498) + "a…", "é".repeat(498) + "a…"),
            (String::new(), String::new()),
        ] {
            assert_eq!(label(&text), expected);
            assert!(label(&text).len() <= LONGEST_LABEL);
        }
    }
}
