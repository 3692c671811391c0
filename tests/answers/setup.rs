//! What most tests begin with: an adapter, both Proxies it is connected to, and a few helpers.

use crate::standin::{
    Adapter, Command, Connection, DataProxy, Encoding, Init, MetadataProxy, Server, Session, Side,
};

/// The session that most tests chat from.
pub(crate) const SESSION: &str = "S8f3da29cfc463220T5454537";
/// Its address and its browser.
pub(crate) const IP: &str = "192.0.2.7";
pub(crate) const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64)";

/// A command line of the adapter, without arguments.
pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_chat-adapter"))
}

/// An adapter with both connections open.
pub(crate) struct Setup {
    // Dropped in this order: the adapter first, so that it does not complain of the rest.
    pub(crate) adapter: Adapter,
    pub(crate) metadata: MetadataProxy,
    pub(crate) data: DataProxy,
    pub(crate) server: Server,
}

impl Setup {
    /// Both connections agreed on 1.9.1; no session, no subscription.
    pub(crate) fn new() -> Self {
        Self::with(&[], &Init::new(Side::Metadata), &Init::new(Side::Data))
    }

    /// The same with further arguments and other inits.
    pub(crate) fn with(arguments: &[&str], metadata: &Init, data: &Init) -> Self {
        let server = Server::start();
        let adapter = command().args(server.arguments()).args(arguments).start();
        Self {
            metadata: server.meet_metadata(metadata),
            data: server.meet_data(data),
            adapter,
            server,
        }
    }

    /// The same with a metadata connection that offers this version; `None` offers none.
    pub(crate) fn with_version(version: Option<&str>) -> Self {
        let metadata = match version {
            Some(version) => Init::offering(Side::Metadata, version),
            None => Init::versionless(Side::Metadata),
        };
        Self::with(&[], &metadata, &Init::new(Side::Data))
    }

    /// Opens [`SESSION`] and subscribes; yields the id of the subscription.
    pub(crate) fn open_room(&mut self) -> String {
        self.metadata.open(&Session::new(SESSION, IP, AGENT));
        self.data.subscribe("chat_room")
    }

    /// One in which one can chat at once.
    pub(crate) fn in_room() -> Self {
        let mut setup = Self::new();
        setup.open_room();
        setup
    }
}

/// A server, and an adapter started for it that has not been taken in yet.
pub(crate) fn start_adapter(arguments: &[&str]) -> (Adapter, Server) {
    let server = Server::start();
    let adapter = command().args(server.arguments()).args(arguments).start();
    (adapter, server)
}

/// Sends requests and requires their exact answers, one by one.
#[track_caller]
pub(crate) fn exchange(connection: &mut Connection, script: &[(&str, &str)]) {
    for (request, answer) in script {
        connection.send_line(request);
        connection.expect(answer);
    }
}

/// The next line must be `head`, a pipe and the message of an error; yields the message.
#[track_caller]
pub(crate) fn expect_error(connection: &mut Connection, head: &str, encoding: Encoding) -> String {
    let line = connection.expect_matching(&format!("{head}|<message>"), |line| {
        line.strip_prefix(head)
            .is_some_and(|rest| rest.starts_with('|'))
    });
    match encoding.read(&line[head.len() + 1..]) {
        Ok(Some(message)) if !message.is_empty() => message,
        other => connection.fail(&format!("not a proper message: {other:?}")),
    }
}
