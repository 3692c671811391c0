//! Proxies that know the protocol: they number their requests, write them in the encoding
//! agreed, take replies in whatever order they come, and check the form of everything they read.
//! They ask only what a real Proxy asks, in the order in which it would.

use std::collections::{HashMap, VecDeque};

use super::codec::Encoding;
use super::connection::Connection;
use super::handshake::{Agreement, Init, Side};
use super::listener::Listener;
use super::message::{Chat, Event, Reply, ServerError, Update};

/// Request ids of the kind real Proxies use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    last: u64,
}

impl Ids {
    /// The next one.
    pub(crate) fn next(&mut self) -> String {
        self.last += 1;
        format!("{:x}00000010c3e4d0462", self.last)
    }
}

/// A client session, as a Proxy introduces it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The session id.
    pub(crate) id: String,
    /// The user name; null for anonymous users.
    pub(crate) user: Option<String>,
    /// The context of the client: names and values.
    pub(crate) context: Vec<(String, Option<String>)>,
}

impl Session {
    /// An anonymous browser.
    pub(crate) fn new(id: &str, ip: &str, agent: &str) -> Self {
        Self::without_context(id)
            .with("REMOTE_IP", Some(ip))
            .with("USER_AGENT", Some(agent))
    }

    /// A session of which nothing is known.
    pub(crate) fn without_context(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            user: None,
            context: Vec::new(),
        }
    }

    /// Adds to the context; `None` is null.
    pub(crate) fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.context
            .push((name.to_owned(), value.map(str::to_owned)));
        self
    }

    /// The session of a user with a name.
    pub(crate) fn of_user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }
}

/// The Proxy Metadata Adapter, after its handshake.
pub(crate) struct MetadataProxy {
    /// The connection, for what a Proxy would not send.
    pub(crate) connection: Connection,
    /// How strings are written.
    pub(crate) encoding: Encoding,
    ids: Ids,
    /// Replies that came before they were asked for.
    early: HashMap<String, Reply>,
}

impl MetadataProxy {
    /// Takes over after a handshake.
    pub(crate) fn new(connection: Connection, encoding: Encoding) -> Self {
        Self {
            connection,
            encoding,
            ids: Ids::default(),
            early: HashMap::new(),
        }
    }

    /// Writes a request whose arguments are all strings, under a fresh id. Yields the id and the
    /// line.
    pub(crate) fn compose(&mut self, method: &str, arguments: &[Option<&str>]) -> (String, String) {
        let id = self.ids.next();
        let line = request(self.encoding, &id, method, arguments);
        (id, line)
    }

    /// Sends a request and does not wait; yields its id.
    #[track_caller]
    pub(crate) fn send(&mut self, method: &str, arguments: &[Option<&str>]) -> String {
        let (id, line) = self.compose(method, arguments);
        self.connection.send_line(line);
        id
    }

    /// Sends a request and yields its reply.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, arguments: &[Option<&str>]) -> Reply {
        let id = self.send(method, arguments);
        let reply = self.reply_to(&id);
        if reply.method != method {
            self.connection
                .fail(&format!("{method} was answered {reply:?}"));
        }
        reply
    }

    /// The reply to a request sent earlier.
    #[track_caller]
    pub(crate) fn reply_to(&mut self, id: &str) -> Reply {
        if let Some(reply) = self.early.remove(id) {
            return reply;
        }
        loop {
            let reply = self.next_reply();
            if reply.id == id {
                return reply;
            }
            if let Some(twice) = self.early.insert(reply.id.clone(), reply) {
                self.connection.fail(&format!("a second reply: {twice:?}"));
            }
        }
    }

    /// The next reply to come, whichever request it answers.
    #[track_caller]
    pub(crate) fn next_reply(&mut self) -> Reply {
        let line = self.connection.expect_line();
        match Reply::parse(&line) {
            Ok(reply) => reply,
            Err(error) => self.connection.fail(&error),
        }
    }

    /// Introduces a session.
    #[track_caller]
    pub(crate) fn open(&mut self, session: &Session) {
        let id = self.send_open(session);
        self.expect_void(&id);
    }

    /// Introduces a session and does not wait; yields the id of the request.
    #[track_caller]
    pub(crate) fn send_open(&mut self, session: &Session) -> String {
        let mut arguments = vec![session.user.as_deref(), Some(&session.id)];
        for (name, value) in &session.context {
            arguments.extend([Some(name.as_str()), value.as_deref()]);
        }
        self.send("NNS", &arguments)
    }

    /// Closes a session.
    #[track_caller]
    pub(crate) fn close_session(&mut self, session: &str) {
        let id = self.send("NSC", &[Some(session)]);
        self.expect_void(&id);
    }

    /// Awaits the plain success of a request sent earlier.
    #[track_caller]
    pub(crate) fn expect_void(&mut self, id: &str) {
        let reply = self.reply_to(id);
        if !reply.is_void() {
            self.connection
                .fail(&format!("V was awaited, not {reply:?}"));
        }
    }

    /// Sends a message as the demo's page does, `CHAT|` before the text.
    #[track_caller]
    pub(crate) fn say(&mut self, session: &str, text: &str) -> Result<(), ServerError> {
        let id = self.send_say(session, text);
        self.outcome(&id)
    }

    /// The same without waiting; yields the id of the request.
    #[track_caller]
    pub(crate) fn send_say(&mut self, session: &str, text: &str) -> String {
        self.send_message(None, session, Some(&format!("CHAT|{text}")))
    }

    /// Sends any message, and does not wait.
    #[track_caller]
    pub(crate) fn send_message(
        &mut self,
        user: Option<&str>,
        session: &str,
        message: Option<&str>,
    ) -> String {
        self.send("NUM", &[user, Some(session), message])
    }

    /// Awaits success or error of a request sent earlier.
    #[track_caller]
    pub(crate) fn outcome(&mut self, id: &str) -> Result<(), ServerError> {
        let reply = self.reply_to(id);
        if reply.is_void() {
            return Ok(());
        }
        match reply.error(self.encoding) {
            Ok(Some(error)) => Err(error),
            Ok(None) => self
                .connection
                .fail(&format!("neither V nor error: {reply:?}")),
            Err(problem) => self.connection.fail(&problem),
        }
    }
}

/// The Proxy Data Adapter, after its handshake.
pub(crate) struct DataProxy {
    /// The connection, for what a Proxy would not send.
    pub(crate) connection: Connection,
    /// How strings are written.
    pub(crate) encoding: Encoding,
    ids: Ids,
    /// Updates read while something else was awaited.
    updates: VecDeque<Update>,
}

impl DataProxy {
    /// Takes over after a handshake.
    pub(crate) fn new(connection: Connection, encoding: Encoding) -> Self {
        Self {
            connection,
            encoding,
            ids: Ids::default(),
            updates: VecDeque::new(),
        }
    }

    /// Sends a request about an item and does not wait; yields its id.
    #[track_caller]
    pub(crate) fn send(&mut self, method: &str, item: &str) -> String {
        let id = self.ids.next();
        let line = request(self.encoding, &id, method, &[Some(item)]);
        self.connection.send_line(line);
        id
    }

    /// Subscribes to an item that has no snapshot: `EOS` must come before everything else of this
    /// subscription, then the reply. Yields the id of the subscription.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, item: &str) -> String {
        let id = self.send("SUB", item);
        let mut ended = false;
        loop {
            match self.next_event() {
                Event::EndOfSnapshot {
                    item: of,
                    subscription,
                } if of == item && subscription == id && !ended => ended = true,
                Event::Update(update) if update.item != item => self.updates.push_back(update),
                Event::Update(update) if ended => self.updates.push_back(update),
                Event::Reply(reply)
                    if reply.id == id && reply.method == "SUB" && reply.is_void() && ended =>
                {
                    return id;
                }
                other => self.connection.fail(&format!(
                    "awaited of subscription {id}: {}; came: {other:?}",
                    if ended { "V" } else { "EOS" }
                )),
            }
        }
    }

    /// Ends the subscription of an item.
    #[track_caller]
    pub(crate) fn unsubscribe(&mut self, item: &str) {
        let id = self.send("USB", item);
        loop {
            match self.next_event() {
                Event::Update(update) => self.updates.push_back(update),
                Event::Reply(reply)
                    if reply.id == id && reply.method == "USB" && reply.is_void() =>
                {
                    return;
                }
                other => self
                    .connection
                    .fail(&format!("V for USB {id} was awaited, not {other:?}")),
            }
        }
    }

    /// The next update.
    #[track_caller]
    pub(crate) fn update(&mut self) -> Update {
        if let Some(update) = self.updates.pop_front() {
            return update;
        }
        match self.next_event() {
            Event::Update(update) => update,
            other => self
                .connection
                .fail(&format!("an update was awaited, not {other:?}")),
        }
    }

    /// The chat's fields of the next update.
    #[track_caller]
    pub(crate) fn chat(&mut self) -> Chat {
        let update = self.update();
        match update.chat() {
            Ok(chat) if update.item == "chat_room" && !update.snapshot => chat,
            Ok(_) => self
                .connection
                .fail(&format!("not a live event: {update:?}")),
            Err(error) => self.connection.fail(&error),
        }
    }

    /// Updates read while something else was awaited, and not asked for yet.
    pub(crate) fn take_updates(&mut self) -> Vec<Update> {
        self.updates.drain(..).collect()
    }

    /// Requires that nothing is on its way: the next line is the answer to a question that changes
    /// nothing, a subscription of an item that does not exist.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        if let Some(update) = self.updates.pop_front() {
            self.connection
                .fail(&format!("an update too many: {update:?}"));
        }
        let id = self.send("SUB", "no such item");
        match self.next_event() {
            Event::Reply(reply) if reply.id == id && reply.result.starts_with("EU|") => {}
            other => self
                .connection
                .fail(&format!("silence was awaited, not {other:?}")),
        }
    }

    /// The next line, taken apart; updates kept back by other methods are not in this stream.
    #[track_caller]
    pub(crate) fn next_event(&mut self) -> Event {
        let line = self.connection.expect_line();
        match Event::parse(&line, self.encoding) {
            Ok(event) => event,
            Err(error) => self.connection.fail(&error),
        }
    }
}

/// Both Proxies of an Adapter Set, waiting for the adapter.
pub(crate) struct Server {
    /// The port of the Proxy Metadata Adapter.
    pub(crate) metadata: Listener,
    /// The port of the Proxy Data Adapter.
    pub(crate) data: Listener,
}

impl Server {
    /// Opens both ports.
    pub(crate) fn start() -> Self {
        Self {
            metadata: Listener::bind("metadata"),
            data: Listener::bind("data"),
        }
    }

    /// Refuses connections on both ports from now on.
    pub(crate) fn close(&mut self) {
        self.metadata.close();
        self.data.close();
    }

    /// Takes connections on both ports again.
    pub(crate) fn reopen(&mut self) {
        self.metadata.reopen();
        self.data.reopen();
    }

    /// The arguments that lead the adapter here.
    pub(crate) fn arguments(&self) -> Vec<String> {
        vec![
            "--host".to_owned(),
            self.metadata.host().to_string(),
            "--metadata_rrport".to_owned(),
            self.metadata.port().to_string(),
            "--data_rrport".to_owned(),
            self.data.port().to_string(),
        ]
    }

    /// The port of one side.
    pub(crate) fn listener(&self, side: Side) -> &Listener {
        match side {
            Side::Metadata => &self.metadata,
            Side::Data => &self.data,
        }
    }

    /// Takes the adapter in on both ports, with what a Proxy of Server 7.4 sends.
    #[track_caller]
    pub(crate) fn meet(&self) -> (MetadataProxy, DataProxy) {
        (
            self.meet_metadata(&Init::new(Side::Metadata)),
            self.meet_data(&Init::new(Side::Data)),
        )
    }

    /// Takes the adapter in on the metadata port.
    #[track_caller]
    pub(crate) fn meet_metadata(&self, init: &Init) -> MetadataProxy {
        let mut connection = self.metadata.accept();
        let Agreement { encoding, .. } = connection.handshake(init);
        MetadataProxy::new(connection, encoding)
    }

    /// Takes the adapter in on the data port.
    #[track_caller]
    pub(crate) fn meet_data(&self, init: &Init) -> DataProxy {
        let mut connection = self.data.accept();
        let Agreement { encoding, .. } = connection.handshake(init);
        DataProxy::new(connection, encoding)
    }
}

/// A request whose arguments are all strings.
fn request(encoding: Encoding, id: &str, method: &str, arguments: &[Option<&str>]) -> String {
    let mut line = format!("{id}|{method}");
    for argument in arguments {
        line.push_str("|S|");
        line.push_str(&encoding.encode(*argument));
    }
    line
}
