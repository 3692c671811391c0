//! Inputs: texts, tokens and requests in which whatever the protocol treats specially is frequent, and a good part of
//! which is wrong.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::twin::request::{DATA, METADATA};
use crate::twin::text::{Encoding, encode};

/// So many cases, and nothing written to the tree when one fails: it is printed.
pub(crate) fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(count)
    }
}

/// Bytes of a line or of a part of it.
pub(crate) type Bytes = Vec<u8>;

/// Any text, most of it special.
pub(crate) fn awkward_text() -> impl Strategy<Value = String> {
    "([#$%+| \r\n\t\0a-c~é👋\u{202e}]|\\PC){0,16}"
}

/// What may stand between two pipes: right or wrong.
pub(crate) fn token() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => awkward_text().prop_flat_map(written),
        1 => "[#$%+0-9A-Fa-f]{0,6}".prop_map(String::into_bytes),
        1 => vec(any::<u8>().prop_filter("it ends a token", |byte| !b"|\n".contains(byte)), 0..8),
    ]
}

/// A text in one of the forms in which a Proxy may write it.
fn written(text: String) -> impl Strategy<Value = Bytes> {
    let smart = encode(Encoding::Smart, Some(&text));
    let form = encode(Encoding::Form, Some(&text));
    let lower = form.to_lowercase();
    prop_oneof![4 => Just(smart), 2 => Just(form), 1 => Just(lower)].prop_map(String::into_bytes)
}

/// One of a few texts, written.
fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = Bytes> {
    proptest::sample::select(texts).prop_flat_map(|text| written(text.to_owned()))
}

fn null() -> impl Strategy<Value = Bytes> {
    Just(b"#".to_vec())
}

fn user() -> impl Strategy<Value = Bytes> {
    prop_oneof![2 => null(), 1 => one_of(&["", "ann"]), 1 => token()]
}

/// Few, so that they come again; those of the form the server gives begin and end alike.
const SESSIONS: &[&str] = &[
    "S1",
    "S2",
    "S8f3da29cfc463220T5454537",
    "S8f3da29cfc463221T5454537",
    "S8f3da29 an id that is longer than others T5454537",
];

fn session() -> impl Strategy<Value = Bytes> {
    prop_oneof![12 => one_of(SESSIONS), 1 => null(), 1 => token()]
}

fn message() -> impl Strategy<Value = Bytes> {
    let chat = awkward_text().prop_flat_map(|text| written(format!("CHAT|{text}")));
    prop_oneof![12 => chat, 1 => null(), 1 => one_of(&["", "CHAT|", "chat|x", "CHAT"]), 1 => token()]
}

fn item() -> impl Strategy<Value = Bytes> {
    prop_oneof![4 => one_of(&["chat_room"]), 1 => one_of(&["chat_room ", "", "other"]), 1 => null(), 1 => token()]
}

fn names() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        "[ab ]{0,9}".prop_flat_map(written),
        one_of(&["chat_room", "", " "]),
        token()
    ]
}

fn context() -> impl Strategy<Value = Vec<Bytes>> {
    let name = one_of(&["REMOTE_IP", "USER_AGENT", "USER_AGENT", "COOKIES"]);
    let entry = (name, prop_oneof![4 => token(), 1 => null()]);
    vec(entry, 0..4).prop_map(|entries| entries.into_iter().flat_map(|(a, b)| [a, b]).collect())
}

/// The strings that a request of this method carries.
fn arguments(method: &'static str) -> BoxedStrategy<Vec<Bytes>> {
    let two = |a: BoxedStrategy<Bytes>, b: BoxedStrategy<Bytes>| {
        (a, b).prop_map(|(a, b)| vec![a, b]).boxed()
    };
    let (user, session) = (user().boxed(), session().boxed());
    match method {
        "NUS" | "NUA" => vec(token(), 2..5).boxed(),
        "NNS" => (two(user, session), context())
            .prop_map(|(head, rest)| [head, rest].concat())
            .boxed(),
        "NSC" | "NTC" => vec(session, 1..=1).boxed(),
        "GIS" => (user, names(), session)
            .prop_map(|(a, b, c)| vec![a, b, c])
            .boxed(),
        "GSC" => (two(user, item().boxed()), names(), session)
            .prop_map(|(head, b, c)| [head, vec![b, c]].concat())
            .boxed(),
        "GIT" => vec(item(), 0..4).boxed(),
        "GUI" => (vec(user, 1..=1), vec(item(), 0..4))
            .prop_map(|(a, b)| [a, b].concat())
            .boxed(),
        "NUM" => (two(user, session), message())
            .prop_map(|(head, text)| [head, vec![text]].concat())
            .boxed(),
        "NNT" => two(user, session),
        "SUB" | "USB" => vec(item(), 1..=1).boxed(),
        _ => vec(token(), 0..4).boxed(),
    }
}

/// What may be done to a line that is right.
#[derive(Clone, Debug)]
enum Damage {
    None,
    /// It ends here, in thousandths.
    Cut(usize),
    /// This stands there.
    Insert(usize, Bytes),
    /// This follows.
    Append(&'static str),
}

fn damage() -> impl Strategy<Value = Damage> {
    let inserted = prop_oneof![
        Just(b"|".to_vec()),
        Just(b"%".to_vec()),
        vec(any::<u8>(), 1..3)
    ];
    let appended = proptest::sample::select(
        &[
            "|", "|S", "|I|3", "|V", "|V|S|x", "|S|%", "|S|a|X|b", "|B|1|S|#",
        ][..],
    );
    prop_oneof![
        16 => Just(Damage::None),
        1 => (0_usize..1000).prop_map(Damage::Cut),
        1 => (0_usize..1000, inserted).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => appended.prop_map(Damage::Append),
    ]
}

/// A line to one side: nearly always a request of one of its methods.
fn line(methods: &'static [&'static str]) -> impl Strategy<Value = Bytes> {
    let favoured = proptest::sample::select(methods);
    let often = Just(if methods.contains(&"NUM") {
        "NUM"
    } else {
        "SUB"
    });
    let opened = Just(if methods.contains(&"NNS") {
        "NNS"
    } else {
        "USB"
    });
    let method = prop_oneof![3 => favoured, 2 => often, 2 => opened];
    let request = method.prop_flat_map(|method| (id(), Just(method), arguments(method), damage()));
    let request = request.prop_map(|(id, method, arguments, damage)| {
        let mut line = [id.as_bytes(), b"|", method.as_bytes()].concat();
        for argument in arguments {
            line.extend_from_slice(b"|S|");
            line.extend_from_slice(&argument);
        }
        damaged(line, damage)
    });
    let strange = prop_oneof![
        Just(b"KEEPALIVE".to_vec()),
        Just(b"7|XYZ|S|a".to_vec()),
        Just(b"8|NUM".to_vec()),
        Just(b"9|SUB".to_vec()),
        vec(any::<u8>(), 0..12),
    ];
    prop_oneof![20 => request, 1 => strange].prop_map(|mut line| {
        line.retain(|byte| *byte != b'\n');
        line
    })
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9a-f]{1,17}", "[ -{}~é]{0,6}"]
}

fn damaged(mut line: Bytes, damage: Damage) -> Bytes {
    match damage {
        Damage::None => {}
        Damage::Cut(at) => line.truncate(line.len() * at / 1000),
        Damage::Insert(at, bytes) => {
            let at = line.len() * at / 1000;
            line.splice(at..at, bytes);
        }
        Damage::Append(more) => line.extend_from_slice(more.as_bytes()),
    }
    line
}

/// A whole script, as [`twin::script`](crate::twin::script) has it.
pub(crate) fn script() -> impl Strategy<Value = Bytes> {
    let step_of = |mark: u8, line: Bytes| [&[mark][..], &line].concat();
    let step = prop_oneof![
        30 => line(&METADATA).prop_map(move |line| step_of(b'M', line)),
        12 => line(&DATA).prop_map(move |line| step_of(b'D', line)),
        1 => Just(b";".to_vec()),
        1 => "O[089](|a|b)".prop_map(String::into_bytes),
        1 => prop_oneof![4 => Just("L"), 1 => Just("X")].prop_map(|mark| mark.as_bytes().to_vec()),
        2 => prop_oneof![Just(0), 0_usize..900, 150_usize..250, Just(1 << 20)].prop_map(|room| format!("F{room}").into_bytes()),
        1 => prop_oneof![0_u64..4_000_000_000_000, 0_u64..200].prop_map(|time| format!("T{time}").into_bytes()),
    ];
    vec(step, 0..40).prop_map(|steps| steps.join(&b'\n'))
}
