//! Every request, one at a time: the first byte picks the method, the second the encoding, the rest are arguments. It
//! is taken apart, answered by the side it is for, and the answer compared with the twin's.

#![no_main]

#[path = "../../properties/twin/mod.rs"]
mod twin;

use chat_adapter::ari::request::{Head, Method, QuickMessage, Request};
use libfuzzer_sys::fuzz_target;
use twin::request::{DATA, METADATA};
use twin::stage::play;

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

/// Takes the line apart; nothing of it may be lost, every string can be asked for, and the quick way finds what the
/// other does.
fn parse(line: &[u8]) {
    let Some(head) = Head::of(line) else { return };
    let start = [head.id, b"|", head.method].concat();
    assert!(line.starts_with(&start));
    let Some(method) = Method::named(head.method) else {
        return;
    };
    let request = Request::parse(method, head.args);
    for prefix in [&b""[..], b"CHAT%7C"] {
        let Some(quick) = QuickMessage::of(line, prefix) else {
            continue;
        };
        let Ok(Request::NotifyUserMessage { session, message }) = request else {
            panic!("{quick:?} is {request:?}");
        };
        let found = (quick.id, quick.session, quick.message);
        assert_eq!(found, (head.id, session, message));
        assert_eq!(message.0.strip_prefix(prefix), Some(quick.rest.bytes()));
    }
    match request {
        Ok(Request::Init(pairs) | Request::Close(pairs)) => {
            let read: Vec<_> = pairs.collect();
            assert!(read.len() <= line.len());
        }
        Ok(_) => {}
        Err(malformed) => assert!(!malformed.to_string().is_empty()),
    }
}
