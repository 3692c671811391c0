//! What is logged, and in which form: for the journal, a terminal or a file; and a panic's line.
//!
//! How the lines are written is up to `log_writer`; what they say is up to those who log.

use crate::ari::escape::Escaped;
use crate::log_writer::{LogFlush, LogWriter};
use env_logger::{Builder, Target, WriteStyle};
use log::{Level, LevelFilter};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::panic::{self, PanicHookInfo};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Says what to log where the command line does not.
const VARIABLE: &str = "RUST_LOG";

/// How long the end of the process waits for the log to be written out.
const LAST_LINES: Duration = Duration::from_millis(200);

static FLUSH: OnceLock<LogFlush> = OnceLock::new();

/// Starts logging to stderr. Without a `level` the variable `RUST_LOG` counts, and without that
/// `info`. From now on a panic of any thread is logged and aborts the process.
///
/// The journal gets the level in its own form, and neither time nor colour, having both. A
/// terminal gets time and colour, anything else time alone.
///
/// # Panics
/// When it is called a second time.
pub fn start(level: Option<LevelFilter>) {
    let mut builder = Builder::new();
    builder.filter_level(level.unwrap_or(LevelFilter::Info));
    let variable = std::env::var_os(VARIABLE).filter(|_| level.is_none());
    let filter = variable.unwrap_or_default();
    let filter = filter.to_string_lossy();
    if is_filter(&filter) {
        builder.parse_filters(&filter);
    }
    let is_journal = is_journal();
    builder.write_style(match is_terminal() && !is_journal {
        true => WriteStyle::Always,
        false => WriteStyle::Never,
    });
    let prefix = if is_journal { "<4>" } else { "" };
    // Without a thread of its own the log is written by those who have something to log.
    if let Ok(writer) = LogWriter::start(io::stderr(), prefix) {
        FLUSH.get_or_init(|| writer.flusher());
        builder.target(Target::Pipe(Box::new(writer)));
    }
    if is_journal {
        builder.format(|out, record| {
            let priority = priority(record.level());
            writeln!(out, "<{priority}>{}", record.args())
        });
    } else {
        builder.format(|out, record| {
            let time = out.timestamp_millis();
            let level = record.level();
            let style = out.default_level_style(level);
            writeln!(out, "{time} {style}{level:<5}{style:#} {}", record.args())
        });
    }
    builder.init();
    panic::set_hook(Box::new(abort));
    if !is_filter(&filter) {
        let filter = Escaped(filter.as_bytes());
        log::warn!("{VARIABLE} is {filter}, which is no level: logging at info");
    }
}

/// Waits until all that was logged is written, but no longer than 200 ms. To be called last.
pub fn flush() {
    if let Some(flush) = FLUSH.get() {
        flush.wait(LAST_LINES);
    }
}

/// Logs a panic and ends the process, after 200 ms at the latest.
fn abort(panic: &PanicHookInfo<'_>) {
    static IS_LOGGED: AtomicBool = AtomicBool::new(false);
    if IS_LOGGED.swap(true, Ordering::SeqCst) {
        // The first panic ends the process; this one may have come of logging it.
        thread::sleep(LAST_LINES);
        process::abort();
    }
    let thread = thread::current();
    let name = thread.name().unwrap_or("without a name");
    let place_and_message = panic.to_string().replacen('\n', " ", 1);
    let text = format!("thread {name} {place_and_message}");
    let (done, is_done) = crossbeam_channel::bounded::<()>(0);
    // On another thread, since this one may hold the logger's lock. An error on either line: the
    // thread could not be had, or is done, or the time is over.
    let _ = thread::Builder::new().spawn(move || {
        log::error!("{}", Escaped(text.as_bytes()));
        flush();
        drop(done);
    });
    let _ = is_done.recv_timeout(LAST_LINES);
    process::abort();
}

/// Whether these are levels, of everything or of some module. Any other word would be taken for the
/// name of a module, and nothing would be logged at all.
fn is_filter(text: &str) -> bool {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let mut levels = parts.map(|part| match part.split_once('=') {
        Some((module, _)) if module.contains(char::is_whitespace) => "",
        Some((_, level)) => level,
        None => part,
    });
    levels.all(|level| level.parse::<LevelFilter>().is_ok())
}

/// Whether colours are wanted: by a terminal, and by its user (`NO_COLOR`).
fn is_terminal() -> bool {
    let is_set = |name, value: &str| std::env::var_os(name).is_some_and(|v| v == value);
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !no_colour && !is_set("TERM", "dumb")
}

/// As syslog numbers them.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Whether stderr is the very stream that the service manager says leads to the journal. The
/// variable alone may have been inherited by somebody whose stderr leads elsewhere.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let stderr = io::stderr().as_fd().try_clone_to_owned();
    let metadata = stderr.and_then(|stderr| File::from(stderr).metadata());
    metadata.is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, ExitStatus, Stdio};

    /// Set in a test that runs as a child of itself.
    const IS_CHILD: &str = "CHAT_ADAPTER_TEST_IS_CHILD";

    const SIGABRT: i32 = 6;

    /// No child runs so long unless the test fails.
    const DEADLINE: Duration = Duration::from_secs(60);

    /// Runs `body` in a child process, which is this test once more. In the child it is `None`.
    fn child(test: &str, body: impl FnOnce()) -> Option<Child> {
        if std::env::var_os(IS_CHILD).is_some() {
            body();
            return None;
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", &format!("logging::tests::{test}"), "--nocapture"])
            .env(IS_CHILD, "1")
            .env_remove("JOURNAL_STREAM")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Some(command.spawn().unwrap())
    }

    /// Awaits its end. What it logs stays unread, if nobody has taken its stderr.
    fn end(mut child: Child) -> ExitStatus {
        let id = child.id().to_string();
        let (sender, ended) = crossbeam_channel::bounded(1);
        thread::spawn(move || sender.send(child.wait()));
        ended.recv_timeout(DEADLINE).map_or_else(
            |_| {
                let _ = Command::new("kill").args(["-s", "KILL", &id]).status();
                panic!("the process does not end");
            },
            |status| status.unwrap(),
        )
    }

    fn log_of(mut child: Child) -> String {
        let stderr = child.stderr.take().unwrap();
        assert_eq!(end(child).signal(), Some(SIGABRT));
        io::read_to_string(stderr).unwrap()
    }

    fn panic_in_a_thread() {
        let thread = thread::Builder::new().name("data".into());
        let _ = thread.spawn(|| panic!("two\nlines")).unwrap().join();
    }

    #[test]
    fn a_panic_is_logged_once() {
        let child = child("a_panic_is_logged_once", || {
            start(Some(LevelFilter::Info));
            log::info!("before");
            panic_in_a_thread();
        });
        let Some(child) = child else { return };
        let log = log_of(child);
        let lines: Vec<&str> = log.lines().collect();
        let [before, panic] = lines[..] else {
            panic!("{log}")
        };
        assert!(before.ends_with("INFO  before"), "{log}");
        let place = "ERROR thread data panicked at src/logging.rs:";
        assert!(panic.contains(place), "{log}");
        assert!(panic.ends_with(": two\\nlines"), "{log}");
    }

    #[test]
    fn a_panic_ends_the_process_while_the_log_is_not_read() {
        let child = child("a_panic_ends_the_process_while_the_log_is_not_read", || {
            start(Some(LevelFilter::Info));
            // More than the pipe and the queue take.
            for _ in 0..1000 {
                log::info!("{}", "x".repeat(4000));
            }
            panic_in_a_thread();
        });
        let Some(child) = child else { return };
        assert_eq!(end(child).signal(), Some(SIGABRT));
    }

    struct Unwritable;

    impl fmt::Display for Unwritable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("not to be formatted")
        }
    }

    impl Write for Unwritable {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("not to be written to")
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_while_a_line_is_formatted_is_logged() {
        let child = child("a_panic_while_a_line_is_formatted_is_logged", || {
            start(Some(LevelFilter::Info));
            log::info!("{Unwritable}");
        });
        let Some(child) = child else { return };
        let log = log_of(child);
        assert!(log.contains(": not to be formatted"), "{log}");
        assert_eq!(log.matches("panicked at").count(), 1, "{log}");
    }

    #[test]
    fn a_panic_that_holds_the_lock_of_the_logger_ends_the_process() {
        let test = "a_panic_that_holds_the_lock_of_the_logger_ends_the_process";
        let child = child(test, || {
            let target = Target::Pipe(Box::new(Unwritable));
            let mut builder = Builder::new();
            builder.filter_level(LevelFilter::Info).target(target);
            builder.init();
            panic::set_hook(Box::new(abort));
            log::info!("x");
        });
        let Some(child) = child else { return };
        assert_eq!(end(child).signal(), Some(SIGABRT));
    }

    #[test]
    fn a_panic_of_the_log_thread_ends_the_process() {
        let child = child("a_panic_of_the_log_thread_ends_the_process", || {
            let mut writer = LogWriter::start(Unwritable, "").unwrap();
            FLUSH.get_or_init(|| writer.flusher());
            panic::set_hook(Box::new(abort));
            writer.write_all(b"x\n").unwrap();
            // It never is: the thread is stuck in the hook, which aborts.
            writer.flusher().wait(DEADLINE);
        });
        let Some(child) = child else { return };
        assert_eq!(end(child).signal(), Some(SIGABRT));
    }
}
