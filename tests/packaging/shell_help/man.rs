//! The man page: a frame of text, into which version, its date and options are put.

use super::help;
use chat_adapter::cli::Opt;
use std::fmt::Write;

const FRAME: &str = include_str!("chat-adapter.1.in");

/// Has the commonest lines of the log in a table, under [`HEADING`].
const README: &str = include_str!("../../../README.md");
const HEADING: &str = "\n## What the log says\n";

/// Has the date of the version.
const CHANGELOG: &str = include_str!("../../../CHANGELOG.md");

/// The whole page.
pub(super) fn page(options: &[Opt]) -> String {
    let mut list = String::new();
    for option in options {
        let short = option
            .short
            .map_or(String::new(), |short| format!("\\fB\\-{short}\\fR, "));
        let value = match option.value {
            "" => String::new(),
            value => format!(" \\fI{}\\fR", escaped(value)),
        };
        // A String takes everything.
        let _ = writeln!(
            list,
            ".TP\n{short}\\fB\\-\\-{}\\fR{value}\n\\&{}",
            escaped(option.long),
            escaped(&help(option))
        );
    }
    FRAME
        .replace("@DATE@", date())
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@OPTIONS@\n", &list)
        .replace("@DIAGNOSTICS@\n", &diagnostics())
}

/// The day on which this version was made.
fn date() -> &'static str {
    let heading = concat!("\n## [", env!("CARGO_PKG_VERSION"), "] - ");
    let (_, rest) = CHANGELOG.split_once(heading).expect(heading);
    rest.lines().next().unwrap_or_default()
}

/// The commonest lines of the log, and what to do.
fn diagnostics() -> String {
    let (_, section) = README.split_once(HEADING).expect(HEADING);
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut list = String::new();
    for (line, meaning) in rows.filter_map(|row| row.trim_end_matches(" |").split_once("` | ")) {
        let meaning = meaning.replace('`', "");
        // A String takes everything.
        let _ = writeln!(
            list,
            ".TP\n\\fB{}\\fR\n\\&{}",
            escaped(line),
            escaped(&meaning)
        );
    }
    list
}

/// For roff, where a backslash starts a command and a bare dash is a hyphen.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.replace('…', "...")
}
