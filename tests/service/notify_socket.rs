//! The socket on which systemd is told how a service is. It knows the form of notifications and not their meaning.

use crate::standin::{DEADLINE, uninterrupted};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A socket that receives notifications.
pub(crate) struct NotifySocket {
    socket: UnixDatagram,
    /// The value of `NOTIFY_SOCKET`.
    pub(crate) address: OsString,
    /// What goes with it.
    directory: Option<PathBuf>,
}

impl NotifySocket {
    /// In a directory of its own.
    pub(crate) fn new() -> NotifySocket {
        let directory = std::env::temp_dir().join(unique_name());
        fs::create_dir(&directory).expect("a directory of its own");
        let path = directory.join("notify");
        NotifySocket {
            socket: UnixDatagram::bind(&path).expect("a socket"),
            address: path.into(),
            directory: Some(directory),
        }
    }

    /// Without a file, as systemd has it in some containers.
    pub(crate) fn new_abstract() -> NotifySocket {
        let name = unique_name();
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        NotifySocket {
            socket: UnixDatagram::bind_addr(&address).expect("a socket"),
            address: format!("@{name}").into(),
            directory: None,
        }
    }

    /// Sends to itself until there is room for nothing more.
    pub(crate) fn fill(&self) {
        let sender = UnixDatagram::unbound().expect("a socket");
        let path = self.directory.as_ref().expect("a path").join("notify");
        sender.connect(path).expect("a way to it");
        sender.set_nonblocking(true).expect("a mode");
        while sender.send(b"FILLING=1\n").is_ok() {}
    }

    /// The next notification, if one comes in time.
    pub(crate) fn next_within(&self, time: Duration) -> Option<String> {
        // Zero would mean for ever.
        let time = time.max(Duration::from_millis(1));
        let set = self.socket.set_read_timeout(Some(time));
        set.expect("a timeout that is not zero");
        let mut bytes = [0; 8192];
        match uninterrupted(|| self.socket.recv(&mut bytes)) {
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
        if let Some(directory) = &self.directory {
            // There would be nothing to do about a directory that does not go.
            let _ = fs::remove_dir_all(directory);
        }
    }
}

fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("chat-adapter-service-{}-{count}", std::process::id())
}
