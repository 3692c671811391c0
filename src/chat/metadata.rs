//! Answers metadata requests (section 6); owns the session table, and what is known of who talks.

use super::ITEM;
use super::room::{Audience, Body, Room, Tally, Unheard};
use super::sessions::Sessions;
use super::stamp::{self, Stamp};
use super::talkers::Talkers;
use super::update;
use crate::ari::Side;
use crate::ari::handler::{self, Call, Handler, Opened};
use crate::ari::reply::{ErrorKind, Modes};
use crate::ari::request::{Malformed, Method, Pairs, QuickMessage, Request, Strings};
use crate::ari::text::{self, Text};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many updates of the room the server is to keep for newcomers.
const HISTORY: i32 = 30;

/// A message and what went before it, as clients send them.
const PREFIX: &str = "CHAT|";
/// The answer to a message that says nothing.
const EMPTY: &str = "The message is empty";

/// What clients show their users when the adapter has forgotten them.
const SESSION_LOST: &str = "Session lost! Please reload the browser page(s).";

/// The metadata side of the chat.
pub struct Metadata {
    room: Arc<Room>,
    sessions: Sessions,
    talkers: Talkers,
    /// The Proxy whose sessions these are.
    instance: Option<String>,
    stamp: Stamp,
    now: fn() -> u64,
}

impl Metadata {
    /// With no sessions yet; updates carry the local time of `zone`.
    #[must_use]
    pub fn new(room: Arc<Room>, zone: jiff::tz::TimeZone) -> Metadata {
        Metadata {
            room,
            sessions: Sessions::default(),
            talkers: Talkers::default(),
            instance: None,
            stamp: Stamp::new(zone),
            now: stamp::now,
        }
    }

    /// The same with another clock: milliseconds since the epoch.
    #[must_use]
    pub fn with_clock(self, now: fn() -> u64) -> Metadata {
        Metadata { now, ..self }
    }
}

impl Handler for Metadata {
    type Batch<'a> = Batch<'a>;

    fn side(&self) -> Side {
        Side::Metadata
    }

    fn opened(&mut self, opened: Opened) {
        let same = opened.instance.is_some() && opened.instance == self.instance;
        self.instance = opened.instance;
        if same {
            let count = self.sessions.len();
            opened.outlet.note(format_args!(
                "the same server as before: {count} sessions kept"
            ));
        } else if !self.sessions.is_empty() {
            let count = self.sessions.clear();
            self.talkers.clear();
            self.room.tally.sessions.store(0, Ordering::Relaxed);
            opened.outlet.warn(format_args!(
                "not the server of before: {count} sessions dropped"
            ));
        }
    }

    fn batch(&mut self) -> Batch<'_> {
        Batch {
            room: &self.room,
            sessions: &mut self.sessions,
            talkers: &mut self.talkers,
            stamp: &mut self.stamp,
            now: self.now,
            audience: None,
            relayed: 0,
            refused: 0,
        }
    }

    fn lost(&mut self) {}
}

/// Some requests in a row.
pub struct Batch<'a> {
    room: &'a Room,
    sessions: &'a mut Sessions,
    talkers: &'a mut Talkers,
    stamp: &'a mut Stamp,
    now: fn() -> u64,
    /// From the first message of the batch on.
    audience: Option<Audience<'a>>,
    relayed: u64,
    refused: u64,
}

impl handler::Batch for Batch<'_> {
    // "CHAT|" as any encoder writes it.
    const PREFIX: &'static [u8] = b"CHAT%7C";

    fn serve(
        &mut self,
        call: Call<'_>,
        request: Request<'_>,
        replies: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let answer = |replies| call.reply(replies);
        match request {
            Request::NotifyUserMessage { session, message } => {
                let refusal = match decode(message, "the message")?.as_deref() {
                    None => Some("The message is null"),
                    Some(text) => match text.strip_prefix(PREFIX) {
                        None => Some("The message does not start with CHAT|"),
                        Some("") => Some(EMPTY),
                        Some(text) => self.relay(session, Body::Decoded(text))?,
                    },
                };
                self.answer(call, session, refusal, replies)?;
            }
            Request::NotifyUser => answer(replies).unlimited().boolean(false).end(),
            Request::NotifyNewSession {
                user,
                session,
                context,
            } => {
                self.open(user, session, context)?;
                answer(replies).void();
            }
            Request::NotifySessionClose { session } => {
                if let Some(id) = decode(session, "the session id")? {
                    self.sessions.close(id.as_bytes());
                    self.talkers.forget(id.as_bytes());
                    self.count_sessions();
                }
                answer(replies).void();
            }
            Request::GetItems { group } => {
                names(call, group, ("group", ErrorKind::Items), replies)?;
            }
            Request::GetSchema { schema } => {
                names(call, schema, ("schema", ErrorKind::Schema), replies)?;
            }
            Request::GetItemData(items) | Request::GetUserItemData(items) => {
                properties(call, items, replies)?;
            }
            Request::Assent => answer(replies).void(),
            // These do not come here: the link serves them, or they are the other side's.
            Request::Init(_)
            | Request::Close(_)
            | Request::Subscribe { .. }
            | Request::Unsubscribe { .. } => {
                answer(replies).error(ErrorKind::Generic, "not a request of a metadata connection");
            }
        }
        Ok(())
    }

    fn message(
        &mut self,
        call: Call<'_>,
        quick: QuickMessage<'_>,
        replies: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let refusal = match quick.rest.bytes() {
            b"" => Some(EMPTY),
            _ => self.relay(quick.session, Body::Encoded(quick.rest))?,
        };
        self.answer(call, quick.session, refusal, replies)
    }

    fn commit(&mut self) {
        self.audience = None;
        Tally::add(&self.room.tally.relayed, &mut self.relayed);
        Tally::add(&self.room.tally.refused, &mut self.refused);
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        handler::Batch::commit(self);
    }
}

impl Batch<'_> {
    fn open(
        &mut self,
        user: Text<'_>,
        session: Text<'_>,
        context: Pairs<'_>,
    ) -> Result<(), Malformed> {
        let user = decode(user, "the user")?;
        let id = decode(session, "the session id")?;
        let id = id.ok_or(Malformed::null("the session id"))?;
        let (mut ip, mut agent) = (None, None);
        for entry in context {
            match entry? {
                (Some(name), value) if name == "REMOTE_IP" => ip = value,
                (Some(name), value) if name == "USER_AGENT" => agent = value,
                _ => {}
            }
        }
        let ip = ip.filter(|ip| !ip.is_empty());
        let nick = [agent, user]
            .into_iter()
            .flatten()
            .find(|name| !name.is_empty());
        let (mut address, mut label) = (Vec::new(), Vec::new());
        update::put_ip(ip.as_deref(), &mut address);
        update::put_label(nick.as_deref(), &mut label);
        self.sessions.open(id.as_bytes(), &address, &label);
        self.talkers.forget(id.as_bytes());
        self.count_sessions();
        Ok(())
    }

    fn count_sessions(&self) {
        let count = self.sessions.len();
        self.room.tally.sessions.store(count, Ordering::Relaxed);
    }

    /// Answers a message that was relayed, or why it was not.
    #[inline]
    fn answer(
        &mut self,
        call: Call<'_>,
        session: Text<'_>,
        refusal: Option<&str>,
        replies: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        match refusal {
            None => {
                self.relayed += 1;
                // Nearly every reply there is, so in as few steps as can be.
                replies.extend_from_slice(call.id);
                replies.extend_from_slice(b"|NUM|V\r\n");
            }
            Some(why) => {
                // Why the message is refused does not excuse a session id that cannot be read.
                decode(session, "the session id")?;
                self.refused += 1;
                call.reply(replies).error(ErrorKind::Notification, why);
            }
        }
        Ok(())
    }

    /// Relays what a session says; gives the reason when it must be refused.
    fn relay(
        &mut self,
        session: Text<'_>,
        body: Body<'_>,
    ) -> Result<Option<&'static str>, Malformed> {
        let audience = match &mut self.audience {
            Some(audience) => audience,
            None => {
                self.stamp.set((self.now)());
                let audience = self.audience.insert(self.room.enter());
                let number = audience.only().map(|(number, _)| number);
                self.talkers.begin(number, self.stamp.millis());
                audience
            }
        };
        if let Some(beginning) = self.talkers.beginning(session.0)
            && audience.hear_quickly(beginning, body, self.stamp)?
        {
            return Ok(None);
        }
        let sender = match self.sessions.sender_encoded(session.0) {
            Some(sender) => {
                if let Some((_, opening)) = audience.only() {
                    let parts = [opening, sender.ip, sender.label];
                    self.talkers.keep(session.0, parts);
                }
                Some(sender)
            }
            None => {
                let id = decode(session, "the session id")?;
                id.and_then(|id| self.sessions.sender(id.as_bytes()))
            }
        };
        let Some(sender) = sender else {
            check(body)?;
            return Ok(Some(SESSION_LOST));
        };
        Ok(match audience.hear(sender, body, self.stamp)? {
            Ok(()) => None,
            Err(why) => {
                check(body)?;
                Some(match why {
                    Unheard::Nobody => "Nobody is subscribed: the message would reach no one",
                    Unheard::TooLong => "The message is too long",
                    Unheard::Congested => "Too many messages are waiting: try again later",
                })
            }
        })
    }
}

/// A message that is refused for another reason must be well-formed all the same.
fn check(body: Body<'_>) -> Result<(), Malformed> {
    if let Body::Encoded(part) = body {
        text::unescape(part.bytes()).map_err(|e| Malformed::text("the message", e))?;
    }
    Ok(())
}

fn decode<'a>(text: Text<'a>, argument: &'static str) -> Result<Option<Cow<'a, str>>, Malformed> {
    text.decode().map_err(|e| Malformed::text(argument, e))
}

/// Answers a group or a schema: the names in it, separated by any number of spaces.
fn names(
    call: Call<'_>,
    text: Text<'_>,
    (what, kind): (&'static str, ErrorKind),
    replies: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let text = text.decode().map_err(|e| Malformed::text(what, e))?;
    let text = text.as_deref().unwrap_or("");
    let mut names = text.split(' ').filter(|name| !name.is_empty()).peekable();
    let mut reply = call.reply(replies);
    if names.peek().is_none() {
        reply.error(
            kind,
            &format!("The {what} is empty: it must list one name or more"),
        );
        return Ok(());
    }
    for name in names {
        reply = reply.string(Some(name));
    }
    reply.end();
    Ok(())
}

/// Answers `GIT` and `GUI`, which differ in what their number means.
fn properties(call: Call<'_>, items: Strings<'_>, replies: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = replies.len();
    let mut reply = call.reply(replies);
    for item in items {
        let item = item.and_then(|item| decode(item, "an item"));
        let is_room = match item {
            Ok(item) => item.as_deref() == Some(ITEM),
            Err(error) => {
                replies.truncate(start);
                return Err(error);
            }
        };
        let (modes, history) = if is_room {
            (Modes::Distinct, HISTORY)
        } else {
            (Modes::Any, 0)
        };
        let number = if call.method == Method::Git {
            history
        } else {
            0
        };
        reply = reply.integer(number).unlimited().modes(modes);
    }
    reply.end();
    Ok(())
}
