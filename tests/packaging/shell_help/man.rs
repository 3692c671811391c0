//! The man page: a frame of text, into which version and options are put.

use super::help;
use chat_adapter::cli::Opt;
use std::fmt::Write;

const FRAME: &str = include_str!("chat-adapter.1.in");

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
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@OPTIONS@\n", &list)
}

/// For roff, where a backslash starts a command and a bare dash is a hyphen.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
