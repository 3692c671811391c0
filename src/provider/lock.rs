//! How a lock is taken.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks what no panic leaves half done; one ends the process anyway, wherever it matters.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
