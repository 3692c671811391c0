//! What the service manager is told by `sd_notify`: that the program is ready, how it is, that it
//! is alive. Without a service manager nobody is told and nobody wakes for it.

use crate::Adapter;
use sd_notify::NotifyState;
use std::time::Duration;

/// How often the status line is brought up to date.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Tells the service manager, if there is one.
#[derive(Debug)]
pub struct ServiceNotifier {
    is_managed: bool,
    /// After how much silence the service manager ends the process, if it does.
    watchdog: Option<Duration>,
    /// The status line that was sent last.
    status: String,
}

impl ServiceNotifier {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub fn from_env() -> ServiceNotifier {
        let is_managed = std::env::var_os("NOTIFY_SOCKET").is_some();
        ServiceNotifier {
            is_managed,
            watchdog: sd_notify::watchdog_enabled().filter(|_| is_managed),
            status: String::new(),
        }
    }

    /// How often each thread must show that it is alive; `None`: there is no watchdog.
    pub fn heartbeat(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 4)
    }

    /// How often to call [`update`](Self::update); `None`: never.
    pub fn interval(&self) -> Option<Duration> {
        let ping = self.watchdog.map_or(STATUS_EVERY, |watchdog| watchdog / 3);
        self.is_managed.then(|| ping.min(STATUS_EVERY))
    }

    /// Pings the watchdog, if all threads are alive, and sends the status line, if it is new.
    pub fn update(&mut self, adapter: &Adapter) {
        if !self.is_managed {
            return;
        }
        if self.watchdog.is_some() {
            match adapter.is_alive() {
                true => self.notify(&[NotifyState::Watchdog]),
                false => log::error!("a thread is stuck: the service manager is left to end this"),
            }
        }
        let status = adapter.state();
        if status != self.status {
            self.notify(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    /// The configuration is good and the threads run.
    pub fn ready(&self) {
        self.notify(&[NotifyState::Ready]);
    }

    /// Runs `reload` between the notifications that it begins and that it is done.
    pub fn reloading(&self, reload: impl FnOnce()) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.notify(&[NotifyState::Reloading, now]);
        }
        reload();
        self.ready();
    }

    /// The end was asked for.
    pub fn stopping(&self) {
        self.notify(&[NotifyState::Stopping]);
    }

    fn notify(&self, states: &[NotifyState<'_>]) {
        if self.is_managed
            && let Err(error) = sd_notify::notify(states)
        {
            log::debug!("the service manager cannot be told: {error}");
        }
    }
}
