//! Signals, as something main can wait for.

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level::pipe};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// SIGTERM, SIGINT: end.
    End,
    /// SIGUSR1: say how things are.
    State,
    /// SIGHUP: read credentials and certificates again.
    Reload,
}

const WISHES: [(i32, Wish); 4] = [
    (SIGTERM, Wish::End),
    (SIGINT, Wish::End),
    (SIGUSR1, Wish::State),
    (SIGHUP, Wish::Reload),
];

/// The signals that came and were not yet looked at.
#[derive(Debug)]
pub struct Signals {
    flags: Vec<(Wish, Arc<AtomicBool>)>,
    pipe: UnixStream,
}

impl Signals {
    /// Takes the signals over from their default actions.
    ///
    /// # Errors
    /// The system's, when there is no pipe to be had.
    pub fn new() -> io::Result<Signals> {
        let (pipe, writer) = UnixStream::pair()?;
        let mut flags = Vec::new();
        let ending = Arc::new(AtomicBool::new(false));
        for (signal, wish) in WISHES {
            if wish == Wish::End {
                // In this order: the second of them ends the process on the spot, whatever its
                // threads wait for.
                flag::register_conditional_shutdown(signal, 0, Arc::clone(&ending))?;
                flag::register(signal, Arc::clone(&ending))?;
            }
            let raised = Arc::new(AtomicBool::new(false));
            // In this order: whoever is woken by the pipe finds the flag.
            flag::register(signal, Arc::clone(&raised))?;
            pipe::register(signal, writer.try_clone()?)?;
            flags.push((wish, raised));
        }
        Ok(Signals { flags, pipe })
    }

    /// Blocks until a signal comes, or until the time is over: then it is `None`.
    ///
    /// # Errors
    /// The system's, when the pipe cannot be read.
    pub fn wait(&mut self, time: Option<Duration>) -> io::Result<Option<Wish>> {
        self.pipe.set_read_timeout(time)?;
        loop {
            for (wish, raised) in &self.flags {
                if raised.swap(false, Ordering::SeqCst) {
                    return Ok(Some(*wish));
                }
            }
            match self.pipe.read(&mut [0; 64]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Ok(None),
                    _ => return Err(error),
                },
            }
        }
    }
}
