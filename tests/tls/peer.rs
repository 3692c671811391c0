//! The server's end of TLS: a port, and connections of which a test sees every byte and every record, whoever opened
//! them. It must not know what is said over them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::standin::{Connection, DEADLINE, uninterrupted};

/// A port of this host, open for as long as the value lives. Nobody listens on the same port of the other family, so
/// that `localhost` leads here.
pub(crate) struct Port {
    socket: Socket,
    number: u16,
    _other_family: Option<Socket>,
}

/// The Lightstreamer Server's end of one connection, after the handshake; cheap to clone. Who opened it is the client of
/// TLS.
#[derive(Clone)]
pub(crate) struct Peer {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Mutex<rustls::Connection>,
    socket: TcpStream,
    /// Held from taking records to having written them, since they must leave in their order.
    order: Mutex<()>,
    /// What was read from the socket and not yet looked at.
    unfed: Mutex<Vec<u8>>,
}

impl Port {
    /// Opens one that the system picks.
    pub(crate) fn open() -> Self {
        Self::with_buffers(None)
    }

    /// The same, with sockets whose buffers are about so large in either direction.
    pub(crate) fn with_buffers(bytes: Option<usize>) -> Self {
        loop {
            let socket = bound((Ipv4Addr::LOCALHOST, 0).into()).expect("a port of 127.0.0.1");
            let address = socket
                .local_addr()
                .ok()
                .and_then(|address| address.as_socket());
            let number = address.expect("its address").port();
            let other_family = match bound((Ipv6Addr::LOCALHOST, number).into()) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => continue,
                other => other.ok(), // there may be no IPv6
            };
            if let Some(bytes) = bytes {
                socket.set_recv_buffer_size(bytes).expect("SO_RCVBUF");
                socket.set_send_buffer_size(bytes).expect("SO_SNDBUF");
            }
            return Self::listening(socket, number, other_family);
        }
    }

    /// A port of `::1`, where there is one.
    pub(crate) fn open_ipv6() -> Option<Self> {
        let socket = bound((Ipv6Addr::LOCALHOST, 0).into()).ok()?;
        let number = socket.local_addr().ok()?.as_socket()?.port();
        Some(Self::listening(socket, number, None))
    }

    fn listening(socket: Socket, number: u16, _other_family: Option<Socket>) -> Self {
        socket.listen(16).expect("to listen");
        socket.set_read_timeout(Some(DEADLINE)).expect("a deadline"); // for accepting, too
        Self {
            socket,
            number,
            _other_family,
        }
    }

    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Awaits a connection.
    #[track_caller]
    pub(crate) fn accept(&self) -> TcpStream {
        match uninterrupted(|| self.socket.accept()) {
            Ok((socket, _)) => {
                let socket = TcpStream::from(socket);
                socket.set_nodelay(true).expect("TCP_NODELAY");
                socket.set_read_timeout(Some(DEADLINE)).expect("a deadline");
                socket
                    .set_write_timeout(Some(DEADLINE))
                    .expect("a deadline");
                socket
            }
            Err(error) => panic!("nobody came to port {}: {error}", self.number),
        }
    }

    /// Awaits a connection and shakes hands, which must come to a good end.
    #[track_caller]
    pub(crate) fn meet(&self, config: &Arc<ServerConfig>) -> Peer {
        match self.try_meet(config) {
            Ok(peer) => peer,
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    /// Awaits a connection and shakes hands, which must fail; says how.
    #[track_caller]
    pub(crate) fn refuse(&self, config: &Arc<ServerConfig>) -> String {
        match self.try_meet(config) {
            Ok(_) => panic!("a handshake, where none should be"),
            Err(error) => error.to_string(),
        }
    }

    /// The same, after which the adapter is told the alert that goes with it.
    #[track_caller]
    pub(crate) fn refuse_and_tell(&self, config: &Arc<ServerConfig>) {
        let mut socket = self.accept();
        let mut connection = ServerConnection::new(Arc::clone(config)).expect("a configuration");
        let outcome = connection.complete_io(&mut socket);
        outcome.expect_err("a handshake, where none should be");
        while connection.wants_write() {
            connection.write_tls(&mut socket).expect("to write");
        }
    }

    #[track_caller]
    fn try_meet(&self, config: &Arc<ServerConfig>) -> io::Result<Peer> {
        let mut socket = self.accept();
        let mut connection = ServerConnection::new(Arc::clone(config)).expect("a configuration");
        connection.set_buffer_limit(None);
        while connection.is_handshaking() || connection.wants_write() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Peer::new(connection.into(), socket))
    }
}

/// A connection to an address, whoever is there.
#[track_caller]
pub(crate) fn called(address: SocketAddr) -> TcpStream {
    let socket = uninterrupted(|| TcpStream::connect(address)).expect("somebody who listens");
    socket.set_nodelay(true).expect("TCP_NODELAY");
    socket.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    socket
        .set_write_timeout(Some(DEADLINE))
        .expect("a deadline");
    socket
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// Reads the first record of a client, so that closing the connection is no reset.
#[track_caller]
pub(crate) fn expect_client_hello(socket: &mut TcpStream) {
    let mut head = [0; 5];
    socket.read_exact(&mut head).expect("a record");
    assert_eq!(head[..2], [0x16, 3], "not a handshake");
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    socket.read_exact(&mut body).expect("the whole record");
}

impl Peer {
    fn new(connection: rustls::Connection, socket: TcpStream) -> Self {
        Self {
            inner: Arc::new(Inner {
                connection: Mutex::new(connection),
                socket,
                order: Mutex::default(),
                unfed: Mutex::default(),
            }),
        }
    }

    /// Calls an address and shakes hands with whoever is there, who must go by this name. By TLS 1.3 that may end well
    /// before the other side has looked at a certificate.
    pub(crate) fn call(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> io::Result<Self> {
        let mut socket = called(address);
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let client = ClientConnection::new(Arc::clone(config), name);
        let mut connection = client.expect("a configuration");
        connection.set_buffer_limit(None);
        while connection.is_handshaking() || connection.wants_write() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Self::new(connection.into(), socket))
    }

    /// What is said over it. `name` appears in failures.
    pub(crate) fn connection(&self, name: &str) -> Connection {
        let socket = self.inner.socket.try_clone().expect("a descriptor");
        Connection::over(name, Box::new(self.clone()), Box::new(self.clone()), socket)
    }

    /// The socket underneath.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.inner.socket
    }

    /// What TLS knows.
    pub(crate) fn tls(&self) -> MutexGuard<'_, rustls::Connection> {
        lock(&self.inner.connection)
    }

    /// The server that the adapter asked for by name.
    pub(crate) fn server_name(&self) -> Option<String> {
        match &*self.tls() {
            rustls::Connection::Server(server) => server.server_name().map(str::to_owned),
            rustls::Connection::Client(_) => None,
        }
    }

    /// How many tickets the adapter gave away, for sessions to come.
    pub(crate) fn tickets(&self) -> u32 {
        match &*self.tls() {
            rustls::Connection::Client(client) => client.tls13_tickets_received(),
            rustls::Connection::Server(_) => 0,
        }
    }

    /// The records that carry these bytes, and whatever else is to be sent. They must be sent before any others.
    pub(crate) fn seal(&self, bytes: &[u8]) -> Vec<u8> {
        let mut tls = self.tls();
        tls.writer().write_all(bytes).expect("room without limit");
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).expect("room in memory");
        }
        records
    }

    /// Writes to the socket past TLS.
    #[track_caller]
    pub(crate) fn write_raw(&self, bytes: &[u8]) {
        self.socket().write_all(bytes).expect("to write");
    }

    /// Changes the keys that this side sends with, and asks the other side to change its own.
    pub(crate) fn update_keys(&self) {
        self.tls().refresh_traffic_keys().expect("TLS 1.3");
    }

    /// Sends what TLS has to say of its own.
    pub(crate) fn flush_records(&self) {
        let records = self.seal(&[]);
        self.write_raw(&records);
    }

    /// Says `close_notify`, and ends the stream.
    pub(crate) fn close_notify(&self) {
        self.tls().send_close_notify();
        self.flush_records();
        self.socket()
            .shutdown(Shutdown::Write)
            .expect("to end the stream");
    }

    /// Whether the other side has said `close_notify`.
    pub(crate) fn received_close_notify(&self) -> bool {
        let state = self.tls().process_new_packets();
        state.expect("a good session").peer_has_closed()
    }

    /// Reads from the socket once; what came must be records without any data. Not to be mixed with a `connection`
    /// that is in the middle of reading.
    #[track_caller]
    pub(crate) fn expect_record_without_data(&self) {
        let mut bytes = vec![0; 1 << 14];
        let count = read(self.socket(), &mut bytes).expect("a record");
        assert_ne!(count, 0, "a record was awaited, and the end came");
        let mut tls = self.tls();
        tls.read_tls(&mut &bytes[..count]).expect("room");
        let state = tls.process_new_packets().expect("a good record");
        assert_eq!(state.plaintext_bytes_to_read(), 0, "a record with data");
    }
}

impl Read for Peer {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut unfed = lock(&self.inner.unfed);
            let mut tls = self.tls();
            match tls.reader().read(out) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            if !unfed.is_empty() {
                let mut rest = &unfed[..];
                tls.read_tls(&mut rest)?;
                let taken = unfed.len() - rest.len();
                unfed.drain(..taken);
                tls.process_new_packets().map_err(io::Error::other)?;
                continue;
            }
            drop(tls);
            let mut bytes = vec![0; 1 << 14];
            let count = read(self.socket(), &mut bytes)?;
            unfed.extend_from_slice(&bytes[..count]);
            if count == 0 {
                self.tls().read_tls(&mut io::empty())?;
            }
        }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _order = lock(&self.inner.order);
        let records = self.seal(bytes);
        self.socket().write_all(&records)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(mut socket: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    uninterrupted(|| socket.read(bytes))
}
