//! Stall detection: tells a peer that does not read from one that is gone.
//!
//! Both leave what was sent lying in the kernel. `TCP_USER_TIMEOUT` ends such a connection in
//! time, which is right for a host that lost its power and wrong for a server that is busy: its
//! kernel still answers, only its window is shut. The system says which of the two it is, and
//! the timeout is lifted for as long as a peer is merely slow. Where the system does not tell, the
//! timeout is a longer one.

use super::diagnosis::{Delivery, delivery_of, is_settled};
use super::heartbeat::Heartbeat;
use super::socket::UNACKNOWLEDGED;
use crate::provider::Connection;
use socket2::SockRef;
use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long after a write the state of the connection is looked at, and again until all has arrived.
/// Less than it takes [`UNACKNOWLEDGED`] to end a connection.
pub const CHECK_AFTER: Duration = Duration::from_secs(12);

/// A peer that leaves so many probes of its shut window unanswered, or so many repetitions of
/// what was sent, is gone.
const UNANSWERED: u8 = 3;

/// The timeout where the system does not tell whether a peer is slow or gone.
pub const UNDIAGNOSED: Duration = Duration::from_secs(120);

/// The timeout counts from the first repetition, which follows the first try within so long.
const FIRST_TRY: Duration = Duration::from_secs(1);

/// Updates within so short a time are counted together.
const TOGETHER: Duration = Duration::from_millis(100);

/// Said once: it is about this system, and not about a connection.
static IS_UNDIAGNOSED_LOGGED: AtomicBool = AtomicBool::new(false);

/// Watches one connection.
#[derive(Debug)]
pub struct StallDetector<'a> {
    socket: &'a TcpStream,
    connection: &'a Connection,
    /// Of the thread that writes.
    pub heartbeat: &'a Heartbeat,
    /// What is not acknowledged for so long ends the connection; `None` while the peer does not read.
    pub timeout: Option<Duration>,
    is_logged: bool,
    /// Updates that the system took and may not have brought to the peer, and when it took them.
    taken: VecDeque<(Instant, u64)>,
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
            timeout: Some(UNACKNOWLEDGED),
            is_logged: false,
            taken: VecDeque::new(),
        }
    }

    /// The system took so many updates.
    pub fn has_taken(&mut self, updates: u64) {
        if updates == 0 {
            return;
        }
        match self.taken.back_mut() {
            Some((at, count)) if at.elapsed() < TOGETHER => *count += updates,
            _ => self.taken.push_back((Instant::now(), updates)),
        }
        let is_old = |(at, _): &(Instant, u64)| at.elapsed() > UNDIAGNOSED + FIRST_TRY;
        while self.taken.front().is_some_and(is_old) {
            self.taken.pop_front();
        }
    }

    /// Updates that are lost when the timeout ends the connection now: those since it has counted,
    /// which came behind what was not acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        let since = self.timeout.unwrap_or(UNACKNOWLEDGED) + FIRST_TRY;
        let taken = self.taken.iter().filter(|(at, _)| at.elapsed() < since);
        taken.map(|(_, count)| count).sum()
    }

    /// Looks at the connection. Says whether all that was sent has arrived.
    pub fn check(&mut self) -> bool {
        self.heartbeat.beat();
        let delivery = delivery_of(self.socket);
        self.judge(&delivery);
        is_settled(&delivery)
    }

    fn judge(&mut self, delivery: &io::Result<Option<Delivery>>) {
        match delivery {
            Ok(Some(Delivery::WindowShut(probes))) if *probes < UNANSWERED => {
                if !self.is_logged {
                    self.is_logged = true;
                    self.connection.warn(format_args!(
                        "the Proxy has stopped reading; it is waited for"
                    ));
                }
                self.set_timeout(None);
            }
            // It reads, perhaps so slowly that the system goes on counting from when it stopped:
            // the timeout stays as it is until all has arrived.
            Ok(Some(Delivery::Unacknowledged(repeated))) if *repeated < UNANSWERED => {}
            Ok(Some(Delivery::Settled)) => {
                self.taken.clear();
                if self.is_logged {
                    self.is_logged = false;
                    self.connection.step(format_args!("the Proxy reads again"));
                }
                self.set_timeout(Some(UNACKNOWLEDGED));
            }
            Ok(_) => self.set_timeout(Some(UNACKNOWLEDGED)),
            Err(error) => {
                if !IS_UNDIAGNOSED_LOGGED.swap(true, Ordering::Relaxed) {
                    let seconds = UNDIAGNOSED.as_secs();
                    self.connection.warn(format_args!(
                        "the system does not tell whether a Proxy is slow or gone (sock_diag: \
                         {error}): one that takes nothing is given up after {seconds} s"
                    ));
                }
                // One that was seen to be slow is waited for.
                if self.timeout.is_some() {
                    self.set_timeout(Some(UNDIAGNOSED));
                }
            }
        }
    }

    fn set_timeout(&mut self, timeout: Option<Duration>) {
        if self.timeout != timeout {
            self.timeout = timeout;
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
            while detector.timeout.is_some() {
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
            assert_eq!(timeout(), Some(UNACKNOWLEDGED));
            socket.set_nonblocking(false).unwrap();
            socket.flush().unwrap();
        }
    }
    #[test]
    fn where_the_system_does_not_tell_the_timeout_is_longer() {
        let (socket, _peer) = pair("127.0.0.1");
        let connection = Connection::new("data".into());
        let heartbeat = Heartbeat::new(None);
        let mut detector = StallDetector::new(&socket, &connection, &heartbeat);
        let timeout = || SockRef::from(&socket).tcp_user_timeout().unwrap();
        let refused = || Err(io::Error::from_raw_os_error(libc::EPERM));
        detector.judge(&refused());
        assert_eq!(timeout(), Some(UNDIAGNOSED));
        // As soon as it tells, its word counts, until it does so again.
        detector.judge(&Ok(Some(Delivery::Settled)));
        assert_eq!(timeout(), Some(UNACKNOWLEDGED));
        detector.judge(&Ok(Some(Delivery::WindowShut(0))));
        detector.judge(&refused());
        assert_eq!(timeout(), None);
        detector.judge(&Ok(None));
        assert_eq!(timeout(), Some(UNACKNOWLEDGED));
    }
}
