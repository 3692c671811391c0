//! Signals, as something the main thread can wait for. It says what a signal asks for, and does not
//! know how that is done.

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::{flag, low_level::pipe};
use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// SIGTERM, SIGINT: end.
    Stop,
    /// SIGUSR1: log the state.
    LogState,
    /// SIGHUP: read the credentials again.
    Reload,
}

const ACTIONS: [(i32, Action); 4] = [
    (SIGTERM, Action::Stop),
    (SIGINT, Action::Stop),
    (SIGUSR1, Action::LogState),
    (SIGHUP, Action::Reload),
];

/// Lets a write fail where a file has reached its size limit, instead of ending the process.
pub fn survive_size_limit() {
    // Nobody reads the flag: what counts is that the default action is gone. If it cannot be
    // replaced, only such a file is the worse for it.
    let _ = flag::register(SIGXFSZ, Arc::default());
}

/// The signals that came and were not yet handled.
#[derive(Debug)]
pub struct Signals {
    raised: Vec<(Action, Arc<AtomicBool>)>,
    wakeup: UnixStream,
}

impl Signals {
    /// Takes the signals over from their default actions. The second SIGTERM or SIGINT ends the
    /// process at once, with exit code 0.
    ///
    /// # Errors
    /// The system's, when there is no socket to be had.
    pub fn new() -> io::Result<Signals> {
        let (wakeup, writer) = UnixStream::pair()?;
        let mut raised = Vec::new();
        let is_ending = Arc::new(AtomicBool::new(false));
        for (signal, action) in ACTIONS {
            if action == Action::Stop {
                // In this order: the first signal only sets the flag.
                flag::register_conditional_shutdown(signal, 0, Arc::clone(&is_ending))?;
                flag::register(signal, Arc::clone(&is_ending))?;
            }
            let flag = Arc::new(AtomicBool::new(false));
            // In this order: after the wakeup the flag is set.
            flag::register(signal, Arc::clone(&flag))?;
            pipe::register(signal, writer.try_clone()?)?;
            raised.push((action, flag));
        }
        Ok(Signals { raised, wakeup })
    }

    /// Blocks until a signal comes. After `timeout`, if there is one, it is `None`.
    ///
    /// # Errors
    /// The system's, when the socket cannot be read.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Option<Action>> {
        self.wakeup.set_read_timeout(timeout)?;
        loop {
            let mut raised = self.raised.iter();
            if let Some((action, _)) = raised.find(|(_, flag)| flag.swap(false, Ordering::SeqCst)) {
                return Ok(Some(*action));
            }
            match self.wakeup.read(&mut [0; 64]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(None),
                    _ => return Err(error),
                },
            }
        }
    }
}
