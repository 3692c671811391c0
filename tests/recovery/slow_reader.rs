//! A Proxy that reads, but hardly: it is slow, and not gone. Whoever writes to it is not stuck.

use crate::setup::{SESSION, command};
use crate::standin::{
    Adapter, Connection, Encoding, Init, Listener, MetadataProxy, Session, Side, uninterrupted,
};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longer than it takes for what is not acknowledged to end a connection.
const SLOW_FOR: Duration = Duration::from_secs(24);

/// An adapter with both connections open, and the room subscribed. Nobody reads the data
/// connection on, and little fits into it.
pub(crate) fn accept_into_small_buffers() -> (Adapter, MetadataProxy, TcpStream) {
    let metadata = Listener::bind("metadata");
    let data = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let buffer = socket2::SockRef::from(&data).set_recv_buffer_size(4096);
    buffer.expect("a small receive buffer");
    let port = data.local_addr().expect("an address").port();
    let adapter = command()
        .args([
            "--host",
            "127.0.0.1",
            "--metadata_rrport",
            &metadata.port().to_string(),
        ])
        .args(["--data_rrport", &port.to_string()])
        // A watchdog whose pings go nowhere: a thread that seems to be stuck stands in the log.
        .env("NOTIFY_SOCKET", "/no/such/socket")
        .env("WATCHDOG_USEC", "2000000")
        .start();
    let mut connection = metadata.accept();
    connection.handshake(&Init::new(Side::Metadata));
    let metadata = MetadataProxy::new(connection, Encoding::Smart);
    let (stream, _) = data.accept().expect("a connection");
    let clone = stream.try_clone().expect("a second handle");
    let mut connection = Connection::over_tcp("data", clone);
    connection.handshake(&Init::new(Side::Data));
    connection.send_line("1c|SUB|S|chat_room");
    connection.expect_matching("EOS", |line| line.contains("|EOS|"));
    connection.expect("1c|SUB|V");
    (adapter, metadata, stream)
}

#[test]
fn a_proxy_that_reads_slowly_is_not_taken_for_gone() {
    let (adapter, mut metadata, mut stream) = accept_into_small_buffers();
    metadata.open(&Session::new(SESSION, "192.0.2.7", "agent"));
    let filler = "x".repeat(16 << 10);
    while metadata.say(SESSION, &filler).is_ok() {}
    let (_never, pace) = mpsc::channel::<()>();
    let start = Instant::now();
    let mut some = [0; 1024];
    while start.elapsed() < SLOW_FOR {
        let count = uninterrupted(|| stream.read(&mut some)).expect("a connection that is kept");
        assert!(count > 0, "{}", adapter.log());
        let _ = pace.recv_timeout(Duration::from_millis(300));
    }
    let log = adapter.log();
    assert!(!log.contains("are lost") && !log.contains("stuck"), "{log}");
}
