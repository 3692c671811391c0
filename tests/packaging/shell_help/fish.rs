//! Completion for fish.

use super::{Value, levels, short_help};
use chat_adapter::cli::Opt;
use std::fmt::Write;

/// The whole file.
pub(super) fn completion(options: &[Opt]) -> String {
    let mut text =
        String::from("# fish completion for chat-adapter\n\ncomplete -c chat-adapter -f\n");
    for option in options {
        let short = option
            .short
            .map_or(String::new(), |short| format!(" -s {short}"));
        let value = match Value::of(option) {
            Value::None => String::new(),
            Value::File => " -r -F".into(),
            Value::Host => " -x -a '(__fish_print_hostnames)'".into(),
            Value::Level => format!(" -x -a '{}'", levels()),
            Value::Other => " -x".into(),
        };
        let help = short_help(option)
            .replace('\\', "\\\\")
            .replace('\'', "\\'");
        // A String takes everything.
        let _ = writeln!(
            text,
            "complete -c chat-adapter{short} -l {}{value} -d '{help}'",
            option.long
        );
    }
    text
}
