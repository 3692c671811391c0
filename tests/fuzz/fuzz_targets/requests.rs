//! Every request, one at a time: the first byte picks the method, the second the encoding, the rest are arguments. It
//! is taken apart, answered by the side it is for, and the answer compared with the twin's.

#![no_main]

#[path = "../../properties/twin/mod.rs"]
mod twin;

use std::borrow::Cow;

use chat_adapter::ari::parameters::Parameters;
use chat_adapter::ari::args::Args;
use chat_adapter::ari::request::{Head, Method, Request};
use libfuzzer_sys::fuzz_target;
use twin::harness::play;
use twin::request::{DATA, METADATA};
use twin::text::{Value, decode};

/// Those of the connection itself are parsed and not served.
const OPENING: [&str; 3] = ["MPI", "DPI", "CLOSE"];

fuzz_target!(|input: &[u8]| {
    let [first, second, arguments @ ..] = input else {
        return;
    };
    if arguments.contains(&b'\n') {
        return;
    }
    let methods: Vec<&str> = [&METADATA[..], &DATA, &OPENING].concat();
    let method = methods[usize::from(*first) % methods.len()];
    let line = [b"1f|", method.as_bytes(), arguments].concat();
    parse(&line);
    let side = if DATA.contains(&method) { b"D" } else { b"M" };
    let version = if second % 2 == 0 { "9" } else { "8" };
    let before = format!("O{version}\nM1|NNS|S|ann|S|S1|S|REMOTE_IP|S|::1\nD2|SUB|S|chat_room\n");
    play(&[before.as_bytes(), side, &line].concat());
});

/// Takes the line apart; nothing of it may be lost, and every string can be asked for.
fn parse(line: &[u8]) {
    let Some(head) = Head::of(line) else { return };
    let start = [head.id, b"|", head.method].concat();
    assert!(line.starts_with(&start));
    let Some(method) = Method::named(head.method) else {
        return;
    };
    assert_eq!(method.name().as_bytes(), head.method);
    parameters(line, head.args);
    match Request::parse(method, head.args) {
        Ok(Request::GetItemData(items) | Request::GetUserItemData { items, .. }) => {
            assert!(items.count() <= line.len());
        }
        Ok(_) => {}
        Err(malformed) => assert!(!malformed.to_string().is_empty()),
    }
}

/// The arguments as those of an init are what the twin makes of them; as those of a login, whatever they are, each
/// can be asked for.
fn parameters(line: &[u8], args: Args<'_>) {
    let owned = |(name, value): (Cow<'_, str>, Option<Cow<'_, str>>)| {
        (name.into_owned(), value.map(Cow::into_owned))
    };
    let init = Parameters::of_init(args).map(|pairs| pairs.iter().map(owned).collect());
    assert_eq!(
        init.map_err(|error| assert!(!error.to_string().is_empty())),
        pairs(line)
    );
    let unchecked = Parameters::unchecked(args);
    let read: Vec<_> = unchecked.iter().collect();
    assert!(read.len() <= line.len());
    if let Some((name, value)) = read.last() {
        assert_eq!(&unchecked.get(name), value);
    }
}

/// Names and values of a line whose arguments are pairs of strings; `Err` when they are not.
fn pairs(line: &[u8]) -> Result<Vec<(String, Value)>, ()> {
    let mut tokens: Vec<&[u8]> = line.split(|byte| *byte == b'|').skip(2).collect();
    if tokens == [b""] {
        tokens.clear();
    }
    let mut pairs = Vec::new();
    for pair in tokens.chunks(4) {
        let [b"S", name, b"S", value] = pair else {
            return Err(());
        };
        let (name, value) = (decode(name)?, decode(value)?);
        pairs.extend(name.map(|name| (name, value)));
    }
    Ok(pairs)
}
