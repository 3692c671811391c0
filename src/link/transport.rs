//! What carries the bytes of one connection: TCP as it is, or TLS over it.
//!
//! One thread reads and one writes, at the same time.

use super::lost::Lost;
use super::outlet::{Item, Queue, Rest};
use super::tls::{Session, Stage};
use super::watch::{LOOK_WHEN_KEPT, Watch};
use socket2::SockRef;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Instant;

/// How many batches go out in one system call at the most.
pub const SLICES: usize = 16;

/// No update is shorter, in bytes: its times and the names of its fields alone are longer.
const SHORTEST_UPDATE: usize = 96;

/// A buffer of ciphertext that has grown beyond this is not kept.
const SPARE_SIZE: usize = 2 << 20;

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

    /// Writes what can be written of `lines` without waiting.
    ///
    /// What is left is given back in the form in which it must leave, before anything else, with
    /// the number of bytes of `lines` that may have left. A broken connection takes nothing;
    /// whoever writes the rest finds out.
    pub fn try_write(&self, lines: &[u8], scratch: &mut Vec<u8>) -> (Vec<u8>, usize) {
        match self {
            Transport::Plain(socket) => {
                let taken = send_now(socket, lines);
                (lines[taken..].to_vec(), taken)
            }
            Transport::Tls(session) => {
                scratch.clear();
                if session.seal(lines, scratch).is_err() {
                    // There is no way to go on: the next who writes finds out.
                    let _ = session.socket().shutdown(Shutdown::Both);
                }
                let taken = send_now(session.socket(), scratch);
                let rest = scratch[taken..].to_vec();
                keep_if_small(scratch);
                // Ciphertext is longer than what is in it.
                (rest, taken.min(lines.len()))
            }
        }
    }

    /// Writes what [`try_write`](Self::try_write) left. Blocks while the peer does not read.
    ///
    /// # Errors
    /// The system's, with the number of bytes that were taken before.
    pub fn write_rest(
        &self,
        rest: &Vec<u8>,
        watch: &mut Watch<'_>,
    ) -> Result<(), (usize, io::Error)> {
        write_all(self.socket(), std::slice::from_ref(rest), watch)
    }

    /// How many updates of a rest are known not to have left, when so much of it was taken.
    #[must_use]
    pub fn updates_left(&self, rest: &Rest, taken: usize) -> u64 {
        let taken = &rest.bytes[..taken];
        let left = match self {
            Transport::Plain(_) => memchr::memchr_iter(b'\n', taken).count() as u64,
            // Each may be as short as an update can be.
            Transport::Tls(_) => (taken.len() / SHORTEST_UPDATE) as u64,
        };
        rest.updates.saturating_sub(left)
    }

    /// Writes all of some batches, [`SLICES`] at the most, and what TLS owes the peer. Blocks while
    /// the peer does not read. `scratch` is for reuse.
    ///
    /// # Errors
    /// The system's, with the number of bytes of the batches that may have left before.
    pub fn write(
        &self,
        batches: &[Vec<u8>],
        scratch: &mut Vec<u8>,
        watch: &mut Watch<'_>,
    ) -> Result<(), (usize, io::Error)> {
        let socket = self.socket();
        let Transport::Tls(session) = self else {
            return write_all(socket, batches, watch);
        };
        scratch.clear();
        // Where in the ciphertext each batch ends.
        let mut ends = [usize::MAX; SLICES];
        let sealed = batches.iter().zip(&mut ends).try_for_each(|(batch, end)| {
            session.seal(batch, scratch)?;
            *end = scratch.len();
            Ok(())
        });
        let sealed = sealed.and_then(|()| session.seal(&[], scratch));
        sealed.map_err(|error| (0, error))?;
        let written = write_all(socket, std::slice::from_ref(scratch), watch);
        keep_if_small(scratch);
        written.map_err(|(taken, error)| {
            // Ciphertext is longer than what is in it.
            let starts = [0].into_iter().chain(ends);
            let left = batches.iter().zip(starts);
            let left = left.map(|(batch, start)| taken.saturating_sub(start).min(batch.len()));
            (left.sum(), error)
        })
    }

    /// Says the last word, if there is one in the session: nothing more will be written.
    ///
    /// # Errors
    /// The system's; the connection was broken already then.
    pub fn say_last_word(&self) -> io::Result<()> {
        match self {
            Transport::Plain(_) => Ok(()),
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
        let stage = match at_hello {
            true => Stage::Hello,
            false => Stage::Service,
        };
        let failure = match &lost {
            Lost::Broken { error, .. } => session
                .failure(error, stage)
                .or_else(|| session.wants_certificate().filter(|_| at_hello)),
            // Who named a user is turned away for that, more likely.
            Lost::ClosedAtHello { user: None, .. } => session.wants_certificate(),
            _ => None,
        };
        failure.map_or(lost, Lost::Tls)
    }
}

fn keep_if_small(scratch: &mut Vec<u8>) {
    if scratch.capacity() > SPARE_SIZE {
        *scratch = Vec::new();
    }
}

/// Sends what the system takes at once; says how much that was.
fn send_now(socket: &TcpStream, bytes: &[u8]) -> usize {
    let socket = SockRef::from(socket);
    socket
        .send_with_flags(bytes, libc::MSG_DONTWAIT)
        .unwrap_or(0)
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
    let mut looked = Instant::now();
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
                written += count;
                IoSlice::advance_slices(&mut rest, count);
                // A peer may read so slowly that it never keeps a write waiting long enough.
                if !rest.is_empty() && looked.elapsed() >= LOOK_WHEN_KEPT {
                    looked = Instant::now();
                    watch.look();
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => {
                    watch.look();
                }
                _ => return Err((written, error)),
            },
        }
    }
    Ok(())
}
