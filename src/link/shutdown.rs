//! The way to end: one request that every wait and every blocked read hears.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by main and the links.
#[derive(Debug)]
pub struct Shutdown {
    requested: AtomicBool,
    /// Dropped to wake everybody who waits on the other end.
    alive: Mutex<Option<Sender<()>>>,
    ended: Receiver<()>,
    /// The sockets of connections in service, which have something to say before they end.
    serving: Mutex<Vec<Arc<TcpStream>>>,
    left: (Sender<()>, Receiver<()>),
}

impl Default for Shutdown {
    fn default() -> Self {
        let (alive, ended) = bounded(0);
        Shutdown {
            requested: AtomicBool::new(false),
            alive: Mutex::new(Some(alive)),
            ended,
            serving: Mutex::default(),
            left: bounded(1),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shutdown {
    /// Whether the end was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Waits; says whether the end was requested meanwhile.
    #[must_use]
    pub fn wait(&self, time: Duration) -> bool {
        self.ended.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    /// Announces a connection in service, until what it returns is dropped.
    #[must_use]
    pub fn serving(self: &Arc<Self>, socket: &Arc<TcpStream>) -> Serving {
        lock(&self.serving).push(Arc::clone(socket));
        if self.is_requested() {
            stop_reading(socket);
        }
        Serving {
            shutdown: Arc::clone(self),
            socket: Arc::clone(socket),
        }
    }

    /// Requests the end: no connection reads on, nobody waits on.
    pub fn request(&self) {
        self.requested.store(true, Ordering::SeqCst);
        lock(&self.alive).take();
        for socket in lock(&self.serving).iter() {
            stop_reading(socket);
        }
    }

    /// Waits until every connection has said what it had to say; says whether that was before
    /// the deadline.
    #[must_use]
    pub fn finished(&self, deadline: Instant) -> bool {
        while !lock(&self.serving).is_empty() {
            if self.left.1.recv_deadline(deadline).is_err() {
                return false;
            }
        }
        true
    }
}

/// A blocked read returns then as if the peer had ended the stream.
fn stop_reading(socket: &TcpStream) {
    let _ = socket.shutdown(std::net::Shutdown::Read); // a broken one does not block
}

/// A connection in service.
#[derive(Debug)]
pub struct Serving {
    shutdown: Arc<Shutdown>,
    socket: Arc<TcpStream>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        lock(&self.shutdown.serving).retain(|socket| !Arc::ptr_eq(socket, &self.socket));
        let _ = self.shutdown.left.0.try_send(()); // one wake-up is enough
    }
}
