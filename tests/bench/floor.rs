//! The floor relay: a bare relay that makes use of what it knows of the load.
//!
//! The system calls and copies are those of the bare relay, and next to nothing is done between
//! them: users are null, requests are NNS and NUM, and a session's id ends in digits that say where
//! its sender stands in a table, so nothing is looked up. No relay that has to find a session by its
//! id can get here; it tells how much of a figure is the system's.

use std::io::{self, Read, Write};

use memchr::{memchr, memmem};

use crate::relay;

/// Connects to both Proxies on this host and relays until the metadata connection ends.
pub(crate) fn run(metadata: u16, data: u16) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 18];
    let (mut metadata, mut data, opened) = relay::open(metadata, data, &mut buffer)?;
    let opened = &opened[..];
    let mut senders: Vec<Vec<u8>> = Vec::new();
    let (mut replies, mut updates) = (Vec::new(), Vec::new());
    let mut filled = 0;
    loop {
        match metadata.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            read => filled += read,
        }
        let (millis, tail) = relay::clock();
        let mut rest = &buffer[..filled];
        while let Some(end) = memchr(b'\n', rest) {
            let line = &rest[..end - 1];
            rest = &rest[end + 1..];
            let named = memchr(b'|', line).unwrap() + 4;
            let session = &line[named + b"|S|#|S|".len()..];
            let end = memchr(b'|', session).unwrap();
            let place = place(&session[..end]);
            let value = &session[end + b"|S|".len()..];
            if line[named - 1] == b'M' {
                updates.extend_from_slice(&millis);
                updates.extend_from_slice(&senders[place]);
                updates.extend_from_slice(&value[b"CHAT%7C".len()..]);
                updates.extend_from_slice(&tail);
            } else {
                let (ip, agent) = (
                    context(value, b"REMOTE_IP|S|"),
                    context(value, b"USER_AGENT|S|"),
                );
                let event: [&[u8]; _] = [b"|UD3|S|chat_room|S|", opened, b"|B|0|S|IP|S|", ip];
                senders.resize(senders.len().max(place + 1), Vec::new());
                senders[place] = [&event[..], &[b"|S|nick|S|", agent, b"|S|message|S|"]]
                    .concat()
                    .concat();
            }
            replies.extend_from_slice(&line[..named]);
            replies.extend_from_slice(b"|V\r\n");
        }
        let done = filled - rest.len();
        buffer.copy_within(done..filled, 0);
        filled -= done;
        data.write_all(&updates)?;
        metadata.write_all(&replies)?;
        updates.clear();
        replies.clear();
    }
}

/// The sender's place in the table, by the last five digits of the session id.
fn place(session: &[u8]) -> usize {
    session[session.len() - 5..]
        .iter()
        .fold(0, |sum, digit| sum * 10 + usize::from(digit & 15))
}

fn context<'a>(arguments: &'a [u8], key: &[u8]) -> &'a [u8] {
    let value = &arguments[memmem::find(arguments, key).unwrap() + key.len()..];
    &value[..memchr(b'|', value).unwrap_or(value.len())]
}
