//! From a host's name to a TCP connection that notices when its peer is gone.

use super::disconnect::Disconnect;
use super::heartbeat::Heartbeat;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a resolver may take at the worst: some servers, asked twice each.
const RESOLVE: Duration = Duration::from_secs(60);

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

/// Connects to the first address of the host that answers.
///
/// # Errors
/// [`Disconnect::Resolve`] and [`Disconnect::Connect`].
pub fn connect(host: &str, port: u16, heartbeat: &Heartbeat) -> Result<TcpStream, Disconnect> {
    heartbeat.beat_before(RESOLVE);
    let mut failure = Disconnect::Resolve(io::Error::other("it has no address"));
    for address in resolve(host, port).map_err(Disconnect::Resolve)? {
        heartbeat.beat_before(CONNECT);
        let socket = TcpStream::connect_timeout(&address, CONNECT);
        match socket.and_then(|socket| prepare(socket, heartbeat)) {
            Ok(socket) if is_own_peer(&socket) => {
                failure = Disconnect::Connect(address, io::ErrorKind::ConnectionRefused.into());
            }
            Ok(socket) => return Ok(socket),
            Err(error) => failure = Disconnect::Connect(address, error),
        }
    }
    Err(failure)
}

/// The addresses of a host. `localhost` has some even where there is no resolver to ask, as in
/// an empty root directory.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(_) if host.eq_ignore_ascii_case("localhost") => Ok(vec![
            (Ipv4Addr::LOCALHOST, port).into(),
            (Ipv6Addr::LOCALHOST, port).into(),
        ]),
        Err(error) => Err(error),
    }
}

/// Whether TCP connected the socket to itself, which it does when nobody listens on a port that it
/// happens to choose for this end as well. Kept, it would take the port from the server.
fn is_own_peer(socket: &TcpStream) -> bool {
    match (socket.local_addr(), socket.peer_addr()) {
        (Ok(local), Ok(peer)) => local == peer,
        _ => false,
    }
}

fn prepare(socket: TcpStream, heartbeat: &Heartbeat) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    let options = SockRef::from(&socket);
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

    #[test]
    fn literals_of_both_families_resolve() {
        for (host, address) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")] {
            assert_eq!(resolve(host, 80).unwrap(), [address.parse().unwrap()]);
        }
    }

    #[test]
    fn a_name_without_address_is_an_error() {
        assert!(matches!(
            connect("no-such-host.invalid", 80, &Heartbeat::new(None)),
            Err(Disconnect::Resolve(_))
        ));
    }
}
