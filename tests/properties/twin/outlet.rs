//! A connection that ends in memory: what was sent, in order, and as much room as a test wants there to be.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use chat_adapter::ari::handler::Outlet;

/// The way out of one connection.
#[derive(Default)]
pub(crate) struct Memory {
    sent: Mutex<Vec<u8>>,
    room: AtomicUsize,
    closed: AtomicBool,
}

impl Memory {
    /// With room for so many bytes of updates in each batch.
    pub(crate) fn with_room(room: usize) -> Self {
        let memory = Self::default();
        memory.set_room(room);
        memory
    }

    /// Changes how many bytes may be queued.
    pub(crate) fn set_room(&self, room: usize) {
        self.room.store(room, Ordering::Relaxed);
    }

    /// From now on nothing leaves.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// What was sent since it was taken last.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Outlet for Memory {
    fn free(&self) -> usize {
        self.room.load(Ordering::Relaxed)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn buffer(&self) -> Vec<u8> {
        Vec::new()
    }

    fn send(&self, lines: Vec<u8>) {
        let whole = lines.is_empty() || lines.ends_with(b"\r\n");
        assert!(whole, "half a line: {}", lines.escape_ascii());
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.extend_from_slice(&lines);
    }

    fn note(&self, _what: fmt::Arguments<'_>) {}

    fn warn(&self, _what: fmt::Arguments<'_>) {}
}
