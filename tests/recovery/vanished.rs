//! A peer that is gone without a FIN, over a cable that is cut: needs network namespaces, and
//! says so where it may not make them.

use crate::setup::{AGENT, IP, SESSION};
use crate::standin::{
    Adapter, Command, Connection, DataProxy, Encoding, Init, MetadataProxy, Session, Side,
};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The longest that it may take to notice: half a minute, and what a busy machine adds.
const NOTICED: Duration = Duration::from_secs(35);

/// Addresses that are set aside for measurements: no real network has them. Each run has some of its own.
const NETWORK: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

/// A host of its own, joined to this one by a cable.
struct Host {
    name: String,
    /// The addresses of the two ends of the cable.
    here: Ipv4Addr,
    there: Ipv4Addr,
}

impl Host {
    fn new() -> Option<Host> {
        let own = NETWORK.to_bits() | (process::id() & 0x7fff) << 2;
        let [here, there] = [1, 2].map(|end| Ipv4Addr::from_bits(own | end));
        let host = Host {
            name: format!("ca{}", process::id()),
            here,
            there,
        };
        let (name, end) = (&host.name, format!("{}b", host.name));
        let commands = [
            format!("netns add {name}"),
            format!("link add {name}a type veth peer name {end} netns {name}"),
            format!("address add {here}/30 dev {name}a"),
            format!("link set {name}a up"),
            format!("-n {name} address add {there}/30 dev {end}"),
            format!("-n {name} link set {end} up"),
        ];
        commands.iter().all(|command| ip(command)).then_some(host)
    }

    /// Runs the adapter there.
    fn adapter(&self, arguments: &[&str]) -> (Adapter, [TcpListener; 2]) {
        let listeners = [(); 2].map(|()| TcpListener::bind((self.here, 0)).expect("a port"));
        let port = |n: usize| {
            listeners[n]
                .local_addr()
                .expect("an address")
                .port()
                .to_string()
        };
        let adapter = self
            .command()
            .args(["--host", &self.here.to_string()])
            .args(["--metadata_rrport", &port(0), "--data_rrport", &port(1)])
            .args(arguments)
            .start();
        (adapter, listeners)
    }

    fn command(&self) -> Command {
        let adapter = env!("CARGO_BIN_EXE_chat-adapter");
        Command::new("ip").args(["netns", "exec", &self.name, adapter])
    }

    /// Runs an adapter there to which these two have connected. All its ports are free.
    fn called_adapter(&self) -> (Adapter, [Connection; 2]) {
        let (there, allowed) = (self.there.to_string(), self.here.to_string());
        let adapter = self
            .command()
            .args(["--listen", &there, "--allow", &allowed])
            .args(["--keepalive", "0"])
            .start();
        let connections = [(Side::Metadata, 8003), (Side::Data, 8001)].map(|(side, port)| {
            let name = side.name();
            adapter.wait_for_log(&[&format!(" {name} {there}:{port}: listening")]);
            let stream = TcpStream::connect((self.there, port)).expect("a connection");
            let mut connection = Connection::over_tcp("vanishing", stream);
            connection.handshake(&Init::new(side));
            connection
        });
        (adapter, connections)
    }

    /// From now on nothing that the adapter sends to this port arrives.
    fn swallow(&self, port: u16) {
        let name = &self.name;
        assert!(ip(&format!(
            "-n {name} rule add ipproto tcp dport {port} blackhole"
        )));
    }

    fn cut_the_cable(&self) {
        assert!(ip(&format!("-n {0} link set {0}b down", self.name)));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        ip(&format!("link delete {}a", self.name));
        ip(&format!("netns delete {}", self.name));
    }
}

fn ip(arguments: &str) -> bool {
    let mut command = process::Command::new("ip");
    let command = command
        .args(arguments.split(' '))
        .stderr(process::Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn a_peer_that_vanishes_is_noticed_whether_or_not_something_is_said() {
    let Some(host) = Host::new() else {
        eprintln!("skipped: no network namespace can be made here");
        return;
    };
    let adapters = [&["--keepalive", "1000"], &["--keepalive", "0"]].map(|arguments| {
        let (adapter, listeners) = host.adapter(arguments);
        adapter.wait_for_log(&["metadata", "connected to"]);
        adapter.wait_for_log(&[" data 198", "connected to"]);
        let connections = [Side::Metadata, Side::Data].map(|side| {
            let (stream, _) = listeners[side as usize].accept().expect("a connection");
            let mut connection = Connection::over_tcp("vanishing", stream);
            connection.handshake(&Init::new(side));
            connection
        });
        adapter.wait_for_log(&["metadata", "serving"]);
        adapter.wait_for_log(&[" data ", "serving"]);
        (adapter, connections, listeners)
    });
    // One that is still waiting for the inits, of which nothing may be blamed on its credentials.
    let (opening, listeners) = host.adapter(&["--user", "user1", "--password", "secret"]);
    let unanswered = [Side::Metadata, Side::Data].map(|side| {
        let (stream, _) = listeners[side as usize].accept().expect("a connection");
        let mut connection = Connection::over_tcp("vanishing", stream);
        connection.expect_rac();
        connection
    });
    // One to which they have connected.
    let (called, _callers) = host.called_adapter();
    // What one of them accepts for a data connection that is gone.
    let [(chatting, [metadata, data], listeners), silent] = adapters;
    let mut data = DataProxy::new(data, Encoding::Smart);
    data.subscribe("chat_room");
    let mut metadata = MetadataProxy::new(metadata, Encoding::Smart);
    metadata.open(&Session::new(SESSION, IP, AGENT));
    let address = listeners[Side::Data as usize].local_addr();
    host.swallow(address.expect("an address").port());
    for text in ["one", "two", "three"] {
        metadata.say(SESSION, text).expect("success");
    }
    host.cut_the_cable();
    let cut = Instant::now();
    let (_never, ticks) = mpsc::channel::<()>();
    for adapter in [&chatting, &silent.0, &opening, &called] {
        for side in [" metadata ", " data "] {
            let is_lost = |line: &str| line.contains(side) && line.contains("lost while");
            while !adapter.log().lines().any(is_lost) {
                assert!(cut.elapsed() < NOTICED, "{side}: {}", adapter.log());
                let _ = ticks.recv_timeout(Duration::from_millis(50));
            }
        }
    }
    let lost = "at least 3 messages that were answered with success are lost";
    chatting.wait_for_log(&["warn", " data ", lost]);
    drop(unanswered);
}
