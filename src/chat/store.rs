//! The open sessions of all Proxies, and the way by which they outlive the adapter: a journal, where
//! there is one.
//!
//! Sessions belong to an instance of a Proxy. Those that a journal has kept are there from the start,
//! and count when the Proxy that comes is the same.

use super::journal::{self, Queue, Source};
use super::sessions::{Session, Sessions};
use crate::provider::lock;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Sessions of an instance that is away are kept so long.
const AWAY: Duration = Duration::from_secs(600);

/// So many sessions are handed to the journal under one lock.
const SLICE: usize = 256;

/// Lines for the journal are handed over up to this size, in bytes, before the end of a read.
const BATCH: usize = 64 << 10;

/// The names of instances of Proxies, and their sessions.
pub(super) type Restored = Vec<(String, Sessions)>;

/// The sessions of all Proxies.
#[derive(Debug, Default)]
pub struct SessionStore {
    /// So many servers there are, if that is known.
    servers: Option<usize>,
    instances: Mutex<Instances>,
    journal: Option<Queue>,
}

#[derive(Debug, Default)]
struct Instances {
    known: Vec<Known>,
    last_key: u64,
    /// These are the sessions to start with: it is too late for others.
    is_started: bool,
}

/// An instance, and whether anybody serves it.
#[derive(Debug)]
struct Known {
    instance: Arc<Instance>,
    /// So many connections serve it: two when one has not noticed yet that it is dead.
    claims: usize,
    /// When the last of them was gone.
    since: Instant,
}

impl Known {
    /// Whether it is served, or has been away for less than 10 min.
    fn is_kept(&self, now: Instant) -> bool {
        self.claims > 0 || now.saturating_duration_since(self.since) < AWAY
    }
}

/// One instance of a Proxy.
#[derive(Debug, Default)]
struct Instance {
    /// No other one has it, ever.
    key: u64,
    /// What it calls itself; one without a name is never the same again.
    name: Option<String>,
    sessions: Mutex<Sessions>,
    /// Whether the journal knows it.
    is_journaled: AtomicBool,
}

impl Instance {
    fn count(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Whether there is something to come back to.
    fn is_worth_keeping(&self) -> bool {
        self.name.is_some() && self.count() > 0
    }
}

impl SessionStore {
    /// Sessions of so many servers, if that is known, which end with the adapter.
    pub fn new(servers: Option<usize>) -> SessionStore {
        SessionStore {
            servers,
            ..SessionStore::default()
        }
    }

    /// The same, with a journal at the other end of this queue.
    pub(super) fn with_queue(self, queue: Queue) -> SessionStore {
        SessionStore {
            journal: Some(queue),
            ..self
        }
    }

    /// The sessions to start with are these, unless it is too late; says whether it is not.
    pub(super) fn install(&self, restored: Restored) -> bool {
        let mut instances = self.lock();
        if mem::replace(&mut instances.is_started, true) {
            return false;
        }
        for (name, sessions) in restored.into_iter().filter(|it| it.1.len() > 0) {
            let known = instances.add(Some(name), sessions);
            known.instance.is_journaled.store(true, Ordering::Relaxed);
        }
        true
    }

    /// How many sessions are open.
    pub fn count(&self) -> SessionCount {
        let mut count = SessionCount::default();
        for known in &self.lock().known {
            let sessions = lock(&known.instance.sessions);
            match known.claims {
                0 => {
                    let name = known.instance.name.as_ref();
                    count.away += sessions.len();
                    count.away_memory += sessions.memory() + name.map_or(0, String::len);
                }
                _ => count.served += sessions.len(),
            }
        }
        count
    }

    /// Drops the sessions of instances that have been away for more than 10 min; says how many.
    pub fn expire(&self, now: Instant) -> usize {
        let mut instances = self.lock();
        self.retain(&mut instances, |known| known.is_kept(now))
    }

    /// Has the journal written out; says whether that was done by the deadline.
    pub fn finish(&self, deadline: Instant) -> bool {
        let journal = self.journal.as_ref();
        journal.is_none_or(|journal| journal.finish(deadline))
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        lock(&self.instances)
    }

    /// Keeps some instances, and drops the others; says how many sessions these had.
    fn retain(&self, instances: &mut Instances, is_kept: impl Fn(&Known) -> bool) -> usize {
        let mut sessions = 0;
        for known in instances.known.extract_if(.., |known| !is_kept(known)) {
            sessions += known.instance.count();
            let Instance {
                key,
                name,
                is_journaled,
                ..
            } = &*known.instance;
            if let (Some(journal), Some(name)) = (&self.journal, name)
                && is_journaled.load(Ordering::Relaxed)
            {
                log_overflow(journal.dropped(*key, name));
            }
        }
        sessions
    }
}

/// How many sessions are open. Displayed such as `5 sessions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCount {
    /// Of the servers that there are.
    pub served: usize,
    /// Of servers that have not come back yet.
    pub away: usize,
    /// The memory that those take, in bytes.
    pub away_memory: usize,
}

impl fmt::Display for SessionCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sessions", self.served)?;
        match self.away {
            0 => Ok(()),
            away => {
                let size = self.away_memory.div_ceil(1024);
                write!(f, " ({away} more, in {size} KiB, of servers that are away)")
            }
        }
    }
}

impl Instances {
    fn get(&self, key: u64) -> Option<&Arc<Instance>> {
        let mut instances = self.known.iter().map(|known| &known.instance);
        instances.find(|instance| instance.key == key)
    }

    fn add(&mut self, name: Option<String>, sessions: Sessions) -> &mut Known {
        self.last_key += 1;
        let instance = Arc::new(Instance {
            key: self.last_key,
            name,
            sessions: Mutex::new(sessions),
            ..Instance::default()
        });
        self.known.push(Known {
            instance,
            claims: 0,
            since: Instant::now(),
        });
        self.known.last_mut().expect("it was added")
    }

    fn release(&mut self, key: u64, now: Instant) {
        let mut known = self.known.iter_mut();
        if let Some(known) = known.find(|known| known.instance.key == key) {
            known.claims -= 1;
            known.since = now;
        }
    }
}

/// What the init of a Proxy means for the sessions there were.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// So many of this instance are open; `None`: it was not known.
    pub(super) kept: Option<usize>,
    /// So many of other instances ended.
    pub(super) dropped: usize,
}

/// The sessions of the one Proxy that a provider serves.
#[derive(Debug)]
pub(super) struct ServedSessions {
    store: Arc<SessionStore>,
    instance: Arc<Instance>,
    /// For the journal, of the present read.
    bodies: Vec<u8>,
}

impl ServedSessions {
    /// There are none before the init.
    pub(super) fn new(store: Arc<SessionStore>) -> ServedSessions {
        ServedSessions {
            store,
            instance: Arc::default(),
            bodies: Vec::new(),
        }
    }

    /// The Proxy says now that it is this instance.
    pub(super) fn begin(&mut self, name: Option<&str>, now: Instant) -> Begun {
        self.flush();
        let name = name.filter(|name| !name.is_empty());
        let instances = &mut *self.store.lock();
        let is_it = |known: &Known| name.is_some() && known.instance.name.as_deref() == name;
        let known = instances.known.iter_mut().find(|known| is_it(known));
        let kept = known.as_ref().map(|known| known.instance.count());
        let known = match known {
            Some(known) => known,
            None => instances.add(name.map(String::from), Sessions::default()),
        };
        known.claims += 1;
        let old = mem::replace(&mut self.instance, Arc::clone(&known.instance)).key;
        instances.release(old, now);
        // A Proxy that calls itself otherwise was restarted, and will not be what it was again. Where
        // all servers are there nobody else will come, either.
        let served = instances.known.iter().filter(|known| known.claims > 0);
        let is_all = Some(served.count()) >= self.store.servers && self.store.servers.is_some();
        let is_kept = |known: &Known| {
            known.is_kept(now) && (known.claims > 0 || !(is_all || known.instance.key == old))
        };
        let dropped = self.store.retain(instances, is_kept);
        Begun { kept, dropped }
    }

    /// A session opened.
    pub(super) fn open(
        &mut self,
        user: Option<&str>,
        id: &str,
        ip: Option<&str>,
        agent: Option<&str>,
    ) {
        let is_journaled = self.is_journaled();
        let mut sessions = lock(&self.instance.sessions);
        let session = sessions.open(id, user, ip, agent);
        if is_journaled {
            put_opened(session, &mut self.bodies);
            drop(sessions);
            self.flush_if_long();
        }
    }

    /// A session closed.
    pub(super) fn close(&mut self, id: &str) {
        lock(&self.instance.sessions).close(id);
        if self.is_journaled() {
            journal::put_closed(id, &mut self.bodies);
            self.flush_if_long();
        }
    }

    /// The table, for what the messages of a session are labelled with.
    pub(super) fn lock(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.instance.sessions)
    }

    /// Hands over to the journal what opened and closed.
    pub(super) fn flush(&mut self) {
        if let Some(journal) = &self.store.journal
            && !self.bodies.is_empty()
        {
            self.instance.is_journaled.store(true, Ordering::Relaxed);
            log_overflow(journal.lines(self.instance.key, mem::take(&mut self.bodies)));
        }
    }

    fn is_journaled(&self) -> bool {
        self.store.journal.is_some() && self.instance.name.is_some()
    }

    fn flush_if_long(&mut self) {
        if self.bodies.len() >= BATCH {
            self.flush();
        }
    }
}

impl Drop for ServedSessions {
    fn drop(&mut self) {
        self.flush();
        let mut instances = self.store.lock();
        instances.release(self.instance.key, Instant::now());
        let is_kept = |known: &Known| known.claims > 0 || known.instance.is_worth_keeping();
        self.store.retain(&mut instances, is_kept);
    }
}

/// Logs that the journal takes nothing more, if it `is_taken` no more for the first time.
fn log_overflow(is_taken: bool) {
    if !is_taken {
        log::warn!(
            "the journal of sessions is not written fast enough: sessions are lost with the next end \
             of the adapter, until it has been written anew"
        );
    }
}

/// The line for a session that is in the table.
fn put_opened(session: Session<'_>, bodies: &mut Vec<u8>) {
    let user = Some(session.user).filter(|user| !user.is_empty());
    let agent = session.nick.as_wire().strip_prefix(b"|S|nick|S|");
    journal::put_opened(user, session.id, Some(session.ip), agent, bodies);
}

impl Source for SessionStore {
    fn count(&self) -> usize {
        let instances = self.lock();
        let all = instances.known.iter().map(|known| &known.instance);
        let named = all.filter(|instance| instance.name.is_some());
        named.map(|instance| instance.count()).sum()
    }

    fn instances(&self) -> Vec<(u64, String)> {
        let instances = self.lock();
        let all = instances.known.iter().map(|known| &known.instance);
        all.filter_map(|it| Some((it.key, it.name.clone()?)))
            .collect()
    }

    fn name(&self, key: u64) -> Option<String> {
        self.lock().get(key)?.name.clone()
    }

    fn slice(&self, key: u64, before: usize, bodies: &mut Vec<u8>) -> Option<usize> {
        let instance = Arc::clone(self.lock().get(key)?);
        let sessions = lock(&instance.sessions);
        let before = before.min(sessions.len());
        let from = before.saturating_sub(SLICE);
        let range = sessions.range(from..before);
        range.for_each(|session| put_opened(session, bodies));
        Some(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(served: usize, away: usize) -> SessionCount {
        SessionCount {
            served,
            away,
            away_memory: 0,
        }
    }

    /// How many there are, whatever memory they take.
    fn count_of(store: &SessionStore) -> SessionCount {
        let count = store.count();
        assert_eq!(count.away > 0, count.away_memory > 0);
        SessionCount {
            away_memory: 0,
            ..count
        }
    }

    fn begun(kept: Option<usize>, dropped: usize) -> Begun {
        Begun { kept, dropped }
    }

    /// Two instances of an earlier run, with one and with two sessions.
    fn restored(servers: Option<usize>) -> Arc<SessionStore> {
        let store = Arc::new(SessionStore::new(servers));
        let sessions = |ids: &[&str]| {
            let mut sessions = Sessions::default();
            for id in ids {
                sessions.open(id, None, None, None);
            }
            sessions
        };
        let one = ("one".into(), sessions(&["S1"]));
        let two = ("two".into(), sessions(&["S2", "S3"]));
        assert!(store.install(vec![one, two]));
        assert!(!store.install(Restored::new()), "it is too late");
        store
    }

    #[test]
    fn where_the_only_server_is_there_what_is_of_others_ends() {
        let store = restored(Some(1));
        assert_eq!(count_of(&store), count(0, 3));
        let mut only = ServedSessions::new(Arc::clone(&store));
        assert_eq!(only.begin(Some("two"), Instant::now()), begun(Some(2), 1));
        assert_eq!(only.begin(Some("two"), Instant::now()), begun(Some(2), 0));
        assert_eq!(count_of(&store), count(2, 0));
        assert_eq!(only.begin(Some("three"), Instant::now()), begun(None, 2));
        assert_eq!(count_of(&store), count(0, 0));
    }

    #[test]
    fn an_instance_without_a_name_is_never_the_same_again() {
        let store = restored(Some(1));
        let mut only = ServedSessions::new(Arc::clone(&store));
        for name in [None, Some("")] {
            only.begin(name, Instant::now());
            only.open(None, "S4", None, None);
            assert_eq!(only.begin(name, Instant::now()), begun(None, 1));
        }
        only.open(None, "S4", None, None);
        drop(only);
        assert_eq!(count_of(&store), count(0, 0));
    }

    #[test]
    fn of_several_servers_each_has_its_own() {
        let store = restored(Some(2));
        let mut first = ServedSessions::new(Arc::clone(&store));
        let mut second = ServedSessions::new(Arc::clone(&store));
        assert_eq!(first.begin(Some("one"), Instant::now()), begun(Some(1), 0));
        assert_eq!(count_of(&store), count(1, 2));
        assert_eq!(second.begin(Some("three"), Instant::now()), begun(None, 2));
        second.open(None, "S1", Some("192.0.2.1"), None);
        assert_eq!(first.lock().get("S1").map(|it| it.0), Some("unknown"));
        assert_eq!(second.lock().get("S1").map(|it| it.0), Some("192.0.2.1"));
        // One may take over what the other serves.
        assert_eq!(second.begin(Some("one"), Instant::now()), begun(Some(1), 1));
        assert_eq!(first.begin(Some("four"), Instant::now()), begun(None, 0));
        assert_eq!(count_of(&store), count(1, 0));
    }

    #[test]
    fn who_comes_and_goes_is_remembered_for_ten_minutes() {
        let store = restored(None);
        let start = Instant::now();
        let minutes = |count: u64| start + Duration::from_secs(60 * count);
        let mut served = ServedSessions::new(Arc::clone(&store));
        assert_eq!(served.begin(Some("one"), Instant::now()), begun(Some(1), 0));
        assert_eq!(store.expire(minutes(9)), 0);
        assert_eq!(store.expire(minutes(11)), 2);
        assert_eq!(count_of(&store), count(1, 0));
        drop(served);
        assert_eq!(count_of(&store), count(0, 1));
        assert_eq!(store.expire(minutes(9)), 0);
        // The clock of a machine may have stood still.
        assert_eq!(store.expire(start - Duration::from_millis(1)), 0);
        let mut served = ServedSessions::new(Arc::clone(&store));
        assert_eq!(served.begin(Some("one"), Instant::now()), begun(Some(1), 0));
        drop(served);
        assert_eq!(store.expire(minutes(11)), 1);
    }

    #[test]
    fn the_ten_minutes_begin_when_an_instance_goes_away() {
        let store = restored(None);
        let mut served = ServedSessions::new(Arc::clone(&store));
        served.begin(Some("one"), Instant::now());
        let before = Instant::now();
        while Instant::now() == before {}
        drop(served);
        assert_eq!(store.expire(before + AWAY), 2, "those of the other one");
        assert_eq!(count_of(&store), count(0, 1));
        // Looked at with each init, too.
        let mut served = ServedSessions::new(Arc::clone(&store));
        let later = Instant::now() + AWAY;
        assert_eq!(served.begin(Some("three"), later), begun(None, 1));
    }

    #[test]
    fn an_instance_without_sessions_leaves_nothing_behind() {
        let (queue, events) = journal::queue();
        let store = Arc::new(SessionStore::default().with_queue(queue));
        for n in 0..3 {
            let mut served = ServedSessions::new(Arc::clone(&store));
            served.begin(Some(&n.to_string()), Instant::now());
        }
        assert!(store.lock().known.is_empty());
        assert!(events.receiver.is_empty(), "the journal never knew them");
        let mut served = ServedSessions::new(Arc::clone(&store));
        served.begin(Some("one"), Instant::now());
        served.open(None, "S1", None, None);
        served.close("S1");
        drop(served);
        assert!(store.lock().known.is_empty());
        let told = events.receiver.try_iter().map(|event| format!("{event:?}"));
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("Lines("), "{told:?}");
        assert_eq!(told[1], "Dropped(4, \"one\")");
    }

    #[test]
    fn a_disk_that_hangs_keeps_nobody_waiting() {
        let (queue, _events) = journal::queue();
        let store = Arc::new(SessionStore::default().with_queue(queue));
        let mut served = ServedSessions::new(Arc::clone(&store));
        served.begin(Some("one"), Instant::now());
        let agent = "x".repeat(900);
        for n in 0..20_000 {
            served.open(None, &n.to_string(), None, Some(&agent));
        }
        assert_eq!(count_of(&store), count(20_000, 0));
        assert!(!store.finish(Instant::now()));
    }
}
