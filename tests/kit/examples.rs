//! The examples, with a Proxy at the other end of a real connection.

use crate::hello_world::Greetings;
use crate::login::Login;
use crate::standin::{DEADLINE, Event, Init, Server, ServerError, Side};
use chat_adapter::server::Servers;

fn servers(server: &Server) -> Servers {
    Servers::builder().host(server.data.host().to_string())
}

#[test]
fn hello_world_greets_while_the_item_is_subscribed() {
    let server = Server::start();
    let servers = servers(&server);
    let port = server.data.port();
    let _running = servers.data(port, Greetings::default).expect("a thread");
    let mut proxy = server.meet_data(&Init::new(Side::Data));
    for _ in 0..2 {
        let subscription = proxy.subscribe("greetings");
        for message in ["Hello", "World", "Hello"] {
            let update = proxy.update();
            assert_eq!(update.item, "greetings");
            assert_eq!(update.subscription, subscription);
            assert!(!update.snapshot);
            let names: Vec<_> = update.fields.iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["message", "timestamp"]);
            assert_eq!(update.field("message"), Some(message));
            let time = update.field("timestamp").expect("a time");
            time.parse::<u64>().expect("milliseconds");
        }
        proxy.unsubscribe("greetings");
    }
    let id = proxy.send("SUB", "greeting");
    match proxy.next_event() {
        Event::Reply(reply) if reply.id == id => assert_eq!(reply.result, "EU|No such item"),
        other => panic!("{other:?}"),
    }
    // The Proxy loses the connection, and the adapter comes back.
    proxy.connection.abort();
    let mut proxy = server.meet_data(&Init::new(Side::Data));
    proxy.subscribe("greetings");
    assert_eq!(proxy.update().field("message"), Some("Hello"));
    assert!(servers.stop(DEADLINE));
    // What was sent until then is here, and then the stream ends.
    proxy.connection.expect_last_lines();
}

#[test]
fn login_lets_in_one_user_with_the_right_password() {
    for version in ["1.9.1", "1.8.3"] {
        let server = Server::start();
        let servers = servers(&server);
        let port = server.metadata.port();
        let _running = servers.metadata(port, || Login).expect("a thread");
        let mut proxy = server.meet_metadata(&Init::offering(Side::Metadata, version));
        let reply = proxy.ask("NUS", &[Some("user1"), Some("pwd1")]);
        assert_eq!(reply.result, "D|0.0|B|0");
        for (user, password) in [
            (Some("user1"), Some("pwd2")),
            (Some("user1"), Some("")),
            (Some("user1"), None),
            (Some("user2"), Some("pwd1")),
            (None, Some("pwd1")),
            (None, None),
        ] {
            let reply = proxy.ask("NUS", &[user, password, Some("host"), Some("localhost")]);
            let ServerError { kind, .. } = reply
                .error(proxy.encoding)
                .expect("an error in good form")
                .expect("an error");
            assert_eq!(kind, "EC");
            let for_client = proxy.encoding.encode(Some("Wrong user or password"));
            assert!(reply.result.ends_with(&format!("|-1|{for_client}")));
        }
        // Everything else is as the kit has it.
        let reply = proxy.ask("GIS", &[Some("user1"), Some("one two"), Some("S1")]);
        assert_eq!(reply.result, "S|one|S|two");
        assert!(servers.stop(DEADLINE));
        proxy.connection.expect_closed();
    }
}
