//! Reads a journal back.

use super::line::{self, Entry, Flaw};
use crate::ari::framing::{Line, LineBuffer};
use crate::ari::request::Request;
use std::io::{self, Read};

/// How far a journal could be read.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// To its end. What stands there of a line that was never finished does not count.
    Whole,
    /// Up to the line of this number, which is damaged or cannot be read.
    Damaged(u64),
}

/// Why nothing of a file can be used, and it must be left alone.
#[derive(Debug)]
pub enum Unusable {
    /// It does not begin as a journal does.
    NoJournal,
    /// It is a journal of another form, which a later version has written.
    Version(String),
    /// It cannot be read from the start.
    Read(io::Error),
}

/// Reads all lines: gives the instance that the sessions belong to, and hands over what opened and
/// closed. An empty file belongs to nobody.
///
/// # Errors
/// [`Unusable`].
pub fn load(
    source: &mut impl Read,
    mut entry: impl FnMut(Request<'_>),
) -> Result<(Option<String>, End), Unusable> {
    let mut lines = LineBuffer::new();
    let mut instance = None;
    let mut number = 1;
    loop {
        while let Some(line) = lines.next_line() {
            let read = match line {
                Line::Complete(line) => line::read(number, line),
                Line::TooLong(_) => Err(Flaw::Damaged),
            };
            match read {
                Ok(Entry::Instance(name)) => instance = Some(name),
                Ok(Entry::Session(request)) => entry(request),
                Err(Flaw::Version(version)) => return Err(Unusable::Version(version)),
                Err(Flaw::Damaged) if number == 1 => return Err(Unusable::NoJournal),
                Err(Flaw::Damaged) => return Ok((instance, End::Damaged(number))),
            }
            number += 1;
        }
        match lines.fill(source) {
            Ok(0) if number == 1 && !lines.pending().is_empty() => return Err(Unusable::NoJournal),
            Ok(0) => return Ok((instance, End::Whole)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if number == 1 => return Err(Unusable::Read(error)),
            Err(_) => return Ok((instance, End::Damaged(number))),
        }
    }
}
