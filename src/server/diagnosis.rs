//! Socket diagnosis: what the system knows of the bytes that were sent on a connection.
//!
//! It is asked for one connection by netlink (`sock_diag(7)`), which costs the same however many
//! connections the host has; beside a busy server those are many.

use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// How far what was sent has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The peer's system has all of it.
    Settled,
    /// It is on its way; so many times it was sent again.
    Unacknowledged(u8),
    /// The peer's window is shut; so many probes of it were not answered.
    WindowShut(u8),
}

/// The system answers at once, or not at all.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The header of a netlink message: its length, type, flags, number and sender.
const HEADER: usize = 16;
/// A question about one connection, and where an answer has what matters here.
const REQUEST: usize = HEADER + 56;
const TIMER: usize = HEADER + 2;
const COUNT: usize = HEADER + 3;
const UNSENT: usize = HEADER + 60;

/// The type of a request about a socket, and of its answer.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// Connections in any state.
const ANY_STATE: u32 = u32::MAX;
/// The timer of a connection whose peer's window is shut.
const PROBING: u8 = 4;

/// Asks the system; `None` for a connection that is gone.
///
/// # Errors
/// Why the system does not tell, as under a filter of system calls.
pub fn delivery_of(socket: &TcpStream) -> io::Result<Option<Delivery>> {
    let delivery = match (socket.local_addr(), socket.peer_addr()) {
        (Ok(local), Ok(peer)) => ask(&request(local, peer)),
        _ => return Ok(None),
    };
    match delivery {
        Err(_) if socket.peer_addr().is_err() => Ok(None),
        delivery => delivery.map(Some),
    }
}

/// Whether all has arrived, or will not arrive any more, as far as the system tells.
pub fn is_settled(delivery: &io::Result<Option<Delivery>>) -> bool {
    !matches!(delivery, Ok(Some(delivery)) if *delivery != Delivery::Settled)
}

fn ask(request: &[u8]) -> io::Result<Delivery> {
    let protocol = Protocol::from(libc::NETLINK_INET_DIAG);
    let netlink = Socket::new(Domain::from(libc::AF_NETLINK), Type::DGRAM, Some(protocol))?;
    netlink.set_read_timeout(Some(TIMEOUT))?;
    netlink.send(request)?;
    let mut answer = [0; 1024];
    let length = (&netlink).read(&mut answer)?;
    read_answer(&answer[..length])
}

/// Asks for one connection by its addresses, in the machine's own byte order but for those.
fn request(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let (family, interface) = match local {
        SocketAddr::V4(_) => (libc::AF_INET, 0),
        SocketAddr::V6(local) => (libc::AF_INET6, local.scope_id()),
    };
    let mut out = Vec::with_capacity(REQUEST);
    out.extend_from_slice(&(REQUEST as u32).to_ne_bytes());
    out.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&[family as u8, libc::IPPROTO_TCP as u8, 0, 0]);
    out.extend_from_slice(&ANY_STATE.to_ne_bytes());
    out.extend_from_slice(&local.port().to_be_bytes());
    out.extend_from_slice(&peer.port().to_be_bytes());
    for address in [local.ip(), peer.ip()] {
        let mut field = [0; 16];
        match address {
            IpAddr::V4(ip) => field[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => field = ip.octets(),
        }
        out.extend_from_slice(&field);
    }
    out.extend_from_slice(&interface.to_ne_bytes());
    out.extend_from_slice(&[0xff; 8]); // whatever the socket's cookie is
    out
}

/// Reads an answer.
///
/// # Errors
/// The one that stands in it, or that it is something else.
fn read_answer(answer: &[u8]) -> io::Result<Delivery> {
    let field = |at: usize| answer.get(at..at + 4)?.try_into().ok();
    let is_a = |kind: u16| answer.get(4..6) == Some(&kind.to_ne_bytes());
    match (field(HEADER), field(UNSENT)) {
        (Some(code), _) if is_a(libc::NLMSG_ERROR as u16) => {
            Err(io::Error::from_raw_os_error(-i32::from_ne_bytes(code)))
        }
        (_, Some(unsent)) if is_a(SOCK_DIAG_BY_FAMILY) => {
            Ok(match (answer[TIMER], answer[COUNT]) {
                (PROBING, probes) => Delivery::WindowShut(probes),
                _ if unsent == [0; 4] => Delivery::Settled,
                (_, repeated) => Delivery::Unacknowledged(repeated),
            })
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_the_system_gives_it() {
        let answer = |kind: u16, timer: u8, count: u8, unsent: u32| {
            let mut answer = [0; 124];
            answer[4..6].copy_from_slice(&kind.to_ne_bytes());
            answer[18..20].copy_from_slice(&[timer, count]);
            answer[76..80].copy_from_slice(&unsent.to_ne_bytes());
            read_answer(&answer)
        };
        let is = |answer: io::Result<Delivery>, delivery| assert_eq!(answer.unwrap(), delivery);
        is(answer(20, 0, 0, 0), Delivery::Settled);
        is(answer(20, 2, 3, 0), Delivery::Settled);
        is(answer(20, 1, 3, 1), Delivery::Unacknowledged(3));
        is(answer(20, 4, 2, 1 << 24), Delivery::WindowShut(2));
        // An error has another type, and is short.
        let mut error = [0; 36];
        error[4] = 2;
        error[16..20].copy_from_slice(&(-libc::EOPNOTSUPP).to_ne_bytes());
        let error = read_answer(&error).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP));
        for something_else in [&[0; 36][..], &[]] {
            let error = read_answer(something_else).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_connection_that_is_gone_has_no_answer() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(delivery_of(&socket).unwrap(), Some(Delivery::Settled));
        socket.shutdown(std::net::Shutdown::Both).unwrap();
        drop(listener);
        assert_eq!(delivery_of(&socket).unwrap(), None);
    }
}
