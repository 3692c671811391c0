//! What the playground prints: the lines of both ARI connections, if they are wanted, and a word now and then. One
//! line at a time, harmless to a terminal.

use std::io::{self, Write};

use chat_adapter::ari::escape::Escaped;

use crate::ari::{self, Side};

/// How much to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Nothing.
    #[cfg(test)]
    Nothing,
    /// What a person should know.
    Notes,
    /// That, and the lines of both ARI connections.
    Lines,
}

/// In which direction a line passes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    ToAdapter,
    FromAdapter,
}

impl Show {
    /// A line that passes on an ARI connection.
    pub(crate) fn line(self, side: Side, way: Way, line: &str) {
        if self != Show::Lines {
            return;
        }
        let arrow = match way {
            Way::ToAdapter => '→',
            Way::FromAdapter => '←',
        };
        let line = ari::without_secrets(line);
        print(&format!(
            "{:<8} {arrow} {}",
            side.name(),
            Escaped(line.as_bytes())
        ));
    }

    /// Something to know.
    pub(crate) fn note(self, text: &str) {
        #[cfg(test)]
        if self == Show::Nothing {
            return;
        }
        print(&format!("* {}", Escaped(text.as_bytes())));
    }
}

/// Prints a line. Nobody may be there to read it, which is no reason to end.
pub(crate) fn print(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
