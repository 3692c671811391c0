//! Signals, as something the main thread can wait for. It says what a signal asks for, and does not
//! know how that is done.

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::{flag, low_level::pipe};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
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
    /// Wakes [`wait`](Self::wait).
    waker: UnixStream,
}

impl Signals {
    /// Takes the signals over from their default actions. The second SIGTERM or SIGINT ends the
    /// process at once, with exit code 0.
    ///
    /// # Errors
    /// The system's, when there is no socket to be had.
    pub fn new() -> io::Result<Signals> {
        let (wakeup, waker) = UnixStream::pair()?;
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
            pipe::register(signal, waker.try_clone()?)?;
            raised.push((action, flag));
        }
        Ok(Signals {
            raised,
            wakeup,
            waker,
        })
    }

    /// Blocks until a signal comes. It is `None` after `timeout`, if there is one, and when work that
    /// was [begun](Self::begin) is done.
    ///
    /// # Errors
    /// The system's, when the socket cannot be read.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Option<Action>> {
        let action = self.take();
        if action.is_some() {
            return Ok(action);
        }
        self.wakeup.set_read_timeout(timeout)?;
        loop {
            return match self.wakeup.read(&mut [0; 64]) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => Ok(self.take()),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(None),
                    ErrorKind::Interrupted => continue,
                    _ => Err(error),
                },
            };
        }
    }

    fn take(&self) -> Option<Action> {
        let mut raised = self.raised.iter();
        let found = raised.find(|(_, flag)| flag.swap(false, Ordering::SeqCst));
        found.map(|(action, _)| *action)
    }

    /// Begins work that may block, in a thread of this name. What it gives can be received as soon
    /// as it is done, which ends a [`wait`](Self::wait).
    ///
    /// # Errors
    /// The system's, when there is no thread to be had.
    pub fn begin<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Receiver<T>> {
        let (done, outcome) = bounded(1);
        let mut waker = self.waker.try_clone()?;
        let thread = thread::Builder::new().name(name.into());
        thread.spawn(move || {
            // Nobody may be waiting any more.
            let _ = done.send(work());
            let _ = waker.write(&[0]);
        })?;
        Ok(outcome)
    }
}
