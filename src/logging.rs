//! The log: to stderr, one event a line, in the form that its reader wants.

use crate::shown::Shown;
use crate::stderr::Patient;
use env_logger::{Builder, Target, WriteStyle};
use log::{Level, LevelFilter};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// Says what to log where the command line does not.
const VARIABLE: &str = "RUST_LOG";

/// Starts logging. Without a `level` the variable `RUST_LOG` counts, and without that `info`.
///
/// The journal gets the level in its own form, and neither time nor colour, having both. A
/// terminal gets time and colour, anything else time alone.
pub fn start(level: Option<LevelFilter>) {
    let mut builder = Builder::new();
    builder.filter_level(level.unwrap_or(LevelFilter::Info));
    let wished = std::env::var_os(VARIABLE).unwrap_or_default();
    let wished = wished.to_string_lossy();
    let is_wish = level.is_none() && !wished.is_empty();
    if is_wish && is_filter(&wished) {
        builder.parse_filters(&wished);
    }
    let is_journal = is_journal();
    builder.write_style(match is_terminal() && !is_journal {
        true => WriteStyle::Always,
        false => WriteStyle::Never,
    });
    let prefix = if is_journal { "<4>" } else { "" };
    if let Ok(patient) = Patient::new(io::stderr(), prefix) {
        builder.target(Target::Pipe(Box::new(patient)));
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
    if is_wish && !is_filter(&wished) {
        let wished = Shown(wished.as_bytes());
        log::warn!("{VARIABLE} is {wished}, which is no level: logging at info");
    }
}

/// Levels, of everything or of some module. What else there might be would be taken for the name
/// of a module that is not there, and nothing would be logged at all.
fn is_filter(wished: &str) -> bool {
    let parts = wished.split(',').filter(|part| !part.is_empty());
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
