//! The requests that adapters have yet to answer: where their numbers come from, who waits for the answers, and what
//! becomes of those that never come.

use std::collections::VecDeque;

use super::messages::Message;
use super::subscribing::Draft;
use super::{Server, Ticket};
use crate::ari::{self, Refusal, Reply, Side};
use crate::codec::Encoding;
use crate::tlcp::code;

/// One Proxy's open requests.
#[derive(Default)]
pub(super) struct Desk {
    /// How strings are written; `None` while there is no adapter.
    pub(super) encoding: Option<Encoding>,
    asked: u64,
    /// Request ids and who waits, in the order asked, which is nearly that of the answers.
    pub(super) awaited: VecDeque<(String, Awaited)>,
}

/// Who waits for an answer.
#[derive(Debug)]
pub(super) enum Awaited {
    /// A client that wants to log in.
    Login(Ticket),
    /// A session that is about to open.
    Introduction(Ticket),
    /// A session that is over.
    SessionClose(String),
    /// A subscription on its way: the items of its group.
    Group(Ticket, Box<Draft>),
    /// The fields of its schema.
    Schema(Ticket, Box<Draft>),
    /// The properties of its items.
    ItemData(Ticket, Box<Draft>),
    /// Their properties for this user.
    UserItemData(Ticket, Box<Draft>),
    /// A client's message.
    Message(Ticket, Message),
    /// An item that wants updates.
    Subscribe(String),
    /// An item that wants none.
    Unsubscribe,
}

/// What is said when there is nobody to ask.
const NO_ADAPTER: &str = "The Remote Adapter is not connected";

impl Server {
    pub(super) fn desk(&mut self, side: Side) -> &mut Desk {
        match side {
            Side::Metadata => &mut self.metadata,
            Side::Data => &mut self.data,
        }
    }

    /// Asks an adapter something. Where there is none, the answer is that there is none.
    pub(super) fn ask(
        &mut self,
        side: Side,
        method: &str,
        arguments: &[Option<&str>],
        awaited: Awaited,
    ) -> Option<String> {
        let seed = self.seed;
        let desk = self.desk(side);
        let Some(encoding) = desk.encoding else {
            self.orphans.push_back(awaited);
            return None;
        };
        desk.asked += 1;
        let id = format!("{:x}00000{:09x}", desk.asked, seed & 0xf_ffff_ffff);
        desk.awaited.push_back((id.clone(), awaited));
        let line = ari::request(encoding, &id, method, arguments);
        self.effects.push(super::Effect::Ask(side, line));
        Some(id)
    }

    /// Passes an answer on to who waits for it.
    pub(super) fn answered(&mut self, side: Side, reply: Reply) -> Result<(), String> {
        let Reply { id, method, result } = reply;
        let awaited = &mut self.desk(side).awaited;
        let at = awaited.iter().position(|(asked, _)| *asked == id);
        let Some((_, awaited)) = at.and_then(|at| awaited.remove(at)) else {
            return Err(format!("an answer to no request: {id}|{method}"));
        };
        match awaited {
            Awaited::Login(ticket) => self.logged_in(ticket, result),
            Awaited::Introduction(ticket) => self.introduced(&ticket, result),
            Awaited::SessionClose(session) => self.closed_sessions.retain(|open| *open != session),
            Awaited::Group(ticket, draft) => self.group(ticket, draft, result),
            Awaited::Schema(ticket, draft) => self.schema(ticket, draft, result),
            Awaited::ItemData(ticket, draft) => self.item_data(ticket, draft, result),
            Awaited::UserItemData(ticket, draft) => self.user_item_data(ticket, *draft, result),
            Awaited::Message(ticket, message) => self.message_answered(&ticket, &message, result),
            Awaited::Subscribe(item) => {
                if let Err(refusal) = result {
                    self.note(format!("data: no {item:?}: {}", refusal.message));
                }
            }
            Awaited::Unsubscribe => {}
        }
        Ok(())
    }

    /// Tells who waits for an answer that none will come.
    pub(super) fn give_up(&mut self, awaited: Awaited) {
        // The letters are those of the exceptions that a Proxy without an adapter raises.
        let refusal = |kind| Refusal {
            kind: Some(kind),
            message: NO_ADAPTER.to_owned(),
            for_client: None,
        };
        // As `notify_user_on_disconnection` = `force_retry` has it.
        let later = || Refusal {
            kind: None,
            message: NO_ADAPTER.to_owned(),
            for_client: Some((code::TRY_AGAIN, NO_ADAPTER.to_owned())),
        };
        match awaited {
            Awaited::Login(ticket) => self.logged_in(ticket, Err(later())),
            Awaited::Introduction(ticket) => {
                // It may have been told of the session all the same, so the next one is told that it is over.
                if self.session(&ticket).is_some() {
                    self.end_session(ticket.client);
                    self.refuse_session(ticket.client, &later());
                }
            }
            Awaited::Group(ticket, draft)
            | Awaited::Schema(ticket, draft)
            | Awaited::ItemData(ticket, draft)
            | Awaited::UserItemData(ticket, draft) => {
                self.refuse(&ticket, &draft, code::ADAPTER_FAILED, NO_ADAPTER);
            }
            Awaited::Message(ticket, message) => {
                self.message_answered(&ticket, &message, Err(refusal('N')));
            }
            // The next adapter is told of closed sessions and items anyway.
            Awaited::SessionClose(_) | Awaited::Subscribe(_) | Awaited::Unsubscribe => {}
        }
    }
}
