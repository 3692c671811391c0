//! Lines to a Proxy, appended to a byte buffer: the hello, replies, notifications (sections 2, 3, 7).

use super::request::Method;
use super::text::Encoding;
use std::io::Write;

/// The keepalive line (section 4), with its end.
pub const KEEPALIVE: &[u8] = b"KEEPALIVE\r\n";

/// What goes wrong, as the protocol classes it: the letter after `E`.
///
/// Credits errors (`EC`) carry two more tokens and are not needed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// `E`: no subtype, the request could not be understood.
    Generic,
    /// `EM`: the Metadata Adapter cannot serve.
    Metadata,
    /// `ED`: the Data Adapter cannot serve.
    Data,
    /// `EI`: no such items.
    Items,
    /// `ES`: no such schema.
    Schema,
    /// `EN`: the notification is refused.
    Notification,
    /// `EU`: the subscription is refused.
    Subscription,
}

impl ErrorKind {
    fn token(self) -> &'static str {
        match self {
            ErrorKind::Generic => "E",
            ErrorKind::Metadata => "EM",
            ErrorKind::Data => "ED",
            ErrorKind::Items => "EI",
            ErrorKind::Schema => "ES",
            ErrorKind::Notification => "EN",
            ErrorKind::Subscription => "EU",
        }
    }
}

/// The modes an item may be subscribed in: the value of an `M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modes {
    /// `D`: distinct only.
    Distinct,
    /// `RMDC`: whatever the client asks for.
    Any,
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

    /// Appends an `S`; `None` is null.
    pub fn string(self, value: Option<&str>) -> Self {
        let this = self.token("S|");
        this.encoding.put(value, this.out);
        this
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

    /// Appends a `D` of zero, which for bandwidths, frequencies and buffer sizes means "no limit".
    pub fn unlimited(self) -> Self {
        self.token("D|0.0")
    }

    /// Appends an `M`.
    pub fn modes(self, modes: Modes) -> Self {
        self.token(match modes {
            Modes::Distinct => "M|D",
            Modes::Any => "M|RMDC",
        })
    }

    /// The reply of success without a value.
    pub fn void(self) {
        self.token("V").end();
    }

    /// The reply of failure, with a message for whoever reads the server's log.
    pub fn error(self, kind: ErrorKind, message: &str) {
        let this = self.token(kind.token());
        this.out.push(b'|');
        this.encoding.put(Some(message), this.out);
        this.end();
    }

    /// Ends the line.
    pub fn end(self) {
        self.out.extend_from_slice(b"\r\n");
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

/// Appends an `EOS` (section 7): the snapshot of `item` ends here. `millis` are those since the
/// epoch, `subscription` is the id of the `SUB` request. Data connections are always smart-encoded.
pub fn put_end_of_snapshot(millis: u64, item: &str, subscription: &[u8], out: &mut Vec<u8>) {
    put_decimal(i64::try_from(millis).unwrap_or(i64::MAX), out);
    put_notification("EOS", item, subscription, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends what every notification of an item has after its time: method, item, subscription.
pub fn put_notification(method: &str, item: &str, subscription: &[u8], out: &mut Vec<u8>) {
    out.push(b'|');
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"|S|");
    Encoding::Smart.put(Some(item), out);
    out.extend_from_slice(b"|S|");
    out.extend_from_slice(subscription);
}

/// How many updates (`UD3`) of an outgoing batch of whole lines were not written to their end,
/// when `written` bytes of it were.
#[must_use]
pub fn count_unwritten_updates(batch: &[u8], written: usize) -> u64 {
    let mut end = 0;
    let mut count = 0;
    for line in batch.split_inclusive(|&byte| byte == b'\n') {
        end += line.len();
        let is_update = line.split(|&byte| byte == b'|').nth(1) == Some(b"UD3");
        count += u64::from(is_update && end > written);
    }
    count
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
                .unlimited()
                .modes(Modes::Any)
                .modes(Modes::Distinct)
                .boolean(false)
                .end();
        });
        assert_eq!(
            line,
            "1a|GUI|S|a b%7C|S|#|B|1|I|-30|D|0.0|M|RMDC|M|D|B|0\r\n"
        );
    }

    #[test]
    fn errors_are_encoded_as_the_connection_is() {
        let fail = |r: Reply<'_>| r.error(ErrorKind::Notification, "50% off, they say");
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

    #[test]
    fn unwritten_updates_are_counted_by_whole_lines() {
        let batch = b"1|EOS|S|i|S|1\r\n1|UD3|S|i\r\n2|SUB|V\r\n2|UD3|S|i\r\n";
        let first_end = 25;
        for (written, lost) in [
            (0, 2),
            (16, 2),
            (first_end, 2),
            (first_end + 1, 1),
            (batch.len() - 1, 1),
            (batch.len(), 0),
        ] {
            assert_eq!(count_unwritten_updates(batch, written), lost, "{written}");
        }
    }

    #[test]
    fn an_end_of_snapshot_as_in_the_protocol() {
        let mut out = Vec::new();
        put_end_of_snapshot(1_732_348_800_000, "chat_room", b"10c3", &mut out);
        assert_eq!(out, b"1732348800000|EOS|S|chat_room|S|10c3\r\n");
    }
}
