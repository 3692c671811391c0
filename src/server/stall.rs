//! Stall detection: tells a peer that does not read from one that is gone.
//!
//! Both leave what was sent lying in the kernel. `TCP_USER_TIMEOUT` ends such a connection in
//! time, which is right for a host that lost its power and wrong for a server that is busy: its
//! kernel still answers, only its window is shut. The system says which of the two it is, and
//! the timeout is lifted for as long as a peer is merely slow.

use super::diagnosis::{Delivery, delivery_of};
use super::heartbeat::Heartbeat;
use super::socket::UNACKNOWLEDGED;
use crate::provider::Connection;
use socket2::SockRef;
use std::net::TcpStream;
use std::time::Duration;

/// How long after a write the state of the connection is looked at, and again until all has arrived.
/// Less than it takes [`UNACKNOWLEDGED`] to end a connection.
pub const CHECK_AFTER: Duration = Duration::from_secs(12);

/// A peer that leaves so many probes of its shut window unanswered, or so many repetitions of
/// what was sent, is gone.
const UNANSWERED: u8 = 3;

/// Watches one connection.
#[derive(Debug)]
pub struct StallDetector<'a> {
    socket: &'a TcpStream,
    connection: &'a Connection,
    /// Of the thread that writes.
    pub heartbeat: &'a Heartbeat,
    /// The timeout is lifted: the peer does not read.
    is_lifted: bool,
    is_logged: bool,
}

impl<'a> StallDetector<'a> {
    /// Watches `socket`.
    pub fn new(
        socket: &'a TcpStream,
        connection: &'a Connection,
        heartbeat: &'a Heartbeat,
    ) -> StallDetector<'a> {
        StallDetector {
            socket,
            connection,
            heartbeat,
            is_lifted: false,
            is_logged: false,
        }
    }

    /// Looks at the connection. Says whether all that was sent has arrived.
    pub fn check(&mut self) -> bool {
        self.heartbeat.beat();
        let delivery = delivery_of(self.socket);
        match delivery {
            Some(Delivery::WindowShut(probes)) if probes < UNANSWERED => {
                if !self.is_logged {
                    self.is_logged = true;
                    self.connection.trouble(format_args!(
                        "the Proxy has stopped reading; it is waited for"
                    ));
                }
                self.lift_timeout(true);
            }
            // It reads, perhaps so slowly that the system goes on counting from when it stopped:
            // the timeout stays as it is until all has arrived.
            Some(Delivery::Unacknowledged(repeated)) if repeated < UNANSWERED => {}
            Some(Delivery::Settled) => {
                if self.is_logged {
                    self.is_logged = false;
                    self.connection.step(format_args!("the Proxy reads again"));
                }
                self.lift_timeout(false);
            }
            // The timeout decides, as it does where the system does not tell.
            _ => self.lift_timeout(false),
        }
        delivery.is_none_or(|delivery| delivery == Delivery::Settled)
    }

    fn lift_timeout(&mut self, is_lifted: bool) {
        if self.is_lifted != is_lifted {
            self.is_lifted = is_lifted;
            let timeout = (!is_lifted).then_some(UNACKNOWLEDGED);
            // On a connection that is broken by now it does not matter any more.
            let _ = SockRef::from(self.socket).set_tcp_user_timeout(timeout);
        }
    }
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
    fn a_shut_window_is_noticed_and_passes() {
        for address in ["127.0.0.1", "::1"] {
            if TcpListener::bind((address, 0)).is_err() {
                continue; // a machine without that family
            }
            let (mut socket, mut peer) = pair(address);
            let connection = Connection::new("data".into());
            let heartbeat = Heartbeat::new(None);
            let mut detector = StallDetector::new(&socket, &connection, &heartbeat);
            assert!(detector.check());
            // Until nothing goes in any more: then the peer's window is shut, or about to be.
            socket.set_nonblocking(true).unwrap();
            let mut sent = 0;
            while !detector.is_lifted {
                match (&socket).write(&[b'x'; 1 << 16]) {
                    Ok(count) => sent += count,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                detector.check();
            }
            let timeout = || SockRef::from(&socket).tcp_user_timeout().unwrap();
            assert_eq!(timeout(), None);
            let mut rest = vec![0; 1 << 16];
            while sent > 0 {
                sent -= peer.read(&mut rest).unwrap();
            }
            while !detector.check() {}
            assert!(!detector.is_lifted);
            assert_eq!(timeout(), Some(UNACKNOWLEDGED));
            socket.set_nonblocking(false).unwrap();
            socket.flush().unwrap();
        }
    }
}
