//! Strings on the wire: both encodings, character by character.

/// How a connection writes its strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Everything but the unreserved characters is escaped.
    Form,
    /// Five characters are escaped, and the two marks.
    Smart,
}

/// A string or null.
pub(crate) type Value = Option<String>;

/// Reads a token in either encoding; `Err` when it is malformed.
pub(crate) fn decode(token: &[u8]) -> Result<Value, ()> {
    match token {
        b"#" => Ok(None),
        b"$" => Ok(Some(String::new())),
        _ => unescape(token).map(Some),
    }
}

/// The same for a part of a token, in which the marks mean nothing.
pub(crate) fn unescape(token: &[u8]) -> Result<String, ()> {
    let mut bytes = Vec::new();
    let mut rest = token.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => 16 * digit(rest.next())? + digit(rest.next())?,
            other => *other,
        });
    }
    String::from_utf8(bytes).map_err(drop)
}

fn digit(byte: Option<&u8>) -> Result<u8, ()> {
    let value = byte.and_then(|byte| char::from(*byte).to_digit(16));
    value.map(|value| value as u8).ok_or(())
}

/// Writes a value the one way it may be written.
pub(crate) fn encode(encoding: Encoding, value: Option<&str>) -> String {
    let Some(text) = value else {
        return "#".to_owned();
    };
    if text.is_empty() {
        return "$".to_owned();
    }
    if text == "#" || text == "$" {
        return format!("%{:02X}", text.as_bytes()[0]);
    }
    text.chars().map(|c| character(encoding, c)).collect()
}

fn character(encoding: Encoding, c: char) -> String {
    let stands = match encoding {
        Encoding::Smart => !"|\r\n%+".contains(c),
        Encoding::Form => c.is_ascii_alphanumeric() || "-_.*".contains(c),
    };
    if stands {
        return c.to_string();
    }
    if encoding == Encoding::Form && c == ' ' {
        return "+".to_owned();
    }
    let escaped = c.to_string().into_bytes();
    escaped.iter().map(|byte| format!("%{byte:02X}")).collect()
}
