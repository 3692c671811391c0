//! The data side: the room is subscribed to, or it is not.

use super::ITEM;
use super::room::Room;
use crate::provider::{Connection, DataError, DataProvider, ItemEventListener, Parameters};
use std::sync::Arc;

/// Lets a Proxy Data Adapter subscribe to the room, and to nothing else.
#[derive(Debug)]
pub struct ChatData {
    room: Arc<Room>,
    listener: Option<ItemEventListener>,
    connection: Option<Connection>,
}

impl ChatData {
    /// Nobody is subscribed yet.
    pub fn new(room: Arc<Room>) -> ChatData {
        ChatData {
            room,
            listener: None,
            connection: None,
        }
    }

    /// Closes the room, if it is open; `why` is for the log.
    fn leave(&self, why: &str) {
        if let (Some(listener), Some(connection)) = (&self.listener, &self.connection)
            && self.room.leave(listener)
        {
            connection.info(format_args!("{ITEM} unsubscribed{why}"));
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
        self.listener = Some(listener);
    }

    fn subscribe(&mut self, item: &str) -> Result<(), DataError> {
        if item != ITEM {
            return Err(DataError::Subscription("No such item".into()));
        }
        if let (Some(listener), Some(connection)) = (&self.listener, &self.connection) {
            self.room.enter(listener);
            connection.info(format_args!("{ITEM} subscribed"));
        }
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
