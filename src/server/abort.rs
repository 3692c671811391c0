//! A panic ends the process: a connection of which one thread is gone would look alive and serve
//! nobody.

use crate::ari::Side;
use std::io;
use std::process;
use std::thread;

/// Aborts the process when it is dropped by a panic. The panic's own text was written before.
#[derive(Debug)]
pub struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            process::abort();
        }
    }
}

/// Starts a thread for a connection of this side, whose panic ends the process.
///
/// # Errors
/// The system's, when there is no thread to be had.
pub fn spawn(side: Side, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(side.to_string());
    let run = || {
        let _abort = AbortOnPanic;
        run();
    };
    thread.spawn(run).map(drop)
}
