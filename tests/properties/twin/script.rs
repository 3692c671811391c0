//! An exchange as text, one step a line, so that a failure can be read, kept and played again:
//!
//! ```text
//! O91abc     the metadata connection opens: version 1.9 (8: 1.8.3, 0: 1.8.0), from Proxy instance `1abc`
//! M<line>    a metadata request; those that follow one another come in one read
//! ;          the read ends
//! D<line>    a data request, likewise
//! L          the data connection is lost, and opened again
//! X          the data connection breaks: it takes nothing any more
//! F<bytes>   so much room is there for the events of each read
//! T<millis>  the time
//! ```
//!
//! Any other line is skipped.

use super::text::Encoding;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// The metadata connection opens; what is empty names no instance.
    Open(Version, &'a str),
    /// One read of metadata requests.
    Metadata(Vec<&'a [u8]>),
    /// One read of data requests.
    Data(Vec<&'a [u8]>),
    /// The data connection is lost and opened again.
    Lose,
    /// The data connection takes nothing any more.
    Break,
    /// The room for events.
    Room(usize),
    /// The time, in milliseconds since the epoch.
    Time(u64),
}

/// The versions that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 1.9.1.
    Modern,
    /// 1.8.3.
    Old,
    /// 1.8.0.
    Oldest,
}

impl Version {
    /// How strings are written.
    pub(crate) fn encoding(self) -> Encoding {
        match self {
            Version::Modern => Encoding::Smart,
            Version::Old | Version::Oldest => Encoding::Form,
        }
    }
}

/// The most room that makes sense, and the last second but some hours of the year 9999.
const MOST_ROOM: usize = 1 << 20;
const LAST_MILLIS: u64 = 253_402_207_199_999;

/// Reads a script.
pub(crate) fn steps(script: &[u8]) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut ended = true;
    for line in script.split(|byte| *byte == b'\n') {
        let Some((kind, rest)) = line.split_first() else {
            continue;
        };
        let step = match (kind, steps.last_mut()) {
            (b'M', Some(Step::Metadata(lines))) | (b'D', Some(Step::Data(lines))) if !ended => {
                lines.push(rest);
                continue;
            }
            (b'M', _) => Step::Metadata(vec![rest]),
            (b'D', _) => Step::Data(vec![rest]),
            (b';', _) => {
                ended = true;
                continue;
            }
            (b'O', _) => match opening(rest) {
                Some(step) => step,
                None => continue,
            },
            (b'L', _) => Step::Lose,
            (b'X', _) => Step::Break,
            (b'F', _) => Step::Room(number(rest).min(MOST_ROOM as u64) as usize),
            (b'T', _) => Step::Time(number(rest).min(LAST_MILLIS)),
            _ => continue,
        };
        steps.push(step);
        ended = false;
    }
    steps
}

fn opening(rest: &[u8]) -> Option<Step<'_>> {
    let (version, instance) = rest.split_first()?;
    let version = match version {
        b'9' => Version::Modern,
        b'8' => Version::Old,
        _ => Version::Oldest,
    };
    Some(Step::Open(version, std::str::from_utf8(instance).ok()?))
}

/// The digits there are; anything else counts as nothing.
fn number(digits: &[u8]) -> u64 {
    let digits = digits.iter().filter(|digit| digit.is_ascii_digit());
    digits.fold(0, |number: u64, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    })
}
