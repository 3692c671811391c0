//! Strings on the wire: the two encodings of section 2, and one decoder for both.
//!
//! What arrives is read leniently; what leaves is always canonical, so that a Proxy of any age
//! reads it back byte for byte.

use std::borrow::Cow;
use std::fmt;

/// How strings are written on a connection (section 2, "String encoding").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Form encoding, for ARI 1.8 and, at any version, for the opening and closing of a
    /// connection.
    Form,
    /// ARI 1.9 and later: only `|`, CR, LF, `%` and `+` are escaped.
    Smart,
}

/// Why a string could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadText {
    /// A `%` that is not followed by two hexadecimal digits, at this offset of the token.
    Escape(usize),
    /// The decoded bytes are not UTF-8; valid up to this offset of the decoded bytes.
    Utf8(usize),
}

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadText::Escape(at) => write!(f, "bad percent escape at byte {at}"),
            BadText::Utf8(at) => write!(f, "not UTF-8 after byte {at}"),
        }
    }
}

impl std::error::Error for BadText {}

/// A string as it stands on the wire, not yet decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// The string, or `None` for null. Borrows where nothing is escaped. A token without any
    /// byte is read as the empty string.
    ///
    /// # Errors
    /// [`BadText`], when an escape is bad or the bytes are not UTF-8.
    pub fn decode(self) -> Result<Option<Cow<'a, str>>, BadText> {
        match self.0 {
            b"#" => Ok(None),
            b"$" => Ok(Some(Cow::Borrowed(""))),
            token => unescape(token).map(Some),
        }
    }

    /// The string's bytes, if they stand there as they are, in plain ASCII; `None` when it takes
    /// [`decode`](Self::decode) to tell. A shortcut for ids, which are always like that.
    #[must_use]
    pub fn plain(self) -> Option<&'a [u8]> {
        is_plain(self.0).then_some(self.0)
    }
}

/// Decodes a token, or a part of one that starts at a character: `%XX` and `+`, but not the
/// marks for null and empty.
///
/// # Errors
/// [`BadText`], as [`Text::decode`].
pub fn unescape(token: &[u8]) -> Result<Cow<'_, str>, BadText> {
    let utf8 = |e: std::str::Utf8Error| BadText::Utf8(e.valid_up_to());
    let Some(first) = memchr::memchr2(b'%', b'+', token) else {
        return std::str::from_utf8(token).map(Cow::Borrowed).map_err(utf8);
    };
    let mut out = Vec::with_capacity(token.len());
    out.extend_from_slice(&token[..first]);
    let mut at = first;
    while let Some(&byte) = token.get(at) {
        match byte {
            b'%' => {
                let digits = token.get(at + 1..at + 3).ok_or(BadText::Escape(at))?;
                let (high, low) = (hex(digits[0]), hex(digits[1]));
                let (high, low) = high.zip(low).ok_or(BadText::Escape(at))?;
                out.push(high << 4 | low);
                at += 3;
            }
            b'+' => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out)
        .map(Cow::Owned)
        .map_err(|e| utf8(e.utf8_error()))
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

impl Encoding {
    /// Appends a string, or null.
    pub fn put(self, value: Option<&str>, out: &mut Vec<u8>) {
        match value {
            None => out.push(b'#'),
            Some("") => out.push(b'$'),
            Some(text) => match self {
                Encoding::Form => put_form(text, out),
                Encoding::Smart => put_smart(text, out),
            },
        }
    }
}

fn put_form(text: &str, out: &mut Vec<u8>) {
    for &byte in text.as_bytes() {
        match byte {
            b' ' => out.push(b'+'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => out.push(byte),
            _ => put_escape(byte, out),
        }
    }
}

fn put_smart(text: &str, out: &mut Vec<u8>) {
    match text {
        "#" => return out.extend_from_slice(b"%23"),
        "$" => return out.extend_from_slice(b"%24"),
        _ => {}
    }
    for &byte in text.as_bytes() {
        match byte {
            b'|' | b'\r' | b'\n' | b'%' | b'+' => put_escape(byte, out),
            _ => out.push(byte),
        }
    }
}

fn put_escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
    out.extend_from_slice(&[b'%', DIGITS[high], DIGITS[low]]);
}

/// A token, or the rest of one from some character on, by what it takes to pass it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// ASCII that means itself in either encoding.
    Plain(&'a [u8]),
    /// Anything else, which may turn out not to decode.
    Other(&'a [u8]),
}

impl<'a> Part<'a> {
    /// Looks at bytes; `None` when there is a bar, so that they are more than one token.
    #[inline(always)]
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Option<Part<'a>> {
        if is_plain(bytes) {
            return Some(Part::Plain(bytes));
        }
        let bar = memchr::memchr(b'|', bytes);
        bar.is_none().then_some(Part::Other(bytes))
    }

    /// As it stands on the wire.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        let (Part::Plain(bytes) | Part::Other(bytes)) = self;
        bytes
    }
}

/// Appends `part` as a smart-encoded string of its own. The sender wrote it in either encoding.
///
/// What is in canonical smart form already is copied as it came, which is the common case and
/// costs one look at each byte; anything else is decoded and encoded anew.
///
/// # Errors
/// [`BadText`], as [`Text::decode`]; nothing is appended then.
#[inline]
pub fn transcode(part: Part<'_>, out: &mut Vec<u8>) -> Result<(), BadText> {
    match part {
        Part::Plain(part) => out.extend_from_slice(part),
        Part::Other(part) if is_canonical(part) => {
            std::str::from_utf8(part).map_err(|e| BadText::Utf8(e.valid_up_to()))?;
            out.extend_from_slice(part);
        }
        Part::Other(part) => Encoding::Smart.put(Some(&unescape(part)?), out),
    }
    Ok(())
}

/// Whether bytes are one token, or the rest of one, of ASCII that means itself in either encoding.
fn is_plain(part: &[u8]) -> bool {
    const BLOCK: usize = 16;
    let Some(last) = part.last_chunk::<BLOCK>() else {
        return !part.iter().copied().any(is_strange) && !matches!(part, b"" | b"#" | b"$");
    };
    // In blocks without an early end, so that a block is one look. The last one may overlap.
    let mut strange = [0; BLOCK];
    let mut look = |block: &[u8; BLOCK]| {
        for (strange, &byte) in strange.iter_mut().zip(block) {
            *strange |= if is_strange(byte) { u8::MAX } else { 0 };
        }
    };
    part.as_chunks::<BLOCK>().0.iter().for_each(&mut look);
    look(last);
    strange == [0; BLOCK]
}

#[inline]
fn is_strange(byte: u8) -> bool {
    // As a signed number, whatever is not ASCII is below the control characters, one of which is
    // CR: one comparison for them all.
    ((byte as i8) < 0x20) | (byte == b'%') | (byte == b'+') | (byte == b'|')
}

/// Whether `part` is what the smart encoder would write, given that it is UTF-8.
fn is_canonical(part: &[u8]) -> bool {
    if matches!(part, b"" | b"#" | b"$") {
        return false;
    }
    // Every byte with the two behind it, without an early end: many at a time, as above. An escape
    // that is cut off at the end meets zeros, and is none.
    let is_bad = |a: u8, b: u8, c: u8| {
        let is_escape = ((b == b'2') & ((c == b'5') | (c == b'B')))
            | ((b == b'7') & (c == b'C'))
            | ((b == b'0') & ((c == b'A') | (c == b'D')));
        (a == b'+') | (a == b'\r') | ((a == b'%') & !is_escape)
    };
    let inner = part.len().saturating_sub(2);
    let (second, third) = (part.get(1..).unwrap_or(&[]), part.get(2..).unwrap_or(&[]));
    let triples = part[..inner].iter().zip(second).zip(third);
    let bad = triples.fold(false, |bad, ((&a, &b), &c)| bad | is_bad(a, b, c));
    let last = &part[inner..];
    !bad && !last.iter().any(|&byte| is_bad(byte, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(encoding: Encoding, value: Option<&str>) -> String {
        let mut out = Vec::new();
        encoding.put(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_smart_encoding_escapes_five_characters_and_two_whole_strings() {
        let cases = [
            (None, "#"),
            (Some(""), "$"),
            (Some("#"), "%23"),
            (Some("$"), "%24"),
            (Some("##"), "##"),
            (Some("a$#"), "a$#"),
            (Some("50% + a|b"), "50%25 %2B a%7Cb"),
            (Some(" \r\n\t\0 "), " %0D%0A\t\0 "),
            (Some("héllo 👋 \u{202e}"), "héllo 👋 \u{202e}"),
        ];
        for (value, wire) in cases {
            assert_eq!(encoded(Encoding::Smart, value), wire);
        }
    }

    #[test]
    fn the_form_encoding_leaves_only_the_unreserved_characters() {
        let cases = [
            (None, "#"),
            (Some(""), "$"),
            (Some("#"), "%23"),
            (Some("$"), "%24"),
            (Some("aZ09-_.* "), "aZ09-_.*+"),
            (Some("~/é+"), "%7E%2F%C3%A9%2B"),
        ];
        for (value, wire) in cases {
            assert_eq!(encoded(Encoding::Form, value), wire);
        }
    }

    #[test]
    fn the_decoder_is_lenient_in_what_stands_unescaped() {
        let cases = [
            ("", ""),
            ("a b+c%20d", "a b c d"),
            ("%c3%A9é", "éé"),
            ("%23", "#"),
            ("#$", "#$"),
        ];
        for (wire, text) in cases {
            assert_eq!(
                Text(wire.as_bytes()).decode().unwrap().as_deref(),
                Some(text)
            );
        }
        assert_eq!(Text(b"#").decode(), Ok(None));
        assert_eq!(Text(b"$").decode(), Ok(Some("".into())));
    }

    #[test]
    fn what_is_plain_is_what_decodes_to_itself() {
        for (token, plain) in [
            ("S8f3da29cfc463220T5454537", true),
            ("", false),
            ("a b#", true),
            ("#", false),
            ("$", false),
            ("a%20", false),
            ("a+b", false),
            ("\u{e9}", false),
        ] {
            let text = Text(token.as_bytes());
            assert_eq!(text.plain().is_some(), plain, "{token}");
            if plain {
                assert_eq!(text.decode().unwrap().as_deref(), Some(token));
            }
        }
    }

    #[test]
    fn bad_escapes_and_bad_utf8_are_named() {
        for (wire, at) in [
            ("%", 0),
            ("ab%4", 2),
            ("%zz", 0),
            ("+%G0", 1),
            ("%+1", 0),
            ("%%41", 0),
        ] {
            assert_eq!(Text(wire.as_bytes()).decode(), Err(BadText::Escape(at)));
        }
        assert_eq!(Text(b"a\xff").decode(), Err(BadText::Utf8(1)));
        assert_eq!(Text(b"ab%C3").decode(), Err(BadText::Utf8(2)));
        assert_eq!(Text(b"%ED%A0%80").decode(), Err(BadText::Utf8(0)));
        for bad in [&b"a\xff"[..], b"%25\xff", b"%C3", b"%2"] {
            let mut out = b"kept".to_vec();
            assert!(transcode(Part::of(bad).unwrap(), &mut out).is_err());
            assert_eq!(out, b"kept");
        }
    }

    #[test]
    fn transcoding_is_canonical() {
        let cases = [
            ("#", "%23"),
            ("$", "%24"),
            ("%23", "%23"),
            ("a#", "a#"),
            ("a%23", "a#"),
            ("a+b", "a b"),
            ("a%2bb", "a%2Bb"),
            ("a\rb", "a%0Db"),
            ("50%25 %2B a%7Cb ", "50%25 %2B a%7Cb "),
            ("%C3%A9", "é"),
        ];
        for (wire, canonical) in cases {
            let mut out = Vec::new();
            transcode(Part::of(wire.as_bytes()).unwrap(), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), canonical, "{wire}");
        }
    }

    /// Text in which everything that an encoding treats specially is common.
    fn spicy() -> impl Strategy<Value = String> {
        "([#$%+| \r\n\t\0a-c~é👋]|\\PC){0,24}"
    }

    #[test]
    fn a_part_with_a_bar_is_more_than_one_token() {
        for length in 0..80 {
            let text = "x".repeat(length);
            let part = Part::of(text.as_bytes());
            assert_eq!(matches!(part, Some(Part::Plain(_))), length > 0);
            for at in 0..length {
                for strange in ["|", "%", "+", "\r", "\t", "\0", "\u{e9}", "\u{80}"] {
                    let text = format!("{}{strange}{}", &text[..at], &text[at + 1..]);
                    let expected = (strange != "|").then_some(Part::Other(text.as_bytes()));
                    assert_eq!(Part::of(text.as_bytes()), expected, "{text:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in spicy()) {
            for encoding in [Encoding::Form, Encoding::Smart] {
                let wire = encoded(encoding, Some(&text));
                prop_assert!(!wire.contains(['|', '\r', '\n']));
                let decoded = Text(wire.as_bytes()).decode().unwrap();
                prop_assert_eq!(decoded.as_deref(), Some(&text[..]));
            }
        }

        #[test]
        fn transcoding_equals_decoding_and_encoding(text in spicy()) {
            for encoding in [Encoding::Form, Encoding::Smart] {
                let mut wire = Vec::new();
                encoding.put(Some(&format!("CHAT|{text}")), &mut wire);
                let mut out = Vec::new();
                let part = Part::of(&wire["CHAT%7C".len()..]).unwrap();
                transcode(part, &mut out).unwrap();
                prop_assert_eq!(String::from_utf8(out).unwrap(), encoded(Encoding::Smart, Some(&text)));
            }
        }

        #[test]
        fn any_token_is_decoded_or_refused_alike(mut bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            bytes.retain(|byte| !b"|\n".contains(byte));
            let mut out = Vec::new();
            match (unescape(&bytes), transcode(Part::of(&bytes).unwrap(), &mut out)) {
                (Ok(text), Ok(())) => {
                    prop_assert_eq!(String::from_utf8(out).unwrap(), encoded(Encoding::Smart, Some(&text)));
                }
                (Err(_), Err(_)) => prop_assert!(out.is_empty()),
                (one, other) => prop_assert!(false, "{one:?} against {other:?}"),
            }
        }
    }
}
