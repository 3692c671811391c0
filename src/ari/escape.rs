//! Text from outside, escaped for the log: on one line, harmless to a terminal, never too long,
//! and without secrets.

use super::request::{Head, Method};
use std::ffi::OsStr;
use std::fmt::{self, Write};

/// The most of a text that is shown, in bytes.
const MOST: usize = 2048;

/// Any bytes. Control characters, marks that change the direction of writing and what is not
/// UTF-8 are escaped.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl Escaped<'_> {
    /// The name of a file, or another text of the system.
    pub fn of<T: AsRef<OsStr> + ?Sized>(text: &T) -> Escaped<'_> {
        Escaped(text.as_ref().as_encoded_bytes())
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Escaped(bytes) = self;
        let cut = bytes.len().min(MOST);
        for chunk in bytes[..cut].utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' | '\'' | '\\' => f.write_char(c)?,
                    _ => write!(f, "{}", c.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if cut < bytes.len() {
            write!(f, "… ({} bytes in all)", bytes.len())?;
        }
        Ok(())
    }
}

/// A whole line of either direction. The arguments of logins, of the hello, and of whatever is
/// not known to be harmless are left out.
#[derive(Clone, Copy, Debug)]
pub struct EscapedLine<'a>(pub &'a [u8]);

impl fmt::Display for EscapedLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EscapedLine(line) = self;
        match Head::of(line) {
            Some(head) if !is_harmless(head.method) => {
                let (id, method) = (Escaped(head.id), Escaped(head.method));
                write!(f, "{id}|{method}|… (arguments withheld)")
            }
            _ => Escaped(line).fmt(f),
        }
    }
}

fn is_harmless(method: &[u8]) -> bool {
    match Method::named(method) {
        // A reason may quote what was wrong.
        Some(method) => !method.is_secret() && method != Method::Close,
        None => matches!(method, b"EOS" | b"UD3" | b"CLS" | b"FAL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_reaches_the_terminal_raw() {
        let shown = Escaped(b"a\"b\\ \x1b[2J\r\n\t\0 \xff \xe2\x80\xae caf\xc3\xa9").to_string();
        assert_eq!(
            shown,
            "a\"b\\ \\u{1b}[2J\\r\\n\\t\\0 \\xff \\u{202e} caf\u{e9}"
        );
    }

    #[test]
    fn long_texts_are_cut() {
        let shown = Escaped(&[b'x'; 10_000]).to_string();
        assert!(shown.len() < 2200 && shown.ends_with("(10000 bytes in all)"));
    }

    #[test]
    fn secrets_are_withheld() {
        for line in [
            "1|NUS|S|u|S|secret",
            "1|NUA|S|u|S|secret|S|x",
            "1|RAC|S|user|S|u|S|password|S|secret",
            "1|nus|S|u|S|secret",
            "0|CLOSE|S|reason|S|no user has the password secret",
        ] {
            let shown = EscapedLine(line.as_bytes()).to_string();
            assert!(!shown.contains("secret"), "{shown}");
        }
        let line = "3|NUM|S|#|S|s|S|CHAT%7Chi";
        assert_eq!(EscapedLine(line.as_bytes()).to_string(), line);
        assert_eq!(EscapedLine(b"KEEPALIVE").to_string(), "KEEPALIVE");
    }
}
