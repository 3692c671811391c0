//! A system call that waits, again when it was interrupted. On a socket with a timeout that happens without any
//! signal handler: it is enough that the machine or the process is paused for a moment (signal(7)).

use std::io::{ErrorKind, Result};

/// What the call comes to.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
