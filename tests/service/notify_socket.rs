//! The socket on which systemd is told how a service is. It knows the form of notifications and not their meaning.

use crate::standin::DEADLINE;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A socket that receives notifications, in a directory of its own that goes with it.
pub(crate) struct NotifySocket {
    socket: UnixDatagram,
    directory: PathBuf,
}

impl NotifySocket {
    pub(crate) fn new() -> NotifySocket {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("chat-adapter-service-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).expect("a directory of its own");
        let socket = UnixDatagram::bind(directory.join("notify")).expect("a socket");
        NotifySocket { socket, directory }
    }

    /// The value of `NOTIFY_SOCKET`.
    pub(crate) fn address(&self) -> PathBuf {
        self.directory.join("notify")
    }

    /// The next notification, if one comes in time.
    pub(crate) fn next_within(&self, time: Duration) -> Option<String> {
        // Zero would mean for ever.
        let time = time.max(Duration::from_millis(1));
        let set = self.socket.set_read_timeout(Some(time));
        set.expect("a timeout that is not zero");
        let mut bytes = [0; 8192];
        match self.socket.recv(&mut bytes) {
            Ok(length) => Some(String::from_utf8_lossy(&bytes[..length]).into_owned()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("cannot receive: {error}"),
        }
    }

    /// The next notification.
    #[track_caller]
    pub(crate) fn next(&self) -> String {
        match self.next_within(DEADLINE) {
            Some(notification) => notification,
            None => panic!("no notification comes"),
        }
    }

    /// The next notification that is wanted; others are passed over.
    #[track_caller]
    pub(crate) fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        let mut others = Vec::new();
        while let Some(left) = DEADLINE.checked_sub(start.elapsed()) {
            match self.next_within(left) {
                Some(notification) if wanted(&notification) => return notification,
                Some(other) => others.push(other),
                None => {}
            }
        }
        panic!("what is awaited does not come, but: {others:#?}");
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // There would be nothing to do about a directory that does not go.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
