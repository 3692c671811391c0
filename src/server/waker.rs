//! The half of a socket that is read, by a thread that others can wake.
//!
//! To wake a reader by closing its half would make TCP answer whatever comes in after that with a
//! reset, and the peer would lose what it has not read yet.

use super::disconnect::Disconnect;
use crate::provider::lock;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::cell::Cell;
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Wakes the thread that waits for a socket, once and for good.
#[derive(Debug)]
pub struct Waker {
    event: OwnedFd,
    /// When the connection was opened.
    pub since: Instant,
    /// Somebody else has ended the connection.
    is_ended: AtomicBool,
    /// Why.
    reason: Mutex<Option<Disconnect>>,
}

impl Waker {
    /// One that has not been used yet.
    ///
    /// # Errors
    /// The system's, when there is no descriptor to be had.
    pub fn new() -> io::Result<Waker> {
        Ok(Waker {
            event: eventfd(0, EventfdFlags::CLOEXEC)?,
            since: Instant::now(),
            is_ended: AtomicBool::new(false),
            reason: Mutex::default(),
        })
    }

    /// From now on no read waits.
    pub fn wake(&self) {
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes()); // its counter is far from full
    }

    /// Waits until there is something to read on a socket, for so long at the most; `None`: for ever.
    /// Says whether there is.
    ///
    /// # Errors
    /// The system's; [`Interrupted`](io::ErrorKind::Interrupted) when this was woken.
    pub fn wait(&self, socket: &impl AsFd, timeout: Option<Duration>) -> io::Result<bool> {
        let timeout = timeout.and_then(|time| Timespec::try_from(time).ok());
        let mut waited = [socket.as_fd(), self.event.as_fd()]
            .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
        let ready = poll(&mut waited, timeout.as_ref())?;
        match waited[1].revents().is_empty() {
            true => Ok(ready > 0),
            false => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// Ends the connection from outside, for this reason.
    pub fn end(&self, reason: Disconnect) {
        *lock(&self.reason) = Some(reason);
        self.is_ended.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether somebody has ended the connection from outside.
    pub fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::SeqCst)
    }

    /// Takes the reason for which somebody has.
    pub fn take_reason(&self) -> Option<Disconnect> {
        lock(&self.reason).take()
    }
}

/// The half of a socket that is read.
#[derive(Debug)]
pub struct Source {
    socket: Arc<TcpStream>,
    waker: Arc<Waker>,
    /// How long a read may wait; `None`: for ever.
    timeout: Cell<Option<Duration>>,
}

impl Source {
    /// That of `socket`, whose reads end when `waker` is used.
    pub fn new(socket: Arc<TcpStream>, waker: Arc<Waker>) -> Source {
        Source {
            socket,
            waker,
            timeout: Cell::new(None),
        }
    }

    /// Wakes whoever reads.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// From now on a read waits so long at the most; `None`: for ever.
    pub fn set_timeout(&self, timeout: Option<Duration>) {
        self.timeout.set(timeout);
    }
}

/// A read that was woken ends with an error of kind `Interrupted`, one whose time is over with
/// `WouldBlock`. Nothing is lost by either.
impl Read for &Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.waker.wait(&*self.socket, self.timeout.get())? {
            true => (&*self.socket).read(out),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn a_read_ends_by_data_by_time_or_by_the_waker() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = Arc::new(listener.accept().unwrap().0);
        let waker = Arc::new(Waker::new().unwrap());
        let source = Source::new(socket, Arc::clone(&waker));
        source.set_timeout(Some(Duration::from_millis(1)));
        let mut out = [0; 8];
        let kind = |read: io::Result<usize>| read.unwrap_err().kind();
        assert_eq!(kind((&source).read(&mut out)), io::ErrorKind::WouldBlock);
        peer.write_all(b"line").unwrap();
        source.set_timeout(None);
        assert_eq!((&source).read(&mut out).unwrap(), 4);
        let woken = Arc::clone(&waker);
        let wakes = std::thread::spawn(move || woken.wake());
        assert_eq!(kind((&source).read(&mut out)), io::ErrorKind::Interrupted);
        wakes.join().unwrap();
        peer.write_all(b"more").unwrap();
        assert_eq!(kind((&source).read(&mut out)), io::ErrorKind::Interrupted);
    }
}
