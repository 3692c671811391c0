//! The real binary as a child process: started with given arguments, its log awaited line by line,
//! signalled, its figures read from `/proc`, and gone when the value is dropped. It must not know
//! what the adapter does.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::Read;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::DEADLINE;

/// A command line of the adapter, built up. Nothing of the tester's own settings gets through.
pub(crate) struct Command {
    inner: std::process::Command,
}

/// The running adapter. Dropping it kills it.
pub(crate) struct Adapter {
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    /// What the process left to its parent.
    pub(crate) status: ExitStatus,
    /// All it printed.
    pub(crate) stdout: String,
    /// All it logged.
    pub(crate) stderr: String,
}

/// One output stream, read to its end on a thread.
struct Captured {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    text: Mutex<Text>,
    grown: Condvar,
}

#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    ended: bool,
}

impl Command {
    /// The binary at this path.
    pub(crate) fn new(binary: impl AsRef<OsStr>) -> Self {
        let mut inner = std::process::Command::new(binary);
        inner
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            let ours = ["CHAT_ADAPTER_", "RUST_LOG", "RUST_BACKTRACE", "SSL_CERT_"];
            let managers = [
                "NOTIFY_SOCKET",
                "WATCHDOG_",
                "LISTEN_",
                "CREDENTIALS_",
                "TZ",
            ];
            if ours
                .iter()
                .chain(&managers)
                .any(|prefix| name_text.starts_with(prefix))
            {
                inner.env_remove(&name);
            }
        }
        Self { inner }
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.inner.arg(argument);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.inner.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Starts it.
    #[track_caller]
    pub(crate) fn start(mut self) -> Adapter {
        let mut child = match self.inner.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot start {:?}: {error}", self.inner),
        };
        let stdout = Captured::start(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Captured::start(child.stderr.take().expect("stderr is a pipe"));
        Adapter {
            child,
            stdout,
            stderr,
        }
    }

    /// Starts it and awaits its end.
    #[track_caller]
    pub(crate) fn run(self) -> Exit {
        self.start().wait()
    }
}

impl Adapter {
    /// Awaits a line of the log that holds all these words, and yields it. Lines logged earlier
    /// count, letter case does not.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, words: &[&str]) -> String {
        self.wait_for_log_nth(words, 1)
    }

    /// The same for the nth such line, counted from 1.
    #[track_caller]
    pub(crate) fn wait_for_log_nth(&self, words: &[&str], nth: usize) -> String {
        let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        let found = self.stderr.wait_until(|text| {
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            whole
                .lines()
                .filter(|line| {
                    let line = line.to_lowercase();
                    words.iter().all(|word| line.contains(word))
                })
                .nth(nth - 1)
                .map(str::to_owned)
        });
        match found {
            Some(line) => line,
            None => panic!("no line {nth} with {words:?} in the log:\n{}", self.log()),
        }
    }

    /// Awaits that there is something to be found in the lines of the log; `what` says what.
    #[track_caller]
    pub(crate) fn find_in_log<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        let found = self.stderr.wait_until(|text| {
            let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
            look(whole)
        });
        match found {
            Some(found) => found,
            None => panic!("not in the log: {what}:\n{}", self.log()),
        }
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let status = std::process::Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status()
            .expect("the kill command");
        assert!(status.success(), "kill -s {name}: {status}");
    }

    /// Whether the process runs still.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Awaits the end of the process.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Exit {
        // A process that ends closes its outputs; there is no other event to await with a deadline.
        if !(self.stderr.wait_for_end() && self.stdout.wait_for_end()) {
            panic!("the adapter does not end; its log:\n{}", self.log());
        }
        Exit {
            status: self.child.wait().expect("the status of a child"),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status_figure("VmRSS:")
    }

    /// The highest that resident memory ever was, in KiB.
    pub(crate) fn peak_resident_kib(&self) -> u64 {
        self.status_figure("VmHWM:")
    }

    /// The number of threads.
    pub(crate) fn threads(&self) -> u64 {
        self.status_figure("Threads:")
    }

    /// The number of open file descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id()))
            .expect("the descriptors of a child")
            .count()
    }

    /// Processor time used so far, user and system, in clock ticks.
    pub(crate) fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("the child");
        // The name may hold anything; what follows its parenthesis is fields separated by spaces.
        let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
        let fields: Vec<&str> = fields.split(' ').collect();
        [11, 12]
            .iter()
            .map(|field| fields[*field].parse::<u64>().expect("a number"))
            .sum()
    }

    fn status_figure(&self, name: &str) -> u64 {
        fs::read_to_string(format!("/proc/{}/status", self.id()))
            .expect("the status of a child")
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .expect("a figure in the status")
    }
}

/// The wait that a line of its log announces, in milliseconds.
#[track_caller]
pub(crate) fn announced_wait(line: &str) -> u32 {
    let (_, wait) = line.split_once("next try in ").expect("a wait");
    let (digits, _) = wait.split_once(" ms").expect("milliseconds");
    digits.parse().expect("a number")
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // Both fail only for a process that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stdout.join();
        self.stderr.join();
        if thread::panicking() {
            eprintln!("the adapter's log:\n{}", self.log());
        }
    }
}

impl Exit {
    /// The exit code.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        match self.status.code() {
            Some(code) => code,
            None => panic!("ended by a signal: {self}"),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\nstdout:\n{}stderr:\n{}",
            self.status, self.stdout, self.stderr
        )
    }
}

impl Captured {
    fn start(mut stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let reader = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut chunk = [0; 8192];
                loop {
                    let count = stream.read(&mut chunk).unwrap_or(0);
                    let mut text = lock(&shared.text);
                    text.bytes.extend_from_slice(&chunk[..count]);
                    text.ended = count == 0;
                    shared.grown.notify_all();
                    if count == 0 {
                        return;
                    }
                }
            }
        });
        Self {
            shared,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared.text).bytes).into_owned()
    }

    /// Looks at the text each time it has grown, until there is something to be found in it.
    fn wait_until<T>(&self, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + DEADLINE;
        let mut text = lock(&self.shared.text);
        loop {
            if let Some(found) = look(&String::from_utf8_lossy(&text.bytes)) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if text.ended || left.is_zero() {
                return None;
            }
            text = self
                .shared
                .grown
                .wait_timeout(text, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn wait_for_end(&self) -> bool {
        let deadline = Instant::now() + DEADLINE;
        let mut text = lock(&self.shared.text);
        while !text.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            text = self
                .shared
                .grown
                .wait_timeout(text, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            // A reader cannot panic, and there would be nothing to do about it.
            let _ = reader.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
