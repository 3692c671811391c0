//! Completion for zsh.

use super::{Value, help, levels, short_help};
use chat_adapter::cli::Opt;
use std::fmt::Write;

/// The whole file.
pub(super) fn completion(options: &[Opt]) -> String {
    let mut text = String::from("#compdef chat-adapter\n\n_arguments -s -S \\\n");
    for option in options {
        let explanation = escaped(&short_help(option));
        let action = match Value::of(option) {
            Value::None => String::new(),
            Value::File => format!(":{}:_files", option.value),
            Value::Host => format!(":{}:_hosts", option.value),
            Value::Level => format!(":{}:({})", option.value, levels()),
            Value::Other => format!(":{}: ", option.value),
        };
        let equals = if option.value.is_empty() { "" } else { "=" };
        let again = if help(option).contains("may be repeated") {
            "*"
        } else {
            ""
        };
        let long = format!("--{}{equals}", option.long);
        // A String takes everything.
        let _ = match option.short {
            Some(short) => writeln!(
                text,
                "  '(-{short} --{})'{{-{short},{long}}}'[{explanation}]{action}' \\",
                option.long
            ),
            None => writeln!(text, "  '{again}{long}[{explanation}]{action}' \\"),
        };
    }
    text.truncate(text.trim_end_matches(['\\', '\n', ' ']).len());
    text.push('\n');
    text
}

/// Within brackets and single quotes.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\'' => out.push_str("'\\''"),
            '[' | ']' | ':' | '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}
