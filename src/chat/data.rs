//! The data side: the room is subscribed to, or it is not.

use super::room::{ITEM, Room};
use crate::provider::{Connection, DataError, DataProvider, ItemEventListener, Parameters};
use std::fmt::Arguments;
use std::sync::Arc;

/// Lets a Proxy Data Adapter subscribe to the room, and to nothing else.
#[derive(Debug)]
pub struct ChatData {
    room: Arc<Room>,
    listener: ItemEventListener,
    connection: Option<Connection>,
}

impl ChatData {
    /// Nobody is subscribed yet.
    pub fn new(room: Arc<Room>) -> ChatData {
        ChatData {
            room,
            listener: ItemEventListener::default(),
            connection: None,
        }
    }

    fn log(&self, what: Arguments<'_>) {
        if let Some(connection) = &self.connection {
            connection.info(what);
        }
    }

    /// Closes the room, if it is open; `why` is for the log.
    fn leave(&self, why: &str) {
        if self.room.leave(&self.listener) {
            self.log(format_args!("{ITEM} unsubscribed{why}"));
        }
    }
}

impl DataProvider for ChatData {
    fn initialize(
        &mut self,
        connection: &Connection,
        _parameters: &Parameters<'_>,
    ) -> Result<(), DataError> {
        self.connection = Some(connection.clone());
        Ok(())
    }

    fn set_listener(&mut self, listener: ItemEventListener) {
        self.listener = listener;
    }

    fn subscribe(&mut self, item: &str) -> Result<(), DataError> {
        if item != ITEM {
            return Err(DataError::Subscription("No such item".into()));
        }
        if let Some(connection) = &self.connection {
            self.room.enter(&self.listener, connection);
        }
        self.log(format_args!("{ITEM} subscribed"));
        Ok(())
    }

    fn unsubscribe(&mut self, item: &str) -> Result<(), DataError> {
        if item == ITEM {
            self.leave("");
        }
        Ok(())
    }

    fn disconnected(&mut self) {
        self.leave(" by the loss of the connection");
    }
}
