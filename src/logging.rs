//! The log: to stderr, one event a line, in the form that its reader wants.

use env_logger::{Builder, Env};
use log::{Level, LevelFilter};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// Starts logging. Without a `level` the variable `RUST_LOG` counts, and without that `info`.
///
/// The journal gets the level in its own form, and neither time nor colour, having both. A
/// terminal gets time and colour, anything else time alone.
pub fn start(level: Option<LevelFilter>) {
    let mut builder = match level {
        Some(level) => {
            let mut builder = Builder::new();
            builder.filter_level(level);
            builder
        }
        None => Builder::from_env(Env::default().default_filter_or("info")),
    };
    if is_journal() {
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
    let stderr = std::io::stderr().as_fd().try_clone_to_owned();
    let metadata = stderr.and_then(|stderr| File::from(stderr).metadata());
    metadata.is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
}
