//! Proxies that connect to the adapter: everything is as on connections that it has opened itself.

use crate::cluster::{
    NOBODY, Proxies, all_hear, await_listening, end, hosts, init, listening, silence,
};
use crate::setup::command;
use crate::standin::{RemoteHost, Server, Side};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[test]
fn servers_that_connect_are_one_room() {
    let ports = RemoteHost::new();
    let adapter = listening(&ports, &[]);
    let mut proxies: Vec<_> = ["one", "two", "three"]
        .into_iter()
        .zip(2..)
        .map(|(name, last)| {
            let from = Ipv4Addr::new(127, 0, 0, last);
            let caller = |side| ports.caller(side).from(from);
            let proxies = Proxies {
                server: name.into(),
                metadata: caller(Side::Metadata).meet_metadata(&init(Side::Metadata, name)),
                data: caller(Side::Data).meet_data(&init(Side::Data, name)),
            };
            for side in [Side::Metadata, Side::Data] {
                let name = format!(" {} {from}:", side.name());
                let port = format!(": accepted by {} {}", side.name(), ports.address(side));
                adapter.wait_for_log(&[&name, &port]);
                adapter.wait_for_log(&[&name, ": serving, ARI 1.9.1"]);
            }
            proxies.in_room()
        })
        .collect();
    for from in 0..3 {
        all_hear(&mut proxies, from, &format!("from server {from}"));
    }
    // One leaves, and is not waited for.
    let last = proxies.pop().expect("the third");
    last.data.connection.close();
    last.metadata.connection.close();
    for side in ["metadata", "data"] {
        let name = format!(" {side} 127.0.0.4:");
        let line = ": lost: the Proxy closed the connection; the Proxy may connect again";
        adapter.wait_for_log(&[&name, line]);
    }
    all_hear(&mut proxies, 1, "two are left");
    silence(&mut proxies);
    let log = end(adapter);
    assert!(!log.contains("next try"), "{log}");
}

#[test]
fn whoever_opens_the_connection_the_room_is_the_same() {
    let (server, ports) = (Server::start(), RemoteHost::new());
    let command = command().args(hosts([&server])).args(ports.arguments());
    let adapter = command.start();
    await_listening(&adapter, &ports);
    let mut proxies = vec![
        Proxies::accepted(&server, "one").in_room(),
        Proxies::connected(&ports, "two").in_room(),
    ];
    all_hear(&mut proxies, 0, "from the one that is called");
    all_hear(&mut proxies, 1, "from the one that has called");
    // Where servers connect, one that is called has its sessions kept like any other.
    let called = proxies.remove(0);
    called.metadata.connection.close();
    let mut called = Proxies {
        metadata: server.meet_metadata(&init(Side::Metadata, "one")),
        server: called.server,
        data: called.data,
    };
    assert_eq!(called.say("kept"), Ok(()));
    proxies[0].hears("kept");
    let exit = end(adapter);
    assert!(!exit.contains("dropped"), "{exit}");
}

#[test]
fn nobody_is_called_where_servers_connect() {
    let ports = RemoteHost::new();
    let adapter = listening(&ports, &[]);
    let first = adapter.wait_for_log(&["chat-adapter", "listening on"]);
    assert!(!first.contains("localhost"), "{first}");
    let mut only = Proxies::connected(&ports, "one");
    only.open_session();
    assert_eq!(only.say("to nobody"), Err(NOBODY.into()));
    let log = end(adapter);
    assert!(
        !log.contains("connecting") && !log.contains("connect to"),
        "{log}"
    );
}

#[test]
fn a_proxy_may_speak_before_it_has_read_and_byte_by_byte() {
    let ports = RemoteHost::new();
    let _adapter = listening(&ports, &[]);
    for side in [Side::Metadata, Side::Data] {
        let init = init(side, "one");
        let answer = init.answer_line().expect("no refusal");
        let mut early = ports.connect(side);
        early.send_line(init.line());
        early.expect_rac();
        early.expect(&answer);
        let mut torn = ports.connect(side);
        torn.send_torn(format!(
            "\u{feff}\r\n{}\r\n",
            init.of_instance("two").line()
        ));
        torn.expect_rac();
        torn.expect(&answer);
    }
}

#[test]
fn the_hello_comes_first_and_carries_no_credentials() {
    let ports = RemoteHost::new();
    let _adapter = listening(&ports, &["--keepalive", "100"]);
    for side in [Side::Metadata, Side::Data] {
        let mut connection = ports.connect(side);
        assert_eq!(connection.expect_rac().credentials, None);
        // A Proxy says nothing until its server has started.
        connection.expect_keepalive();
    }
}

#[test]
fn each_address_that_is_given_is_listened_on() {
    let ports = RemoteHost::new();
    let others = ["--listen", "127.0.0.9"];
    let command = command().args(ports.arguments()).args(others);
    let adapter = command.start();
    await_listening(&adapter, &ports);
    adapter.wait_for_log(&[" data 127.0.0.9:", ": listening"]);
    let caller = |side, to| ports.caller(side).to(to);
    let [one, nine] = [1, 9].map(|last| IpAddr::from([127, 0, 0, last]));
    let mut proxies = vec![
        Proxies {
            server: "one".into(),
            metadata: caller(Side::Metadata, one).meet_metadata(&init(Side::Metadata, "one")),
            data: caller(Side::Data, nine).meet_data(&init(Side::Data, "one")),
        }
        .in_room(),
        Proxies {
            server: "two".into(),
            metadata: caller(Side::Metadata, nine).meet_metadata(&init(Side::Metadata, "two")),
            data: caller(Side::Data, one).meet_data(&init(Side::Data, "two")),
        }
        .in_room(),
    ];
    all_hear(&mut proxies, 0, "through both");
    all_hear(&mut proxies, 1, "and back");
}

#[test]
fn an_ipv6_address_and_a_name_are_listened_on() {
    let Some(ports) = RemoteHost::at(Ipv6Addr::LOCALHOST.into()) else {
        eprintln!("skipped: no IPv6 here");
        return;
    };
    let adapter = listening(&ports, &[]);
    let mut proxies = vec![Proxies::connected(&ports, "one").in_room()];
    all_hear(&mut proxies, 0, "over IPv6");
    adapter.wait_for_log(&[" data [::1]:", ": serving"]);
    let port = ports.address(Side::Data).port();
    adapter.wait_for_log(&[" data [::1]:", &format!(": accepted by data [::1]:{port}")]);
    end(adapter);

    let ports = RemoteHost::localhost();
    let command = command().args(["--listen", "localhost"]);
    let adapter = command.args(ports.ports()).start();
    await_listening(&adapter, &ports);
    let mut proxies = vec![Proxies::connected(&ports, "one").in_room()];
    all_hear(&mut proxies, 0, "by a name");
}
