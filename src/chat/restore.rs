//! The start with the sessions of an earlier run: reads the journal, and begins to write it.

use super::journal::{self, End, Entry, Events, Loaded, Place, Queue, Unusable, Writer};
use super::sessions::Sessions;
use super::store::{Restored, SessionStore};
use crate::ari::escape::Escaped;
use crate::ari::request::Request;
use crossbeam_channel::bounded;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long the start waits for a journal to be read.
const LOAD: Duration = Duration::from_secs(5);

impl SessionStore {
    /// Sessions of so many servers, if that is known, kept by a journal at `path`. What is there of an
    /// earlier run is read first, within 5 s: if that takes longer, nothing is kept, the log says so, and
    /// the file is left alone.
    ///
    /// # Errors
    /// What is wrong with the file, beginning with its name. It is as it was then.
    pub fn with_journal(path: &Path, servers: Option<usize>) -> Result<Arc<SessionStore>, String> {
        let name = Escaped::of(path).to_string();
        let path = path.to_owned();
        start_with(&name, LOAD, servers, move || Found::at(&path))
    }

    /// What a start would find in the journal at that path, in a line. Takes no lock and changes nothing.
    ///
    /// # Errors
    /// Those of [`with_journal`](Self::with_journal).
    pub fn describe(path: &Path) -> Result<String, String> {
        let name = Escaped::of(path);
        let Some(mut file) = journal::open_journal(path)? else {
            return Ok(format!("{name}: no sessions of an earlier run"));
        };
        let (loaded, restored) = read(path, &mut file)?;
        let count = count(&restored);
        Ok(match loaded.end {
            End::Whole => format!("{name}: {count} sessions of an earlier run"),
            End::Damaged(line) => format!(
                "{name}: damaged in line {line}: {count} sessions of an earlier run stand before it"
            ),
        })
    }
}

/// What an earlier run has left, and the place where it is.
struct Found {
    place: Place,
    journal: Option<(File, Loaded)>,
}

impl Found {
    /// Takes the place, and reads what is there.
    fn at(path: &Path) -> Result<(Found, Restored), String> {
        // First, so that a place which is no good is not littered with the lock's file.
        journal::open_journal(path)?;
        let place = Place::lock(path)?;
        let Some(mut file) = place.open()? else {
            let journal = None;
            return Ok((Found { place, journal }, Restored::new()));
        };
        let (loaded, restored) = read(path, &mut file)?;
        let journal = Some((file, loaded));
        Ok((Found { place, journal }, restored))
    }

    /// What writes the journal from now on.
    fn writer(self, count: usize, store: Arc<SessionStore>, ends: (Queue, Events)) -> Writer {
        let name = self.place.name();
        let whole = self.journal.and_then(|(file, loaded)| match loaded.end {
            End::Whole => {
                log::info!("{name}: {count} sessions of an earlier run");
                Some((file, loaded))
            }
            End::Damaged(line) => {
                let kept = match self.place.set_aside() {
                    Ok(aside) => format!("and the file is kept as {}", Escaped::of(&aside)),
                    Err(error) => format!("and the file cannot be kept: {error}"),
                };
                log::warn!(
                    "{name}: damaged in line {line}: {count} sessions of an earlier run stand \
                     before it, {kept}"
                );
                None
            }
        });
        Writer::new(self.place, whole, store, ends)
    }
}

fn start_with(
    name: &str,
    limit: Duration,
    servers: Option<usize>,
    find: impl FnOnce() -> Result<(Found, Restored), String> + Send + 'static,
) -> Result<Arc<SessionStore>, String> {
    let (queue, events) = journal::queue();
    let store = Arc::new(SessionStore::new(servers).with_queue(queue.clone()));
    let (ready, found) = bounded(1);
    let owned = Arc::clone(&store);
    let run = move || {
        let (writer, told) = match find() {
            Ok((found, restored)) => {
                let count = count(&restored);
                let is_in_time = owned.install(restored);
                let writer = || found.writer(count, owned, (queue, events));
                (is_in_time.then(writer), Ok(()))
            }
            Err(why) => (None, Err(why)),
        };
        let _ = ready.send(told); // nobody may wait any more
        if let Some(writer) = writer {
            writer.run();
        }
    };
    let thread = thread::Builder::new().name("journal".into()).spawn(run);
    thread.map_err(|error| format!("no thread can be started: {error}"))?;
    match found.recv_timeout(limit) {
        Ok(told) => told.map(|()| store),
        Err(_) if store.install(Restored::new()) => {
            log::warn!(
                "{name} could not be read within {} s: it is left alone, and sessions are lost \
                 with the next end of the adapter",
                limit.as_secs()
            );
            Ok(Arc::new(SessionStore::new(servers)))
        }
        // It was read at the last moment.
        Err(_) => Ok(store),
    }
}

fn count(restored: &Restored) -> usize {
    restored.iter().map(|(_, sessions)| sessions.len()).sum()
}

/// Reads a journal; `path` is for errors.
fn read(path: &Path, file: &mut File) -> Result<(Loaded, Restored), String> {
    let mut restored = Restored::new();
    let mut at = 0;
    let loaded = journal::load(file, |entry| match entry {
        Entry::Instance(name) => {
            let known = restored.iter().position(|(known, _)| *known == name);
            at = known.unwrap_or_else(|| {
                restored.push((name, Sessions::default()));
                restored.len() - 1
            });
        }
        Entry::Session(request) => take(request, &mut restored[at].1),
        Entry::Dropped => restored[at].1 = Sessions::default(),
    });
    restored.retain(|(_, sessions)| sessions.len() > 0);
    let name = Escaped::of(path);
    let loaded = loaded.map_err(|unusable| match unusable {
        Unusable::NoJournal => format!("{name} is no journal of sessions"),
        Unusable::Version(version) => {
            format!(
                "{name} is a journal of version {}, which this adapter cannot read",
                Escaped(version.as_bytes())
            )
        }
        Unusable::Read(error) => format!("{name}: {error}"),
    })?;
    Ok((loaded, restored))
}

fn take(request: Request<'_>, sessions: &mut Sessions) {
    match request {
        Request::NotifyNewSession {
            user,
            session,
            context,
        } => {
            let (ip, agent) = (context.get("REMOTE_IP"), context.get("USER_AGENT"));
            sessions.open(&session, user.as_deref(), ip.as_deref(), agent.as_deref());
        }
        Request::NotifySessionClose { session } => drop(sessions.close(&session)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::store::ServedSessions;
    use crate::provider::Fields;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    /// A directory of its own, gone when the test is.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Directory {
            static COUNT: AtomicUsize = AtomicUsize::new(0);
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

    fn with_journal(path: &Path) -> Arc<SessionStore> {
        SessionStore::with_journal(path, None).unwrap()
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Sessions open with some server.
        Open(usize, u16, u8),
        Close(usize, u16),
        /// The end of a read.
        Flush(usize),
        Restart,
        Init(usize, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let server = 0..2usize;
        prop_oneof![
            300 => (server.clone(), 0..400u16, any::<u8>()).prop_map(|(at, id, ip)| Step::Open(at, id, ip)),
            250 => (server.clone(), 0..400u16).prop_map(|(at, id)| Step::Close(at, id)),
            50 => server.clone().prop_map(Step::Flush),
            5 => Just(Step::Restart),
            10 => (server, 0..4u8).prop_map(|(at, name)| Step::Init(at, name)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, failure_persistence: None, ..Default::default() })]
        #[test]
        fn a_restart_forgets_nothing_and_adds_nothing(
            steps in proptest::collection::vec(step(), 0..3000),
        ) {
            let directory = Directory::new();
            let path = directory.0.join("sessions");
            let mut store = with_journal(&path);
            let serve = |store: &Arc<SessionStore>| [(); 2].map(|()| ServedSessions::new(Arc::clone(store)));
            let (mut served, mut names) = (serve(&store), [None, None]);
            let mut twin: HashMap<u8, HashMap<String, String>> = HashMap::new();
            for step in steps.into_iter().chain([Step::Restart]) {
                match step {
                    Step::Open(at, id, ip) => if let Some(name) = names[at] {
                        let (id, ip) = (format!("S{id}"), format!("192.0.2.{ip}"));
                        served[at].open(Some("anna"), &id, Some(&ip), (id.len() > 2).then_some("agent"));
                        twin.entry(name).or_default().insert(id, ip);
                    }
                    Step::Close(at, id) => if let Some(name) = names[at] {
                        let id = format!("S{id}");
                        served[at].close(&id);
                        twin.entry(name).or_default().remove(&id);
                    }
                    Step::Flush(at) => served[at].flush(),
                    Step::Restart => {
                        served.iter_mut().for_each(ServedSessions::flush);
                        prop_assert!(store.finish(soon()));
                        store = with_journal(&path);
                        (served, names) = (serve(&store), [None, None]);
                    }
                    Step::Init(at, name) => {
                        // What another has written for the same server must come first.
                        served.iter_mut().for_each(ServedSessions::flush);
                        let kept = twin.get(&name).map_or(0, HashMap::len);
                        let begun = served[at].begin(Some(&format!("instance {name}")), Instant::now());
                        prop_assert_eq!(begun.kept.unwrap_or(0), kept);
                        let old = names[at].replace(name);
                        if let Some(old) = old.filter(|_| !names.contains(&old)) {
                            prop_assert_eq!(begun.dropped, twin.remove(&old).map_or(0, |it| it.len()));
                        }
                    }
                }
                if names[0] == names[1] {
                    // The later one has to come later in the journal, too.
                    served.iter_mut().for_each(ServedSessions::flush);
                }
                let count = store.count();
                let expected: usize = twin.values().map(HashMap::len).sum();
                prop_assert_eq!(count.served + count.away, expected);
            }
            for (name, sessions) in &twin {
                served[0].begin(Some(&format!("instance {name}")), Instant::now());
                for (id, ip) in sessions {
                    let nick = if id.len() > 2 { "agent" } else { "anna" };
                    let nick = Fields::new().field("nick", nick);
                    let sessions = served[0].lock();
                    prop_assert_eq!(sessions.get(id), Some((&ip[..], &nick)));
                }
            }
            prop_assert!(store.finish(soon()));
        }
    }

    #[test]
    fn a_journal_that_is_not_read_in_time_is_left_alone() {
        let directory = Directory::new();
        let path = directory.0.join("sessions");
        let store = with_journal(&path);
        let mut served = ServedSessions::new(Arc::clone(&store));
        served.begin(Some("one"), Instant::now());
        served.open(None, "S1", None, None);
        served.flush();
        assert!(store.finish(soon()));
        // Damaged, so that there is something to do with it.
        let mut before = fs::read(&path).unwrap();
        before.extend(b"2|\n3|\n");
        fs::write(&path, &before).unwrap();

        let (go, told) = bounded::<()>(0);
        let (ended, end) = bounded::<()>(0);
        let slow = path.clone();
        let find = move || {
            let _ended = ended;
            told.recv().unwrap();
            Found::at(&slow)
        };
        let store = start_with("sessions", Duration::ZERO, None, find).unwrap();
        let mut served = ServedSessions::new(Arc::clone(&store));
        assert_eq!(served.begin(Some("one"), Instant::now()).kept, None);
        go.send(()).unwrap();
        assert!(end.recv().is_err());
        served.open(None, "S2", None, None);
        served.flush();
        assert_eq!(store.count().served, 1);
        assert!(store.finish(soon()), "there is nothing to write");
        // The thread gives the lock back.
        while Place::lock(&path).is_err() {
            thread::yield_now();
        }
        assert_eq!(fs::read(&path).unwrap(), before);
        assert!(!fs::exists(directory.0.join("sessions.damaged")).unwrap());
    }
}
