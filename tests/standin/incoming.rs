//! The direction in which the Proxy reads: lines, checked for their form. It must not know what
//! they mean, except for `KEEPALIVE`, which may stand between any two others.

use std::io::{ErrorKind, Read};
use std::time::Instant;

use super::DEADLINE;
use super::transcript::Transcript;
use super::uninterrupted::uninterrupted;

/// The line a Remote Adapter sends when it has nothing else to send.
const KEEPALIVE: &str = "KEEPALIVE";

/// How the peer ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// An orderly end of its stream.
    Closed,
    /// A reset. The kernel sends one, too, for a socket closed with unread input.
    Reset,
}

/// The direction in which the Proxy reads.
pub(crate) struct Incoming {
    source: Box<dyn Read + Send>,
    transcript: Transcript,
    /// What was read and not yet handed out.
    buffer: Vec<u8>,
    /// Where in `buffer` the next line begins.
    start: usize,
    /// Up to where `buffer` is known to hold no line end.
    searched: usize,
    /// The most that one read may take.
    chunk: usize,
    keepalives: usize,
}

impl Incoming {
    /// Reads from `source`.
    pub(super) fn new(source: Box<dyn Read + Send>, transcript: Transcript) -> Self {
        Self {
            source,
            transcript,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            chunk: 64 * 1024,
            keepalives: 0,
        }
    }

    /// Keeps no transcript from now on.
    pub(super) fn forget_transcript(&mut self) {
        self.transcript.forget();
    }

    /// The next line that is not a keepalive.
    ///
    /// # Panics
    /// If the connection ends or stays silent, and if the line is not UTF-8 or does not end in CR
    /// LF.
    #[track_caller]
    pub(crate) fn expect_line(&mut self) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = self.expect_any_line();
            if line != KEEPALIVE {
                return line;
            }
            if Instant::now() > deadline {
                self.fail("only keepalives came where a line was awaited");
            }
        }
    }

    /// The next line, a keepalive or another.
    #[track_caller]
    pub(crate) fn expect_any_line(&mut self) -> String {
        match self.next_line() {
            Ok(line) => line,
            Err(end) => self.fail(&format!("a line was awaited, and the end came: {end:?}")),
        }
    }

    /// The next line, which must be this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) {
        let got = self.expect_line();
        if got != line {
            self.fail(&format!(
                "not the line awaited\n  awaited: {}\n  got:     {}",
                escaped(line),
                escaped(&got)
            ));
        }
    }

    /// The next line, which must satisfy a condition; `what` says which.
    #[track_caller]
    pub(crate) fn expect_matching(
        &mut self,
        what: &str,
        condition: impl FnOnce(&str) -> bool,
    ) -> String {
        let got = self.expect_line();
        if !condition(&got) {
            self.fail(&format!("{what} was awaited, not {}", escaped(&got)));
        }
        got
    }

    /// Awaits a keepalive, which must come before any other line.
    #[track_caller]
    pub(crate) fn expect_keepalive(&mut self) {
        let line = self.expect_any_line();
        if line != KEEPALIVE {
            self.fail(&format!("a keepalive was awaited, not {}", escaped(&line)));
        }
    }

    /// The number of keepalives read so far.
    pub(crate) fn keepalives(&self) -> usize {
        self.keepalives
    }

    /// Awaits the end of the connection, before which nothing but keepalives may come.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) -> End {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.next_line() {
                Ok(line) if line == KEEPALIVE && Instant::now() > deadline => {
                    self.fail("only keepalives came where the end was awaited");
                }
                Ok(line) if line == KEEPALIVE => {}
                Ok(line) => self.fail(&format!("the end was awaited, not {}", escaped(&line))),
                Err(end) => return end,
            }
        }
    }

    /// Awaits the end of the connection and yields the lines that came before it, without
    /// keepalives.
    #[track_caller]
    pub(crate) fn expect_last_lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Ok(line) = self.next_line() {
            if line != KEEPALIVE {
                lines.push(line);
            }
        }
        lines
    }

    /// The next line, a keepalive or another, or the end of the connection.
    #[track_caller]
    pub(crate) fn next_line(&mut self) -> Result<String, End> {
        loop {
            let unsearched = &self.buffer[self.searched..];
            if let Some(found) = unsearched.iter().position(|byte| *byte == b'\n') {
                let end = self.searched + found + 1;
                let line = self.checked_line(self.start, end);
                self.start = end;
                self.searched = end;
                if line == KEEPALIVE {
                    self.keepalives += 1;
                }
                return Ok(line);
            }
            self.searched = self.buffer.len();
            if let Err(end) = self.fill() {
                if self.start < self.buffer.len() {
                    let rest = self.buffer[self.start..].escape_ascii().to_string();
                    self.fail(&format!("{end:?} in the middle of a line: {rest}"));
                }
                return Err(end);
            }
        }
    }

    /// Takes no more than so many bytes with each read from now on: a Proxy that reads slowly.
    pub(crate) fn set_chunk(&mut self, bytes: usize) {
        self.chunk = bytes.max(1);
    }

    /// Reads once, for tests that look at the flow of bytes and not at lines.
    #[track_caller]
    pub(crate) fn fill(&mut self) -> Result<usize, End> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        let held = self.buffer.len();
        self.buffer.resize(held + self.chunk, 0);
        let outcome = uninterrupted(|| self.source.read(&mut self.buffer[held..]));
        self.buffer.truncate(held + *outcome.as_ref().unwrap_or(&0));
        match outcome {
            Ok(0) => Err(End::Closed),
            Ok(count) => Ok(count),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    let rest = self.buffer.escape_ascii().to_string();
                    self.fail(&format!(
                        "nothing came within {DEADLINE:?}; begun line: {rest:?}"
                    ))
                }
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Err(End::Reset),
                // How rustls reports a stream that ended without close_notify.
                ErrorKind::UnexpectedEof => Err(End::Closed),
                _ => self.fail(&format!("cannot read: {error}")),
            },
        }
    }

    #[track_caller]
    fn checked_line(&self, start: usize, end: usize) -> String {
        let bytes = &self.buffer[start..end];
        self.transcript.received(bytes);
        let Some(line) = bytes.strip_suffix(b"\r\n") else {
            self.fail("a line does not end in CR LF");
        };
        if line.contains(&b'\r') {
            self.fail("a carriage return within a line");
        }
        match std::str::from_utf8(line) {
            Ok(line) => line.to_owned(),
            Err(error) => self.fail(&format!("a line is not UTF-8: {error}")),
        }
    }

    /// Ends the test with a message that shows the last lines of the connection.
    #[track_caller]
    pub(crate) fn fail(&self, message: &str) -> ! {
        panic!("{message}\n{}", self.transcript);
    }
}

/// A line for the message of a failure: escaped, and not by the megabyte.
fn escaped(line: &str) -> String {
    const MOST: usize = 500;
    match line.char_indices().nth(MOST) {
        None => format!("{line:?}"),
        Some((cut, _)) => format!("{:?} … ({} bytes)", &line[..cut], line.len()),
    }
}
