//! A panic ends the process: a connection of which one thread is gone would look alive and serve
//! nobody.

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
