//! The end of a connection in good order: what was written arrives, and then the peer hears the
//! end.

use super::fate::{Fate, fate_of};
use super::transport::Transport;
use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// A peer that was told why it is left has this long to read it.
pub const LINGER: Duration = Duration::from_millis(700);

/// How long to leave a peer that is being waited for before looking again.
const PAUSE: Duration = Duration::from_millis(5);

/// Ends the stream. Says whether everything that was written has reached the peer's system, as
/// far as this one tells: if not, whoever reads there gets the rest only if nothing else happens.
///
/// A socket that is closed with bytes unread makes TCP take back what the peer has not read yet;
/// so what it sends meanwhile is read and dropped. If `deaf`, reading was given up before: then TCP
/// does the same to whatever comes in after the end of the stream, which therefore waits until all
/// has arrived, or for `deadline`.
pub fn farewell(transport: &Transport, deaf: bool, deadline: Instant) -> bool {
    let socket: &TcpStream = transport.socket();
    match transport.say_last_word() {
        // A peer that does not read: it has the more to wait for.
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(_) => return true, // nobody is left who could get anything
        Ok(()) => {}
    }
    let arrived = !deaf || wait_for_arrival(socket, deadline);
    if socket.shutdown(Shutdown::Write).is_ok() && arrived {
        hear_out(socket, deaf, Instant::now() + LINGER);
    }
    arrived
}

fn wait_for_arrival(mut socket: &TcpStream, deadline: Instant) -> bool {
    let mut rest = vec![0; 64 << 10];
    let began = Instant::now();
    let mut is_outstanding = false;
    loop {
        match fate_of(socket) {
            Some(Fate::Settled) => return true,
            // It is no more, and with it what was outstanding.
            None if socket.peer_addr().is_err() => return !is_outstanding,
            // The system does not tell.
            None if began.elapsed() >= LINGER => return true,
            None => {}
            Some(_) => is_outstanding = true,
        }
        if Instant::now() >= deadline {
            return false;
        }
        // With reading given up this does not wait, whether or not there is something.
        if !matches!(socket.read(&mut rest), Ok(1..)) {
            thread::sleep(PAUSE);
        }
    }
}

/// Reads until the peer has ended the stream as well.
fn hear_out(mut socket: &TcpStream, deaf: bool, until: Instant) {
    let mut rest = vec![0; 64 << 10];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match socket.read(&mut rest) {
            Ok(1..) => {}
            // This may be the peer's end or nothing at all. An address is what a connection loses
            // with its end.
            Ok(0) if deaf && socket.peer_addr().is_ok() => thread::sleep(PAUSE),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}
