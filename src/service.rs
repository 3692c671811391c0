//! What a service manager is told (`sd_notify`). Without one, nothing is and nobody wakes for it.

use crate::Adapter;
use sd_notify::NotifyState;
use std::time::{Duration, Instant};

/// How often the status line is looked after.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// The service manager, if there is one.
#[derive(Debug)]
pub struct Manager {
    listens: bool,
    /// How often to be pinged at the least, if it wants to be.
    watchdog: Option<Duration>,
    pinged: Option<Instant>,
    status: String,
}

impl Manager {
    /// Finds out from the environment.
    #[must_use]
    pub fn find() -> Manager {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        Manager {
            listens,
            watchdog: sd_notify::watchdog_enabled().filter(|_| listens),
            pinged: None,
            status: String::new(),
        }
    }

    /// How often each thread must prove that it is alive, if anybody wants to know.
    #[must_use]
    pub fn pulse(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 4)
    }

    /// After what time to [`attend`](Self::attend) again; `None`: never.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        let ping = self.watchdog.map_or(STATUS_EVERY, |watchdog| watchdog / 3);
        self.listens.then(|| ping.min(STATUS_EVERY))
    }

    /// Pings the watchdog, if all threads are alive, and keeps the status line current.
    pub fn attend(&mut self, adapter: &Adapter) {
        if !self.listens {
            return;
        }
        if let Some(watchdog) = self.watchdog {
            let due = self.pinged.is_none_or(|at| at.elapsed() >= watchdog / 4);
            if !adapter.is_alive() {
                log::error!("a thread is stuck: the service manager is left to end this");
            } else if due {
                self.pinged = Some(Instant::now());
                self.tell(&[NotifyState::Watchdog]);
            }
        }
        let status = adapter.state();
        if status != self.status {
            self.tell(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    /// The configuration is good and the threads run.
    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// Runs `reload`, with word of it before and after.
    pub fn reloading(&self, reload: impl FnOnce()) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.tell(&[NotifyState::Reloading, now]);
        }
        reload();
        self.ready();
    }

    /// The end was asked for.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if self.listens
            && let Err(error) = sd_notify::notify(states)
        {
            log::debug!("the service manager cannot be told: {error}");
        }
    }
}
