//! Plays a script to the library and to the twin, side by side, and compares every byte that comes out.
//!
//! The library is served by Proxies in memory: whole reads go in, as they would come in on a connection.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Arc;

use chat_adapter::chat::{ChatData, ChatMetadata, Room, SessionStore};
use chat_adapter::server::local::LocalProxy;

use super::chat::{Answer, Chat};
use super::grammar;
use super::request::{DATA, Line, METADATA};
use super::script::{Step, Version, steps};
use super::text::{Encoding, encode};

thread_local! {
    /// The time for the providers of this thread.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// The library and its twin.
struct Harness {
    room: Arc<Room>,
    store: Arc<SessionStore>,
    metadata: LocalProxy,
    data: LocalProxy,
    version: Version,
    twin: Chat,
    space: usize,
}

/// What must come out of a connection: an answer to a request under an id, or an event.
enum Due {
    Answer(Vec<u8>, String, Answer),
    Event(Vec<u8>),
}

/// Plays a script.
///
/// # Panics
/// As soon as the two differ, or a line comes out that the protocol does not allow.
pub(crate) fn play(script: &[u8]) {
    let mut harness = Harness::new();
    for step in steps(script) {
        harness.step(&step);
    }
}

impl Harness {
    fn new() -> Self {
        let room = Arc::<Room>::default();
        let now = || NOW.with(Cell::get);
        NOW.with(|time| time.set(0));
        let store = Arc::<SessionStore>::default();
        let metadata = ChatMetadata::new(Arc::clone(&room), jiff::tz::TimeZone::UTC)
            .with_store(Arc::clone(&store));
        let mut harness = Self {
            metadata: LocalProxy::metadata(metadata.with_clock(now)),
            data: LocalProxy::data_at(ChatData::new(Arc::clone(&room)), now),
            room,
            store,
            version: Version::Modern,
            twin: Chat::default(),
            space: 1 << 16,
        };
        harness.open_metadata(Version::Modern, "");
        harness.open_data();
        harness
    }

    fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Open(version, instance) => self.open_metadata(*version, instance),
            Step::Metadata(lines) => self.metadata(lines),
            Step::Data(lines) => self.data(lines),
            Step::Lose => {
                self.twin.data_reopened();
                self.open_data();
            }
            Step::Break => {
                self.data.break_off();
                self.twin.data_broken();
            }
            Step::Room(space) => {
                self.space = *space;
                self.data.set_update_limit(*space);
            }
            Step::Time(millis) => {
                NOW.with(|now| now.set(*millis));
                self.twin.now = *millis;
            }
        }
        self.compare_counts();
    }

    fn open_metadata(&mut self, version: Version, instance: &str) {
        self.version = version;
        self.metadata.reconnect();
        let agreed = match version {
            Version::Modern => "|S|ARI.version|S|1.9.1",
            Version::Old => "|S|ARI.version|S|1.8.3",
            Version::Oldest => "",
        };
        let instance = Some(instance).filter(|name| !name.is_empty());
        let named = instance.map_or(String::new(), |instance| {
            let instance = encode(Encoding::Form, Some(instance));
            format!("|S|proxy.instance_id|S|{instance}")
        });
        let init = format!("1|MPI{agreed}{named}\n");
        self.metadata.send(init.as_bytes()).expect("a good init");
        let answer = if agreed.is_empty() { "|V" } else { agreed };
        let answer = format!("1|MPI{answer}\r\n");
        assert_eq!(
            escaped(&self.metadata.received()),
            escaped(answer.as_bytes())
        );
        self.twin.metadata_opened(instance);
    }

    fn open_data(&mut self) {
        self.data.reconnect();
        self.data.set_update_limit(self.space);
        let init = b"1|DPI|S|ARI.version|S|1.9.1\r\n";
        self.data.send(init).expect("a good init");
        assert_eq!(escaped(&self.data.received()), escaped(init));
    }

    fn metadata(&mut self, lines: &[&[u8]]) {
        let encoding = self.version.encoding();
        let mut answers = Vec::new();
        let mut events = Vec::new();
        self.twin.room = self.space;
        for line in lines {
            let Some(line) = asked(line, &METADATA) else {
                continue;
            };
            let (event, answer) = self.twin.metadata(line.method, encoding, line.ask());
            answers.push(Due::Answer(
                line.id.to_vec(),
                line.method.to_owned(),
                answer,
            ));
            events.extend(event.map(Due::Event));
        }
        self.metadata.send(&read_of(lines)).expect("requests");
        compare(&self.metadata.received(), &answers, encoding);
        compare(&self.data.received(), &events, Encoding::Smart);
    }

    fn data(&mut self, lines: &[&[u8]]) {
        let mut due = Vec::new();
        for line in lines {
            let Some(line) = asked(line, &DATA) else {
                continue;
            };
            let (event, answer) = self.twin.data(line.id, line.ask());
            due.extend(event.map(Due::Event));
            due.push(Due::Answer(
                line.id.to_vec(),
                line.method.to_owned(),
                answer,
            ));
        }
        self.data.send(&read_of(lines)).expect("requests");
        compare(&self.data.received(), &due, Encoding::Smart);
    }

    fn compare_counts(&self) {
        assert_eq!(self.room.relayed(), self.twin.relayed, "relayed");
        assert_eq!(self.room.refused(), self.twin.refused, "refused");
        assert_eq!(self.store.count().served, self.twin.sessions(), "sessions");
        assert_eq!(self.room.subscribers() > 0, self.twin.is_open(), "room");
    }
}

/// One read of these lines, but for those that end the connection.
fn read_of(lines: &[&[u8]]) -> Vec<u8> {
    let ends = |line: &&&[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let method = line.split(|byte| *byte == b'|').nth(1);
        matches!(method, Some(b"MPI" | b"DPI" | b"CLOSE"))
    };
    let lines = lines.iter().filter(|line| !ends(line));
    lines.flat_map(|line| [line, &b"\n"[..]].concat()).collect()
}

/// What the twin makes of a line, if it is a request of this side.
fn asked<'a>(line: &'a [u8], methods: &[&str]) -> Option<Line<'a>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Line::split(line).filter(|line| methods.contains(&line.method))
}

/// Requires exactly what is due, line by line.
fn compare(stream: &[u8], due: &[Due], encoding: Encoding) {
    let mut lines = stream.split_inclusive(|byte| *byte == b'\n');
    for due in due {
        let line = lines.next().unwrap_or_default();
        match due {
            Due::Event(event) => assert_eq!(escaped(line), escaped(event)),
            Due::Answer(id, method, answer) => {
                let line = line.strip_suffix(b"\r\n").expect("a whole line");
                let reply = grammar::reply(line, id, encoding).unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(&reply.method, method);
                let expected = match answer {
                    Answer::Exact(result) => (result.as_str(), None),
                    Answer::Error(kind) => (*kind, reply.message.as_deref()),
                    Answer::Saying(kind, message) => (*kind, Some(*message)),
                };
                let got = (reply.result.as_str(), reply.message.as_deref());
                assert_eq!(got, expected, "{}", escaped(line));
            }
        }
    }
    let rest: Vec<String> = lines.map(escaped).collect();
    assert!(rest.is_empty(), "nothing more was due: {rest:?}");
}

/// A line in a failure: escaped, and without the rest of what is long.
fn escaped(line: &[u8]) -> String {
    let mut text = line.escape_ascii().to_string();
    if text.len() > 4000 {
        let length = text.len();
        text.truncate(4000);
        let _ = write!(text, "… ({length} bytes)");
    }
    text
}
