//! The line that carries a message (section 7, `UD3`), in the order in which it is written.
//!
//! A line is put together from pieces that are made when what they say becomes known, long
//! before there is a message:
//!
//! ```text
//! <millis> <opening, a subscription's> <IP> <label, a session's> <text> <closing, a moment's>
//! ```

use super::ITEM;
use crate::ari::reply::put_notification;
use crate::ari::text::Encoding;

/// Stands for an address or a name that nobody gave.
const UNKNOWN: &str = "unknown";

/// Appends what stands between the time of an update and its sender's address. `subscription` is
/// the id of the `SUB` request.
pub fn put_opening(subscription: &[u8], out: &mut Vec<u8>) {
    put_notification("UD3", ITEM, subscription, out);
    out.extend_from_slice(b"|B|0|S|IP|S|");
}

/// Appends a sender's address.
pub fn put_ip(ip: Option<&str>, out: &mut Vec<u8>) {
    Encoding::Smart.put(Some(ip.unwrap_or(UNKNOWN)), out);
}

/// Appends what stands between a sender's address and a text: the name of the sender.
pub fn put_label(nick: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"|S|nick|S|");
    Encoding::Smart.put(Some(nick.unwrap_or(UNKNOWN)), out);
    out.extend_from_slice(b"|S|message|S|");
}

/// Appends what stands behind a text: the local time, the milliseconds since the epoch, and the
/// line's end.
pub fn put_closing(time: &[u8], millis: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"|S|timestamp|S|");
    out.extend_from_slice(time);
    out.extend_from_slice(b"|S|raw_timestamp|S|");
    out.extend_from_slice(millis);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_make_a_line() {
        let mut line = b"1732348805123".to_vec();
        put_opening(b"1c3", &mut line);
        put_ip(Some("192.0.2.7"), &mut line);
        put_label(None, &mut line);
        line.extend_from_slice(b"hello");
        put_closing(b"08:00:05", b"1732348805123", &mut line);
        let expected = "1732348805123|UD3|S|chat_room|S|1c3|B|0|S|IP|S|192.0.2.7|S|nick|S|unknown|S|message|S|hello|S|timestamp|S|08:00:05|S|raw_timestamp|S|1732348805123\r\n";
        assert_eq!(String::from_utf8(line).as_deref(), Ok(expected));
    }
}
