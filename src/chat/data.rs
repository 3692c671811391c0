//! Answers data requests (section 7): the room is subscribed to, or it is not.

use super::ITEM;
use super::room::Room;
use super::stamp;
use crate::ari::Side;
use crate::ari::handler::{self, Call, Handler, Opened, Outlet};
use crate::ari::reply::{ErrorKind, put_end_of_snapshot};
use crate::ari::request::{Malformed, Request};
use std::sync::Arc;

/// The data side of the chat.
pub struct Data {
    room: Arc<Room>,
    outlet: Option<Arc<dyn Outlet>>,
    now: fn() -> u64,
}

impl Data {
    /// Not connected yet.
    #[must_use]
    pub fn new(room: Arc<Room>) -> Data {
        Data {
            room,
            outlet: None,
            now: stamp::now,
        }
    }

    /// The same with another clock: milliseconds since the epoch.
    #[must_use]
    pub fn with_clock(self, now: fn() -> u64) -> Data {
        Data { now, ..self }
    }
}

impl Handler for Data {
    type Batch<'a> = Batch<'a>;

    fn side(&self) -> Side {
        Side::Data
    }

    fn opened(&mut self, opened: Opened) {
        self.outlet = Some(opened.outlet);
    }

    fn batch(&mut self) -> Batch<'_> {
        Batch { data: self }
    }

    fn lost(&mut self) {
        if let Some(outlet) = self.outlet.take()
            && self.room.unsubscribe(&outlet)
        {
            outlet.note(format_args!(
                "{ITEM} unsubscribed by the loss of the connection"
            ));
        }
    }
}

/// Some requests in a row.
pub struct Batch<'a> {
    data: &'a Data,
}

impl handler::Batch for Batch<'_> {
    fn serve(
        &mut self,
        call: Call<'_>,
        request: Request<'_>,
        replies: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let (Request::Subscribe { item } | Request::Unsubscribe { item }) = request else {
            // Nothing else comes here: the link serves it, or it is the other side's.
            let refusal = call.reply(replies);
            refusal.error(ErrorKind::Generic, "not a request of a data connection");
            return Ok(());
        };
        let item = item.decode().map_err(|e| Malformed::text("the item", e))?;
        let is_room = item.as_deref() == Some(ITEM);
        match request {
            Request::Subscribe { .. } if is_room => self.subscribe(call, replies),
            Request::Subscribe { .. } => {
                let refusal = call.reply(replies);
                refusal.error(ErrorKind::Subscription, "No such item");
            }
            _ => {
                if is_room {
                    self.unsubscribe();
                }
                call.reply(replies).void();
            }
        }
        Ok(())
    }

    fn commit(&mut self) {}
}

impl Batch<'_> {
    fn subscribe(&self, call: Call<'_>, replies: &mut Vec<u8>) {
        let Some(outlet) = &self.data.outlet else {
            return; // requests come on an open connection
        };
        put_end_of_snapshot((self.data.now)(), ITEM, call.id, replies);
        let lines = std::mem::replace(replies, outlet.buffer());
        self.data.room.subscribe(outlet, call.id, lines);
        outlet.note(format_args!("{ITEM} subscribed"));
        call.reply(replies).void();
    }

    fn unsubscribe(&self) {
        if let Some(outlet) = &self.data.outlet
            && self.data.room.unsubscribe(outlet)
        {
            outlet.note(format_args!("{ITEM} unsubscribed"));
        }
    }
}
