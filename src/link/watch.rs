//! Tells a peer that does not read from one that is gone.
//!
//! Both leave what was sent lying in the kernel. `TCP_USER_TIMEOUT` ends such a connection in
//! time, which is right for a host that lost its power and wrong for a server that is busy: its
//! kernel still answers, only its window is shut. The system says which of the two it is, and
//! the timeout is lifted for as long as a peer is merely slow.

use super::pulse::Pulse;
use super::socket::UNACKNOWLEDGED;
use socket2::SockRef;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long after a write the state of the connection is looked at, and again until all is well.
/// Less than it takes [`UNACKNOWLEDGED`] to end a connection, and not often, since the system's
/// table may be long.
pub const LOOK_AFTER: Duration = Duration::from_secs(12);

/// A write that is kept waiting is interrupted so often for a look.
pub const LOOK_WHEN_KEPT: Duration = Duration::from_secs(5);

/// A peer that leaves so many probes of its shut window unanswered, or so many repetitions of
/// what was sent, is gone.
const UNANSWERED: u32 = 3;

/// What the system knows of bytes that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// All are acknowledged, or will be in a moment.
    Settled,
    /// They are on their way; so many times they were sent again.
    Unacknowledged(u32),
    /// The peer's window is shut; so many probes of it were not answered.
    WindowShut(u32),
}

/// Watches one connection.
#[derive(Debug)]
pub struct Watch<'a> {
    socket: &'a TcpStream,
    name: &'a str,
    /// Of the thread that watches.
    pulse: &'a Pulse,
    /// The timeout is lifted: the peer does not read.
    lifted: bool,
}

impl<'a> Watch<'a> {
    /// Watches `socket`; `name` is the connection's in the log.
    #[must_use]
    pub fn new(socket: &'a TcpStream, name: &'a str, pulse: &'a Pulse) -> Watch<'a> {
        Watch {
            socket,
            name,
            pulse,
            lifted: false,
        }
    }

    /// Looks at the connection. Says whether there is nothing left to watch for the moment.
    pub fn look(&mut self) -> bool {
        self.pulse.beat();
        let fate = fate_of(self.socket);
        match fate {
            Some(Fate::WindowShut(probes)) if probes < UNANSWERED => {
                if !self.lifted {
                    log::warn!(
                        "{}: the Proxy has stopped reading; it is waited for",
                        self.name
                    );
                    self.set(true);
                }
            }
            // It reads, perhaps so slowly that the system goes on counting from when it stopped:
            // the timeout stays as it is until all is well.
            Some(Fate::Unacknowledged(repeated)) if repeated < UNANSWERED => {}
            Some(Fate::Settled) => {
                if self.lifted {
                    log::info!("{}: the Proxy reads again", self.name);
                    self.set(false);
                }
            }
            // The timeout decides, as it does where the system does not tell.
            _ => self.set(false),
        }
        fate.is_none_or(|fate| fate == Fate::Settled)
    }

    fn set(&mut self, lifted: bool) {
        if self.lifted != lifted {
            self.lifted = lifted;
            let timeout = (!lifted).then_some(UNACKNOWLEDGED);
            // On a connection that is broken by now it does not matter any more.
            let _ = SockRef::from(self.socket).set_tcp_user_timeout(timeout);
        }
    }
}

/// Whether the peer's system has all that was sent, as far as this one tells.
#[must_use]
pub fn has_arrived(socket: &TcpStream) -> bool {
    fate_of(socket).is_none_or(|fate| fate == Fate::Settled)
}

/// Asks the system; `None` where it does not tell.
fn fate_of(socket: &TcpStream) -> Option<Fate> {
    let (local, peer) = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
    let table = match local {
        SocketAddr::V4(_) => "/proc/self/net/tcp",
        SocketAddr::V6(_) => "/proc/self/net/tcp6",
    };
    fate_in(BufReader::new(File::open(table).ok()?), local, peer)
}

/// Finds a connection in the system's table of them.
///
/// A line at a time: beside a busy server the table has a line for each of its clients.
fn fate_in(mut table: impl BufRead, local: SocketAddr, peer: SocketAddr) -> Option<Fate> {
    let (local, peer) = (in_table(local), in_table(peer));
    let mut line = String::new();
    while table.read_line(&mut line).ok()? > 0 {
        if let Some(fate) = fate_of_line(&line, &local, &peer) {
            return Some(fate);
        }
        line.clear();
    }
    None
}

/// The fate that a line tells, if it is about this connection.
fn fate_of_line(line: &str, local: &str, peer: &str) -> Option<Fate> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    if fields.next()? != local || fields.next()? != peer {
        return None;
    }
    let (unsent, _) = fields.nth(1)?.split_once(':')?;
    let (timer, _) = fields.next()?.split_once(':')?;
    let repeated = u32::from_str_radix(fields.next()?, 16).ok()?;
    let probes = fields.nth(1)?;
    Some(match timer {
        "04" => Fate::WindowShut(probes.parse().ok()?),
        _ if unsent.bytes().all(|digit| digit == b'0') => Fate::Settled,
        _ => Fate::Unacknowledged(repeated),
    })
}

/// An address as the table has it: 32 bits at a time, in the machine's own byte order.
fn in_table(address: SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = octets.chunks_exact(4);
    let words = words.map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    let ip: String = words.map(|word| format!("{word:08X}")).collect();
    format!("{ip}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpListener;

    /// A pair on loopback.
    fn pair(address: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (socket, listener.accept().unwrap().0)
    }

    #[test]
    fn the_table_is_read_as_the_system_writes_it() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F43 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:A001 0100007F:1F41 01 00000000:00000000 02:000003E8 00000000     0        0 2 2 0 20 4 30 10 -1
   2: 0100007F:A002 0100007F:1F41 01 0000FA00:00000000 01:00000014 00000003     0        0 3 2 0 20 4 30 10 -1
   3: 0100007F:A003 0100007F:1F41 01 0000FA00:00000000 04:00000014 00000000     0        2 4 2 0 20 4 30 10 -1";
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let fate = |port| fate_in(table.as_bytes(), local(port), local(8001));
        if cfg!(target_endian = "little") {
            assert_eq!(fate(0xA001), Some(Fate::Settled));
            assert_eq!(fate(0xA002), Some(Fate::Unacknowledged(3)));
            assert_eq!(fate(0xA003), Some(Fate::WindowShut(2)));
            assert_eq!(fate(0xA004), None);
        }
    }

    #[test]
    fn a_shut_window_is_told_and_passes() {
        for address in ["127.0.0.1", "::1"] {
            if TcpListener::bind((address, 0)).is_err() {
                continue; // a machine without that family
            }
            let (mut socket, mut peer) = pair(address);
            let pulse = Pulse::new(None);
            let mut watch = Watch::new(&socket, "data", &pulse);
            assert!(watch.look());
            // Until nothing goes in any more: then the peer's window is shut, or about to be.
            socket.set_nonblocking(true).unwrap();
            let mut sent = 0;
            while !watch.lifted {
                match (&socket).write(&[b'x'; 1 << 16]) {
                    Ok(count) => sent += count,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                watch.look();
            }
            let timeout = || SockRef::from(&socket).tcp_user_timeout().unwrap();
            assert_eq!(timeout(), None);
            let mut rest = vec![0; 1 << 16];
            while sent > 0 {
                sent -= peer.read(&mut rest).unwrap();
            }
            while !watch.look() {}
            assert!(!watch.lifted);
            assert_eq!(timeout(), Some(UNACKNOWLEDGED));
            socket.set_nonblocking(false).unwrap();
            socket.flush().unwrap();
        }
    }
}
