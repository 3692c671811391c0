//! The chat without what the kit offers to those who count microseconds: messages are decoded, and
//! each of the five fields of each event is encoded by a `field` call of its own. Beside the chat
//! as it is this shows what `Text` and `Fields` are worth.
//!
//! Otherwise it is the same chat, by the same public interface: events are staged and leave once a
//! read, and the clock is read that often, too. Its sessions are a map of the standard library.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use chat_adapter::provider::{
    DataError, DataProvider, ItemEventListener, MetadataError, MetadataProvider, Parameters, Text,
};
use chat_adapter::server::Servers;

const ITEM: &str = "chat_room";

/// The way to the clients, once the data provider has it.
type Listener = Arc<OnceLock<ItemEventListener>>;

/// Connects to both Proxies on this host and serves until it is killed.
pub(crate) fn run(metadata: u16, data: u16) -> io::Result<()> {
    let (servers, listener) = (Servers::builder().host("127.0.0.1"), Listener::default());
    let shared = Arc::clone(&listener);
    let metadata = servers.metadata(metadata, move || Metadata::new(&shared));
    let data = servers.data(data, move || Data(Arc::clone(&listener)));
    let (metadata, _data) = (
        metadata.map_err(io::Error::other)?,
        data.map_err(io::Error::other)?,
    );
    metadata.wait();
    Ok(())
}

struct Metadata {
    listener: Listener,
    /// Address and user agent by session id.
    senders: HashMap<String, (String, String)>,
    /// When the messages of this read came: the time of day, and milliseconds since the epoch.
    moment: Option<(String, i64)>,
}

impl Metadata {
    fn new(listener: &Listener) -> Self {
        Self {
            listener: Arc::clone(listener),
            senders: HashMap::new(),
            moment: None,
        }
    }

    fn relay(&mut self, session_id: &str, message: Text<'_>) -> Option<()> {
        let message = message.decode()?;
        let text = message.strip_prefix("CHAT|")?;
        let (ip, nick) = self.senders.get(session_id)?;
        let (time, millis) = self.moment.get_or_insert_with(now);
        let staged = self.listener.get()?.stage(ITEM, false, |event| {
            event.field("IP", ip).field("nick", nick);
            event.field("message", text).field("timestamp", &*time);
            event.field("raw_timestamp", *millis);
        });
        staged.ok()
    }
}

impl MetadataProvider for Metadata {
    fn notify_new_session(
        &mut self,
        _user: Option<&str>,
        session_id: &str,
        client_context: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        let value = |name| client_context.get(name).unwrap_or_default().into_owned();
        let sender = (value("REMOTE_IP"), value("USER_AGENT"));
        self.senders.insert(session_id.to_owned(), sender);
        Ok(())
    }

    fn notify_user_message(
        &mut self,
        _user: Option<&str>,
        session_id: &str,
        message: Text<'_>,
    ) -> Result<(), MetadataError> {
        let relayed = self.relay(session_id, message);
        relayed.ok_or_else(|| MetadataError::Notification("Not relayed".to_owned()))
    }

    fn requests_served(&mut self) {
        if self.moment.take().is_some()
            && let Some(listener) = self.listener.get()
        {
            listener.flush();
        }
    }
}

struct Data(Listener);

impl DataProvider for Data {
    fn set_listener(&mut self, listener: ItemEventListener) {
        // It comes once.
        let _ = self.0.set(listener);
    }

    fn subscribe(&mut self, _item: &str) -> Result<(), DataError> {
        Ok(())
    }

    fn unsubscribe(&mut self, _item: &str) -> Result<(), DataError> {
        Ok(())
    }
}

fn now() -> (String, i64) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis() as i64);
    let second = millis / 1000;
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    (format!("{hour:02}:{minute:02}:{second:02}"), millis)
}
