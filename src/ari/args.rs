//! The tokens of a line: strings, pairs, and what is wrong with them (section 2).

use super::text::{Text, TextError, plain_length};
use std::borrow::Cow;
use std::fmt;

/// The `|`-separated tokens after the method.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    pub(super) rest: Option<&'a [u8]>,
}

impl<'a> Args<'a> {
    pub(super) fn has_more(&self) -> bool {
        self.rest.is_some()
    }

    #[inline]
    pub(super) fn token(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut end = plain_length(rest);
        if rest.get(end).is_some_and(|&byte| byte != b'|') {
            end = memchr::memchr(b'|', rest).unwrap_or(rest.len());
        }
        self.rest = rest.get(end + 1..);
        Some(&rest[..end])
    }

    /// The value of the next pair, which must be an `S`.
    #[inline]
    pub(super) fn text(&mut self, argument: &'static str) -> Result<Text<'a>, Malformed> {
        // The type is nearly always what it must be.
        let Some([b'S', b'|', value @ ..]) = self.rest else {
            return Err(self.not_a_string(argument));
        };
        let (text, rest) = Text::split(value).map_err(|e| Malformed::text(argument, e))?;
        self.rest = rest;
        Ok(text)
    }

    #[cold]
    fn not_a_string(&mut self, argument: &'static str) -> Malformed {
        match self.token() {
            None => Malformed::missing(argument),
            Some(b"S") => Malformed::new(argument, Fault::NoValue),
            Some(other) => Malformed::new(argument, Fault::not_s(other)),
        }
    }

    /// The same, decoded.
    #[inline]
    pub(super) fn decoded(&mut self, argument: &'static str) -> Result<Value<'a>, Malformed> {
        // As most users are.
        if let Some([b'S', b'|', b'#', b'|', rest @ ..]) = self.rest {
            self.rest = Some(rest);
            return Ok(None);
        }
        Ok(self.text(argument)?.decode())
    }

    /// The same, where null means no more than the empty string.
    pub(super) fn name(&mut self, argument: &'static str) -> Result<Cow<'a, str>, Malformed> {
        Ok(self.decoded(argument)?.unwrap_or_default())
    }

    /// The same of a list, which is called `list` when it does not decode.
    pub(super) fn list(
        &mut self,
        argument: &'static str,
        list: &'static str,
    ) -> Result<Cow<'a, str>, Malformed> {
        self.name(argument).map_err(|error| match error.fault {
            Fault::Text(fault) => Malformed::text(list, fault),
            _ => error,
        })
    }

    /// The next pair of whatever type; `None` at the end. `V` stands without a value.
    pub(super) fn pair(&mut self) -> Result<Option<Pair<'a>>, Malformed> {
        match self.token() {
            None => Ok(None),
            Some(b"V") => Ok(Some((b"V", b"#"))),
            Some(kind) => match self.token() {
                Some(value) => Ok(Some((kind, value))),
                None => Err(Malformed::new(REST, Fault::NoValue)),
            },
        }
    }

    /// Checks arguments that nobody looks at: they must still be pairs, and strings strings.
    pub(super) fn check_rest(&self) -> Result<(), Malformed> {
        let mut rest = *self;
        while let Some((kind, value)) = rest.pair()? {
            if kind == b"S" {
                Text::new(value).map_err(|e| Malformed::text(REST, e))?;
            }
        }
        Ok(())
    }
}

/// A type and its value, as they stand on the wire.
pub(super) type Pair<'a> = (&'a [u8], &'a [u8]);

/// What an argument beyond those that are known is called.
const REST: &str = "a further argument";

/// A decoded string; `None` is null.
pub type Value<'a> = Option<Cow<'a, str>>;

/// Why the arguments of a request cannot be understood; `Display` is the text to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    argument: &'static str,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Missing,
    NoValue,
    Null,
    Type(String),
    Text(TextError),
}

impl Fault {
    fn not_s(found: &[u8]) -> Fault {
        let short = &found[..found.len().min(16)];
        Fault::Type(String::from_utf8_lossy(short).escape_debug().to_string())
    }
}

impl Malformed {
    #[cold]
    fn new(argument: &'static str, fault: Fault) -> Malformed {
        Malformed { argument, fault }
    }

    pub(super) fn null(argument: &'static str) -> Malformed {
        Malformed::new(argument, Fault::Null)
    }

    pub(super) fn missing(argument: &'static str) -> Malformed {
        Malformed::new(argument, Fault::Missing)
    }

    pub(super) fn text(argument: &'static str, error: TextError) -> Malformed {
        Malformed::new(argument, Fault::Text(error))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Malformed { argument, fault } = self;
        match fault {
            Fault::Missing => write!(f, "{argument} is missing"),
            Fault::NoValue => write!(f, "{argument} has a type but no value"),
            Fault::Null => write!(f, "{argument} is null"),
            Fault::Type(found) => write!(f, "{argument} must be of type S, not {found}"),
            Fault::Text(error) => write!(f, "{argument}: {error}"),
        }
    }
}

impl std::error::Error for Malformed {}
