//! A Proxy's port, which is closed and opened as servers come and go.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::standin::Listener;

/// The receive buffer of the connections: so small that a Proxy which does not read is felt soon.
const RECEIVE_BUFFER: usize = 128 << 10;

/// A port of 127.0.0.1 that is this run's for as long as it takes.
pub(crate) struct Port {
    reserved: Listener,
    open: Option<TcpListener>,
}

impl Port {
    /// One that the system gives; it refuses connections yet.
    pub(crate) fn reserve(name: &str) -> Self {
        Self {
            reserved: Listener::bind_closed(name),
            open: None,
        }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.reserved.address()
    }

    /// Takes connections from now on.
    pub(crate) fn open(&mut self) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("SO_REUSEADDR");
        socket
            .set_recv_buffer_size(RECEIVE_BUFFER)
            .expect("SO_RCVBUF");
        socket
            .bind(&SockAddr::from(self.address()))
            .expect("the reserved port");
        socket.listen(16).expect("the reserved port");
        socket.set_nonblocking(true).expect("O_NONBLOCK");
        self.open = Some(socket.into());
    }

    /// Refuses connections from now on; those not accepted yet are reset.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// A connection, if one comes in time.
    pub(crate) fn accept(&self, time: Duration) -> Option<TcpStream> {
        let open = self.open.as_ref().expect("an open port");
        wait_for(open, PollFlags::IN, time);
        Some(open.accept().ok()?.0)
    }
}

/// Waits until a socket is ready; yields for what.
pub(crate) fn wait_for(
    socket: &impl std::os::fd::AsFd,
    flags: PollFlags,
    time: Duration,
) -> PollFlags {
    let time = Timespec::try_from(time).expect("a time that is not beyond all bounds");
    let mut fds = [PollFd::new(socket, flags)];
    match poll(&mut fds, Some(&time)) {
        Ok(_) => fds[0].revents(),
        Err(_) => PollFlags::empty(), // interrupted
    }
}
