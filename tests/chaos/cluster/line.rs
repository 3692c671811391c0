//! One connection after its handshake: lines out, lines in, and the end.

use std::time::{Duration, Instant};

use crate::proxy::PROMPT;
use crate::wire::{End, Wire};
use crate::world::{Halt, Run, World};

/// How long one wait for the socket may be, so that the end of the run is noticed.
const TICK: Duration = Duration::from_millis(50);

/// The connection.
pub(crate) struct Line<'a> {
    world: &'a World,
    name: String,
    wire: Wire,
}

impl<'a> Line<'a> {
    /// Takes over after a handshake; `name` is for failures.
    pub(crate) fn new(world: &'a World, name: String, wire: Wire) -> Self {
        Self { world, name, wire }
    }

    /// Sends all of this, and reads what comes meanwhile.
    pub(crate) fn send(&mut self, lines: &str) -> Run<()> {
        let mut rest = lines.as_bytes();
        let until = Instant::now() + PROMPT;
        while !rest.is_empty() {
            self.world.wait(Duration::ZERO)?;
            self.wire.transfer(&mut rest, true, TICK)?;
            if Instant::now() > until {
                return Err(self.fail("the adapter does not read"));
            }
        }
        Ok(())
    }

    /// The next line; `None` when none comes within this time, and at the end.
    pub(crate) fn next(&mut self, time: Duration) -> Run<Option<String>> {
        let until = Instant::now() + time;
        loop {
            self.world.wait(Duration::ZERO)?;
            if let Some(line) = self.wire.line() {
                return Ok(Some(line));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.wire.end().is_some() {
                return Ok(None);
            }
            self.wire.transfer(&mut &[][..], true, left.min(TICK))?;
        }
    }

    /// The next line, which must come.
    pub(crate) fn due(&mut self, what: &str) -> Run<String> {
        match self.next(PROMPT)? {
            Some(line) => Ok(line),
            None => Err(self.fail(&format!("{what} was due; the end: {:?}", self.wire.end()))),
        }
    }

    /// All lines until the end, which must come.
    pub(crate) fn read_to_the_end(&mut self) -> Run<Vec<String>> {
        let mut lines = Vec::new();
        while let Some(line) = self.next(PROMPT)? {
            lines.push(line);
        }
        match self.wire.end() {
            Some(_) => Ok(lines),
            None => Err(self.fail("the end was due")),
        }
    }

    /// Whether the adapter has ended it, and in good order.
    pub(crate) fn has_ended(&self) -> Option<bool> {
        let end = self.wire.end()?;
        Some(end == End::Orderly && !self.wire.is_torn())
    }

    /// Sends nothing more.
    pub(crate) fn finish(&self) {
        self.wire.finish();
    }

    /// Breaks it.
    pub(crate) fn reset(self) {
        self.wire.reset();
    }

    pub(crate) fn fail(&self, violation: &str) -> Halt {
        Halt(format!("{}: {violation}", self.name))
    }
}
