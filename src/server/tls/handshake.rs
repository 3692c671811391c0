//! The handshake. One thread does it all, with a socket that nobody else uses yet.

use super::explain::Stage;
use super::{Endpoint, Role, TlsError};
use rustls::Connection;
use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// How long a handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// After so long a wait an operator may begin to wonder.
const LOG_AFTER: Duration = Duration::from_secs(5);

/// The longest wait for the peer before the clock is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Does the handshake. Afterwards reading from the socket waits without limit.
///
/// # Errors
/// [`TlsError`], after [`HANDSHAKE_TIMEOUT`] at the latest.
pub(super) fn handshake(endpoint: &Endpoint, socket: &TcpStream) -> Result<Connection, TlsError> {
    let mut connection = endpoint.start().map_err(TlsError::lasting)?;
    connection.set_buffer_limit(None); // batches are bounded before they come here
    let mut has_answered = false;
    let Err(error) = exchange(endpoint, &mut connection, socket, &mut has_answered) else {
        return Ok(connection);
    };
    let perhaps = match (has_answered, &endpoint.role) {
        (true, _) => "",
        (false, Role::Client(..)) => "; perhaps it speaks no TLS",
        (false, Role::Server { .. }) => {
            "; it said nothing, as a Proxy without tls=Y does, or a health check"
        }
    };
    let explained = endpoint.explain(&error, Stage::Handshake);
    Err(explained.unwrap_or_else(|| {
        TlsError::temporary(match error.kind() {
            // One of the system's own is about TCP.
            io::ErrorKind::TimedOut if error.raw_os_error().is_none() => {
                let seconds = HANDSHAKE_TIMEOUT.as_secs();
                format!("the peer did not shake hands within {seconds} s{perhaps}")
            }
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => {
                format!("the peer closed the connection in the handshake{perhaps}")
            }
            _ => format!("the handshake broke: {error}"),
        })
    }))
}

/// Sends and receives until the handshake is done. Not `complete_io` of `rustls`, which a peer that
/// sends a byte now and then would keep for hours.
fn exchange(
    endpoint: &Endpoint,
    connection: &mut Connection,
    mut socket: &TcpStream,
    has_answered: &mut bool,
) -> io::Result<()> {
    let start = Instant::now();
    // Of a server there is one at a time; whoever connects could fill the log.
    let mut is_logged = matches!(endpoint.role, Role::Server { .. });
    socket.set_read_timeout(Some(TICK))?;
    loop {
        while connection.wants_write() {
            connection.write_tls(&mut socket)?;
        }
        if !connection.is_handshaking() {
            return socket.set_read_timeout(None);
        }
        let (elapsed, seconds) = (start.elapsed(), LOG_AFTER.as_secs());
        if elapsed >= HANDSHAKE_TIMEOUT {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if !is_logged && elapsed >= LOG_AFTER {
            let doubt = match *has_answered {
                true => "the peer is slow",
                false => "does the peer speak TLS?",
            };
            let line = format_args!("TLS: no handshake within {seconds} s; {doubt}");
            endpoint.connection.warn(line);
            is_logged = true;
        }
        match connection.read_tls(&mut socket) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => *has_answered = true,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => continue,
                _ => return Err(error),
            },
        }
        if let Err(error) = connection.process_new_packets() {
            // The alert that tells the peer why. It may not be listening any more.
            let _ = connection.write_tls(&mut socket);
            linger(socket);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
}

/// Gives the peer time to read the alert: closed while it is still sending, the connection would be
/// reset, and the peer would know no reason.
fn linger(mut socket: &TcpStream) {
    let start = Instant::now();
    let mut dropped = [0; 4096];
    let _ = socket.shutdown(Shutdown::Write);
    while start.elapsed() < TICK && matches!(socket.read(&mut dropped), Ok(1..)) {}
}
