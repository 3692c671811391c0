//! The two connections: they come up in any order, each for itself, and come back whenever they are
//! lost.

use crate::setup::{AGENT, IP, SESSION, Setup, command, exchange, start_adapter};
use crate::standin::{Connection, Init, Listener, Server, Session, Side};

const BOTH: [Side; 2] = [Side::Metadata, Side::Data];

#[test]
fn metadata_first() {
    let mut server = Server {
        metadata: Listener::bind("metadata"),
        data: Listener::bind_closed("data"),
    };
    let _adapter = command().args(server.arguments()).start();
    let mut metadata = server.meet_metadata(&Init::new(Side::Metadata));
    metadata.open(&Session::new(SESSION, IP, AGENT));
    server.data.reopen();
    let mut data = server.meet_data(&Init::new(Side::Data));
    data.subscribe("chat_room");
    metadata.say(SESSION, "both are there").expect("V");
    assert_eq!(data.chat().message, "both are there");
}

#[test]
fn data_first() {
    let mut server = Server {
        metadata: Listener::bind_closed("metadata"),
        data: Listener::bind("data"),
    };
    let _adapter = command().args(server.arguments()).start();
    let mut data = server.meet_data(&Init::new(Side::Data));
    data.subscribe("chat_room");
    server.metadata.reopen();
    let mut metadata = server.meet_metadata(&Init::new(Side::Metadata));
    metadata.open(&Session::new(SESSION, IP, AGENT));
    metadata.say(SESSION, "both are there").expect("V");
    assert_eq!(data.chat().message, "both are there");
}

#[test]
fn the_init_of_one_does_not_wait_for_the_other() {
    for side in BOTH {
        let (_adapter, server) = start_adapter(&[]);
        // The other connection is accepted by the kernel and never served.
        server.listener(side).accept().handshake(&Init::new(side));
    }
}

#[test]
fn a_server_that_is_not_there_yet_is_awaited() {
    let mut server = Server {
        metadata: Listener::bind_closed("metadata"),
        data: Listener::bind_closed("data"),
    };
    let mut adapter = command().args(server.arguments()).start();
    let metadata = server.metadata.port().to_string();
    let data = server.data.port().to_string();
    adapter.wait_for_log(&["metadata", &metadata, "refused"]);
    adapter.wait_for_log(&[" data ", &data, "refused"]);
    assert!(adapter.is_running());
    server.metadata.reopen();
    server.data.reopen();
    let (mut metadata, mut data) = server.meet();
    exchange(&mut metadata.connection, &[("1c|NSC|S|x", "1c|NSC|V")]);
    data.expect_silence();
}

/// The ways in which a connection can end.
#[derive(Clone, Copy)]
enum Way {
    Closed,
    Reset,
    HalfClosed,
}

impl Way {
    fn end(self, mut connection: Connection) {
        match self {
            Way::Closed => connection.close(),
            Way::Reset => connection.abort(),
            Way::HalfClosed => {
                connection.end_sending();
                connection.expect_last_lines();
            }
        }
    }
}

/// Loses connections of one side in these ways, in the state of it that `lead_up` leads to; each
/// time the adapter comes back, and the other side never notices.
#[track_caller]
fn lost_at(ways: &[Way], lead_up: impl Fn(&mut Connection, Side)) {
    for side in BOTH {
        let (_adapter, server) = start_adapter(&[]);
        let other = match side {
            Side::Metadata => Side::Data,
            Side::Data => Side::Metadata,
        };
        let mut steady = server.listener(other).accept();
        steady.handshake(&Init::new(other));
        for way in ways {
            let mut connection = server.listener(side).accept();
            lead_up(&mut connection, side);
            way.end(connection);
        }
        server.listener(side).accept().handshake(&Init::new(side));
        match other {
            Side::Metadata => exchange(&mut steady, &[("1c|NSC|S|x", "1c|NSC|V")]),
            Side::Data => exchange(&mut steady, &[("1c|USB|S|x", "1c|USB|V")]),
        }
    }
}

const ALL: &[Way] = &[Way::Closed, Way::Reset, Way::HalfClosed];

#[test]
fn lost_as_soon_as_it_is_accepted() {
    lost_at(&[Way::Reset, Way::Reset], |_, _| {});
}

#[test]
fn lost_after_the_rac() {
    lost_at(&[Way::Reset, Way::Reset], |connection, _| {
        connection.expect_rac();
    });
}

#[test]
fn closed_without_a_word_after_the_rac_it_may_have_been_the_credentials() {
    for side in BOTH {
        let (adapter, server) = start_adapter(&["--user", "someone", "--password", "sesame"]);
        let mut connection = server.listener(side).accept();
        connection.expect_rac();
        connection.close();
        // How soon it tries again is not this test's affair: somebody may have to mend it.
        adapter.wait_for_log(&["credentials", "someone"]);
    }
}

#[test]
fn lost_in_the_middle_of_the_init() {
    lost_at(ALL, |connection, side| {
        connection.expect_rac();
        let line = Init::new(side).line();
        connection.send(&line[..line.len() / 2]);
    });
}

#[test]
fn lost_after_the_init() {
    lost_at(ALL, |connection, side| {
        connection.handshake(&Init::new(side));
    });
}

#[test]
fn lost_in_the_middle_of_a_request() {
    lost_at(ALL, |connection, side| {
        connection.handshake(&Init::new(side));
        connection.send("2000c|N");
    });
}

#[test]
fn each_new_connection_opens_with_a_rac_of_its_own() {
    let (_adapter, server) = start_adapter(&["--user", "user1", "--password", "pwd1"]);
    let mut connection = server.metadata.accept();
    let first = connection.handshake(&Init::new(Side::Metadata)).rac;
    connection.close();
    assert_eq!(server.metadata.accept().expect_rac(), first);
}

#[test]
fn each_new_connection_agrees_anew() {
    let (_adapter, server) = start_adapter(&[]);
    for version in ["1.9.1", "1.8.3", "1.9.0"] {
        let mut metadata = server.meet_metadata(&Init::offering(Side::Metadata, version));
        let reply = metadata.ask("GIS", &[None, Some("è"), Some("S1")]);
        let item = metadata.encoding.encode(Some("è"));
        assert_eq!(reply.result, format!("S|{item}"));
    }
}

#[test]
fn the_rest_of_a_line_is_no_part_of_the_next_connection() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.metadata.accept();
    connection.handshake(&Init::new(Side::Metadata));
    connection.send("2000c|NSC|S|never comp");
    connection.close();
    let mut metadata = server.meet_metadata(&Init::new(Side::Metadata));
    exchange(
        &mut metadata.connection,
        &[("3000c|NSC|S|x", "3000c|NSC|V")],
    );
}

/// Loses the metadata connection of a room that is open, and takes the adapter in again with this
/// init. Yields what a message of the session opened before gets.
fn after_reconnection(before: &Init, after: &Init) -> Result<(), String> {
    let mut setup = Setup::with(&[], before, &Init::new(Side::Data));
    setup.open_room();
    setup.metadata.connection.close();
    let mut metadata = setup.server.meet_metadata(after);
    let outcome = metadata.say(SESSION, "do you know me?");
    match &outcome {
        Ok(()) => assert_eq!(setup.data.chat().ip, IP),
        Err(_) => setup.data.expect_silence(),
    }
    outcome.map_err(|error| error.message)
}

#[test]
fn the_same_instance_of_the_proxy_finds_its_sessions() {
    let init = Init::new(Side::Metadata).of_instance("one");
    assert_eq!(after_reconnection(&init, &init), Ok(()));
}

#[test]
fn another_instance_of_the_proxy_does_not() {
    let lost = Err("Session lost! Please reload the browser page(s).".to_owned());
    let one = Init::new(Side::Metadata).of_instance("one");
    let two = Init::new(Side::Metadata).of_instance("two");
    assert_eq!(after_reconnection(&one, &two), lost);
}

#[test]
fn a_proxy_that_names_no_instance_does_not() {
    let lost = Err("Session lost! Please reload the browser page(s).".to_owned());
    let one = Init::new(Side::Metadata).of_instance("one");
    let none = Init::new(Side::Metadata).without("proxy.instance_id");
    assert_eq!(after_reconnection(&one, &none), lost);
    assert_eq!(after_reconnection(&none, &none), lost);
    assert_eq!(after_reconnection(&none, &one), lost);
}

#[test]
fn sessions_that_closed_while_the_connection_was_lost_are_closed_afterwards() {
    let mut setup = Setup::in_room();
    setup.metadata.connection.abort();
    let mut metadata = setup.server.meet_metadata(&Init::new(Side::Metadata));
    // A robust Proxy repeats what it is not sure of.
    metadata.open(&Session::new(SESSION, IP, AGENT));
    metadata.close_session(SESSION);
    metadata.close_session(SESSION);
    metadata.say(SESSION, "hi").expect_err("closed");
    setup.data.expect_silence();
}

#[test]
fn without_its_data_connection_the_room_is_closed_until_it_is_subscribed_again() {
    let mut setup = Setup::in_room();
    setup.data.connection.close();
    // The kernel tells the adapter of the loss in its own time; the log says when it knows.
    setup.adapter.wait_for_log(&[" data ", "lost"]);
    setup
        .metadata
        .say(SESSION, "hi")
        .expect_err("no data connection");
    // The metadata side goes on meanwhile.
    setup.metadata.open(&Session::new("S2", IP, AGENT));
    setup.metadata.close_session("S2");

    let mut data = setup.server.meet_data(&Init::new(Side::Data));
    setup
        .metadata
        .say(SESSION, "hi")
        .expect_err("not subscribed");
    let subscription = data.subscribe("chat_room");
    setup.metadata.say(SESSION, "hello again").expect("V");
    assert_eq!(data.update().subscription, subscription);
    data.expect_silence();
}

#[test]
fn a_data_connection_lost_again_and_again_leaves_one_subscription_at_a_time() {
    let Setup {
        adapter: _adapter,
        mut metadata,
        mut data,
        server,
    } = Setup::in_room();
    for _ in 0..3 {
        data.connection.end_sending();
        data.connection.expect_closed();
        data = server.meet_data(&Init::new(Side::Data));
        data.subscribe("chat_room");
        metadata.say(SESSION, "once").expect("V");
        assert_eq!(data.chat().message, "once");
        data.expect_silence();
    }
}

#[test]
fn connections_come_back_on_a_port_that_was_closed_for_a_while() {
    let mut setup = Setup::in_room();
    setup.server.metadata.close();
    setup.server.data.close();
    setup.metadata.connection.abort();
    setup.data.connection.abort();
    let port = setup.server.metadata.port().to_string();
    setup.adapter.wait_for_log(&["metadata", &port, "refused"]);
    setup.server.metadata.reopen();
    setup.server.data.reopen();
    let (mut metadata, mut data) = setup.server.meet();
    data.subscribe("chat_room");
    metadata.say(SESSION, "back").expect("V");
    assert_eq!(data.chat().message, "back");
}

#[test]
fn one_adapter_has_one_connection_to_each_port_and_few_threads() {
    let setup = Setup::in_room();
    // Main, and a reader and a writer for each connection; a thread for signals may be there as well.
    assert!((5..=7).contains(&setup.adapter.threads()));
    for side in BOTH {
        let socket = format!(":{:04X}", setup.server.listener(side).port());
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
        let connections = table
            .lines()
            .filter_map(|line| {
                let mut columns = line.split_whitespace();
                let (_, remote, state) = (columns.nth(1)?, columns.next()?, columns.next()?);
                (remote.ends_with(&socket) && state == "01").then_some(())
            })
            .count();
        assert_eq!(connections, 1, "{side:?}");
    }
}

#[test]
fn a_connection_lost_leaves_no_descriptor_and_no_thread_behind() {
    let (adapter, server) = start_adapter(&[]);
    let steady = server.meet_metadata(&Init::new(Side::Metadata));
    let mut figures = Vec::new();
    for _ in 0..4 {
        let mut data = server.meet_data(&Init::new(Side::Data));
        data.expect_silence();
        figures.push((adapter.descriptors(), adapter.threads()));
        data.connection.close();
    }
    assert!(figures.iter().all(|now| *now == figures[0]), "{figures:?}");
    drop(steady);
}

#[test]
fn it_idles_without_processor_time() {
    let (adapter, server) = start_adapter(&[]);
    let _metadata = server.meet_metadata(&Init::new(Side::Metadata));
    let mut data = server.meet_data(&Init::new(Side::Data).with_hint(1000));
    let before = adapter.ticks();
    data.connection.expect_keepalive();
    data.connection.expect_keepalive();
    // Of two hundred ticks that have passed at the least, and about none used.
    let used = adapter.ticks() - before;
    assert!(used <= 5, "{used} ticks");
}

/// Chats with an adapter that was given this name of the IPv6 loopback.
fn chat_over_ipv6(host: &str) {
    let Some(metadata) = Listener::bind_ipv6("metadata") else {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    };
    let data = Listener::bind_ipv6("data").expect("a second port like the first");
    let server = Server { metadata, data };
    let mut arguments = server.arguments();
    host.clone_into(&mut arguments[1]);
    let _adapter = command().args(&arguments).start();
    let (mut metadata, mut data) = server.meet();
    metadata.open(&Session::new(SESSION, IP, AGENT));
    data.subscribe("chat_room");
    metadata.say(SESSION, "six").expect("V");
    assert_eq!(data.chat().message, "six");
}

#[test]
fn an_ipv6_host() {
    chat_over_ipv6("::1");
}

#[test]
fn an_ipv6_host_in_brackets_as_people_copy_it_from_urls() {
    chat_over_ipv6("[::1]");
}

#[test]
fn localhost_is_the_default_and_means_ipv4_as_well() {
    let server = Server {
        metadata: Listener::bind_localhost("metadata"),
        data: Listener::bind_localhost("data"),
    };
    for host in [&[][..], &["--host", "localhost"], &["--host=LOCALHOST"]] {
        let _adapter = command().args(&server.arguments()[2..]).args(host).start();
        let (mut metadata, mut data) = server.meet();
        exchange(&mut metadata.connection, &[("1c|NSC|S|x", "1c|NSC|V")]);
        data.expect_silence();
    }
}
