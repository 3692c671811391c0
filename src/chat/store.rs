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
use crossbeam_channel::bounded;
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
    /// These are the sessions to start with: it is too late for others.
    is_started: bool,
}

impl SessionStore {
    /// Sessions that a journal at `path` keeps. What is there of an earlier run is read first, within 5 s:
    /// if that takes longer, nothing is kept, the log says so, and the file is left alone.
    ///
    /// # Errors
    /// What is wrong with the file, beginning with its name. It is as it was then.
    pub fn with_journal(path: &Path) -> Result<Arc<SessionStore>, String> {
        let name = Escaped::of(path).to_string();
        let path = path.to_owned();
        SessionStore::start(&name, LOAD, move || load(&path))
    }

    /// What a start would find in the journal at that path, in a line. Takes no lock and changes nothing.
    ///
    /// # Errors
    /// Those of [`with_journal`](Self::with_journal).
    pub fn describe(path: &Path) -> Result<String, String> {
        let count = Kept::read(path)?.map_or(0, |(kept, _)| kept.sessions.len());
        let name = Escaped::of(path);
        Ok(format!("sessions of an earlier run in {name}: {count}"))
    }

    fn start(
        name: &str,
        limit: Duration,
        load: impl FnOnce() -> Result<(Place, Kept), String> + Send + 'static,
    ) -> Result<Arc<SessionStore>, String> {
        let (queue, events) = journal::queue();
        let store = Arc::new(SessionStore {
            kept: Mutex::default(),
            journal: Some(queue),
        });
        let (ready, loaded) = bounded(1);
        let owned = Arc::clone(&store);
        let run = move || {
            let (place, told) = match load() {
                Ok((place, kept)) => (owned.install(kept).then_some(place), Ok(())),
                Err(why) => (None, Err(why)),
            };
            let _ = ready.send(told); // nobody may wait any more
            if let Some(place) = place {
                Writer::new(place, owned, events).run();
            }
        };
        let thread = thread::Builder::new().name("journal".into()).spawn(run);
        thread.map_err(|error| format!("no thread can be started: {error}"))?;
        match loaded.recv_timeout(limit) {
            Ok(told) => told.map(|()| store),
            Err(_) if store.install(Kept::default()) => {
                log::warn!(
                    "{name} could not be read within {} s: it is left alone, and sessions are \
                     lost with the next end of the adapter",
                    limit.as_secs()
                );
                Ok(Arc::default())
            }
            // It was read at the last moment.
            Err(_) => Ok(store),
        }
    }

    /// The sessions to start with are these, unless it is too late; says whether it is not.
    fn install(&self, read: Kept) -> bool {
        let mut kept = self.lock();
        let is_in_time = !kept.is_started;
        if is_in_time {
            *kept = read;
        }
        kept.is_started = true;
        is_in_time
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

/// Reads a journal, and keeps its place. One that is damaged is moved aside.
fn load(path: &Path) -> Result<(Place, Kept), String> {
    let place = Place::lock(path)?;
    let Some((kept, end)) = Kept::read(path)? else {
        return Ok((place, Kept::default()));
    };
    let (name, count) = (place.name(), kept.sessions.len());
    match end {
        End::Whole => log::info!("{name}: {count} sessions of an earlier run"),
        End::Damaged(line) => {
            let aside = place
                .set_aside()
                .map_err(|error| format!("{name}: {error}"))?;
            log::warn!(
                "{name}: damaged in line {line}: {count} sessions of an earlier run stand before \
                 it, and the file is kept as {}",
                Escaped::of(&aside)
            );
        }
    }
    Ok((place, kept))
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

    /// Reads the journal at that path, if there is one; says how far.
    fn read(path: &Path) -> Result<Option<(Kept, End)>, String> {
        let Some(mut journal) = journal::open_journal(path)? else {
            return Ok(None);
        };
        let mut kept = Kept::default();
        let read = journal::load(&mut journal, |request| match request {
            Request::NotifyNewSession {
                user,
                session,
                context,
            } => {
                let (ip, agent) = (context.get("REMOTE_IP"), context.get("USER_AGENT"));
                kept.open(user.as_deref(), &session, ip.as_deref(), agent.as_deref());
            }
            Request::NotifySessionClose { session } => drop(kept.sessions.close(&session)),
            _ => {}
        });
        let name = Escaped::of(path);
        let (instance, end) = read.map_err(|unusable| match unusable {
            Unusable::NoJournal => format!("{name} is no journal of sessions"),
            Unusable::Version(version) => {
                format!(
                    "{name} is a journal of version {}, which this adapter cannot read",
                    Escaped(version.as_bytes())
                )
            }
            Unusable::Read(error) => format!("{name}: {error}"),
        })?;
        kept.instance = instance;
        Ok(Some((kept, end)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static COUNT: AtomicUsize = AtomicUsize::new(0);

    /// A directory of its own, gone when the test is.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Directory {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("chat-adapter-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Directory(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn labels(store: &SessionStore, id: &str) -> Option<(String, Fields)> {
        let kept = store.lock();
        let found = kept.get(id);
        found.map(|(ip, nick)| (ip.to_owned(), nick.clone()))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Open(u16, u8),
        Close(u16),
        Restart,
        Init(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            30 => (0..400u16, any::<u8>()).prop_map(|(id, ip)| Step::Open(id, ip)),
            25 => (0..400u16).prop_map(Step::Close),
            1 => Just(Step::Restart),
            1 => (0..2u8).prop_map(Step::Init),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_restart_forgets_nothing_and_adds_nothing(
            steps in proptest::collection::vec(step(), 0..6000),
        ) {
            let directory = Directory::new();
            let path = directory.0.join("sessions");
            let mut store = SessionStore::with_journal(&path).unwrap();
            let (mut instance, mut twin) = (None, HashMap::new());
            for step in steps.into_iter().chain([Step::Restart]) {
                match step {
                    Step::Open(id, ip) => {
                        let (id, ip) = (format!("S{id}"), format!("192.0.2.{ip}"));
                        store.open(Some("anna"), &id, Some(&ip), (id.len() > 2).then_some("agent"));
                        twin.insert(id, ip);
                    }
                    Step::Close(id) => {
                        let id = format!("S{id}");
                        store.close(&id);
                        twin.remove(&id);
                    }
                    Step::Restart => {
                        prop_assert!(store.finish(soon()));
                        store = SessionStore::with_journal(&path).unwrap();
                        if instance.is_none() {
                            twin.clear();
                        }
                    }
                    Step::Init(name) => {
                        let name = Some(format!("instance {name}"));
                        let is_same = instance == name;
                        prop_assert_eq!(store.begin(name.clone()).0, is_same);
                        if !is_same {
                            twin.clear();
                        }
                        instance = name;
                    }
                }
                prop_assert_eq!(store.count(), twin.len());
            }
            for (id, ip) in &twin {
                let nick = if id.len() > 2 { "agent" } else { "anna" };
                let nick = Fields::new().field("nick", nick);
                prop_assert_eq!(labels(&store, id), Some((ip.clone(), nick)));
            }
            prop_assert!(store.finish(soon()));
        }
    }

    #[test]
    fn a_journal_that_is_not_read_in_time_is_left_alone() {
        let directory = Directory::new();
        let path = directory.0.join("sessions");
        let store = SessionStore::with_journal(&path).unwrap();
        store.begin(Some("one".into()));
        store.open(None, "S1", None, None);
        assert!(store.finish(soon()));
        let before = fs::read(&path).unwrap();
        let (go, told) = bounded::<()>(0);
        let (ended, end) = bounded::<()>(0);
        let slow = path.clone();
        let store = SessionStore::start("sessions", Duration::ZERO, move || {
            let _ended = ended;
            told.recv().unwrap();
            load(&slow)
        });
        let store = store.unwrap();
        assert_eq!(store.begin(Some("one".into())), (false, 0));
        go.send(()).unwrap();
        assert!(end.recv().is_err());
        store.open(None, "S2", None, None);
        assert_eq!(store.count(), 1);
        assert!(store.finish(soon()), "there is nothing to write");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_disk_that_hangs_keeps_nobody_waiting() {
        let (queue, _events) = journal::queue();
        let store = SessionStore {
            kept: Mutex::default(),
            journal: Some(queue),
        };
        store.begin(Some("one".into()));
        let agent = "x".repeat(900);
        for n in 0..20_000 {
            store.open(None, &n.to_string(), None, Some(&agent));
        }
        assert_eq!(store.count(), 20_000);
        assert!(!store.finish(Instant::now()));
    }
}
