//! From a host's addresses to a TCP connection that notices when its peer is gone.

use super::disconnect::Disconnect;
use super::heartbeat::Heartbeat;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long each address of a host may take to answer.
const CONNECT: Duration = Duration::from_secs(5);

/// A peer that is silent for so long is asked whether it is there, then again at each interval.
/// With [`UNACKNOWLEDGED`] this notices within half a minute that a peer is gone, whether or not
/// anything is being said.
const PROBE_AFTER: Duration = Duration::from_secs(10);
const PROBE_INTERVAL: Duration = Duration::from_secs(3);
const PROBES: u32 = 5;

/// What was sent and is not acknowledged for so long never will be.
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(17);

/// A write that the peer keeps waiting is interrupted so often for a look at the connection.
pub const CHECK_BLOCKED: Duration = Duration::from_secs(5);

/// Connects to the first of a host's addresses that answers, and says which that was.
///
/// # Errors
/// [`Disconnect::Connect`], and [`Disconnect::Resolve`] when there is no address.
pub fn connect(
    addresses: &[SocketAddr],
    heartbeat: &Heartbeat,
) -> Result<(TcpStream, SocketAddr), Disconnect> {
    let mut failure = Disconnect::Resolve(io::Error::other("it has no address"));
    for &address in addresses {
        heartbeat.beat_before(CONNECT);
        let socket = TcpStream::connect_timeout(&address, CONNECT);
        match socket.and_then(|socket| prepare(socket, heartbeat)) {
            Ok(socket) => return Ok((socket, address)),
            Err(error) => failure = Disconnect::Connect(address, error),
        }
    }
    Err(failure)
}

/// Whether the system itself gave up the peer, which acknowledged nothing for too long. What it then
/// says may be why packets did not go out; what a peer does makes a reset or a broken pipe.
pub fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    error.raw_os_error().is_some() && !matches!(error.kind(), ConnectionReset | BrokenPipe)
}

/// Whether TCP connected the socket to itself, which it does when nobody listens on a port that it
/// happens to choose for this end as well. Kept, it would take the port from the server.
fn is_own_peer(socket: &TcpStream) -> bool {
    let ends = (socket.local_addr(), socket.peer_addr());
    matches!(ends, (Ok(local), Ok(peer)) if local == peer)
}

/// Sets the options of a socket that was just connected.
///
/// # Errors
/// The system's; a connection to itself counts as refused.
pub fn prepare(socket: TcpStream, heartbeat: &Heartbeat) -> io::Result<TcpStream> {
    let options = SockRef::from(&socket);
    if is_own_peer(&socket) {
        // By a reset: TCP would hold the port for a minute more otherwise.
        options.set_linger(Some(Duration::ZERO))?;
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_INTERVAL)
        .with_retries(PROBES);
    options.set_tcp_keepalive(&keepalive)?;
    options.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    // A writer that is kept waiting checks the connection in between, and gives its heartbeat.
    socket.set_write_timeout(Some(heartbeat.at_most(CHECK_BLOCKED)))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn the_address_is_the_one_that_was_dialled_though_the_peer_has_reset() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let dialled = listener.local_addr().unwrap();
        let (mut socket, address) = connect(&[dialled], &Heartbeat::new(None)).unwrap();
        let peer = listener.accept().unwrap().0;
        SockRef::from(&peer)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(peer);
        let _ = socket.read(&mut [0]); // waits for the reset
        let error = socket.peer_addr().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        assert_eq!(address, dialled);
    }

    #[test]
    fn a_socket_that_is_its_own_peer_leaves_its_port_to_the_server() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let local: SocketAddr = local.parse().unwrap();
            let socket = || Socket::new(Domain::for_address(local), Type::STREAM, None).unwrap();
            let own = socket();
            if own.bind(&local.into()).is_err() {
                continue; // a machine without that family
            }
            let address = own.local_addr().unwrap();
            own.connect(&address).unwrap();
            let error = prepare(own.into(), &Heartbeat::new(None)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            // Without SO_REUSEADDR nothing may be left of that socket.
            socket().bind(&address).unwrap();
        }
    }
}
