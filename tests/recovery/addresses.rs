//! A host's name: what the name service is asked, and which of several addresses is connected to.
//!
//! A name that means what a test wants, and a name service that does so, take namespaces of the
//! process's own; where they may not be made, the tests say so.

use crate::files::Files;
use crate::setup::Setup;
use crate::standin::{Command, Connection, DEADLINE, End, Init, Side, uninterrupted};
use socket2::{Domain, Socket, Type};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process;

/// Has `file` stand in the place of `target`, and runs the rest of the arguments.
const REPLACE: &str = r#"mount --bind "$1" "$2"; shift 2; exec "$@""#;

/// A network in which every packet to 198.51.100.2 vanishes.
const DARK: &str = "ip link add here type veth peer name there; \
    ip link set here up; ip link set there up; ip address add 198.51.100.1/24 dev here; \
    ip neighbor add 198.51.100.2 lladdr 02:00:00:00:00:02 dev here";

/// The adapter with a file of its own in the place of one of the system's, after some commands, in
/// namespaces that are asked for by `unshare`; `None` where that cannot be.
fn adapter_with(unshare: &str, setup: &str, file: &str, target: &str) -> Option<Command> {
    let script = format!("{setup}\n{REPLACE}");
    let arguments = [unshare, "sh", "-ec", &script, "sh"];
    let mut probe = process::Command::new("unshare");
    let probe = probe.args(arguments).arg(file).args([target, "true"]);
    if !probe.output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no namespaces can be made here");
        return None;
    }
    let command = Command::new("unshare").args(arguments).arg(file);
    Some(command.args([target, env!("CARGO_BIN_EXE_chat-adapter")]))
}

#[test]
fn it_ends_at_once_while_no_name_server_answers() {
    let files = Files::new();
    let servers = "nameserver 198.51.100.2\noptions timeout:30 attempts:5\n";
    let file = files.write("resolv.conf", servers);
    let Some(command) = adapter_with("-rmn", DARK, &file, "/etc/resolv.conf") else {
        return;
    };
    let adapter = command.args(["--host", "push.example.com"]).start();
    adapter.wait_for_log(&[" data ", "connecting"]);
    let is_looking_up = || {
        let threads = fs::read_dir(format!("/proc/{}/task", adapter.id())).expect("threads");
        let names = threads.flatten().map(|thread| thread.path().join("comm"));
        let names = names.flat_map(fs::read_to_string);
        names.filter(|name| name == "resolver\n").count() == 2
    };
    let start = std::time::Instant::now();
    while !is_looking_up() {
        assert!(
            start.elapsed() < crate::standin::DEADLINE,
            "{}",
            adapter.log()
        );
    }
    adapter.signal("TERM");
    let exit = adapter.wait();
    assert_eq!(exit.code(), 0);
    assert!(!exit.stderr.contains("resolved"), "{exit}");
}

/// Two servers, each on an address of its own, both of which are those of one name. A port is open from
/// when it listens.
struct Servers {
    metadata: [Socket; 2],
    data: [Socket; 2],
    files: Files,
}

impl Servers {
    const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];

    fn new() -> Servers {
        Servers {
            metadata: Servers::port(),
            data: Servers::port(),
            files: Files::new(),
        }
    }

    /// A port that is free on both.
    fn port() -> [Socket; 2] {
        let bind = |address: SocketAddr| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_read_timeout(Some(DEADLINE)).expect("a deadline");
            socket.bind(&address.into()).map(|()| socket)
        };
        loop {
            let first = bind((Servers::ADDRESSES[0], 0).into()).expect("a port");
            let address = first.local_addr().expect("its address");
            let port = address.as_socket().expect("its address").port();
            if let Ok(second) = bind((Servers::ADDRESSES[1], port).into()) {
                return [first, second];
            }
        }
    }

    /// The adapter that is told the name.
    fn adapter(&self) -> Option<Command> {
        let line = |address: Ipv4Addr| format!("{address} servers.example\n");
        let hosts = Servers::ADDRESSES.map(line).concat();
        let file = self.files.write("hosts", hosts);
        let ports = [&self.metadata, &self.data].map(|port| {
            let address = port[0].local_addr().expect("an address");
            let address = address.as_socket().expect("an address");
            address.port().to_string()
        });
        let command = adapter_with("-rm", "", &file, "/etc/hosts")?;
        let ports = ["--metadata_rrport", &ports[0], "--data_rrport", &ports[1]];
        Some(command.args(["--host", "servers.example"]).args(ports))
    }
}

fn open(port: &Socket) {
    port.listen(8).expect("an open port");
}

#[track_caller]
fn accept(port: &Socket) -> Connection {
    let (stream, _) = uninterrupted(|| port.accept()).expect("a connection");
    Connection::over_tcp("the adapter's", stream.into())
}

#[track_caller]
fn expect_nobody(port: &Socket) {
    port.set_nonblocking(true).expect("a socket");
    assert!(port.accept().is_err(), "a connection to {port:?}");
    port.set_nonblocking(false).expect("a socket");
}

fn init(side: Side, instance: &str) -> Init {
    Init::new(side).with("server.instance_id", instance)
}

#[test]
fn the_address_that_served_last_is_tried_first() {
    let servers = Servers::new();
    let Some(command) = servers.adapter() else {
        return;
    };
    let sides = [
        (Side::Metadata, &servers.metadata),
        (Side::Data, &servers.data),
    ];
    sides.iter().for_each(|(_, port)| open(&port[1]));
    let _adapter = command.start();
    let connections = sides.map(|(side, port)| {
        let mut connection = accept(&port[1]);
        connection.handshake(&Init::new(side));
        connection
    });
    sides.iter().for_each(|(_, port)| open(&port[0]));
    drop(connections);
    let _connections = sides.map(|(_, port)| accept(&port[1]));
    sides.iter().for_each(|(_, port)| expect_nobody(&port[0]));
}

#[test]
fn the_two_connections_go_to_one_server_though_the_name_stands_for_two() {
    let servers = Servers::new();
    let Some(command) = servers.adapter() else {
        return;
    };
    open(&servers.metadata[0]);
    open(&servers.data[1]);
    let adapter = command.start();
    let mut metadata = accept(&servers.metadata[0]);
    metadata.handshake(&init(Side::Metadata, "one"));
    adapter.wait_for_log(&[" metadata ", "serving"]);
    let mut data = accept(&servers.data[1]);
    data.expect_rac();
    data.send_line(init(Side::Data, "two").line());
    adapter.wait_for_log(&[" data ", "127.0.0.3:", "another server than 127.0.0.2:"]);
    // No answer: an error would be a failed init for that Proxy.
    assert!(matches!(data.expect_closed(), End::Closed));
    adapter.wait_for_log(&[" data ", "cannot connect to 127.0.0.2:"]);
    open(&servers.data[0]);
    let mut data = accept(&servers.data[0]);
    data.handshake(&init(Side::Data, "one"));
    expect_nobody(&servers.data[1]);
    // When the one is gone, the other is as good.
    drop(servers.metadata);
    metadata.close();
    servers.data[0]
        .shutdown(std::net::Shutdown::Both)
        .expect("a closed port");
    data.close();
    accept(&servers.data[1]).handshake(&init(Side::Data, "two"));
}

#[test]
fn a_connection_to_a_server_that_was_restarted_meanwhile_is_made_anew() {
    let first = |side| init(side, "one");
    let mut setup = Setup::with(&[], &first(Side::Metadata), &first(Side::Data));
    setup.data.connection.close();
    // Nobody ever tells the metadata connection, as after a power failure.
    setup.data = setup.server.meet_data(&init(Side::Data, "two"));
    let lost = "the server was restarted, as the init of data 127.0.0.1:";
    setup.adapter.wait_for_log(&["warn", " metadata ", lost]);
    setup.metadata.connection.expect_closed();
    setup.metadata = setup.server.meet_metadata(&init(Side::Metadata, "two"));
    setup.data.expect_silence();
}
