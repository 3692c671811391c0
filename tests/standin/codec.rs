//! The two string encodings of ARI, as a second opinion: written from the protocol page, plainly
//! and slowly. It must not borrow anything from the adapter.

use std::fmt::Write as _;

/// One of the two ways a string value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// ARI 1.9 and later: only `|`, CR, LF, `%` and `+` are escaped.
    Smart,
    /// `application/x-www-form-urlencoded`, pure ASCII.
    Form,
}

impl Encoding {
    /// Writes a value; `None` is null.
    pub(crate) fn encode(self, value: Option<&str>) -> String {
        match value {
            None => "#".to_owned(),
            Some("") => "$".to_owned(),
            Some(text) => self.text(text),
        }
    }

    fn text(self, text: &str) -> String {
        if self == Encoding::Smart && (text == "#" || text == "$") {
            return format!("%{:02X}", text.as_bytes()[0]);
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            let stands = match self {
                Encoding::Smart => !matches!(c, '|' | '\r' | '\n' | '%' | '+'),
                Encoding::Form => c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*'),
            };
            if stands {
                out.push(c);
            } else if self == Encoding::Form && c == ' ' {
                out.push('+');
            } else {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    write!(out, "%{byte:02X}").expect("a String takes everything");
                }
            }
        }
        out
    }

    /// Reads a value that the adapter wrote. Its output has one correct form only, so whatever does
    /// not encode back to the same token is an error.
    pub(crate) fn read(self, token: &str) -> Result<Option<String>, String> {
        let value = decode(token)?;
        let canonical = self.encode(value.as_deref());
        if canonical == token {
            Ok(value)
        } else {
            Err(format!(
                "{token:?} should have been written {canonical:?} ({self:?})"
            ))
        }
    }
}

/// Reads a value in either encoding, leniently.
pub(crate) fn decode(token: &str) -> Result<Option<String>, String> {
    match token {
        "#" => return Ok(None),
        "$" | "" => return Ok(Some(String::new())),
        _ => {}
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [rest.next(), rest.next()].map(|digit| {
                    digit
                        .and_then(|d| char::from(d).to_digit(16))
                        .ok_or_else(|| format!("bad escape in {token:?}"))
                });
                let [high, low] = pair;
                u8::try_from(high? * 16 + low?).expect("two hex digits fit a byte")
            }
            other => other,
        });
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| format!("{token:?} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::{Encoding, decode};

    #[test]
    fn smart_escapes_five_characters_and_nothing_else() {
        let encode = |text| Encoding::Smart.encode(Some(text));
        assert_eq!(encode("a|b\r\nc%d+e"), "a%7Cb%0D%0Ac%25d%2Be");
        assert_eq!(encode(" è \t\0😀 "), " è \t\0😀 ");
        assert_eq!(encode("#"), "%23");
        assert_eq!(encode("$"), "%24");
        assert_eq!(encode("#$"), "#$");
        assert_eq!(encode(""), "$");
        assert_eq!(Encoding::Smart.encode(None), "#");
    }

    #[test]
    fn form_leaves_the_unreserved_characters_only() {
        let encode = |text| Encoding::Form.encode(Some(text));
        assert_eq!(encode("azAZ09-_.*"), "azAZ09-_.*");
        assert_eq!(encode("a b+c~è"), "a+b%2Bc%7E%C3%A8");
        assert_eq!(encode("#"), "%23");
        assert_eq!(encode("$"), "%24");
        assert_eq!(encode(""), "$");
        assert_eq!(Encoding::Form.encode(None), "#");
    }

    #[test]
    fn one_decoder_reads_both() {
        assert_eq!(decode("#"), Ok(None));
        assert_eq!(decode("$"), Ok(Some(String::new())));
        assert_eq!(decode("a+b c%2b%C3%A8"), Ok(Some("a b c+è".to_owned())));
        assert!(decode("%4").is_err());
        assert!(decode("%zz").is_err());
        assert!(decode("%FF").is_err());
    }

    #[test]
    fn reading_insists_on_the_canonical_form() {
        assert!(Encoding::Smart.read("a%2Bb").is_ok());
        assert!(Encoding::Smart.read("a%2bb").is_err());
        assert!(Encoding::Smart.read("a%20b").is_err());
        assert!(Encoding::Smart.read("a+b").is_err());
        assert!(Encoding::Form.read("a+b").is_ok());
        assert!(Encoding::Form.read("a b").is_err());
        assert!(Encoding::Form.read("è").is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["#", "$", "%", "+", "|", "\r\n", "a b ", "😀", "\u{200f}x"] {
            for encoding in [Encoding::Smart, Encoding::Form] {
                let token = encoding.encode(Some(text));
                assert_eq!(encoding.read(&token), Ok(Some(text.to_owned())));
            }
        }
    }
}
