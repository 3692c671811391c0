//! Strings on the wire: the two encodings, and one decoder for both (section 2).
//!
//! What arrives is read leniently. What leaves is always canonical, so that a Proxy of any age
//! reads it back byte for byte. Nothing here knows which token of a line a string is.

use std::borrow::Cow;
use std::fmt;

/// How strings are written on a connection (section 2, "String encoding").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Form encoding: ARI 1.8, and the opening and closing of a connection at any version.
    Form,
    /// ARI 1.9 and later: only `|`, CR, LF, `%` and `+` are escaped.
    Smart,
}

/// Why a string cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// A `%` that is not followed by two hexadecimal digits, at this offset of the token.
    Escape(usize),
    /// The decoded bytes are not UTF-8; valid up to this offset of the decoded bytes.
    Utf8(usize),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextError::Escape(at) => write!(f, "bad percent escape at byte {at}"),
            TextError::Utf8(at) => write!(f, "not UTF-8 after byte {at}"),
        }
    }
}

impl std::error::Error for TextError {}

/// Decodes a token: `#` is null, `$` the empty string. A token without any byte is read as the
/// empty string, too. Borrows where nothing is escaped.
///
/// # Errors
/// [`TextError`], when an escape is bad or the bytes are not UTF-8.
pub fn decode(token: &[u8]) -> Result<Option<Cow<'_, str>>, TextError> {
    Text::new(token).map(Text::decode)
}

/// A string of a request, kept as it came and known to decode.
///
/// To pass it on costs a copy, where it came as it has to leave; [`decode`](Self::decode) gives
/// the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    token: &'a [u8],
    /// From here on the token is ASCII that means itself in either encoding, as far as is known.
    plain_from: usize,
    /// What a longer token ends with: `#` and `$` mean themselves then.
    is_rest: bool,
}

impl<'a> Text<'a> {
    /// Takes a token as it stands on the wire (section 2).
    ///
    /// # Errors
    /// [`TextError`], when it does not decode.
    pub fn new(token: &'a [u8]) -> Result<Text<'a>, TextError> {
        match Text::split(token) {
            Ok((text, None)) => Ok(text),
            _ => Text::checked(token),
        }
    }

    /// The same for the token that `line` begins with; gives also what stands behind its bar.
    ///
    /// One pass finds the end and checks what it passes over.
    #[inline]
    pub(super) fn split(line: &'a [u8]) -> Result<(Text<'a>, Option<&'a [u8]>), TextError> {
        let (mut at, mut plain_from) = (0, 0);
        loop {
            at += plain_length(&line[at..]);
            match line.get(at) {
                Some(b'%') if unescape_byte(line, at).is_ok_and(|byte| byte.is_ascii()) => at += 3,
                Some(b'+') => at += 1,
                None | Some(b'|') => break,
                Some(_) => {
                    let end = memchr::memchr(b'|', &line[at..]).map_or(line.len(), |bar| at + bar);
                    return Ok((Text::checked(&line[..end])?, line.get(end + 1..)));
                }
            }
            plain_from = at;
        }
        let text = Text {
            token: &line[..at],
            plain_from,
            is_rest: false,
        };
        Ok((text, line.get(at + 1..)))
    }

    /// Takes a token that is not merely ASCII, without memory of its own in the common cases.
    #[inline(never)]
    fn checked(token: &'a [u8]) -> Result<Text<'a>, TextError> {
        // Where all escapes are ASCII, they do not matter to what is UTF-8.
        let is_ascii = |at| unescape_byte(token, at).is_ok_and(|byte| byte.is_ascii());
        let has_simple_escapes = memchr::memchr_iter(b'%', token).all(is_ascii);
        if !has_simple_escapes || std::str::from_utf8(token).is_err() {
            unescape(token)?;
        }
        Ok(Text {
            token,
            plain_from: token.len(),
            is_rest: false,
        })
    }

    /// The string, or `None` for null. Borrows where nothing is escaped.
    #[inline]
    pub fn decode(self) -> Option<Cow<'a, str>> {
        match self.token {
            b"#" if !self.is_rest => None,
            b"$" if !self.is_rest => Some(Cow::Borrowed("")),
            token if self.plain_from == 0 => std::str::from_utf8(token).ok().map(Cow::Borrowed),
            token => unescape(token).ok(),
        }
    }

    /// Whether it is null, which is not the empty string.
    pub fn is_null(self) -> bool {
        !self.is_rest && self.token == b"#"
    }

    /// Whether it is the empty string.
    pub fn is_empty(self) -> bool {
        self.token.is_empty() || (!self.is_rest && self.token == b"$")
    }

    /// What follows `prefix`, if the string starts with that. A string that is null does not.
    pub fn strip_prefix(self, prefix: &str) -> Option<Text<'a>> {
        let mut rest = self.token;
        if self.is_null() || self.is_empty() {
            rest = &[];
            if self.is_null() || !prefix.is_empty() {
                return None;
            }
        }
        for &wanted in prefix.as_bytes() {
            let (found, length) = match *rest.first()? {
                b'%' => (unescape_byte(rest, 0).ok()?, 3),
                b'+' => (b' ', 1),
                byte => (byte, 1),
            };
            if found != wanted {
                return None;
            }
            rest = &rest[length..];
        }
        let taken = self.token.len() - rest.len();
        Some(Text {
            token: rest,
            plain_from: self.plain_from.saturating_sub(taken),
            is_rest: true,
        })
    }

    /// Appends the string as `encoding` writes it.
    ///
    /// It is copied as it came if that is exactly what the smart encoding makes of it, which costs
    /// one look at each byte; otherwise it is decoded and encoded anew.
    pub fn put(self, encoding: Encoding, out: &mut Vec<u8>) {
        let is_canonical = || match self.token {
            b"" | b"#" | b"$" => false,
            token => self.plain_from == 0 || is_canonical(token),
        };
        match encoding == Encoding::Smart && is_canonical() {
            true => out.extend_from_slice(self.token),
            false => encoding.put(self.decode().as_deref(), out),
        }
    }
}

/// Decodes `%XX` and `+`, but not the marks for null and empty.
///
/// # Errors
/// [`TextError`], as [`decode`].
fn unescape(token: &[u8]) -> Result<Cow<'_, str>, TextError> {
    let utf8 = |e: std::str::Utf8Error| TextError::Utf8(e.valid_up_to());
    let Some(first) = memchr::memchr2(b'%', b'+', token) else {
        return std::str::from_utf8(token).map(Cow::Borrowed).map_err(utf8);
    };
    let mut out = Vec::with_capacity(token.len());
    out.extend_from_slice(&token[..first]);
    let mut at = first;
    while let Some(&byte) = token.get(at) {
        match byte {
            b'%' => {
                out.push(unescape_byte(token, at)?);
                at += 2;
            }
            b'+' => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out)
        .map(Cow::Owned)
        .map_err(|e| utf8(e.utf8_error()))
}

/// The byte that the escape at `at` stands for.
fn unescape_byte(token: &[u8], at: usize) -> Result<u8, TextError> {
    let digit = |at: usize| char::from(*token.get(at)?).to_digit(16);
    match (digit(at + 1), digit(at + 2)) {
        (Some(high), Some(low)) => Ok((high << 4 | low) as u8), // 0 to 255
        _ => Err(TextError::Escape(at)),
    }
}

impl Encoding {
    /// Appends a string; `None` is null.
    pub fn put(self, value: Option<&str>, out: &mut Vec<u8>) {
        match (self, value) {
            (_, None) => out.push(b'#'),
            (_, Some("")) => out.push(b'$'),
            (_, Some(mark @ ("#" | "$"))) => put_escape(mark.as_bytes()[0], out),
            (Encoding::Form, Some(text)) => put_form(text, out),
            (Encoding::Smart, Some(text)) if is_plain(text.as_bytes()) => {
                out.extend_from_slice(text.as_bytes());
            }
            (Encoding::Smart, Some(text)) => put_smart(text, out),
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

/// Whether bytes are ASCII that means itself in either encoding.
#[inline]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    plain_length(text) == text.len()
}

/// How many bytes at the start are ASCII that means itself in either encoding.
#[inline]
pub(super) fn plain_length(text: &[u8]) -> usize {
    let first = |special: u128| special.trailing_zeros() as usize / 8;
    let Some(last) = text.last_chunk() else {
        let mut block = [b' '; BLOCK];
        block[..text.len()].copy_from_slice(text);
        return first(special_bytes(&block)).min(text.len());
    };
    for (n, block) in text.as_chunks().0.iter().enumerate() {
        let special = special_bytes(block);
        if special != 0 {
            return n * BLOCK + first(special);
        }
    }
    // It overlaps the one before it, all of which is plain.
    text.len() - BLOCK + first(special_bytes(last))
}

/// The length of the blocks in which text is looked at, in bytes.
const BLOCK: usize = 16;

/// Which bytes of a block are not plain; zero if all are, and the lowest byte is the first. All are
/// treated alike, so that the compiler does it in vectors.
#[inline]
fn special_bytes(block: &[u8; BLOCK]) -> u128 {
    u128::from_le_bytes(block.map(|byte| {
        // As a signed number, whatever is not ASCII is below the control characters, one of which
        // is CR: one comparison for them all.
        u8::from(((byte as i8) < 0x20) | (byte == b'%') | (byte == b'+') | (byte == b'|'))
    }))
}

/// Whether a token that decodes is what the smart encoder would write for its value; not for those
/// that mean something else on their own.
fn is_canonical(token: &[u8]) -> bool {
    // Every byte with the two behind it, without an early end, for the same reason. An escape that
    // is cut off at the end meets zeros, and is none.
    let is_bad = |a: u8, b: u8, c: u8| {
        let is_escape = ((b == b'2') & ((c == b'5') | (c == b'B')))
            | ((b == b'7') & (c == b'C'))
            | ((b == b'0') & ((c == b'A') | (c == b'D')));
        (a == b'+') | (a == b'\r') | (a == b'|') | ((a == b'%') & !is_escape)
    };
    let inner = token.len().saturating_sub(2);
    let (second, third) = (token.get(1..).unwrap_or(&[]), token.get(2..).unwrap_or(&[]));
    let triples = token[..inner].iter().zip(second).zip(third);
    let bad = triples.fold(false, |bad, ((&a, &b), &c)| bad | is_bad(a, b, c));
    let last = &token[inner..];
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

    fn text(token: &str) -> Text<'_> {
        Text::new(token.as_bytes()).unwrap()
    }

    fn put(text: Text<'_>, encoding: Encoding) -> String {
        let mut out = Vec::new();
        text.put(encoding, &mut out);
        String::from_utf8(out).unwrap()
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
        for (wire, decoded) in cases {
            assert_eq!(text(wire).decode().as_deref(), Some(decoded));
            assert_eq!(decode(wire.as_bytes()).unwrap().as_deref(), Some(decoded));
        }
        assert_eq!(text("#").decode(), None);
        assert_eq!(text("$").decode(), Some("".into()));
        assert_eq!(decode(b"#"), Ok(None));
        assert_eq!(decode(b"$"), Ok(Some("".into())));
    }

    #[test]
    fn bad_escapes_and_bad_utf8_are_named() {
        let cases: [(&[u8], TextError); 11] = [
            (b"%", TextError::Escape(0)),
            (b"ab%4", TextError::Escape(2)),
            (b"%zz", TextError::Escape(0)),
            (b"+%G0", TextError::Escape(1)),
            (b"%+1", TextError::Escape(0)),
            (b"%%41", TextError::Escape(0)),
            (b"\xff%25%x", TextError::Escape(4)),
            (b"a\xff", TextError::Utf8(1)),
            (b"%25\xff", TextError::Utf8(1)),
            (b"ab%C3", TextError::Utf8(2)),
            (b"%ED%A0%80", TextError::Utf8(0)),
        ];
        for (token, error) in cases {
            assert_eq!(Text::new(token), Err(error), "{}", token.escape_ascii());
            assert_eq!(decode(token), Err(error));
        }
    }

    #[test]
    fn what_is_passed_on_is_canonical() {
        let cases = [
            ("%23", "%23"),
            ("a#", "a#"),
            ("a%23", "a#"),
            ("a+b", "a b"),
            ("a%2bb", "a%2Bb"),
            ("a\rb", "a%0Db"),
            ("50%25 %2B a%7Cb ", "50%25 %2B a%7Cb "),
            ("%C3%A9", "é"),
            ("#", "#"),
            ("$", "$"),
            ("", "$"),
        ];
        for (wire, canonical) in cases {
            assert_eq!(put(text(wire), Encoding::Smart), canonical, "{wire}");
        }
        assert_eq!(put(text("é +"), Encoding::Form), "%C3%A9++");
    }

    #[test]
    fn a_prefix_is_found_however_it_is_written() {
        fn strip(token: &str, prefix: &str) -> Option<(String, bool)> {
            let rest = text(token).strip_prefix(prefix)?;
            Some((rest.decode().unwrap().into_owned(), rest.is_empty()))
        }
        for token in ["CHAT%7Ca", "C%48AT%7ca", "%43%48%41%54%7Ca"] {
            assert_eq!(strip(token, "CHAT|"), Some(("a".into(), false)), "{token}");
        }
        assert_eq!(strip("CHAT%7C", "CHAT|"), Some((String::new(), true)));
        // What is left is text, whatever it would mean on its own.
        for rest in ["#", "$"] {
            let token = format!("x{rest}");
            assert_eq!(strip(&token, "x"), Some((rest.into(), false)));
            let rest = text(&token).strip_prefix("x").unwrap();
            assert_eq!(put(rest, Encoding::Smart).len(), 3);
            assert!(!rest.is_null());
        }
        assert_eq!(strip("+a", " "), Some(("a".into(), false)));
        assert_eq!(strip("%C3%A9a", "é"), Some(("a".into(), false)));
        assert_eq!(strip("éa", "é"), Some(("a".into(), false)));
        assert_eq!(strip("a", ""), Some(("a".into(), false)));
        for (token, prefix) in [
            ("#", ""),
            ("#", "#"),
            ("$", "$"),
            ("CHA", "CHAT"),
            ("b", "a"),
        ] {
            assert_eq!(strip(token, prefix), None, "{token} {prefix}");
        }
        assert_eq!(strip("$", ""), Some((String::new(), true)));
    }

    /// Text in which everything that an encoding treats specially is common.
    fn specials() -> impl Strategy<Value = String> {
        "([#$%+| \r\n\t\0a-c~é👋]|\\PC){0,24}"
    }

    #[test]
    fn one_special_byte_anywhere_is_noticed() {
        for length in 0..80 {
            let plain = "x".repeat(length);
            assert_eq!(plain_length(plain.as_bytes()), length);
            for at in 0..length {
                for special in ["|", "%", "+", "\r", "\t", "\0", "\u{e9}", "\u{80}"] {
                    let text = format!("{}{special}{}", &plain[..at], &plain[at + 1..]);
                    assert_eq!(plain_length(text.as_bytes()), at, "{text:?}");
                    let is_as_it_is = !matches!(special, "|" | "%" | "+" | "\r");
                    assert_eq!(is_canonical(text.as_bytes()), is_as_it_is, "{text:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(value in specials()) {
            for encoding in [Encoding::Form, Encoding::Smart] {
                let wire = encoded(encoding, Some(&value));
                prop_assert!(!wire.contains(['|', '\r', '\n']));
                let decoded = text(&wire).decode();
                prop_assert_eq!(decoded.as_deref(), Some(&value[..]));
            }
        }

        #[test]
        fn passing_on_equals_decoding_and_encoding(value in specials()) {
            for encoding in [Encoding::Form, Encoding::Smart] {
                let wire = encoded(encoding, Some(&format!("CHAT|{value}")));
                let rest = text(&wire).strip_prefix("CHAT|").unwrap();
                prop_assert_eq!(put(rest, Encoding::Smart), encoded(Encoding::Smart, Some(&value)));
            }
        }

        #[test]
        fn any_token_is_decoded_or_refused_alike(mut bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            bytes.retain(|byte| !b"|\n".contains(byte));
            match (decode(&bytes), Text::new(&bytes)) {
                (Ok(value), Ok(text)) => {
                    prop_assert_eq!(put(text, Encoding::Smart), encoded(Encoding::Smart, value.as_deref()));
                    prop_assert_eq!(text.decode(), value);
                }
                (one, other) => prop_assert_eq!(one.err(), other.err()),
            }
        }
    }
}
