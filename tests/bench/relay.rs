//! The bare relay: the yardstick of this bench.
//!
//! It does the fewest system calls and copies by which a NUM becomes a reply and an update: one
//! thread, one blocking read of the metadata connection into a large buffer, two buffers grown by
//! all complete lines of that read, one write each. It checks nothing, keeps no limits and
//! recovers from nothing; it takes requests apart in the plain way, with `split` and a `HashMap`,
//! and knows of the load that messages start with `CHAT|` and that requests are NNS and NUM. The
//! update leaves first, since the update is what the latencies are measured by.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memchr;

/// Connects to both Proxies on this host and relays until the metadata connection ends.
pub(crate) fn run(metadata: u16, data: u16) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 18];
    let (mut metadata, mut data, opened) = open(metadata, data, &mut buffer)?;
    let opened = &opened[..];
    let mut senders: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    let (mut replies, mut updates) = (Vec::new(), Vec::new());
    let mut filled = 0;
    loop {
        match metadata.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            read => filled += read,
        }
        let (millis, tail) = clock();
        let mut rest = &buffer[..filled];
        while let Some(end) = memchr(b'\n', rest) {
            let line = &rest[..end - 1];
            rest = &rest[end + 1..];
            let mut tokens = line.split(|byte| *byte == b'|');
            let (id, method) = (tokens.next().unwrap(), tokens.next().unwrap());
            let session = tokens.nth(3).unwrap();
            if method == b"NUM" {
                let text = &tokens.nth(1).unwrap()[b"CHAT%7C".len()..];
                updates.extend_from_slice(&millis);
                updates.extend_from_slice(&senders[session]);
                updates.extend_from_slice(text);
                updates.extend_from_slice(&tail);
            } else {
                let context: Vec<_> = tokens.collect();
                let value = |key: &[u8]| {
                    let at = context.iter().position(|token| *token == key).unwrap();
                    context[at + 2]
                };
                let (ip, agent) = (value(b"REMOTE_IP"), value(b"USER_AGENT"));
                let event: [&[u8]; _] = [b"|UD3|S|chat_room|S|", opened, b"|B|0|S|IP|S|", ip];
                let sender = [&event[..], &[b"|S|nick|S|", agent, b"|S|message|S|"]];
                senders.insert(session.to_vec(), sender.concat().concat());
            }
            for part in [id, b"|", method, b"|V\r\n"] {
                replies.extend_from_slice(part);
            }
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

/// Makes both connections, answers the inits and the subscription; gives the subscription's id, too.
pub(crate) fn open(
    metadata: u16,
    data: u16,
    buffer: &mut [u8],
) -> io::Result<(TcpStream, TcpStream, Vec<u8>)> {
    let (mut metadata, mut data) = (connect(metadata)?, connect(data)?);
    for connection in [&mut metadata, &mut data] {
        let id = request_id(connection, buffer)?;
        connection.write_all(&[&id[..], b"S|ARI.version|S|1.9.1\r\n"].concat())?;
    }
    let id = request_id(&mut data, buffer)?;
    let opened = &id[..id.len() - b"|SUB|".len()];
    data.write_all(&[b"0|EOS|S|chat_room|S|", opened, b"\r\n", &id[..], b"V\r\n"].concat())?;
    Ok((metadata, data, opened.to_vec()))
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_nodelay(true)?;
    connection.write_all(b"1|RAC|S|enableClosePacket|S|true|S|SDK|S|bare+relay\r\n")?;
    Ok(connection)
}

/// Reads one request that comes alone and returns its id and method, bars included.
fn request_id(connection: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Vec<u8>> {
    let read = connection.read(buffer)?;
    let id = memchr(b'|', &buffer[..read]).ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(buffer[..id + b"|MPI|".len()].to_vec())
}

/// The time that opens an update and the fields that close it, once per batch.
pub(crate) fn clock() -> ([u8; 13], [u8; 57]) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let (mut millis, mut tail) = ([0; 13], [0; 57]);
    let (hours, minutes, seconds) = (now / 3_600_000 % 24, now / 60_000 % 60, now / 1000 % 60);
    write!(&mut millis[..], "{now}").unwrap();
    let time = format_args!("|S|timestamp|S|{hours:02}:{minutes:02}:{seconds:02}");
    write!(&mut tail[..], "{time}|S|raw_timestamp|S|{now}\r\n").unwrap();
    (millis, tail)
}
