//! What a line asks, or that it cannot be understood.

use super::text::{Value, decode};

/// One line, split as far as its method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Opaque.
    pub(crate) id: &'a [u8],
    /// The name of the method.
    pub(crate) method: &'a str,
    arguments: &'a [u8],
    has_arguments: bool,
}

/// A request with its strings decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// `NUS`, `NUA`.
    Login,
    /// `NNS`: user, session, context.
    Open(Value, String, Vec<(Value, Value)>),
    /// `NSC`.
    Close(Value),
    /// `GIS` and `GSC`: a list of names in one string.
    Names(Value),
    /// `GIT` and `GUI`.
    Items(Vec<Value>),
    /// `NUM`: session and message.
    Message(Value, Value),
    /// What is answered `V` whatever its arguments are.
    Assent,
    /// `SUB`.
    Subscribe(Value),
    /// `USB`.
    Unsubscribe(Value),
}

/// The methods of the two sides, but for those of the connection itself.
pub(crate) const METADATA: [&str; 14] = [
    "NUS", "NUA", "NNS", "NSC", "GIS", "GSC", "GIT", "GUI", "NUM", "NNT", "NTC", "MDA", "MSA",
    "MDC",
];
/// The same for data.
pub(crate) const DATA: [&str; 2] = ["SUB", "USB"];

impl<'a> Line<'a> {
    /// Splits a line; `None` when it has no method, or one that cannot be anybody's.
    pub(crate) fn split(line: &'a [u8]) -> Option<Self> {
        let mut tokens = line.splitn(3, |byte| *byte == b'|');
        let (id, method) = (tokens.next()?, tokens.next()?);
        let arguments = tokens.next().unwrap_or_default();
        Some(Self {
            id,
            method: std::str::from_utf8(method).ok()?,
            arguments,
            has_arguments: !arguments.is_empty(),
        })
    }

    /// Understands the arguments; `Err` when they are malformed.
    pub(crate) fn ask(&self) -> Result<Ask, ()> {
        let mut tokens = Tokens(Vec::new());
        if self.has_arguments {
            tokens.0 = self.arguments.split(|byte| *byte == b'|').collect();
            tokens.0.reverse();
        }
        let ask = match self.method {
            "NUS" => {
                tokens.strings(2)?;
                Ask::Login
            }
            "NUA" => {
                tokens.strings(3)?;
                Ask::Login
            }
            "NNS" => {
                let (user, session) = (tokens.string()?, tokens.string()?);
                return Ok(Ask::Open(user, session.ok_or(())?, tokens.context()?));
            }
            "NSC" => Ask::Close(tokens.string()?),
            "GIS" => Ask::Names(tokens.strings(3)?.swap_remove(1)),
            "GSC" => Ask::Names(tokens.strings(4)?.swap_remove(2)),
            "GIT" => return tokens.items(),
            "GUI" => {
                tokens.string()?;
                return tokens.items();
            }
            "NUM" => {
                tokens.string()?;
                Ask::Message(tokens.string()?, tokens.string()?)
            }
            "NNT" => {
                tokens.strings(2)?;
                Ask::Assent
            }
            "NTC" => {
                tokens.string()?;
                Ask::Assent
            }
            "MDA" | "MSA" | "MDC" => Ask::Assent,
            "SUB" => Ask::Subscribe(tokens.string()?),
            "USB" => Ask::Unsubscribe(tokens.string()?),
            other => unreachable!("{other} is no request of a side"),
        };
        // What follows is ignored, but it must be pairs, and strings must be strings.
        while tokens.pair()?.is_some() {}
        Ok(ask)
    }
}

/// The tokens that are left, last first.
struct Tokens<'a>(Vec<&'a [u8]>);

/// One pair: a string, or something else.
enum Pair {
    Text(Value),
    Other,
}

impl Tokens<'_> {
    fn pair(&mut self) -> Result<Option<Pair>, ()> {
        Ok(match self.0.pop() {
            None => None,
            Some(b"V") => Some(Pair::Other),
            Some(b"S") => Some(Pair::Text(decode(self.0.pop().ok_or(())?)?)),
            Some(_) => {
                self.0.pop().ok_or(())?;
                Some(Pair::Other)
            }
        })
    }

    fn string(&mut self) -> Result<Value, ()> {
        match self.pair()? {
            Some(Pair::Text(value)) => Ok(value),
            _ => Err(()),
        }
    }

    fn strings(&mut self, count: usize) -> Result<Vec<Value>, ()> {
        (0..count).map(|_| self.string()).collect()
    }

    fn items(&mut self) -> Result<Ask, ()> {
        let mut items = Vec::new();
        while !self.0.is_empty() {
            items.push(self.string()?);
        }
        Ok(Ask::Items(items))
    }

    /// Names and values; what is no string is passed over, with its name if it is a value.
    fn context(&mut self) -> Result<Vec<(Value, Value)>, ()> {
        let mut context = Vec::new();
        while let Some(pair) = self.pair()? {
            let Pair::Text(name) = pair else { continue };
            if let Pair::Text(value) = self.pair()?.ok_or(())? {
                context.push((name, value));
            }
        }
        Ok(context)
    }
}
