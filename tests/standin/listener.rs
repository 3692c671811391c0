//! Where a Proxy listens: a port that belongs to one test for as long as it wants it, whether it is
//! open or not.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::DEADLINE;
use super::connection::Connection;
use super::uninterrupted::uninterrupted;

/// A port of the loopback interface, open or closed.
///
/// A second socket, bound and never listening, holds the port: while the listener is closed,
/// connections to it are refused, and neither another test nor an outgoing connection can be given
/// the same number.
pub(crate) struct Listener {
    name: String,
    address: SocketAddr,
    _reservation: Vec<Socket>,
    receive_buffer: Option<usize>,
    open: Option<TcpListener>,
}

impl Listener {
    /// An open port of 127.0.0.1, given by the system. `name` appears in failures.
    pub(crate) fn bind(name: &str) -> Self {
        let mut listener = Self::bind_closed(name);
        listener.reopen();
        listener
    }

    /// A port of 127.0.0.1 that refuses connections until [`Listener::reopen`].
    pub(crate) fn bind_closed(name: &str) -> Self {
        let socket = socket_at((Ipv4Addr::LOCALHOST, 0).into()).expect("a port of 127.0.0.1");
        Self::holding(name, vec![socket])
    }

    /// The same of another address of this host, or `None` where the machine has not got it.
    pub(crate) fn bind_closed_at(name: &str, address: IpAddr) -> Option<Self> {
        let socket = socket_at((address, 0).into()).ok()?;
        Some(Self::holding(name, vec![socket]))
    }

    /// An open port of `::1`, or `None` where the machine has no IPv6 loopback.
    pub(crate) fn bind_ipv6(name: &str) -> Option<Self> {
        let socket = socket_at((Ipv6Addr::LOCALHOST, 0).into()).ok()?;
        let mut listener = Self::holding(name, vec![socket]);
        listener.reopen();
        Some(listener)
    }

    /// An open port of 127.0.0.1 whose number is refused on `::1`, for tests that say `localhost`.
    pub(crate) fn bind_localhost(name: &str) -> Self {
        loop {
            let socket = socket_at((Ipv4Addr::LOCALHOST, 0).into()).expect("a port of 127.0.0.1");
            let mut held = vec![socket];
            let port = local(&held[0]).port();
            match socket_at((Ipv6Addr::LOCALHOST, port).into()) {
                Ok(other) => held.push(other),
                Err(error) if error.kind() == ErrorKind::AddrInUse => continue,
                Err(_) => {} // no IPv6 here, so nothing to keep free
            }
            let mut listener = Self::holding(name, held);
            listener.reopen();
            return listener;
        }
    }

    fn holding(name: &str, reservation: Vec<Socket>) -> Self {
        Self {
            name: name.to_owned(),
            address: local(&reservation[0]),
            _reservation: reservation,
            receive_buffer: None,
            open: None,
        }
    }

    /// The address a Remote Adapter connects to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The host part of [`Listener::address`], as one gives it to `--host`.
    pub(crate) fn host(&self) -> IpAddr {
        self.address.ip()
    }

    /// The port part of [`Listener::address`].
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// From the next [`Listener::reopen`] on, the receive buffer of accepted connections is about
    /// so large, so that a Proxy that does not read is felt soon. (It has to be set before a
    /// connection exists.)
    pub(crate) fn set_receive_buffer(&mut self, bytes: usize) {
        self.receive_buffer = Some(bytes);
    }

    /// Stops listening: further connections are refused, those not accepted yet are reset.
    pub(crate) fn close(&mut self) {
        if let Some(open) = self.open.take() {
            // Closing the descriptor alone would not do: while a test beside this one starts a
            // process, that process holds a copy of it for a moment, which would go on listening.
            SockRef::from(&open)
                .shutdown(Shutdown::Both)
                .expect("a listening socket");
        }
    }

    /// Listens on the same port again.
    pub(crate) fn reopen(&mut self) {
        self.close();
        let socket = socket_at(self.address).expect("a second socket on the reserved port");
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes).expect("SO_RCVBUF");
        }
        socket.listen(128).expect("listen on the reserved port");
        // On a listening socket this bounds accept().
        socket.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        self.open = Some(socket.into());
    }

    /// Awaits a Remote Adapter.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub(crate) fn accept(&self) -> Connection {
        let open = self.open.as_ref().expect("a listener that is open");
        loop {
            match uninterrupted(|| open.accept()) {
                Ok((stream, _)) => return Connection::over_tcp(&self.name, stream),
                // Reset while it waited to be accepted: it never was a connection.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => panic!("no adapter came to the {} port: {error}", self.name),
            }
        }
    }
}

fn socket_at(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

fn local(socket: &Socket) -> SocketAddr {
    socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket())
        .expect("a bound socket has an address")
}
