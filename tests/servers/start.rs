//! What a start refuses, and what a check and a reload make of it.

use crate::cluster::{Proxies, all_hear, listening};
use crate::files::Files;
use crate::setup::command;
use crate::standin::{RemoteHost, Side};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::slice::from_mut;

/// The line with which a start ends that cannot be.
#[track_caller]
fn refused(arguments: &[String]) -> String {
    let exit = command().args(arguments).run();
    assert_eq!(exit.code(), 1, "{exit}");
    let mut lines = exit.stderr.lines();
    let what = lines.find_map(|line| Some(line.split_once("cannot start: ")?.1));
    what.unwrap_or_else(|| panic!("{exit}")).to_owned()
}

/// Those ports, and further arguments.
fn with(ports: &RemoteHost, more: &[&str]) -> Vec<String> {
    let more = more.iter().map(|&argument| argument.to_owned());
    ports.ports().into_iter().chain(more).collect()
}

#[test]
fn a_port_that_is_taken_is_named() {
    for side in [Side::Metadata, Side::Data] {
        let ports = RemoteHost::new();
        let address = ports.address(side);
        let _taken = TcpListener::bind(address).expect("the port");
        let line = refused(&ports.arguments());
        let awaited = format!("--listen 127.0.0.1: {address}: Address already in use");
        assert!(line.starts_with(&awaited), "{line}");
    }
    // An address that is named twice is listened on once.
    let ports = RemoteHost::new();
    let twice = ["--listen", "127.0.0.1"];
    let adapter = command().args(ports.arguments()).args(twice).start();
    crate::cluster::await_listening(&adapter, &ports);
}

#[test]
fn an_address_that_another_one_has_in_it_is_listened_on_once() {
    let Some(ports) = RemoteHost::at(Ipv6Addr::UNSPECIFIED.into()) else {
        eprintln!("skipped: no IPv6 here");
        return;
    };
    let guard = ["--allow", "127.0.0.0/8", "--allow", "::1"];
    let any = [
        "--listen",
        "::",
        "--listen",
        "0.0.0.0",
        "--listen",
        "127.0.0.1",
    ];
    let reversed = [
        "--listen",
        "127.0.0.1",
        "--listen",
        "0.0.0.0",
        "--listen",
        "::",
    ];
    for listen in [any, reversed] {
        let adapter = command()
            .args(ports.ports())
            .args(guard)
            .args(listen)
            .start();
        crate::cluster::await_listening(&adapter, &ports);
        for to in [IpAddr::from([127, 0, 0, 1]), Ipv6Addr::LOCALHOST.into()] {
            for side in [Side::Metadata, Side::Data] {
                ports.caller(side).to(to).connect().expect_rac();
            }
        }
        crate::cluster::end(adapter);
    }
    // Of IPv4 alone.
    let everywhere = RemoteHost::at(Ipv4Addr::UNSPECIFIED.into());
    let ports = everywhere.expect("two ports of all addresses");
    let listen = ["--listen", "127.0.0.1", "--allow", "127.0.0.0/8"];
    let adapter = command().args(ports.arguments()).args(listen).start();
    crate::cluster::await_listening(&adapter, &ports);
}

#[test]
fn the_same_server_twice_is_a_mistake() {
    let twice = |hosts: &[&str], words: &str| {
        let hosts = hosts.iter().flat_map(|host| ["--host", host]);
        let exit = command().args(hosts).run();
        assert_eq!(exit.code(), 2, "{exit}");
        let line = format!("chat-adapter: {words}\n");
        assert!(exit.stderr.starts_with(&line), "{exit}");
    };
    twice(&["ls1", "LS1"], "--host LS1: its port 8003 is given twice");
    twice(
        &["h", "h:8003:8001"],
        "--host h: its port 8003 is given twice",
    );
    twice(&["h:1:2", "H:3:2"], "--host H: its port 2 is given twice");
}

#[test]
fn an_address_of_another_host_is_no_place_to_listen() {
    let ports = RemoteHost::new();
    let line = refused(&with(
        &ports,
        &["--listen", "192.0.2.1", "--allow", "192.0.2.0/24"],
    ));
    let port = ports.address(Side::Metadata).port();
    let awaited = format!("--listen 192.0.2.1: 192.0.2.1:{port}: Cannot assign requested address");
    assert!(line.starts_with(&awaited), "{line}");
    let line = refused(&with(&ports, &["--listen", "no.such.host.invalid"]));
    let awaited = "--listen no.such.host.invalid: it has no address: ";
    assert!(line.starts_with(awaited), "{line}");
}

#[test]
fn more_than_loopback_wants_a_guard() {
    let ports = RemoteHost::new();
    for open in [
        "0.0.0.0",
        "::",
        "192.0.2.1",
        "::ffff:192.0.2.1",
        "2001:db8::1",
    ] {
        let line = refused(&with(&ports, &["--listen", open]));
        let awaited = format!(
            "--listen {open}: whoever reaches {open} could hear everything and speak for anybody: give --allow \
             NETWORK, or --tls with --tls-cert, --tls-key and --tls-client-ca, or both"
        );
        assert_eq!(line, awaited);
        // One address that is open is too many.
        refused(&with(&ports, &["--listen", "127.0.0.1", "--listen", open]));
    }
    let everywhere = RemoteHost::at(Ipv4Addr::UNSPECIFIED.into());
    let ports = everywhere.expect("two ports of all addresses");
    let command = command().args(ports.arguments());
    let adapter = command.args(["--allow", "127.0.0.0/8"]).start();
    adapter.wait_for_log(&["allowing 127.0.0.0/8"]);
    adapter.wait_for_log(&[" data 0.0.0.0:", ": listening"]);
    let mut only = Proxies::connected(&ports, "one").in_room();
    all_hear(from_mut(&mut only), 0, "from within");
}

#[test]
fn the_adapter_does_not_call_itself() {
    let ports = RemoteHost::new();
    let [metadata, data] = [Side::Metadata, Side::Data].map(|side| ports.address(side).port());
    let own = |host: &str| {
        let listen = ["--listen", "127.0.0.1", "--host", host];
        let line = refused(&with(&ports, &listen));
        assert!(
            line.ends_with(" is this adapter itself, by --listen"),
            "{line}"
        );
        line
    };
    let line = own("127.0.0.1");
    assert!(
        line.starts_with(&format!("127.0.0.1:{metadata} ")),
        "{line}"
    );
    own("localhost");
    // To no address in particular is to this host, and a number needs no name service.
    own("0.0.0.0");
    own("127.1");
    own(&format!("127.0.0.1:{metadata}:1"));
    own(&format!("127.0.0.1:1:{data}"));
    // The Proxies of one side, called on the port of the other.
    own(&format!("127.0.0.1:{data}:1"));
    own(&format!("127.0.0.1:1:{metadata}"));
    let any = [
        "--listen",
        "0.0.0.0",
        "--allow",
        "127.0.0.0/8",
        "--host",
        "127.0.0.7",
    ];
    let everywhere = RemoteHost::at(Ipv4Addr::UNSPECIFIED.into());
    let line = refused(&with(
        &everywhere.expect("two ports of all addresses"),
        &any,
    ));
    assert!(
        line.ends_with(" is this adapter itself, by --listen"),
        "{line}"
    );
    // Another address of this host with the same ports is another server's.
    let arguments = ["--listen", "127.0.0.1", "--host", "127.0.0.7"];
    let adapter = command().args(with(&ports, &arguments)).start();
    adapter.wait_for_log(&[" data 127.0.0.7:", "cannot connect"]);
}

#[test]
fn credentials_are_not_for_whoever_connects() {
    let (ports, files) = (RemoteHost::new(), Files::new());
    let words = "a user and a password are not for whoever connects: --listen with credentials needs --tls-client-ca";
    let given = ["--user", "user1", "--password", "sesame"];
    let line = refused(&[ports.arguments(), given.map(str::to_owned).to_vec()].concat());
    assert_eq!(line, words);
    let exit = command()
        .args(ports.arguments())
        .env("CHAT_ADAPTER_USER", "user1")
        .env("CHAT_ADAPTER_PASSWORD", "sesame")
        .run();
    assert_eq!(exit.code(), 1, "{exit}");
    assert!(exit.stderr.contains(words), "{exit}");

    // Those that come later change nothing.
    let command = command().args(ports.arguments());
    let adapter = command
        .env("CREDENTIALS_DIRECTORY", files.directory())
        .start();
    crate::cluster::await_listening(&adapter, &ports);
    files.write("chat-adapter.user", "user1");
    files.write("chat-adapter.password", "sesame");
    adapter.signal("HUP");
    adapter.wait_for_log(&["not reloaded", words]);
    assert_eq!(ports.connect(Side::Data).expect_rac().credentials, None);
    let mut only = Proxies::connected(&ports, "one").in_room();
    all_hear(from_mut(&mut only), 0, "served all the same");
}

#[test]
fn a_check_says_what_the_servers_need_and_takes_no_port() {
    let ports = RemoteHost::new();
    let _running = listening(&ports, &[]);
    let [metadata, data] = [Side::Metadata, Side::Data].map(|side| ports.address(side).port());
    let check = |more: &[&str]| command().arg("--check").args(with(&ports, more)).run();
    let exit = check(&[
        "--listen",
        "127.0.0.1",
        "--listen",
        "0.0.0.0",
        "--allow",
        "127.0.0.0/8",
        "--host",
        "ls2.invalid:9003:9001",
    ]);
    assert_eq!(exit.code(), 0, "{exit}");
    let places = format!(
        "metadata ls2.invalid:9003, data ls2.invalid:9001, metadata listening on 127.0.0.1:{metadata}, data \
         listening on 127.0.0.1:{data}, metadata listening on 0.0.0.0:{metadata}, data listening on \
         0.0.0.0:{data}, allowing 127.0.0.0/8, without TLS"
    );
    assert!(exit.stdout.contains(&places), "{exit}");
    let rest = "<param name=\"tls\">N</param> <param name=\"auth\">N</param>";
    for (side, port, own) in [("metadata", metadata, 9003), ("data", data, 9001)] {
        for parameters in [
            format!("<param name=\"request_reply_port\">{own}</param>"),
            format!(
                "<param name=\"remote_host\">127.0.0.1</param> <param name=\"request_reply_port\">{port}</param>"
            ),
            format!(
                "<param name=\"remote_host\">an address of this host</param> \
                 <param name=\"request_reply_port\">{port}</param>"
            ),
        ] {
            let line = format!("adapters.xml, {side}_provider: {parameters} {rest}\n");
            assert!(exit.stdout.contains(&line), "{line} in {exit}");
        }
    }
    // What several have in common is said once.
    let exit = check(&[
        "--listen",
        "127.0.0.1",
        "--host",
        "ls1.invalid",
        "--host",
        "ls2.invalid:9003:9001",
        "--host",
        "ls3.invalid",
    ]);
    assert_eq!(exit.code(), 0, "{exit}");
    let lines: Vec<_> = exit.stdout.lines().collect();
    for (n, line) in lines.iter().enumerate() {
        assert!(!lines[..n].contains(line), "{line} again in {exit}");
    }
    // What a start refuses a check refuses, too.
    let exit = check(&["--listen", "0.0.0.0"]);
    assert_eq!(exit.code(), 1, "{exit}");
    assert!(exit.stderr.contains("give --allow NETWORK"), "{exit}");
    let exit = check(&["--listen", "127.0.0.1", "--user", "u", "--password", "p"]);
    assert_eq!(exit.code(), 1, "{exit}");
    assert!(exit.stderr.contains("needs --tls-client-ca"), "{exit}");
    let exit = check(&["--listen", "127.0.0.1", "--host", "127.0.0.1"]);
    assert_eq!(exit.code(), 1, "{exit}");
    assert!(exit.stderr.contains("is this adapter itself"), "{exit}");
}
