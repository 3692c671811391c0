//! Plays a script to the library and to the twin, side by side, and compares every byte that comes out.
//!
//! Lines are taken apart here as the link does it: a line with no method, or with one that is not of its side, is
//! skipped; what does not parse is answered with an error. Each script is played twice, with users' messages taken the
//! quick way and not, and the library must say the same.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chat_adapter::ari::Side;
use chat_adapter::ari::handler::{Batch, Call, Handler, Opened, Outlet};
use chat_adapter::ari::reply::ErrorKind;
use chat_adapter::ari::request::{Head, Method, QuickMessage, Request};
use chat_adapter::ari::version::Version;
use chat_adapter::chat::data::Data;
use chat_adapter::chat::metadata::Metadata;
use chat_adapter::chat::room::Room;

use super::chat::{Answer, Chat};
use super::grammar;
use super::outlet::Memory;
use super::request::{DATA, Line, METADATA};
use super::script::{Act, Spoken, Step, steps};
use super::text::Encoding;

thread_local! {
    /// The time for the handlers of this thread.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// The library and its twin.
struct Stage {
    room: Arc<Room>,
    metadata: Metadata,
    data: Data,
    outlet: Arc<Memory>,
    spoken: Spoken,
    twin: Chat,
    space: usize,
    /// Whether users' messages are taken the quick way where they can be.
    quick: bool,
    /// All that came out.
    said: Vec<u8>,
}

/// What must come out of a connection: an answer to a request under an id, or an event.
enum Due {
    Answer(Vec<u8>, String, Answer),
    Event(Vec<u8>),
}

/// Plays a script.
///
/// # Panics
/// As soon as the two differ, or anything is said that the protocol does not allow.
pub(crate) fn play(script: &[u8]) {
    let [quickly, generally] = [true, false].map(|quick| {
        let mut stage = Stage::new(quick);
        for step in steps(script) {
            stage.step(&step);
        }
        stage.said
    });
    assert_eq!(shown(&quickly), shown(&generally), "quickly and generally");
}

impl Stage {
    fn new(quick: bool) -> Self {
        let room = Arc::<Room>::default();
        let now = || NOW.with(Cell::get);
        NOW.with(|time| time.set(0));
        let zone = jiff::tz::TimeZone::UTC;
        let mut stage = Self {
            metadata: Metadata::new(Arc::clone(&room), zone).with_clock(now),
            data: Data::new(Arc::clone(&room)).with_clock(now),
            room,
            outlet: Arc::default(),
            spoken: Spoken::Modern,
            twin: Chat::default(),
            space: 1 << 16,
            quick,
            said: Vec::new(),
        };
        stage.open_metadata(Spoken::Modern, "");
        stage.open_data();
        stage
    }

    fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Open(spoken, instance) => self.open_metadata(*spoken, instance),
            Step::Metadata(acts) => self.metadata(acts),
            Step::Data(lines) => self.data(lines),
            Step::Lose => {
                self.data.lost();
                self.twin.data_reopened();
                self.open_data();
            }
            Step::Deafen => {
                self.outlet.close();
                self.twin.data_deafened();
            }
            Step::Room(space) => {
                self.space = *space;
                self.outlet.set_room(*space);
            }
            Step::Time(millis) => {
                NOW.with(|now| now.set(*millis));
                self.twin.now = *millis;
            }
        }
        self.compare_counts();
    }

    fn open_metadata(&mut self, spoken: Spoken, instance: &str) {
        let instance = Some(instance).filter(|name| !name.is_empty());
        self.spoken = spoken;
        self.metadata.lost();
        self.metadata.opened(Opened {
            version: match spoken {
                Spoken::Modern => Version::V1_9_1,
                Spoken::Old => Version::V1_8_3,
                Spoken::Oldest => Version::V1_8_0,
            },
            instance: instance.map(str::to_owned),
            outlet: Arc::<Memory>::default(),
        });
        self.twin.metadata_opened(instance);
    }

    fn open_data(&mut self) {
        self.outlet = Arc::new(Memory::with_room(self.space));
        self.data.opened(Opened {
            version: Version::V1_9_1,
            instance: None,
            outlet: Arc::clone(&self.outlet) as Arc<dyn Outlet>,
        });
    }

    fn metadata(&mut self, acts: &[Act<'_>]) {
        let encoding = self.spoken.encoding();
        let mut replies = Vec::new();
        let mut answers = Vec::new();
        let mut events = Vec::new();
        let mut batch = self.metadata.batch();
        self.twin.room = self.space;
        for act in acts {
            let Act::Line(line) = act else {
                batch.commit();
                self.twin.room = self.space;
                continue;
            };
            if !(self.quick && serve_quickly(&mut batch, line, encoding, &mut replies)) {
                serve(&mut batch, Side::Metadata, line, encoding, &mut replies);
            }
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
        batch.commit();
        drop(batch);
        compare(&replies, &answers, encoding);
        let updates = self.outlet.take();
        compare(&updates, &events, Encoding::Smart);
        self.said.extend([replies, updates].concat());
    }

    fn data(&mut self, lines: &[&[u8]]) {
        let mut replies = Vec::new();
        let mut due = Vec::new();
        let mut batch = self.data.batch();
        for line in lines {
            serve(&mut batch, Side::Data, line, Encoding::Smart, &mut replies);
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
        batch.commit();
        self.outlet.send(replies);
        let said = self.outlet.take();
        compare(&said, &due, Encoding::Smart);
        self.said.extend(said);
    }

    fn compare_counts(&self) {
        let tally = &self.room.tally;
        assert_eq!(
            tally.relayed.load(Ordering::Relaxed),
            self.twin.relayed,
            "relayed"
        );
        assert_eq!(
            tally.refused.load(Ordering::Relaxed),
            self.twin.refused,
            "refused"
        );
        assert_eq!(
            tally.sessions.load(Ordering::Relaxed),
            self.twin.sessions(),
            "sessions"
        );
        assert_eq!(self.room.is_open(), self.twin.is_open(), "room");
    }
}

/// Takes a user's message to the library the quick way, as the link does. Says whether that is all.
fn serve_quickly<B: Batch>(
    batch: &mut B,
    line: &[u8],
    encoding: Encoding,
    replies: &mut Vec<u8>,
) -> bool {
    let Some(quick) = QuickMessage::of(line, B::PREFIX) else {
        return false;
    };
    let before = replies.len();
    let served = batch.message(call(quick.id, Method::Num, encoding), quick, replies);
    assert!(served.is_ok() || replies.len() == before, "half a reply");
    served.is_ok()
}

fn call(id: &[u8], method: Method, encoding: Encoding) -> Call<'_> {
    Call {
        id,
        method,
        encoding: match encoding {
            Encoding::Smart => chat_adapter::ari::text::Encoding::Smart,
            Encoding::Form => chat_adapter::ari::text::Encoding::Form,
        },
    }
}

/// Takes a line to the library, as the link does.
fn serve(
    batch: &mut impl Batch,
    side: Side,
    line: &[u8],
    encoding: Encoding,
    replies: &mut Vec<u8>,
) {
    let Some(head) = Head::of(line) else { return };
    let method = Method::named(head.method).filter(|method| method.side() == Some(side));
    let Some(method) = method.filter(|method| !matches!(method, Method::Mpi | Method::Dpi)) else {
        return;
    };
    let call = call(head.id, method, encoding);
    let before = replies.len();
    let served = Request::parse(method, head.args)
        .inspect_err(|error| assert!(!error.to_string().is_empty()))
        .and_then(|request| batch.serve(call, request, replies));
    if let Err(malformed) = served {
        assert_eq!(replies.len(), before, "half a reply to what is malformed");
        call.reply(replies)
            .error(ErrorKind::Generic, &malformed.to_string());
    }
}

/// What the twin makes of a line, if it is a request of this side.
fn asked<'a>(line: &'a [u8], methods: &[&str]) -> Option<Line<'a>> {
    Line::split(line).filter(|line| methods.contains(&line.method))
}

/// Requires exactly what is due, line by line.
fn compare(stream: &[u8], due: &[Due], encoding: Encoding) {
    let mut lines = stream.split_inclusive(|byte| *byte == b'\n');
    for due in due {
        let line = lines.next().unwrap_or_default();
        match due {
            Due::Event(event) => assert_eq!(shown(line), shown(event)),
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
                assert_eq!(got, expected, "{}", shown(line));
            }
        }
    }
    let rest: Vec<String> = lines.map(shown).collect();
    assert!(rest.is_empty(), "too much was said: {rest:?}");
}

/// A line in a failure: escaped, and without the rest of what is long.
fn shown(line: &[u8]) -> String {
    let mut text = line.escape_ascii().to_string();
    if text.len() > 4000 {
        let length = text.len();
        text.truncate(4000);
        let _ = write!(text, "… ({length} bytes)");
    }
    text
}
