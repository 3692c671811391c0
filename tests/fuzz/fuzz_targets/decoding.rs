//! Decoding: any token is read as the protocol says or refused, and what is written anew is canonical, whole or behind a
//! prefix.

#![no_main]

#[allow(dead_code, reason = "shared with the property tests")]
#[path = "../../properties/twin/text.rs"]
mod twin;

use chat_adapter::ari::text::{Encoding, Text, decode};
use libfuzzer_sys::fuzz_target;

const BOTH: [(Encoding, twin::Encoding); 2] = [
    (Encoding::Form, twin::Encoding::Form),
    (Encoding::Smart, twin::Encoding::Smart),
];

const PREFIXES: [&str; 6] = ["", "CHAT|", "a", " ", "é", "#"];

fuzz_target!(|token: &[u8]| {
    // It would end the line.
    if token.contains(&b'\n') {
        return;
    }
    let value = decode(token).map(|value| value.map(String::from));
    assert_eq!(value.clone().map_err(drop), twin::decode(token));
    let text = Text::new(token);
    assert_eq!(text.is_ok(), value.is_ok());
    let (Ok(value), Ok(text)) = (value, text) else {
        return;
    };
    passes(text, value.as_deref());
    for prefix in PREFIXES {
        let rest = value
            .as_deref()
            .and_then(|value| value.strip_prefix(prefix));
        let stripped = text.strip_prefix(prefix);
        assert_eq!(stripped.is_some(), rest.is_some());
        if let Some(stripped) = stripped {
            passes(stripped, rest);
        }
    }
});

/// The text has this value, and is written as the twin writes it, in a form that reads back.
fn passes(text: Text<'_>, value: Option<&str>) {
    assert_eq!(text.decode().as_deref(), value);
    assert_eq!(text.is_null(), value.is_none());
    assert_eq!(text.is_empty(), value == Some(""));
    for (encoding, twin_encoding) in BOTH {
        let expected = twin::encode(twin_encoding, value).into_bytes();
        let (mut anew, mut passed) = (Vec::new(), Vec::new());
        encoding.put(value, &mut anew);
        text.put(encoding, &mut passed);
        assert_eq!(anew, expected);
        assert_eq!(passed, expected);
        let read = decode(&passed).expect("what was written can be read");
        assert_eq!(read.as_deref(), value);
    }
}
