//! The open sessions, and the way by which they outlive the adapter: a journal, where there is one.
//!
//! They belong to one instance of a Proxy. What a journal has kept is there from the start, and
//! counts if the Proxy that comes is the same.

use super::journal::{self, End, Place, Queue, Source, Unusable, Writer};
use super::label::label;
use super::sessions::Sessions;
use crate::ari::escape::Escaped;
use crate::ari::request::Request;
use crate::ari::text::Encoding;
use crate::provider::Fields;
use crossbeam_channel::{RecvTimeoutError, bounded};
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// How long the start waits for a journal to be read.
const LOAD: Duration = Duration::from_secs(5);

/// So many sessions are handed to the journal under one lock.
const SLICE: usize = 256;

/// The sessions of one Proxy.
#[derive(Debug, Default)]
pub struct SessionStore {
    kept: Mutex<Kept>,
    journal: Option<Queue>,
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    sessions: Sessions,
    /// The Proxy whose sessions these are.
    instance: Option<String>,
    /// How often that has changed.
    generation: u64,
    /// It is too late for a journal to be read.
    is_started: bool,
}

impl SessionStore {
    /// Sessions that a journal at `path` keeps. What is there of an earlier run is read first, within 5 s:
    /// if that takes longer, nothing is kept, the log says so, and the file is left alone.
    ///
    /// # Errors
    /// What is wrong with the file, beginning with its name. It is as it was then.
    pub fn with_journal(path: &Path) -> Result<Arc<SessionStore>, String> {
        let (queue, events) = journal::queue();
        let store = Arc::new(SessionStore {
            kept: Mutex::default(),
            journal: Some(queue),
        });
        let (ready, loaded) = bounded(1);
        let (path, owned) = (path.to_owned(), Arc::clone(&store));
        let name = Escaped(path.as_os_str().as_encoded_bytes()).to_string();
        let run = move || {
            let found = owned.load(&path);
            let place = found.map(|(place, kept)| owned.install(kept).then_some(place));
            let (place, told) = match place {
                Ok(place) => (place, Ok(())),
                Err(why) => (None, Err(why)),
            };
            let _ = ready.send(told); // nobody waits any more
            if let Some(place) = place {
                Writer::new(place, owned, events).run();
            }
        };
        let thread = thread::Builder::new().name("journal".into()).spawn(run);
        thread.map_err(|error| format!("no thread can be started: {error}"))?;
        match loaded.recv_timeout(LOAD) {
            Ok(told) => told.map(|()| store),
            Err(RecvTimeoutError::Timeout) if !store.start() => Ok(store),
            Err(_) => {
                log::warn!(
                    "{name} could not be read within {} s: it is left alone, and sessions are \
                     lost with the next end of the adapter",
                    LOAD.as_secs()
                );
                Ok(Arc::default())
            }
        }
    }

    /// Reads the journal.
    fn load(&self, path: &Path) -> Result<(Place, Kept), String> {
        let place = Place::lock(path)?;
        let mut kept = Kept::default();
        if let Some(mut file) = place.open()? {
            kept.load(&mut file, &place)?;
        }
        Ok((place, kept))
    }

    /// The sessions that were read are these, unless it is too late; says whether it is not.
    fn install(&self, read: Kept) -> bool {
        let mut kept = self.lock();
        let is_in_time = !kept.is_started;
        if is_in_time {
            *kept = read;
        }
        kept.is_started = true;
        is_in_time
    }

    /// No journal is waited for any longer; says whether none was read.
    fn start(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_started, true)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("a panic ends the process")
    }

    /// A Proxy says that it is this instance. Says whether it is the one whose sessions there are, and
    /// how many these are, or were.
    pub(super) fn begin(&self, instance: Option<String>) -> (bool, usize) {
        let mut kept = self.lock();
        let count = kept.sessions.len();
        if instance.is_some() && instance == kept.instance {
            return (true, count);
        }
        kept.sessions = Sessions::default();
        kept.instance = instance;
        kept.generation += 1;
        drop(kept);
        if let Some(journal) = &self.journal {
            journal.instance();
        }
        (false, count)
    }

    /// A session opened. Says how many there are.
    pub(super) fn open(
        &self,
        user: Option<&str>,
        id: &str,
        ip: Option<&str>,
        agent: Option<&str>,
    ) -> usize {
        let cut = [user, ip, agent].map(|text| text.map(label));
        let [user, ip, agent] = cut.each_ref().map(Option::as_deref);
        let mut kept = self.lock();
        kept.open(user, id, ip, agent);
        self.journal(kept, || {
            let mut wire = Vec::new();
            Encoding::Smart.put(agent, &mut wire);
            journal::opened(user, id, ip, Some(&wire))
        })
    }

    /// A session closed. Says how many there are.
    pub(super) fn close(&self, id: &str) -> usize {
        let mut kept = self.lock();
        kept.sessions.close(id);
        self.journal(kept, || journal::closed(id))
    }

    /// Appends to the journal, if there is one for these sessions, in the order in which they change.
    fn journal(&self, kept: MutexGuard<'_, Kept>, body: impl FnOnce() -> Option<Vec<u8>>) -> usize {
        let count = kept.sessions.len();
        if let Some(journal) = &self.journal
            && kept.instance.is_some()
            && let Some(body) = body()
        {
            let is_full = !journal.line(kept.generation, body);
            drop(kept);
            if is_full {
                log::warn!(
                    "the journal of sessions is not written fast enough: sessions are lost with \
                     the next end of the adapter, until it has been written anew"
                );
            }
        }
        count
    }

    /// Has the journal written out; says whether that was done by the deadline.
    pub fn finish(&self, deadline: Instant) -> bool {
        let journal = self.journal.as_ref();
        journal.is_none_or(|journal| journal.finish(deadline))
    }
}

impl Kept {
    /// What the messages of a session are labelled with, if it is known: its address and its nick.
    pub(super) fn get(&self, id: &str) -> Option<(&str, &Fields)> {
        self.sessions.get(id)
    }

    fn open(&mut self, user: Option<&str>, id: &str, ip: Option<&str>, agent: Option<&str>) {
        let ip = present(ip).unwrap_or("unknown");
        let nick = present(agent).or(present(user)).unwrap_or("unknown");
        self.sessions.open(id, ip, nick);
    }

    /// Reads a journal, and moves it aside where it is damaged.
    fn load(&mut self, journal: &mut impl Read, place: &Place) -> Result<(), String> {
        let name = place.name();
        let read = journal::load(journal, |request| match request {
            Request::NotifyNewSession {
                user,
                session,
                context,
            } => {
                let (ip, agent) = (context.get("REMOTE_IP"), context.get("USER_AGENT"));
                self.open(user.as_deref(), &session, ip.as_deref(), agent.as_deref());
            }
            Request::NotifySessionClose { session } => drop(self.sessions.close(&session)),
            _ => {}
        });
        let (instance, end) = read.map_err(|unusable| match unusable {
            Unusable::NoJournal => format!("{name} is no journal of sessions"),
            Unusable::Version(version) => {
                format!("{name} is a journal of version {version}, which this adapter cannot read")
            }
            Unusable::Read(error) => format!("{name}: {error}"),
        })?;
        self.instance = instance;
        let count = self.sessions.len();
        match end {
            End::Whole => log::info!("{name}: {count} sessions of an earlier run"),
            End::Damaged(line) => {
                let aside = place
                    .set_aside()
                    .map_err(|error| format!("{name}: {error}"))?;
                log::warn!(
                    "{name}: damaged in line {line}: {count} sessions of an earlier run stand \
                     before it, and the file is kept as {}",
                    Escaped(aside.as_os_str().as_encoded_bytes())
                );
            }
        }
        Ok(())
    }
}

/// What is neither missing nor empty.
fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

impl Source for SessionStore {
    fn instance(&self) -> (u64, Option<String>) {
        let kept = self.lock();
        (kept.generation, kept.instance.clone())
    }

    fn count(&self) -> usize {
        self.lock().sessions.len()
    }

    fn slice(&self, generation: u64, before: usize, put: &mut dyn FnMut(&[u8])) -> Option<usize> {
        let kept = self.lock();
        if kept.generation != generation {
            return None;
        }
        let before = before.min(kept.sessions.len());
        let from = before.saturating_sub(SLICE);
        for (id, ip, nick) in kept.sessions.range(from..before) {
            let agent = nick.as_wire().strip_prefix(b"|S|nick|S|");
            if let Some(body) = journal::opened(None, id, Some(ip), agent) {
                put(&body);
            }
        }
        Some(from)
    }
}
