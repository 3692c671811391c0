//! Lines to a Proxy that answer it: the hello and replies, appended to a byte buffer (sections 2, 3).

use super::request::Method;
use super::text::Encoding;
use std::io::Write;

/// The keepalive line (section 4), with its end.
pub const KEEPALIVE: &[u8] = b"KEEPALIVE\r\n";

/// What goes wrong, as the protocol classes it: `E` and a letter (section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// `E`: anything that has no kind of its own, a malformed request among it.
    Generic,
    /// `EM`: the Metadata Adapter cannot serve.
    Metadata,
    /// `ED`: the Data Adapter cannot serve.
    Data,
    /// `EA`: the user may not log in.
    Access,
    /// `ER`: something that is needed cannot be had now.
    Resource,
    /// `EC`: refused, with a code and a message for the client.
    Credits,
    /// `EX`: refused until another session is closed.
    Conflict,
    /// `EI`: no such items.
    Items,
    /// `ES`: no such schema.
    Schema,
    /// `EN`: the notification is refused.
    Notification,
    /// `EU`: the subscription is refused.
    Subscription,
    /// `EF`: the adapter has failed.
    Failure,
}

impl ErrorKind {
    /// As it stands on the wire.
    pub fn token(self) -> &'static str {
        match self {
            ErrorKind::Generic => "E",
            ErrorKind::Metadata => "EM",
            ErrorKind::Data => "ED",
            ErrorKind::Access => "EA",
            ErrorKind::Resource => "ER",
            ErrorKind::Credits => "EC",
            ErrorKind::Conflict => "EX",
            ErrorKind::Items => "EI",
            ErrorKind::Schema => "ES",
            ErrorKind::Notification => "EN",
            ErrorKind::Subscription => "EU",
            ErrorKind::Failure => "EF",
        }
    }

    /// Whether the reply to `method` may say so.
    pub fn is_allowed_for(self, method: Method) -> bool {
        self == ErrorKind::Generic || method.errors().any(|token| token == self.token())
    }
}

/// The modes in which an item may be subscribed (section 2, type `M`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every update as it comes.
    Raw,
    /// The latest value of each field.
    Merge,
    /// Updates are events of their own; the server keeps the last ones as the snapshot.
    Distinct,
    /// Rows of a table, by the fields `key` and `command`.
    Command,
}

impl Mode {
    /// All of them, in the order in which replies list them.
    pub const ALL: [Mode; 4] = [Mode::Raw, Mode::Merge, Mode::Distinct, Mode::Command];

    fn letter(self) -> u8 {
        match self {
            Mode::Raw => b'R',
            Mode::Merge => b'M',
            Mode::Distinct => b'D',
            Mode::Command => b'C',
        }
    }
}

/// A reply under construction: `<id>|<METHOD>` is written, results follow one by one, and
/// [`end`](Reply::end) ends the line.
#[derive(Debug)]
#[must_use = "a reply without its end is half a line"]
pub struct Reply<'b> {
    out: &'b mut Vec<u8>,
    encoding: Encoding,
}

impl<'b> Reply<'b> {
    /// Begins the reply to request `id`.
    pub fn to(id: &[u8], method: Method, encoding: Encoding, out: &'b mut Vec<u8>) -> Reply<'b> {
        out.extend_from_slice(id);
        out.push(b'|');
        out.extend_from_slice(method.name().as_bytes());
        Reply { out, encoding }
    }

    fn token(self, token: &str) -> Self {
        self.out.push(b'|');
        self.out.extend_from_slice(token.as_bytes());
        self
    }

    /// Appends a string without a type; `None` is null.
    fn untyped(self, value: Option<&str>) -> Self {
        self.out.push(b'|');
        self.encoding.put(value, self.out);
        self
    }

    /// Appends an `S`; `None` is null.
    pub fn string(self, value: Option<&str>) -> Self {
        self.token("S").untyped(value)
    }

    /// Appends a `B`.
    pub fn boolean(self, value: bool) -> Self {
        self.token(if value { "B|1" } else { "B|0" })
    }

    /// Appends an `I`.
    pub fn integer(self, value: i32) -> Self {
        let this = self.token("I|");
        put_decimal(value, this.out);
        this
    }

    /// Appends a `D`, to a millionth. What is no limit that anybody could keep, as infinity, is 0: no
    /// limit; what is less than a millionth is not.
    pub fn double(self, value: f64) -> Self {
        // The standard library's way would make the program larger by a hundredth.
        let value = if value.is_finite() { value } else { 0.0 };
        let least = if value > 0.0 { 1 } else { 0 };
        let millionths = ((value * 1e6).round() as i64).max(least);
        let (whole, fraction) = (millionths / 1_000_000, millionths % 1_000_000);
        let fraction = format!("{fraction:06}");
        let fraction = fraction.trim_end_matches('0');
        let fraction = if fraction.is_empty() { "0" } else { fraction };
        self.token(&format!("D|{whole}.{fraction}"))
    }

    /// Appends an `M` of the modes that are allowed; `$` if none is.
    pub fn modes(self, mut is_allowed: impl FnMut(Mode) -> bool) -> Self {
        let this = self.token("M|");
        let before = this.out.len();
        for mode in Mode::ALL {
            if is_allowed(mode) {
                this.out.push(mode.letter());
            }
        }
        if this.out.len() == before {
            this.out.push(b'$');
        }
        this
    }

    /// The reply of success without a value.
    pub fn void(self) {
        self.token("V").end();
    }

    /// Appends an error with its message, which is for the server's log.
    pub fn error(self, kind: ErrorKind, message: &str) -> Self {
        self.token(kind.token()).untyped(Some(message))
    }

    /// Appends what `EC` and `EX` have behind the message: a code for the client, which is zero or
    /// negative, and a message for it.
    pub fn for_client(self, code: i32, message: Option<&str>) -> Self {
        self.out.push(b'|');
        put_decimal(code.min(0), self.out);
        self.untyped(message)
    }

    /// Appends what `EX` has at its end: the id of the session that is in conflict.
    pub fn session(self, session: &str) -> Self {
        self.untyped(Some(session))
    }

    /// Ends the line.
    pub fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// The strings of a reply that is a list: the items of a group, or the fields of a schema.
#[derive(Debug)]
pub struct Names<'b> {
    reply: Reply<'b>,
    is_empty: bool,
}

impl<'b> Names<'b> {
    pub(crate) fn new(reply: Reply<'b>) -> Names<'b> {
        Names {
            reply,
            is_empty: true,
        }
    }

    /// Adds one name.
    pub fn add(&mut self, name: &str) -> &mut Self {
        let Reply { out, encoding } = &mut self.reply;
        out.extend_from_slice(b"|S|");
        encoding.put(Some(name), out);
        self.is_empty = false;
        self
    }

    /// Adds the names in a list that is separated by spaces; several in a row count as one.
    pub fn split(&mut self, list: &str) -> &mut Self {
        for name in list.split(' ').filter(|name| !name.is_empty()) {
            self.add(name);
        }
        self
    }

    /// Whether none was added yet.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    pub(crate) fn end(self) {
        self.reply.end();
    }
}

/// Appends a number's decimal digits.
pub fn put_decimal(value: impl Into<i64>, out: &mut Vec<u8>) {
    let _ = write!(out, "{}", value.into()); // a Vec takes everything
}

/// Appends the Remote Adapter's first line (section 3), request id 1: who it is, what it speaks.
pub fn put_hello(credentials: Option<(&str, &str)>, product: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"1|RAC");
    let credentials = credentials.map(|(user, password)| [("user", user), ("password", password)]);
    let rest = [("enableClosePacket", "true"), ("SDK", product)];
    for (name, value) in credentials.into_iter().flatten().chain(rest) {
        for text in [name, value] {
            out.extend_from_slice(b"|S|");
            Encoding::Form.put(Some(text), out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(encoding: Encoding, write: impl FnOnce(Reply<'_>)) -> String {
        let mut out = Vec::new();
        write(Reply::to(b"1a", Method::Gui, encoding, &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn replies_carry_id_and_method() {
        assert_eq!(reply(Encoding::Smart, |r| r.void()), "1a|GUI|V\r\n");
        let line = reply(Encoding::Smart, |r| {
            r.string(Some("a b|"))
                .string(None)
                .boolean(true)
                .integer(-30)
                .double(0.0)
                .double(12.5)
                .double(1.0 / 3.0)
                .double(1e-9)
                .double(f64::NAN)
                .double(f64::INFINITY)
                .double(-1.0)
                .double(1_000_000.0)
                .modes(|_| true)
                .modes(|mode| mode == Mode::Distinct)
                .modes(|_| false)
                .boolean(false)
                .end();
        });
        assert_eq!(
            line,
            "1a|GUI|S|a b%7C|S|#|B|1|I|-30|D|0.0|D|12.5|D|0.333333|D|0.000001|D|0.0|D|0.0|D|0.0\
             |D|1000000.0|M|RMDC|M|D|M|$|B|0\r\n"
        );
    }

    #[test]
    fn errors_are_encoded_as_the_connection_is() {
        let fail = |r: Reply<'_>| r.error(ErrorKind::Notification, "50% off, they say").end();
        assert_eq!(
            reply(Encoding::Smart, fail),
            "1a|GUI|EN|50%25 off, they say\r\n"
        );
        assert_eq!(
            reply(Encoding::Form, fail),
            "1a|GUI|EN|50%25+off%2C+they+say\r\n"
        );
    }

    #[test]
    fn errors_for_the_client_have_their_further_tokens() {
        let conflict = |r: Reply<'_>| {
            let r = r.error(ErrorKind::Conflict, "twice").for_client(-7, None);
            r.session("S1|2").end();
        };
        assert_eq!(
            reply(Encoding::Smart, conflict),
            "1a|GUI|EX|twice|-7|#|S1%7C2\r\n"
        );
        let credits = |r: Reply<'_>| {
            let r = r.error(ErrorKind::Credits, "");
            r.for_client(3, Some("no more")).end();
        };
        assert_eq!(
            reply(Encoding::Form, credits),
            "1a|GUI|EC|$|0|no+more\r\n",
            "a code above zero is the server's own"
        );
    }

    #[test]
    fn names_are_a_list_of_strings() {
        let line = reply(Encoding::Form, |reply| {
            let mut names = Names::new(reply);
            assert!(names.split("  ").is_empty());
            assert!(!names.split(" a  b ").add("c d").is_empty());
            names.end();
        });
        assert_eq!(line, "1a|GUI|S|a|S|b|S|c+d\r\n");
    }

    #[test]
    fn the_hello_names_the_credentials_first() {
        let mut out = Vec::new();
        put_hello(Some(("user 1", "p|wd")), "x 1.0", &mut out);
        assert_eq!(
            out,
            b"1|RAC|S|user|S|user+1|S|password|S|p%7Cwd|S|enableClosePacket|S|true|S|SDK|S|x+1.0\r\n"
        );
        out.clear();
        put_hello(None, "x", &mut out);
        assert_eq!(out, b"1|RAC|S|enableClosePacket|S|true|S|SDK|S|x\r\n");
    }
}
