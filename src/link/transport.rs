//! What carries the bytes of one connection: TCP as it is, or TLS over it.
//!
//! One thread reads and one writes, at the same time.

use super::lost::Lost;
use super::outlet::{Item, Queue};
use super::tls::Session;
use super::watch::Watch;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

/// How many batches go out in one system call at the most.
pub const SLICES: usize = 16;

/// An open connection.
#[derive(Debug)]
pub enum Transport {
    /// TCP.
    Plain(Arc<TcpStream>),
    /// TLS over it.
    Tls(Box<Session>),
}

impl Transport {
    /// The socket underneath.
    #[must_use]
    pub fn socket(&self) -> &Arc<TcpStream> {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(session) => session.socket(),
        }
    }

    /// The half that is read. What TLS has to answer on its own is announced to `queue`.
    #[must_use]
    pub fn reader<'a>(&'a self, queue: &'a Queue) -> Box<dyn Read + 'a> {
        match self {
            Transport::Plain(socket) => Box::new(&**socket),
            Transport::Tls(session) => Box::new(session.reader(|| queue.tell(Item::Flush))),
        }
    }

    /// Writes all of some batches, [`SLICES`] at the most, and what TLS owes the peer. Blocks
    /// while the peer does not read. `scratch` is for reuse.
    ///
    /// # Errors
    /// The system's, with the number of bytes that were taken before, as far as that is known.
    pub fn write(
        &self,
        batches: &[Vec<u8>],
        scratch: &mut Vec<u8>,
        watch: &mut Watch<'_>,
    ) -> Result<(), (usize, io::Error)> {
        match self {
            Transport::Plain(socket) => write_all(socket, batches, watch),
            Transport::Tls(session) => {
                scratch.clear();
                let sealed = session.seal(batches, scratch);
                sealed.map_err(|error| (0, error))?;
                let written = write_all(session.socket(), std::slice::from_ref(scratch), watch);
                written.map_err(|(_, error)| (0, error))
            }
        }
    }

    /// Says the last word: nothing more will be written.
    ///
    /// # Errors
    /// The system's; the connection was broken already then.
    pub fn finish(&self) -> io::Result<()> {
        match self {
            Transport::Plain(socket) => socket.shutdown(Shutdown::Write),
            Transport::Tls(session) => session.finish(),
        }
    }

    /// Puts an end into the words of TLS, if TLS is what it is about. `at_hello`: before the
    /// peer said anything.
    #[must_use]
    pub fn explain(&self, lost: Lost, at_hello: bool) -> Lost {
        let Transport::Tls(session) = self else {
            return lost;
        };
        let failure = match &lost {
            Lost::Broken { error, .. } => session
                .failure(error)
                .or_else(|| session.wants_certificate().filter(|_| at_hello)),
            Lost::ClosedAtHello { .. } => session.wants_certificate(),
            _ => None,
        };
        failure.map_or(lost, Lost::Tls)
    }
}

/// Writes all there is. Whenever the peer takes nothing for a while, the watch has a look.
fn write_all(
    mut socket: &TcpStream,
    batches: &[Vec<u8>],
    watch: &mut Watch<'_>,
) -> Result<(), (usize, io::Error)> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    for (slice, batch) in slices.iter_mut().zip(batches) {
        *slice = IoSlice::new(batch);
    }
    let mut rest = &mut slices[..batches.len()];
    let mut written = 0;
    // Drops what is empty, of which no write would ever report anything.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let result = match &*rest {
            [only] => socket.write(only),
            many => socket.write_vectored(many),
        };
        match result {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                watch.reads();
                written += count;
                IoSlice::advance_slices(&mut rest, count);
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    watch.look();
                }
                _ => return Err((written, error)),
            },
        }
    }
    Ok(())
}
