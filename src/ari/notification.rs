//! Lines of a data connection that nobody asked for: events and what goes with them (section 7).
//!
//! Such a line starts with a time, in milliseconds since the epoch, which may be any number. Data
//! connections always use the smart encoding.

use super::text::Encoding;

/// Appends what a notification of an item has after its time: the method, the item, and the id of
/// the `SUB` that opened the subscription.
pub fn put_head(method: &str, item: &str, subscription: &[u8], out: &mut Vec<u8>) {
    out.push(b'|');
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"|S|");
    Encoding::Smart.put(Some(item), out);
    out.extend_from_slice(b"|S|");
    out.extend_from_slice(subscription);
}

/// Appends what a `FAL` has after its time: the adapter is broken for good.
pub fn put_failure(message: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"|FAL|E|");
    Encoding::Smart.put(Some(message), out);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_as_in_the_protocol() {
        let mut out = b"1732348800000".to_vec();
        put_head("EOS", "chat|room", b"10c3", &mut out);
        out.extend_from_slice(b"\r\n1");
        put_failure("no | more", &mut out);
        assert_eq!(
            out,
            b"1732348800000|EOS|S|chat%7Croom|S|10c3\r\n1|FAL|E|no %7C more\r\n"
        );
    }
}
