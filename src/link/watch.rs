//! Tells a peer that does not read from one that is gone.
//!
//! Both leave what was sent lying in the kernel. `TCP_USER_TIMEOUT` ends such a connection in
//! time, which is right for a host that lost its power and wrong for a server that is busy: its
//! kernel still answers, only its window is shut. The system says which of the two it is, and
//! the timeout is lifted for as long as a peer is merely slow.

use super::fate::{Fate, fate_of};
use super::pulse::Pulse;
use super::socket::UNACKNOWLEDGED;
use super::steps::Steps;
use socket2::SockRef;
use std::net::TcpStream;
use std::time::Duration;

/// How long after a write the state of the connection is looked at, and again until all is well.
/// Less than it takes [`UNACKNOWLEDGED`] to end a connection.
pub const LOOK_AFTER: Duration = Duration::from_secs(12);

/// A write that is kept waiting is interrupted so often for a look.
pub const LOOK_WHEN_KEPT: Duration = Duration::from_secs(5);

/// A peer that leaves so many probes of its shut window unanswered, or so many repetitions of
/// what was sent, is gone.
const UNANSWERED: u8 = 3;

/// Watches one connection.
#[derive(Debug)]
pub struct Watch<'a> {
    socket: &'a TcpStream,
    steps: &'a Steps,
    /// Of the thread that watches.
    pulse: &'a Pulse,
    /// The timeout is lifted: the peer does not read.
    lifted: bool,
    /// The log was told so.
    told: bool,
}

impl<'a> Watch<'a> {
    /// Watches `socket`.
    #[must_use]
    pub fn new(socket: &'a TcpStream, steps: &'a Steps, pulse: &'a Pulse) -> Watch<'a> {
        Watch {
            socket,
            steps,
            pulse,
            lifted: false,
            told: false,
        }
    }

    /// Looks at the connection. Says whether there is nothing left to watch for the moment.
    pub fn look(&mut self) -> bool {
        self.pulse.beat();
        let fate = fate_of(self.socket);
        match fate {
            Some(Fate::WindowShut(probes)) if probes < UNANSWERED => {
                if !self.told {
                    self.told = true;
                    self.steps.trouble(format_args!(
                        "the Proxy has stopped reading; it is waited for"
                    ));
                }
                self.set(true);
            }
            // It reads, perhaps so slowly that the system goes on counting from when it stopped:
            // the timeout stays as it is until all is well.
            Some(Fate::Unacknowledged(repeated)) if repeated < UNANSWERED => {}
            Some(Fate::Settled) => {
                if self.told {
                    self.told = false;
                    self.steps.step(format_args!("the Proxy reads again"));
                }
                self.set(false);
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
    fn a_shut_window_is_told_and_passes() {
        for address in ["127.0.0.1", "::1"] {
            if TcpListener::bind((address, 0)).is_err() {
                continue; // a machine without that family
            }
            let (mut socket, mut peer) = pair(address);
            let (steps, pulse) = (Steps::new("data".into()), Pulse::new(None));
            let mut watch = Watch::new(&socket, &steps, &pulse);
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
