//! What the tests begin with: servers by name, and what their Proxies say and hear.

use crate::setup::command;
use crate::standin::{
    Adapter, Chat, DataProxy, Init, Listener, MetadataProxy, RemoteHost, Server, Session, Side,
};

/// What is said where nobody hears it.
pub(crate) const NOBODY: &str = "Nobody is subscribed: the message would reach no one";

/// What is said by a session that is not known.
pub(crate) const LOST: &str = "Session lost! Please reload the browser page(s).";

/// The init of the Proxy of a server of this name, which is also that of the Proxy's instance.
pub(crate) fn init(side: Side, server: &str) -> Init {
    offering(side, server, "1.9.1")
}

/// The same of a server that offers this version.
pub(crate) fn offering(side: Side, server: &str, version: &str) -> Init {
    let init = Init::offering(side, version).of_instance(server);
    init.with("server.instance_id", &format!("process of {server}"))
}

/// Both Proxies of a server of which one session is open.
pub(crate) struct Proxies {
    pub(crate) server: String,
    pub(crate) metadata: MetadataProxy,
    pub(crate) data: DataProxy,
}

impl Proxies {
    /// Those that the adapter calls.
    #[track_caller]
    pub(crate) fn accepted(at: &Server, server: &str) -> Proxies {
        Proxies {
            server: server.to_owned(),
            metadata: at.meet_metadata(&init(Side::Metadata, server)),
            data: at.meet_data(&init(Side::Data, server)),
        }
    }

    /// Those that call the adapter.
    #[track_caller]
    pub(crate) fn connected(to: &RemoteHost, server: &str) -> Proxies {
        Proxies {
            server: server.to_owned(),
            metadata: to.meet_metadata(&init(Side::Metadata, server)),
            data: to.meet_data(&init(Side::Data, server)),
        }
    }

    /// Opens the session and subscribes.
    #[track_caller]
    pub(crate) fn in_room(mut self) -> Proxies {
        self.open_session();
        self.data.subscribe("chat_room");
        self
    }

    /// The id of the session.
    pub(crate) fn session(&self) -> String {
        format!("S of {}", self.server)
    }

    /// Opens the session.
    #[track_caller]
    pub(crate) fn open_session(&mut self) {
        let (id, agent) = (self.session(), format!("Browser of {}", self.server));
        self.metadata.open(&Session::new(&id, "192.0.2.7", &agent));
    }

    /// What a message of the session gets.
    #[track_caller]
    pub(crate) fn say(&mut self, text: &str) -> Result<(), String> {
        let id = self.session();
        let outcome = self.metadata.say(&id, text);
        outcome.map_err(|error| error.message)
    }

    /// A message comes, which must be this one.
    #[track_caller]
    pub(crate) fn hears(&mut self, text: &str) -> Chat {
        let chat = self.data.chat();
        assert_eq!(chat.message, text, "on {}", self.server);
        chat
    }
}

/// Says something on one server, which all of them must hear, and nothing else.
#[track_caller]
pub(crate) fn all_hear(servers: &mut [Proxies], from: usize, text: &str) {
    assert_eq!(servers[from].say(text), Ok(()));
    let nick = format!("Browser of {}", servers[from].server);
    for server in servers {
        assert_eq!(server.hears(text).nick, nick);
    }
}

/// Nothing is on its way to any of them.
#[track_caller]
pub(crate) fn silence(servers: &mut [Proxies]) {
    for server in servers {
        server.data.expect_silence();
    }
}

/// The arguments that lead the adapter to these servers, each with ports of its own.
pub(crate) fn hosts<'a>(servers: impl IntoIterator<Item = &'a Server>) -> Vec<String> {
    let host = |server: &Server| {
        let (metadata, data) = (server.metadata.port(), server.data.port());
        let host = match server.metadata.host() {
            address if address.is_ipv6() => format!("[{address}]"),
            address => address.to_string(),
        };
        ["--host".to_owned(), format!("{host}:{metadata}:{data}")]
    };
    servers.into_iter().flat_map(host).collect()
}

/// A server on another address of the loopback interface, whose ports are open.
pub(crate) fn server_at(address: &str) -> Server {
    let [metadata, data] = [Side::Metadata, Side::Data].map(|side| {
        let address = address.parse().expect("an address");
        let listener = Listener::bind_closed_at(side.name(), address);
        let mut listener = listener.expect("an address of this host");
        listener.reopen();
        listener
    });
    Server { metadata, data }
}

/// An adapter that calls so many servers, all of which are in the room, and are named `one`, `two` and so on.
#[track_caller]
pub(crate) fn called(count: usize) -> (Adapter, Vec<Server>, Vec<Proxies>) {
    let servers: Vec<_> = (0..count).map(|_| Server::start()).collect();
    let adapter = command().args(hosts(&servers)).start();
    let names = NAMES.iter().take(count);
    let proxies = servers.iter().zip(names);
    let proxies = proxies.map(|(at, name)| Proxies::accepted(at, name).in_room());
    let proxies = proxies.collect();
    (adapter, servers, proxies)
}

/// The names of servers, of which there are never more.
pub(crate) const NAMES: [&str; 10] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
];

/// An adapter that listens on these ports, with further arguments, when it does so.
#[track_caller]
pub(crate) fn listening(on: &RemoteHost, arguments: &[&str]) -> Adapter {
    let adapter = command().args(on.arguments()).args(arguments).start();
    await_listening(&adapter, on);
    adapter
}

/// Awaits that the adapter listens on both ports.
#[track_caller]
pub(crate) fn await_listening(adapter: &Adapter, on: &RemoteHost) {
    for side in [Side::Metadata, Side::Data] {
        let port = format!(":{}: listening", on.address(side).port());
        adapter.wait_for_log(&[side.name(), &port]);
    }
}

/// The line of state, which is asked for again where the adapter is only starting.
#[track_caller]
pub(crate) fn state(adapter: &Adapter) -> String {
    let is_state = |line: &&str| line.contains(" relayed, ") && line.contains(" messages ");
    let is_starting = |line: &&str| line.ends_with(" starting");
    let count = |log: &str| {
        let count = |kind: &dyn Fn(&&str) -> bool| log.lines().filter(|line| kind(line)).count();
        (count(&is_state), count(&is_starting))
    };
    loop {
        let before = count(&adapter.log());
        adapter.signal("USR1");
        let found = adapter.find_in_log("the state", |log| {
            let state = log.lines().filter(is_state).nth(before.0);
            (count(log) != before).then(|| state.map(str::to_owned))
        });
        if let Some(state) = found {
            return state;
        }
    }
}

/// A number of the line of state: what stands before these words.
#[track_caller]
pub(crate) fn number(state: &str, words: &str) -> u64 {
    let (before, _) = state.split_once(words).expect("these words");
    let digits = before.trim_end().rsplit(|c: char| !c.is_ascii_digit());
    let digits = digits.into_iter().next().unwrap_or_default();
    digits.parse().expect("a number before them")
}

/// Asks for the state again and again, until something holds.
#[track_caller]
pub(crate) fn await_state(adapter: &Adapter, what: &str, holds: impl Fn(&str) -> bool) -> String {
    let start = std::time::Instant::now();
    loop {
        let state = state(adapter);
        if holds(&state) {
            return state;
        }
        assert!(
            start.elapsed() < crate::standin::DEADLINE,
            "not within time: {what}: {state}"
        );
    }
}

/// Ends the adapter as a service manager does; yields its log.
#[track_caller]
pub(crate) fn end(adapter: Adapter) -> String {
    adapter.signal("TERM");
    let exit = adapter.wait();
    assert_eq!(exit.code(), 0, "{exit}");
    exit.stderr
}
