//! The handshake: the one time when a single thread does it all.

use super::{Client, Failure};
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
    match drive(client, &mut connection, socket) {
        Ok(()) => Ok(connection),
        Err(error) => Err(client.failure(&error, true).unwrap_or_else(|| {
            Failure::passing(match error.kind() {
                io::ErrorKind::TimedOut => format!(
                    "the peer did not shake hands within {} s; perhaps it speaks no TLS",
                    HANDSHAKE.as_secs()
                ),
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => {
                    "the peer closed the connection in the handshake; perhaps it speaks no TLS"
                        .into()
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
            link.trouble(format_args!(
                "TLS: no handshake within {seconds} s; does the peer speak TLS?"
            ));
            mentioned = true;
        }
        match connection.read_tls(&mut socket) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted
                | io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut => continue,
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
