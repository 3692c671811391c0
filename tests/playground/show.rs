//! What the playground prints: the lines of both ARI connections, if they are wanted, and a word now and then. One
//! line at a time, harmless to a terminal; where there are several servers, each says which it is of.

use std::io::{self, Write};

use chat_adapter::ari::escape::Escaped;

use crate::ari::{self, Side};

/// How much to print, and of which server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Show {
    pub(crate) what: What,
    /// The number of the server, where there are several.
    pub(crate) server: Option<u16>,
}

/// How much to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
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
        if self.what != What::Lines {
            return;
        }
        let server = self.server.map(|number| format!("{number} "));
        let arrow = match way {
            Way::ToAdapter => '→',
            Way::FromAdapter => '←',
        };
        let line = ari::without_secrets(line);
        print(&format!(
            "{}{:<8} {arrow} {}",
            server.unwrap_or_default(),
            side.name(),
            Escaped(line.as_bytes())
        ));
    }

    /// Something to know.
    pub(crate) fn note(self, text: &str) {
        let server = self.server.map(|number| format!("server {number}: "));
        let server = server.unwrap_or_default();
        self.say(&format!("* {server}{}", Escaped(text.as_bytes())));
    }

    /// A line as it is.
    pub(crate) fn say(self, text: &str) {
        #[cfg(test)]
        if self.what == What::Nothing {
            return;
        }
        print(text);
    }
}

/// Prints a line. Nobody may be there to read it, which is no reason to end.
pub(crate) fn print(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
