//! Several servers by the kit: how they are named, what their connections are doing, and a provider for each.

use crate::feed::Feed;
use crate::standin::{Connection, DEADLINE, Init, Listener, RemoteHost, Server, Side};
use chat_adapter::provider::{
    self, DataError, DataProvider, ItemEventListener, MetadataError, MetadataProvider, Parameters,
};
use chat_adapter::server::{Credentials, Phase, Secret, Servers, StartError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Counts the providers of a factory: those that were made, and those that are there still.
#[derive(Clone, Default)]
struct Made {
    all: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
    inits: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Made {
    fn provider(&self) -> Counted {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Counted {
            number: self.all.fetch_add(1, Ordering::SeqCst),
            made: self.clone(),
        }
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    /// Which provider was told of which instance, since the last time.
    fn inits(&self) -> Vec<(usize, String)> {
        std::mem::take(&mut *self.inits.lock().expect("no panic"))
    }

    fn init(&self, number: usize, parameters: &Parameters<'_>) {
        let instance = parameters.get("proxy.instance_id").unwrap_or_default();
        let mut inits = self.inits.lock().expect("no panic");
        inits.push((number, instance.into_owned()));
    }
}

struct Counted {
    number: usize,
    made: Made,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.made.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl MetadataProvider for Counted {
    fn initialize(
        &mut self,
        _connection: &provider::Connection,
        parameters: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        self.made.init(self.number, parameters);
        Ok(())
    }
}

impl DataProvider for Counted {
    fn initialize(
        &mut self,
        _connection: &provider::Connection,
        parameters: &Parameters<'_>,
    ) -> Result<(), DataError> {
        self.made.init(self.number, parameters);
        Ok(())
    }

    fn set_listener(&mut self, _listener: ItemEventListener) {}

    fn subscribe(&mut self, _item: &str) -> Result<(), DataError> {
        Ok(())
    }

    fn unsubscribe(&mut self, _item: &str) -> Result<(), DataError> {
        Ok(())
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "not within time: {what}");
        std::thread::yield_now();
    }
}

fn instance(name: &str) -> Init {
    Init::new(Side::Metadata).of_instance(name)
}

/// A handshake that is over when the adapter says so of itself, too.
#[track_caller]
fn serve(mut connection: Connection, name: &str) -> Connection {
    connection.handshake(&instance(name));
    connection
}

#[test]
fn each_server_that_is_named_has_a_provider_of_its_own_for_good() {
    let (first, second, made) = (Server::start(), Server::start(), Made::default());
    let servers = Servers::builder()
        .host_with_ports("127.0.0.1", first.metadata.port(), 1)
        .host("127.0.0.1");
    let counted = made.clone();
    assert_eq!(servers.count(), Some(2));
    let running = servers
        .metadata(second.metadata.port(), move || counted.provider())
        .expect("threads");
    let one = serve(first.metadata.accept(), "one");
    let two = serve(second.metadata.accept(), "two");
    let mut inits = made.inits();
    inits.sort();
    assert_eq!(inits, [(0, "one".into()), (1, "two".into())]);
    // It outlives its connections.
    one.close();
    let one = serve(first.metadata.accept(), "one again");
    assert_eq!(made.inits(), [(0, "one again".into())]);
    assert_eq!((made.all.load(Ordering::SeqCst), made.alive()), (2, 2));

    let names = [&first, &second].map(|it| format!("metadata 127.0.0.1:{}", it.metadata.port()));
    let phases = running.phases();
    assert_eq!(phases.each_name(), names);
    assert!(
        phases
            .iter()
            .all(|(_, phase)| matches!(phase, Phase::Serving(_)))
    );
    let line = |name: &str, count: usize| {
        format!("{name} serving, ARI 1.9.1 ({count} reconnections, 0 bytes queued)")
    };
    // What a Proxy has read already may be counted as queued for a moment.
    wait_until("each connection is described", || {
        running.details() == [line(&names[0], 1), line(&names[1], 0)]
    });
    let all = "metadata 2 of 2 serving (1 reconnections, 0 bytes queued)";
    assert_eq!(running.to_string(), all);
    assert!(running.is_alive() && running.lost_updates() == 0);
    assert!(servers.stop(DEADLINE));
    for mut connection in [one, two] {
        connection.expect_closed();
    }
}

/// The names of connections, without what they do.
trait Names {
    fn each_name(&self) -> Vec<&str>;
}

impl Names for Vec<(String, Phase)> {
    fn each_name(&self) -> Vec<&str> {
        self.iter().map(|(name, _)| name.as_str()).collect()
    }
}

#[test]
fn each_connection_that_is_accepted_has_a_provider_of_its_own_as_long_as_it_lasts() {
    let (ports, made) = (RemoteHost::new(), Made::default());
    let network = "127.0.0.0/30".parse().expect("a network");
    let servers = Servers::builder().listen("127.0.0.1").allow(network);
    assert_eq!(servers.count(), None);
    let (metadata, data) = (ports.address(Side::Metadata), ports.address(Side::Data));
    let places = servers.places(metadata.port(), data.port());
    assert_eq!(
        places,
        format!(
            "metadata listening on {metadata}, data listening on {data}, allowing 127.0.0.0/30"
        )
    );
    let counted = made.clone();
    let running = servers
        .metadata(metadata.port(), move || counted.provider())
        .expect("a port");
    assert_eq!(running.phases(), []);
    assert!(running.is_alive());
    assert_eq!(made.all.load(Ordering::SeqCst), 0, "nobody has come yet");

    let caller = ports.caller(Side::Metadata);
    let one = serve(caller.clone().from([127, 0, 0, 2]).connect(), "one");
    let two = serve(caller.clone().from([127, 0, 0, 3]).connect(), "two");
    assert_eq!(made.inits(), [(0, "one".into()), (1, "two".into())]);
    let phases = running.phases();
    let names = phases.each_name();
    assert_eq!(names.len(), 2);
    assert!(names[0].starts_with("metadata 127.0.0.2:"), "{names:?}");
    assert!(names[1].starts_with("metadata 127.0.0.3:"), "{names:?}");
    one.close();
    wait_until("the provider of the first is gone", || made.alive() == 1);
    wait_until("so is its connection", || running.phases().len() == 1);
    // The same again is a new one, which replaces that of the second.
    let three = serve(caller.clone().from([127, 0, 0, 2]).connect(), "one");
    let mut old = two;
    let four = serve(caller.clone().from([127, 0, 0, 3]).connect(), "two");
    old.expect_closed();
    assert_eq!(made.inits(), [(2, "one".into()), (3, "two".into())]);
    wait_until("two providers", || made.alive() == 2);
    // Who may not connect is counted, and nothing is made for it.
    assert_eq!(caller.from([127, 0, 0, 4]).stranger(b""), b"");
    wait_until("the connections are counted", || {
        let all = "metadata 2 of 2 serving (2 reconnections, 0 bytes queued), 1 turned away";
        running.to_string() == all
    });
    assert_eq!(made.all.load(Ordering::SeqCst), 4);
    assert!(servers.stop(DEADLINE));
    for mut connection in [three, four] {
        connection.expect_closed();
    }
    wait_until("no provider is left", || made.alive() == 0);
    assert!(caller_is_refused(&ports), "nobody listens after the end");
}

fn caller_is_refused(ports: &RemoteHost) -> bool {
    let caller = ports.caller(Side::Metadata);
    let start = Instant::now();
    while caller.try_connect().is_ok() {
        if start.elapsed() > DEADLINE {
            return false;
        }
    }
    true
}

#[test]
fn an_update_is_sent_to_the_servers_one_by_one() {
    // The kit has no room: each listener is one server's.
    let (server, ports) = (Server::start(), RemoteHost::new());
    let servers = Servers::builder()
        .host_with_ports("127.0.0.1", 1, server.data.port())
        .listen("127.0.0.1");
    let handles = Arc::new(Mutex::new(Vec::new()));
    let made = Arc::clone(&handles);
    let running = servers.data(ports.address(Side::Data).port(), move || {
        let (feed, handle) = Feed::new();
        made.lock().expect("no panic").push(handle);
        feed
    });
    let running = running.expect("threads");
    let mut called = server.meet_data(&Init::new(Side::Data).of_instance("called"));
    let mut calling = ports.meet_data(&Init::new(Side::Data).of_instance("calling"));
    for proxy in [&mut called, &mut calling] {
        proxy.subscribe("an item");
    }
    let handles = handles.lock().expect("no panic");
    handles[0].update("an item", 1).expect("a subscription");
    handles[1].update("an item", 2).expect("a subscription");
    assert_eq!(called.update().field("n"), Some("1"));
    assert_eq!(calling.update().field("n"), Some("2"));
    called.connection.close();
    wait_until("one of them is lost", || {
        handles[0].update("an item", 1).is_err()
    });
    handles[1].update("an item", 3).expect("a subscription");
    assert_eq!(calling.update().field("n"), Some("3"));
    assert!(running.is_alive());
    assert!(servers.stop(DEADLINE));
}

#[test]
fn credentials_that_come_later_are_not_for_whoever_connects() {
    let (server, ports) = (Server::start(), RemoteHost::new());
    let servers = Servers::builder()
        .host_with_ports("127.0.0.1", server.metadata.port(), 1)
        .listen("127.0.0.1");
    let running = servers.metadata(ports.address(Side::Metadata).port(), || {
        Made::default().provider()
    });
    running.expect("threads");
    assert_eq!(server.metadata.accept().expect_rac().credentials, None);
    let given = Some(Credentials {
        user: "user1".into(),
        password: Secret::new("pwd1".into()),
    });
    servers
        .guard(given.as_ref())
        .expect_err("it is said to whoever asks");
    servers.set_credentials(given);
    // A server that is called is who it is; who connects is not told.
    let expected = Some(("user1".to_owned(), "pwd1".to_owned()));
    assert_eq!(server.metadata.accept().expect_rac().credentials, expected);
    let mut connected = ports.connect(Side::Metadata);
    assert_eq!(connected.expect_rac().credentials, None);
    assert!(servers.stop(DEADLINE));
}

/// Why a start is refused.
#[track_caller]
fn refused(servers: &Servers, port: u16) -> String {
    match servers.metadata(port, || Made::default().provider()) {
        Err(StartError::Listen(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_safe_or_makes_no_sense_does_not_start() {
    let ports = RemoteHost::new();
    let port = ports.address(Side::Metadata).port();
    let open = Servers::builder().listen("0.0.0.0");
    assert!(refused(&open, port).contains("could hear everything and speak for anybody"));
    let given_away = Servers::builder()
        .listen("127.0.0.1")
        .credentials("user1", "pwd1");
    assert!(refused(&given_away, port).contains("not for whoever connects"));
    let own = Servers::builder().listen("127.0.0.1").host("127.0.0.1");
    assert!(refused(&own, port).ends_with("is this adapter itself, by --listen"));
    let twice = Servers::builder()
        .host("localhost")
        .host_with_ports("LOCALHOST", port, 1);
    assert!(refused(&twice, port).ends_with("is given twice"));
    let taken = Listener::bind("somebody else");
    let listening = Servers::builder().listen("127.0.0.1");
    let what = refused(&listening, taken.port());
    assert!(what.contains("Address already in use"), "{what}");
    // Nothing is left of all these.
    let ports_are_free = Servers::builder().listen("127.0.0.1");
    let running = ports_are_free.metadata(port, || Made::default().provider());
    running.expect("the port");
    assert!(ports_are_free.stop(DEADLINE));
}
