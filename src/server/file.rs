//! Reads files, any of which may be a pipe, or lie on a file system that does not answer.
//!
//! A thread of its own reads, and is waited for no longer than is good. It may be left behind then;
//! whoever wants the same file next waits for that one. What files hold is not known here.

use crate::ari::escape::Escaped;
use crate::provider::lock;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How long a file is waited for when the program runs; at its start something is said then.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// How long it is waited for at the start: somebody may be typing a passphrase.
const START_LIMIT: Duration = Duration::from_secs(60);

/// No file may be as large as this, in bytes.
const TOO_LARGE: u64 = 16 << 20;

/// When a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At the start of the program.
    Start,
    /// When somebody asks for it. What a pipe brought before does not count.
    Reload,
    /// Before a connection.
    Connection,
}

impl When {
    /// How long to wait before something is said, and how long after it.
    pub(crate) fn patience(self) -> [Duration; 2] {
        match self {
            When::Start => [LIMIT, START_LIMIT - LIMIT],
            When::Reload | When::Connection => [LIMIT, Duration::ZERO],
        }
    }
}

/// What was read.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// Whether everybody can read the file.
    pub(crate) is_public: bool,
    /// Whether it is no regular file, so that it may not bring the same again.
    is_pipe: bool,
}

/// Reads the file that `option` gives. What a pipe brought is kept, for whoever reads it next.
///
/// # Errors
/// The system's, and `TimedOut`.
pub(crate) fn read(option: &str, path: &Path, when: When) -> io::Result<Content> {
    static LEFT_BEHIND: LeftBehind<io::Result<Content>> = LeftBehind::new();
    static BROUGHT: Mutex<Vec<(PathBuf, Content)>> = Mutex::new(Vec::new());
    let is_it = |(of, _): &&(PathBuf, Content)| of == path && when != When::Reload;
    let brought = lock(&BROUGHT).iter().find(is_it).map(|it| it.1.clone());
    let what = format!("{option} {}", Escaped::of(path));
    let file = path.to_owned();
    let content = LEFT_BEHIND.wait_for(path, &what, when.patience(), move || {
        let content = content(&file, brought);
        let is_pipe = content.as_ref().is_ok_and(|content| content.is_pipe);
        (content, is_pipe)
    })??;
    let mut all = lock(&BROUGHT);
    all.retain(|(of, _)| of != path);
    if content.is_pipe && !content.bytes.is_empty() {
        all.push((path.to_owned(), content.clone()));
    }
    Ok(content)
}

fn content(path: &Path, brought: Option<Content>) -> io::Result<Content> {
    let metadata = fs::metadata(path)?;
    let is_pipe = !metadata.is_file();
    if let Some(brought) = brought.filter(|_| is_pipe) {
        return Ok(brought);
    }
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    match file.take(TOO_LARGE).read_to_end(&mut bytes)? as u64 {
        TOO_LARGE => Err(ErrorKind::FileTooLarge.into()),
        _ => Ok(Content {
            bytes,
            is_public: metadata.mode() & 0o004 != 0,
            is_pipe,
        }),
    }
}

/// Work that was not waited for to its end, by the file that it is about.
pub(crate) struct LeftBehind<T>(Mutex<Vec<(PathBuf, Work<T>)>>);

/// Its end, which disconnects a channel; and what it gave, with whether it cannot be done twice.
type Work<T> = (Receiver<()>, Arc<Mutex<Option<(T, bool)>>>);

impl<T: Send + 'static> LeftBehind<T> {
    pub(crate) const fn new() -> LeftBehind<T> {
        LeftBehind(Mutex::new(Vec::new()))
    }

    /// Waits for `work`, or for the same of before if that is not done. `work` also says whether it
    /// cannot be done twice: then what it gives counts though it came too late for somebody else.
    ///
    /// # Errors
    /// `TimedOut`, and the system's when there is no thread to be had.
    pub(crate) fn wait_for(
        &self,
        path: &Path,
        what: &str,
        patience: [Duration; 2],
        work: impl FnOnce() -> (T, bool) + Send + 'static,
    ) -> io::Result<T> {
        let counts = |(_, given): &Work<T>| lock(given).as_ref().is_none_or(|(_, once)| *once);
        let (end, given) = match self.take(path).filter(counts) {
            Some(work) => work,
            None => {
                let given = Arc::new(Mutex::new(None));
                let place = Arc::clone(&given);
                let work = Box::new(move || {
                    let done = work();
                    *lock(&place) = Some(done);
                });
                (begin(work)?, given)
            }
        };
        let waited = wait(&end, what, patience);
        let taken = lock(&given).take();
        taken.map(|(given, _)| given).ok_or_else(|| {
            lock(&self.0).push((path.to_owned(), (end, given)));
            io::Error::new(ErrorKind::TimedOut, waited)
        })
    }

    fn take(&self, path: &Path) -> Option<Work<T>> {
        let mut all = lock(&self.0);
        let at = all.iter().position(|(of, _)| of == path)?;
        Some(all.swap_remove(at).1)
    }
}

fn begin(work: Box<dyn FnOnce() + Send>) -> io::Result<Receiver<()>> {
    let (running, end) = bounded(0);
    let thread = thread::Builder::new().name("file".into());
    thread.spawn(move || {
        let _running: Sender<()> = running;
        work();
    })?;
    Ok(end)
}

/// Waits for the end of work; gives what to say if it does not come.
fn wait(end: &Receiver<()>, what: &str, [before, after]: [Duration; 2]) -> String {
    let limit = (before + after).as_secs();
    if end.recv_timeout(before) == Err(RecvTimeoutError::Timeout) && !after.is_zero() {
        log::warn!("waiting for {what}, which brings nothing yet; for {limit} s at the most");
        let _ = end.recv_timeout(after); // nothing is ever sent
    }
    format!("it brought nothing, or not its end, within {limit} s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;
    use std::process::{self, Command};

    /// Long enough for any machine, where it is not waited for.
    const AMPLE: [Duration; 2] = [Duration::from_secs(60), Duration::ZERO];
    const SHORT: [Duration; 2] = [Duration::from_millis(1); 2];

    /// A path that a test may use.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            Place(env::temp_dir().join(format!("{name}-{}", process::id())))
        }

        fn make_pipe(&self) {
            let made = Command::new("mkfifo").arg(&self.0).status();
            assert!(made.unwrap().success());
        }

        /// Writes when somebody reads.
        fn write_soon(&self, text: &'static str) {
            let path = self.0.clone();
            thread::spawn(move || fs::write(path, text).unwrap());
        }

        fn read(&self, when: When) -> String {
            let content = read("--tls-ca", &self.0, when).unwrap();
            String::from_utf8(content.bytes).unwrap()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn what_a_pipe_brought_is_kept_until_a_reload() {
        let place = Place::new("pipe");
        place.make_pipe();
        place.write_soon("one");
        for when in [When::Start, When::Start, When::Connection] {
            assert_eq!(place.read(when), "one");
        }
        place.write_soon("two");
        assert_eq!(place.read(When::Reload), "two");
        assert_eq!(place.read(When::Connection), "two");
        // A file in its place counts, and the pipe of before is forgotten.
        for text in ["three", "four"] {
            let _ = fs::remove_file(&place.0);
            fs::write(&place.0, text).unwrap();
            assert_eq!(place.read(When::Connection), text);
        }
        fs::remove_file(&place.0).unwrap();
        place.make_pipe();
        place.write_soon("five");
        assert_eq!(place.read(When::Connection), "five");
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let error = read("--tls-ca", Path::new("/dev/zero"), When::Start).map(|_| ());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn work_that_takes_too_long_is_left_behind_and_met_again() {
        let left_behind = LeftBehind::new();
        let path = Path::new("file");
        let (free, freed) = bounded::<()>(0);
        let first = move || {
            let _ = freed.recv();
            ("first", true)
        };
        let error = left_behind.wait_for(path, "it", SHORT, first).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Nobody begins it again while it is not done; another file is no part of it.
        let again = || -> (&str, bool) { unreachable!() };
        let error = left_behind.wait_for(path, "it", SHORT, again).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let other = left_behind.wait_for(Path::new("other"), "it", AMPLE, || ("other", false));
        assert_eq!(other.unwrap(), "other");
        drop(free);
        assert_eq!(
            left_behind.wait_for(path, "it", AMPLE, again).unwrap(),
            "first"
        );
        let second = left_behind.wait_for(path, "it", AMPLE, || ("second", false));
        assert_eq!(second.unwrap(), "second");
        assert!(left_behind.take(path).is_none());
    }

    #[test]
    fn what_came_too_late_counts_if_it_cannot_be_read_again() {
        for (is_pipe, expected) in [(true, "late"), (false, "new")] {
            let left_behind = LeftBehind::new();
            let path = Path::new("file");
            let (free, freed) = bounded::<()>(0);
            let late = move || {
                let _ = freed.recv();
                ("late", is_pipe)
            };
            left_behind.wait_for(path, "it", SHORT, late).unwrap_err();
            drop(free);
            let (end, given) = left_behind.take(path).unwrap();
            end.recv().unwrap_err();
            lock(&left_behind.0).push((path.to_owned(), (end, given)));
            let found = left_behind.wait_for(path, "it", AMPLE, || ("new", false));
            assert_eq!(found.unwrap(), expected);
        }
    }
}
