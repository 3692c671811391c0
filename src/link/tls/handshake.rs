//! The handshake: the one time when a single thread does it all.

use super::{Client, Failure, Stage};
use rustls::ClientConnection;
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(30);

/// After how much of it a person may begin to wonder.
const MENTION: Duration = Duration::from_secs(5);

/// How often the wait for the peer is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Shakes hands over a socket that blocks.
///
/// # Errors
/// [`Failure`], in the words of the person who has to mend it.
pub(super) fn shake(client: &Client, socket: &TcpStream) -> Result<ClientConnection, Failure> {
    let mut connection = client.connection()?;
    let mut heard = false;
    match drive(client, &mut connection, socket, &mut heard) {
        Ok(()) => Ok(connection),
        Err(error) => Err(client.failure(&error, Stage::Handshake).unwrap_or_else(|| {
            let perhaps = match heard {
                true => "",
                false => "; perhaps it speaks no TLS",
            };
            Failure::passing(match error.kind() {
                // The system's own is about TCP.
                io::ErrorKind::TimedOut if error.raw_os_error().is_none() => format!(
                    "the peer did not shake hands within {} s{perhaps}",
                    HANDSHAKE.as_secs()
                ),
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => {
                    format!("the peer closed the connection in the handshake{perhaps}")
                }
                _ => format!("the handshake broke: {error}"),
            })
        })),
    }
}

fn drive(
    client: &Client,
    connection: &mut ClientConnection,
    mut socket: &TcpStream,
    heard: &mut bool,
) -> io::Result<()> {
    let began = Instant::now();
    let mut mentioned = false;
    socket.set_read_timeout(Some(TICK))?;
    loop {
        while connection.wants_write() {
            connection.write_tls(&mut socket)?;
        }
        if !connection.is_handshaking() {
            return socket.set_read_timeout(None);
        }
        if began.elapsed() >= HANDSHAKE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if !mentioned && began.elapsed() >= MENTION {
            let (link, seconds) = (&client.link, MENTION.as_secs());
            let doubt = match *heard {
                true => "the peer is slow",
                false => "does the peer speak TLS?",
            };
            link.trouble(format_args!(
                "TLS: no handshake within {seconds} s; {doubt}"
            ));
            mentioned = true;
        }
        match connection.read_tls(&mut socket) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => *heard = true,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => continue,
                _ => return Err(error),
            },
        }
        if let Err(error) = connection.process_new_packets() {
            // The alert that tells the peer why; it may be past listening.
            let _ = connection.write_tls(&mut socket);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
}
