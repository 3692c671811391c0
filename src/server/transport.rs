//! What carries the bytes of one connection: TCP as it is, or TLS over it.
//!
//! One thread reads and one writes, at the same time.

use super::disconnect::Disconnect;
use super::heartbeat::Heartbeat;
use super::outbox::{Batch, MAX_BATCHES};
use super::socket::CHECK_BLOCKED;
use super::stall::StallDetector;
use super::tls::{Session, Tls};
use crate::provider::{Connection, MAX_REUSABLE_SIZE};
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

/// An open connection.
#[derive(Debug)]
pub struct Transport {
    /// TCP.
    pub socket: Arc<TcpStream>,
    /// TLS over it, if it is wanted.
    pub tls: Option<Session>,
}

impl Transport {
    /// Opens a connection on a socket: by TLS, if it is wanted, which takes a handshake then.
    ///
    /// # Errors
    /// [`Disconnect::Tls`].
    pub fn open(
        socket: Arc<TcpStream>,
        tls: Option<&Tls>,
        connection: &Connection,
        heartbeat: &Heartbeat,
    ) -> Result<Transport, Disconnect> {
        let tls = tls.map(|tls| tls.open(Arc::clone(&socket), connection, heartbeat));
        let tls = tls.transpose().map_err(Disconnect::Tls)?;
        Ok(Transport { socket, tls })
    }

    /// What is read, given what comes in on the socket. `on_output` is called when TLS has something
    /// to send by itself.
    pub fn reader<'a>(
        &'a self,
        source: impl Read + 'a,
        on_output: impl FnMut() + 'a,
    ) -> Box<dyn Read + 'a> {
        match &self.tls {
            None => Box::new(source),
            Some(session) => Box::new(session.reader(source, on_output)),
        }
    }

    /// Writes all of some batches, [`MAX_BATCHES`] at the most, and what TLS has to send by itself.
    /// Blocks while the peer does not read. `ciphertext` is for reuse.
    ///
    /// # Errors
    /// The system's, with the number of updates that are known to be lost.
    pub fn write(
        &self,
        batches: &[Batch],
        ciphertext: &mut Vec<u8>,
        stall: &mut StallDetector<'_>,
    ) -> Result<(), (u64, io::Error)> {
        // Where each batch begins in what is written.
        let mut starts = [0; MAX_BATCHES];
        let written = match &self.tls {
            None => {
                let mut slices = [IoSlice::new(&[]); MAX_BATCHES];
                let mut at = 0;
                for ((batch, slice), start) in batches.iter().zip(&mut slices).zip(&mut starts) {
                    *slice = IoSlice::new(&batch.lines);
                    *start = at;
                    at += batch.lines.len();
                }
                write_all(&self.socket, &mut slices[..batches.len()], stall)
            }
            Some(session) => {
                ciphertext.clear();
                let mut sealed = Ok(());
                for (batch, start) in batches.iter().zip(&mut starts) {
                    *start = ciphertext.len();
                    sealed = sealed.and_then(|()| session.seal(&batch.lines, ciphertext));
                }
                let sealed = sealed.and_then(|()| session.seal(&[], ciphertext));
                let written = sealed.map_err(|error| (0, error)).and_then(|()| {
                    let slices = &mut [IoSlice::new(ciphertext)];
                    write_all(&self.socket, slices, stall)
                });
                if ciphertext.capacity() > MAX_REUSABLE_SIZE {
                    *ciphertext = Vec::new();
                }
                written
            }
        };
        written.map_err(|(taken, error)| {
            let lost = batches.iter().zip(starts).map(|(batch, start)| {
                // Ciphertext is longer than what is in it.
                let taken = usize::saturating_sub(taken, start).min(batch.lines.len());
                batch.lost_updates(taken)
            });
            (lost.sum(), error)
        })
    }

    /// Whether a session of TLS has encrypted as much as it may.
    pub fn is_limit_reached(&self) -> bool {
        self.tls.as_ref().is_some_and(Session::is_limit_reached)
    }

    /// Ends what is sent by TLS, if it is TLS.
    ///
    /// # Errors
    /// The system's.
    pub fn close_notify(&self) -> io::Result<()> {
        self.tls.as_ref().map_or(Ok(()), Session::finish)
    }

    /// Puts an end into the words of TLS, if TLS is what it is about. `is_opening`: before the
    /// peer said anything.
    pub fn explain(&self, reason: Disconnect, is_opening: bool) -> Disconnect {
        let Some(session) = &self.tls else {
            return reason;
        };
        let error = match &reason {
            Disconnect::Broken { error, .. } => session.explain(Some(error), is_opening),
            // Who named a user is refused for that, more likely.
            Disconnect::ClosedAtHello { user: None, .. } => session.explain(None, is_opening),
            _ => None,
        };
        error.map_or(reason, Disconnect::Tls)
    }
}

/// Writes all there is. Whenever the peer takes nothing for a while, the connection is looked at.
fn write_all(
    mut socket: &TcpStream,
    mut slices: &mut [IoSlice<'_>],
    stall: &mut StallDetector<'_>,
) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    let mut checked = Instant::now();
    // Drops what is empty, of which no write would ever report anything.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match socket.write_vectored(slices) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                written += count;
                stall.heartbeat.beat();
                IoSlice::advance_slices(&mut slices, count);
                // A peer may read so slowly that it never keeps a write waiting long enough.
                if !slices.is_empty() && checked.elapsed() >= CHECK_BLOCKED {
                    checked = Instant::now();
                    stall.check();
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => {
                    stall.check();
                }
                _ => return Err((written, error)),
            },
        }
    }
    Ok(())
}
