//! The room over servers that the adapter calls: who hears a message, and what its sender is told.

use crate::cluster::{
    NOBODY, Proxies, all_hear, called, hosts, init, offering, server_at, silence,
};
use crate::setup::{command, exchange};
use crate::standin::{DataProxy, MetadataProxy, RemoteHost, Server, Side};
use std::net::Ipv6Addr;

#[test]
fn everybody_hears_everybody_on_whichever_server() {
    let (_adapter, _servers, mut proxies) = called(3);
    for from in [0, 1, 2, 1, 0] {
        all_hear(&mut proxies, from, &format!("from server {from}"));
    }
    silence(&mut proxies);
}

#[test]
fn a_server_with_the_ports_of_the_options_and_others_with_their_own_are_one_room() {
    let first = Server::start();
    let others = [server_at("127.0.0.2"), server_at("127.0.0.3")];
    let command = command().args(first.arguments()).args(hosts(&others));
    let adapter = command.start();
    let mut proxies = vec![
        Proxies::accepted(&first, "one").in_room(),
        Proxies::accepted(&others[0], "two").in_room(),
        Proxies::accepted(&others[1], "three").in_room(),
    ];
    all_hear(&mut proxies, 0, "to addresses of their own");
    all_hear(&mut proxies, 2, "and back");
    for (address, server) in [("127.0.0.2", &others[0]), ("127.0.0.3", &others[1])] {
        for side in [Side::Metadata, Side::Data] {
            let port = server.listener(side).port();
            let name = format!(" {} {address}:{port}: serving", side.name());
            adapter.wait_for_log(&[&name]);
        }
    }
}

#[test]
fn an_ipv6_address_may_have_ports_of_its_own() {
    if RemoteHost::at(Ipv6Addr::LOCALHOST.into()).is_none() {
        eprintln!("skipped: no IPv6 here");
        return;
    }
    let servers = [server_at("::1"), Server::start()];
    let adapter = command().args(hosts(&servers)).start();
    let mut proxies = vec![
        Proxies::accepted(&servers[0], "one").in_room(),
        Proxies::accepted(&servers[1], "two").in_room(),
    ];
    all_hear(&mut proxies, 0, "from IPv6");
    all_hear(&mut proxies, 1, "to IPv6");
    let port = servers[0].data.port();
    adapter.wait_for_log(&[&format!(" data [::1]:{port}: serving")]);
}

#[test]
fn one_name_with_two_pairs_of_ports_is_two_servers() {
    // Their instances differ, which on one and the same server would mean that it was restarted.
    let servers = [Server::start(), Server::start()];
    let named = hosts(&servers).join(" ").replace("127.0.0.1", "localhost");
    let adapter = command().args(named.split(' ')).start();
    let mut proxies = vec![
        Proxies::accepted(&servers[0], "one").in_room(),
        Proxies::accepted(&servers[1], "two").in_room(),
    ];
    for from in [0, 1] {
        all_hear(&mut proxies, from, "both at localhost");
    }
    let log = adapter.log();
    assert!(!log.contains("restarted") && !log.contains("lost"), "{log}");
}

#[test]
fn success_means_that_one_at_least_took_it() {
    let (_adapter, _servers, mut proxies) = called(3);
    proxies[0].data.unsubscribe("chat_room");
    // Its own server has nobody in the room any more, and others have.
    assert_eq!(proxies[0].say("to the others"), Ok(()));
    for server in &mut proxies[1..] {
        server.hears("to the others");
    }
    proxies[1].data.unsubscribe("chat_room");
    assert_eq!(proxies[1].say("to one"), Ok(()));
    proxies[2].hears("to one");
    proxies[2].data.unsubscribe("chat_room");
    for server in &mut proxies {
        assert_eq!(server.say("to nobody"), Err(NOBODY.into()));
    }
    silence(&mut proxies);
    proxies[1].data.subscribe("chat_room");
    assert_eq!(proxies[2].say("to one again"), Ok(()));
    proxies[1].hears("to one again");
    silence(&mut proxies);
}

#[test]
fn a_session_is_known_where_it_was_opened_and_nowhere_else() {
    let (_adapter, _servers, mut proxies) = called(2);
    let id = proxies[0].session();
    let stranger = proxies[1].metadata.say(&id, "from the wrong server");
    assert_eq!(stranger.expect_err("refused").kind, "EN");
    // The same id on both is two sessions, each with a label of its own.
    for (at, ip) in ["192.0.2.1", "192.0.2.2"].into_iter().enumerate() {
        let session = crate::standin::Session::new("S", ip, "Browser");
        proxies[at].metadata.open(&session);
    }
    proxies[1].metadata.close_session("S");
    proxies[0].metadata.say("S", "open here").expect("success");
    for server in &mut proxies {
        assert_eq!(server.hears("open here").ip, "192.0.2.1");
    }
    proxies[1].metadata.say("S", "closed").expect_err("refused");
    silence(&mut proxies);
}

/// A server whose metadata connection is of this version.
fn of_version(at: &Server, server: &str, version: &str) -> Proxies {
    let mut metadata = at.metadata.accept();
    let agreed = metadata.handshake(&offering(Side::Metadata, server, version));
    let mut data = at.data.accept();
    data.handshake(&init(Side::Data, server));
    Proxies {
        server: server.to_owned(),
        metadata: MetadataProxy::new(metadata, agreed.encoding),
        data: DataProxy::new(data, init(Side::Data, server).encoding()),
    }
}

#[test]
fn a_text_crosses_to_servers_of_other_versions() {
    let servers = [Server::start(), Server::start(), Server::start()];
    let _adapter = command().args(hosts(&servers)).start();
    let mut proxies = vec![
        of_version(&servers[0], "one", "1.8.3").in_room(),
        of_version(&servers[1], "two", "1.9.0").in_room(),
        of_version(&servers[2], "three", "1.9.1").in_room(),
    ];
    for text in [
        "50% + a|b",
        "#",
        "$",
        " h\u{e9}llo \u{1f600}+%2B ",
        "two\r\nlines",
    ] {
        for from in 0..3 {
            all_hear(&mut proxies, from, text);
        }
    }
    // As the bytes are, not only as they are read.
    let session = proxies[0].session().replace(' ', "+");
    let said = format!("1c|NUM|S|#|S|{session}|S|CHAT%7C1+%2B+1+%3D+%C3%A9");
    exchange(&mut proxies[0].metadata.connection, &[(&said, "1c|NUM|V")]);
    for server in &mut proxies {
        let line = server.data.connection.expect_line();
        let text = "|S|message|S|1 %2B 1 = \u{e9}|S|timestamp|";
        assert!(line.contains(text), "{line}");
    }
}
