//! What the program puts together: the chat, and the two connections that serve it.

use crate::ari::escape::Escaped;
use crate::chat::{ChatData, ChatMetadata, Room, SessionStore};
use crate::credentials::{Lookup, Sources};
use crate::server::file::When;
use crate::server::{DataProviderServer, MetadataProviderServer, Phase, Servers};
use crate::start_error::StartError;
use crate::time_zone;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So long the end waits for the sessions to be kept, beyond what it waits for anyway.
const JOURNAL: Duration = Duration::from_secs(1);

/// So many connections that do not serve are named in the line of the state.
const NAMED: usize = 4;

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the Proxies are, and how to connect to them.
    pub servers: Servers,
    /// `request_reply_port` of the Proxy Metadata Adapter.
    pub metadata_port: u16,
    /// `request_reply_port` of the Proxy Data Adapter.
    pub data_port: u16,
    /// Where to find credentials, for Proxies that demand them.
    pub credentials: Sources,
    /// The file that keeps the sessions while the adapter is away; `None`: `sessions` in the first
    /// directory of `STATE_DIRECTORY`, if there is one.
    pub state: Option<PathBuf>,
    /// How much to log; `None`: as the environment says.
    pub log: Option<log::LevelFilter>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            servers: Servers::builder(),
            metadata_port: 8003,
            data_port: 8001,
            credentials: Sources::default(),
            state: None,
            log: None,
        }
    }
}

/// What is run, in one line, without the password.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = &self.servers;
        let version = env!("CARGO_PKG_VERSION");
        let places = servers.places(self.metadata_port, self.data_port);
        write!(f, "chat-adapter {version}: {places}, {servers}")?;
        match self.state_file() {
            Some(path) => write!(f, ", sessions kept in {}", Escaped::of(&path)),
            None => f.write_str(", sessions not kept"),
        }
    }
}

impl Config {
    /// Where sessions are kept, if anywhere.
    pub(crate) fn state_file(&self) -> Option<PathBuf> {
        self.state_file_in(std::env::var_os("STATE_DIRECTORY"))
    }

    /// What is wrong with that file, as the error of a start; `why` begins with the file's name.
    pub(crate) fn no_state(&self, why: &str) -> StartError {
        let source = match self.state {
            Some(_) => "--state",
            None => "STATE_DIRECTORY:",
        };
        StartError::Other(format!("{source} {why}"))
    }

    /// The same with the directories that systemd gives, which may be several.
    fn state_file_in(&self, directories: Option<OsString>) -> Option<PathBuf> {
        self.state.clone().or_else(|| {
            let directories = directories?;
            let first = directories.as_bytes().split(|&byte| byte == b':').next()?;
            let first = Path::new(OsStr::from_bytes(first));
            first.is_absolute().then(|| first.join("sessions"))
        })
    }
}

/// A running adapter: its connections and the room between them.
pub struct Adapter {
    servers: Servers,
    metadata: MetadataProviderServer,
    data: DataProviderServer,
    room: Arc<Room>,
    store: Arc<SessionStore>,
    sources: Sources,
    /// What was warned of when the sources were last read.
    warned: Mutex<Vec<String>>,
}

impl Adapter {
    /// Starts both sides. They connect when their Proxies are there, in either order.
    ///
    /// # Errors
    /// [`StartError`], when credentials or certificates are no good, or when there is no thread
    /// to be had.
    pub fn start(config: Config) -> Result<Adapter, StartError> {
        let Lookup { warnings, .. } =
            read_credentials(&config.servers, &config.credentials, When::Start)?;
        log::info!("{config}");
        for warning in &warnings {
            log::warn!("{warning}");
        }
        let count = config.servers.count();
        let store = match config.state_file() {
            Some(path) => {
                SessionStore::with_journal(&path, count).map_err(|why| config.no_state(&why))?
            }
            None => Arc::new(SessionStore::new(count)),
        };
        let servers = config.servers;
        let room = Arc::new(Room::default());
        let local = time_zone::local();
        let (in_room, kept) = (Arc::clone(&room), Arc::clone(&store));
        let metadata = servers.metadata(config.metadata_port, move || {
            ChatMetadata::new(Arc::clone(&in_room), local.clone()).with_store(Arc::clone(&kept))
        })?;
        let in_room = Arc::clone(&room);
        let data = servers.data(config.data_port, move || {
            ChatData::new(Arc::clone(&in_room))
        })?;
        Ok(Adapter {
            servers,
            metadata,
            data,
            room,
            store,
            sources: config.credentials,
            warned: Mutex::new(warnings),
        })
    }

    /// Looks for the credentials again; connections to come use what is found.
    ///
    /// # Errors
    /// [`StartError`]; what was known before is used on then.
    pub fn reload(&self) -> Result<(), StartError> {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let Lookup { warnings, .. } = read_credentials(&self.servers, &self.sources, When::Reload)?;
        for warning in warnings.iter().filter(|w| !warned.contains(w)) {
            log::warn!("{warning}");
        }
        *warned = warnings;
        Ok(())
    }

    /// Requests the end and waits for it: what was answered is written out first. Says whether
    /// that was done within `timeout`.
    pub fn stop(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let lost = self.data.lost_updates();
        // What a Proxy does not take in time is given up before the time is over.
        let is_written = self.servers.stop(timeout) && self.data.lost_updates() == lost;
        if !self.store.finish(deadline.max(Instant::now() + JOURNAL)) {
            log::warn!(
                "the last sessions that opened or closed were not kept: the disk is too slow"
            );
        }
        is_written
    }

    /// Requests the end, and does not wait.
    pub fn request_stop(&self) {
        self.servers.request_stop();
    }

    /// What is due from time to time: sessions of servers that did not come back are dropped.
    pub fn tick(&self) {
        let count = self.store.expire(Instant::now());
        if count > 0 {
            log::info!("{count} sessions of servers that did not come back are dropped");
        }
    }

    /// Whether no thread has missed its heartbeat.
    pub fn is_alive(&self) -> bool {
        self.metadata.is_alive() && self.data.is_alive()
    }

    /// How things are, in one line.
    pub fn state(&self) -> String {
        let (metadata, data, room) = (&self.metadata, &self.data, &self.room);
        let room_is = match room.subscribers() {
            0 => "closed".into(),
            1 => "open".into(),
            count => format!("open on {count} servers"),
        };
        let mut state = format!(
            "{metadata}, {data}, {}, room {room_is}, messages {} relayed, {} refused, {} lost",
            self.store.count(),
            room.relayed(),
            room.refused(),
            data.lost_updates() + room.missed(),
        );
        let mut missing = [metadata.phases(), data.phases()].concat();
        missing.retain(|(_, phase)| !matches!(phase, Phase::Serving(_)));
        if !self.is_for_one() && !missing.is_empty() {
            let named = missing.iter().take(NAMED).map(|(name, _)| name.as_str());
            let named: Vec<_> = named.collect();
            state += &format!("; not serving: {}", named.join(", "));
            if missing.len() > NAMED {
                state += &format!(" and {} more", missing.len() - NAMED);
            }
        }
        state
    }

    /// A line for each connection, where [`state`](Self::state) only has sums.
    pub fn details(&self) -> Vec<String> {
        match self.is_for_one() {
            true => Vec::new(),
            false => [self.metadata.details(), self.data.details()].concat(),
        }
    }

    /// Whether there is one server and no other to come.
    fn is_for_one(&self) -> bool {
        self.servers.count() == Some(1)
    }
}

/// Reads the credentials for connections to come.
pub(crate) fn read_credentials(
    servers: &Servers,
    sources: &Sources,
    when: When,
) -> Result<Lookup, StartError> {
    let found = sources.find(|name| std::env::var_os(name), when)?;
    if servers.current_credentials().is_some() && found.credentials.is_none() {
        return Err(StartError::Other(
            "there were credentials, and now there are none".into(),
        ));
    }
    servers.guard(found.credentials.as_ref())?;
    servers.set_credentials(found.credentials.clone());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_kept_where_the_option_says_or_else_in_the_first_directory() {
        let kept = |state: Option<&str>, directories: Option<&str>| {
            let config = Config {
                state: state.map(PathBuf::from),
                ..Config::default()
            };
            let path = config.state_file_in(directories.map(OsString::from));
            path.map(|path| path.to_str().map(String::from))
        };
        let path = |path: &str| Some(Some(path.to_owned()));
        assert_eq!(kept(None, None), None);
        assert_eq!(kept(None, Some("")), None);
        assert_eq!(kept(None, Some("relative")), None);
        assert_eq!(kept(None, Some("/a:/b")), path("/a/sessions"));
        assert_eq!(kept(None, Some("/a b/")), path("/a b/sessions"));
        assert_eq!(kept(Some("x"), Some("/a")), path("x"));
    }
}
