//! What the service manager is told by the protocol of `sd_notify`: that the program is ready, how
//! it is, that it is alive. Without a service manager nobody is told and nobody wakes for it.

use crate::ari::escape::Escaped;
use rustix::time::{ClockId, clock_gettime};
use std::env;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

/// Where the service manager listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// How often the status line is brought up to date.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// The same where there is no service manager: for what else is due from time to time.
const UNMANAGED: Duration = Duration::from_secs(60);

/// No watchdog is fed more often than one of this time would be.
const SHORTEST_WATCHDOG: Duration = Duration::from_millis(10);

/// Tells the service manager, if there is one. Nothing here waits for it: what it does not take at
/// once is dropped.
#[derive(Debug)]
pub struct ServiceNotifier {
    /// A socket in non-blocking mode, and where the service manager listens.
    manager: Option<(UnixDatagram, SocketAddr)>,
    /// After how much silence the service manager ends the process, if it does.
    watchdog: Option<Duration>,
    /// Whether it has yet to be told that the program is ready.
    owes_ready: bool,
    /// The status line that was sent last.
    status: String,
    /// Whether it was logged that something could not be sent.
    is_failure_logged: bool,
}

impl ServiceNotifier {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. What cannot be used counts as
    /// absent.
    pub fn from_env() -> ServiceNotifier {
        let name = env::var_os(SOCKET).filter(|name| !name.is_empty());
        let manager = name.and_then(|name| match connect(name.as_bytes()) {
            Ok(manager) => Some(manager),
            Err(error) => {
                let name = Escaped::of(&name);
                log::debug!("{SOCKET} is {name}, which cannot be used: {error}");
                None
            }
        });
        let variable = |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let watchdog = watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
        ServiceNotifier {
            watchdog: watchdog.filter(|_| manager.is_some()),
            manager,
            owes_ready: false,
            status: String::new(),
            is_failure_logged: false,
        }
    }

    /// How often each thread must show that it is alive; `None`: there is no watchdog.
    pub fn heartbeat(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 4)
    }

    /// How often to call [`update`](Self::update).
    pub fn interval(&self) -> Duration {
        match (&self.manager, self.watchdog) {
            (None, _) => UNMANAGED,
            (_, Some(watchdog)) => STATUS_EVERY.min(watchdog / 3),
            _ => STATUS_EVERY,
        }
    }

    /// Pings the watchdog, if all threads are alive, and sends what is new or was dropped before.
    pub fn update(&mut self, is_alive: bool, status: String) {
        if self.manager.is_none() {
            return;
        }
        if self.owes_ready {
            self.ready();
        }
        if self.watchdog.is_some() {
            if is_alive {
                self.notify("WATCHDOG=1\n");
            } else {
                log::error!("a thread is stuck: the service manager is left to end this");
            }
        }
        if status != self.status && self.notify(&format!("STATUS={status}\n")) {
            self.status = status;
        }
    }

    /// The configuration is good and the threads run, or a reload is done.
    pub fn ready(&mut self) {
        self.owes_ready = !self.notify("READY=1\n");
    }

    /// A reload begins.
    pub fn reloading(&mut self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
    }

    /// The end was asked for.
    pub fn stopping(&mut self) {
        self.notify("STOPPING=1\n");
    }

    /// Sends a notification, if somebody takes it at once; says whether that was so.
    fn notify(&mut self, text: &str) -> bool {
        let Some((socket, manager)) = &self.manager else {
            return true;
        };
        let sent = socket.send_to_addr(text.as_bytes(), manager);
        if let Err(error) = &sent
            && !self.is_failure_logged
        {
            self.is_failure_logged = true;
            log::debug!(
                "the service manager does not take a notification: {error}; it is dropped, and so \
                 is any other that is not taken"
            );
        }
        sent.is_ok()
    }
}

/// A socket to send from, and the address that goes by this name: the absolute path of a file, or
/// `@` and the name of an abstract socket.
fn connect(name: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(OsStr::from_bytes(name))?,
        _ => return Err(ErrorKind::InvalidInput.into()),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// The time of the watchdog, if it is meant for this process.
fn watchdog(micros: Option<String>, pid: Option<String>) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(process::id()));
    let micros = micros?.parse().ok().filter(|&micros| micros > 0 && is_ours);
    Some(Duration::from_micros(micros?).max(SHORTEST_WATCHDOG))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_that_makes_no_sense_is_none() {
        let own = process::id().to_string();
        for (micros, pid, expected) in [
            (Some("200000"), None, Some(Duration::from_millis(200))),
            (Some("1"), Some(&*own), Some(SHORTEST_WATCHDOG)),
            (Some("200000"), Some("1"), None),
            (Some("200000"), Some("x"), None),
            (Some("0"), None, None),
            (Some("-1"), None, None),
            (Some(""), None, None),
            (Some("2s"), None, None),
            (Some("18446744073709551616"), None, None),
            (None, Some(&*own), None),
        ] {
            let found = watchdog(micros.map(String::from), pid.map(String::from));
            assert_eq!(found, expected, "{micros:?} {pid:?}");
        }
    }

    #[test]
    fn names_that_no_socket_can_have_are_refused() {
        let long = [b"/", &[b'x'; 200][..]].concat();
        for name in [&long[..], b"notify", b"vsock:2:1", b"/a\0b"] {
            assert!(connect(name).is_err(), "{}", Escaped(name));
        }
    }
}
