//! A line of the journal: a request as a Proxy would send it, of which only what is kept is left, with
//! a running number in the place of its id, and a checksum behind it.
//!
//! ```text
//! 1|MPI|S|journal.version|S|1|S|proxy.instance_id|S|hewbc3ikbbctyui|5d1f8a03
//! 2|NNS|S|#|S|S8f3da29c|S|REMOTE_IP|S|192.0.2.7|S|USER_AGENT|S|Mozilla/5.0|0c27ab91
//! 3|NSC|S|S8f3da29c|f4be2d17
//! 4|CLOSE|a93e1a55
//! ```
//!
//! The first line is an `MPI`, and so is each line before those of another instance: what follows it
//! belongs to the one that it names. A `CLOSE` drops all sessions of that instance.
//!
//! The checksum is the CRC-32 of all that stands before its `|`, in eight hexadecimal digits. A flipped
//! byte shows in it, a line that is missing in the numbers.

use crate::ari::request::{Method, Request};
use crate::ari::text::Encoding;
use crate::ari::{parameters::Parameters, request::Head};
use std::io::Write;

/// The version of the form, which each `MPI` names.
const VERSION: &str = "1";

/// Name of the parameter that tells the version; no Proxy has one of that name.
const VERSION_NAME: &str = "journal.version";

/// A session whose line would be longer than this, in bytes, is not kept.
const LONGEST: usize = 64 << 10;

/// The body of the line that drops all sessions of an instance, and a line end.
pub const DROPPED: &[u8] = b"CLOSE\n";

/// The length of a checksum and of the `|` before it.
const CHECKSUM: usize = 9;

/// What a line of the journal says.
#[derive(Debug)]
pub enum Entry<'a> {
    /// What follows belongs to this instance of a Proxy.
    Instance(String),
    /// A session opened or closed.
    Session(Request<'a>),
    /// All sessions of the instance were dropped.
    Dropped,
}

/// Why a line is not one of the journal.
#[derive(Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its number, its checksum or its form is not what it must be.
    Damaged,
    /// It is of a journal in another form.
    Version(String),
}

/// The body of the line before the sessions of an instance.
pub fn instance(instance: &str) -> Vec<u8> {
    let mut body = b"MPI".to_vec();
    for text in [VERSION_NAME, VERSION, "proxy.instance_id", instance] {
        put(Some(text), &mut body);
    }
    body
}

/// Appends the body for a session that opened, and a line end, if it is short enough. `agent` stands as
/// on the wire; one that is the user's name is none.
pub fn put_opened(
    user: Option<&str>,
    id: &str,
    ip: Option<&str>,
    agent: Option<&[u8]>,
    bodies: &mut Vec<u8>,
) {
    let start = bodies.len();
    bodies.extend_from_slice(b"NNS");
    put(user, bodies);
    let put_user = &bodies[start + "NNS|S|".len()..];
    let agent = agent.filter(|&agent| agent != put_user);
    put(Some(id), bodies);
    if ip.is_some() {
        put(Some("REMOTE_IP"), bodies);
        put(ip, bodies);
    }
    if let Some(agent) = agent {
        put(Some("USER_AGENT"), bodies);
        bodies.extend_from_slice(b"|S|");
        bodies.extend_from_slice(agent);
    }
    end_body(start, bodies);
}

/// Appends the body for a session that closed, and a line end, if it is short enough.
pub fn put_closed(id: &str, bodies: &mut Vec<u8>) {
    let start = bodies.len();
    bodies.extend_from_slice(b"NSC");
    put(Some(id), bodies);
    end_body(start, bodies);
}

fn end_body(start: usize, bodies: &mut Vec<u8>) {
    match bodies.len() - start <= LONGEST {
        true => bodies.push(b'\n'),
        false => bodies.truncate(start),
    }
}

fn put(text: Option<&str>, body: &mut Vec<u8>) {
    body.extend_from_slice(b"|S|");
    Encoding::Smart.put(text, body);
}

/// Appends the whole line of that number.
pub fn finish(number: u64, body: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let _ = write!(out, "{number}|"); // a Vec takes everything
    out.extend_from_slice(body);
    let checksum = checksum_of(&out[start..]);
    out.extend_from_slice(&checksum);
    out.push(b'\n');
}

/// Reads the line that must have this number, without its end.
///
/// # Errors
/// [`Flaw`].
pub fn read(number: u64, line: &[u8]) -> Result<Entry<'_>, Flaw> {
    let split = line.len().checked_sub(CHECKSUM).ok_or(Flaw::Damaged)?;
    let (line, checksum) = line.split_at(split);
    if checksum != checksum_of(line) {
        return Err(Flaw::Damaged);
    }
    let head = Head::of(line).ok_or(Flaw::Damaged)?;
    let method = Method::named(head.method).ok_or(Flaw::Damaged)?;
    let id = str::from_utf8(head.id).ok();
    if id.and_then(|id| id.parse().ok()) != Some(number) {
        return Err(Flaw::Damaged);
    }
    match (method, number) {
        (Method::Mpi, _) => {
            let parameters = Parameters::of_init(head.args).map_err(|_| Flaw::Damaged)?;
            let get = |name| parameters.get(name).ok_or(Flaw::Damaged);
            match get(VERSION_NAME)? {
                version if version == VERSION => {
                    Ok(Entry::Instance(get("proxy.instance_id")?.into_owned()))
                }
                other => Err(Flaw::Version(other.into_owned())),
            }
        }
        (Method::Nns | Method::Nsc, 2..) => {
            let request = Request::parse(method, head.args).map_err(|_| Flaw::Damaged)?;
            Ok(Entry::Session(request))
        }
        (Method::Close, 2..) => Ok(Entry::Dropped),
        _ => Err(Flaw::Damaged),
    }
}

/// The checksum of a line, and the `|` before it.
fn checksum_of(line: &[u8]) -> [u8; CHECKSUM] {
    let mut text = [0; CHECKSUM];
    let _ = write!(&mut text[..], "|{:08x}", crc32fast::hash(line)); // it fits
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, body: &[u8]) -> Vec<u8> {
        let mut line = Vec::new();
        finish(number, body, &mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        line
    }

    #[test]
    fn a_line_comes_back() {
        let mut body = Vec::new();
        put_opened(None, "S|1", Some("192.0.2.7"), Some(b"a%2Bb"), &mut body);
        let line = line(7, body.strip_suffix(b"\n").unwrap());
        let start = "7|NNS|S|#|S|S%7C1|S|REMOTE_IP|S|192.0.2.7|S|USER_AGENT|S|a%2Bb|";
        assert!(line.starts_with(start.as_bytes()));
        match read(7, &line) {
            Ok(Entry::Session(Request::NotifyNewSession {
                user,
                session,
                context,
            })) => {
                assert_eq!((user, &*session), (None, "S|1"));
                assert_eq!(context.get("USER_AGENT").as_deref(), Some("a+b"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_line_names_instance_and_version() {
        let first = line(1, &instance("a|b"));
        assert!(matches!(read(1, &first), Ok(Entry::Instance(id)) if id == "a|b"));
        let text = String::from_utf8(first).unwrap();
        let newer = text.replace("version|S|1", "version|S|2");
        let newer = newer
            .strip_prefix("1|")
            .unwrap()
            .rsplit_once('|')
            .unwrap()
            .0;
        let newer = line(1, newer.as_bytes());
        assert_eq!(read(1, &newer).err(), Some(Flaw::Version("2".into())));
    }

    #[test]
    fn whatever_byte_is_flipped_it_shows() {
        let whole = line(12, b"NSC|S|S1");
        assert!(read(12, &whole).is_ok());
        assert!(read(13, &whole).is_err());
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(read(12, &flipped).err(), Some(Flaw::Damaged), "{at} {bit}");
            }
            assert!(read(12, &whole[..at]).is_err());
        }
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let (id, mut bodies) = ("x".repeat(LONGEST), b"before".to_vec());
        put_opened(None, &id, None, None, &mut bodies);
        put_closed(&id, &mut bodies);
        assert_eq!(bodies, b"before");
    }
}
