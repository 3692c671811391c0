//! The end of a connection in good order: what was written arrives, then the peer sees the end.

use super::diagnosis::{delivery_of, is_settled};
use super::transport::Transport;
use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// A peer that has everything has this long to end its side, too.
pub const LINGER: Duration = Duration::from_millis(700);

/// How often to look whether everything has arrived.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// Ends the stream. Says whether everything that was written has reached the peer's system, as
/// far as this one tells.
///
/// A socket that is closed with bytes unread makes TCP take back what the peer has not read yet;
/// so what it sends meanwhile is read and dropped, until it ends its side, or until `deadline`.
pub fn close(transport: &Transport, deadline: Instant) -> bool {
    let mut socket: &TcpStream = &transport.socket;
    match transport.close_notify() {
        // A peer that does not read: it has the more to wait for.
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(_) => return true, // nobody is left who could get anything
        Ok(()) => {}
    }
    if socket.shutdown(Shutdown::Write).is_err() {
        return true;
    }
    let began = Instant::now();
    let mut has_arrived = true;
    let mut dropped = vec![0; 64 << 10];
    if socket.set_read_timeout(Some(CHECK_EVERY)).is_err() {
        return true;
    }
    loop {
        match socket.read(&mut dropped) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                _ => return has_arrived,
            },
        }
        let now = Instant::now();
        if now >= began + LINGER || now >= deadline || !has_arrived {
            // Where the system does not tell, everything is taken for arrived.
            has_arrived = is_settled(&delivery_of(socket));
            if now >= deadline || (has_arrived && now >= began + LINGER) {
                return has_arrived;
            }
        }
    }
}
