//! Reads a journal back.

use super::line::{self, Entry, Flaw};
use crate::ari::framing::{Line, LineBuffer};
use std::io::{self, Read};

/// How each journal begins.
const FIRST: &[u8] = b"1|MPI|S|journal.version|S|";

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

/// What was read of a journal.
#[derive(Debug, PartialEq, Eq)]
pub struct Loaded {
    /// How far.
    pub end: End,
    /// So many lines.
    pub lines: u64,
    /// So many bytes do these take.
    pub bytes: u64,
}

/// Reads all lines: hands over which instance the sessions belong to, and what opened and closed.
///
/// # Errors
/// [`Unusable`].
pub fn load(source: &mut impl Read, mut entry: impl FnMut(Entry<'_>)) -> Result<Loaded, Unusable> {
    let mut lines = LineBuffer::new();
    let (mut count, mut bytes) = (0, 0);
    let end = loop {
        while let Some(line) = lines.next_line() {
            let number = count + 1;
            let (read, begin) = match line {
                Line::Complete(line) => (line::read(number, line), line),
                Line::TooLong(begin) => (Err(Flaw::Damaged), begin),
            };
            match read {
                Ok(read) => entry(read),
                Err(Flaw::Version(version)) => return Err(Unusable::Version(version)),
                Err(Flaw::Damaged)
                    if number == 1 && !begin.starts_with(FIRST) && !is_blank(begin) =>
                {
                    return Err(Unusable::NoJournal);
                }
                Err(Flaw::Damaged) => {
                    let (end, lines) = (End::Damaged(number), count);
                    return Ok(Loaded { end, lines, bytes });
                }
            }
            count = number;
        }
        match lines.fill(source) {
            Ok(0) if count == 0 && !may_begin_as_journal(lines.pending()) => {
                return Err(Unusable::NoJournal);
            }
            Ok(0) => break End::Whole,
            Ok(read) => bytes += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if count == 0 => return Err(Unusable::Read(error)),
            Err(_) => break End::Damaged(count + 1),
        }
    };
    Ok(Loaded {
        end,
        lines: count,
        bytes: bytes - lines.pending().len() as u64,
    })
}

/// Whether what there is of the first line may be that of a journal that was never finished.
fn may_begin_as_journal(line: &[u8]) -> bool {
    line.starts_with(FIRST) || FIRST.starts_with(line) || is_blank(line)
}

/// Whether that is what a power cut leaves of a file that was not on the disk yet.
fn is_blank(begin: &[u8]) -> bool {
    begin.first() == Some(&0)
}
