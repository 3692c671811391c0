//! Decoding: any token is read as the protocol says or refused, and what is written anew is canonical.

#![no_main]

#[allow(dead_code, reason = "shared with the property tests")]
#[path = "../../properties/twin/text.rs"]
mod twin;

use chat_adapter::ari::text::{Encoding, Part, Text, transcode, unescape};
use libfuzzer_sys::fuzz_target;

const BOTH: [(Encoding, twin::Encoding); 2] = [
    (Encoding::Form, twin::Encoding::Form),
    (Encoding::Smart, twin::Encoding::Smart),
];

fuzz_target!(|token: &[u8]| {
    if token.contains(&b'\n') {
        return;
    }
    let crossing = Part::of(token);
    assert_eq!(crossing.is_none(), token.contains(&b'|'));
    let Some(crossing) = crossing else { return };
    let value = Text(token).decode().map(|value| value.map(String::from));
    assert_eq!(value.clone().map_err(drop), twin::decode(token));
    if let Ok(value) = value {
        for (encoding, twin_encoding) in BOTH {
            let mut wire = Vec::new();
            encoding.put(value.as_deref(), &mut wire);
            assert_eq!(
                wire,
                twin::encode(twin_encoding, value.as_deref()).into_bytes()
            );
            let read = Text(&wire).decode().expect("what was written can be read");
            assert_eq!(read.as_deref(), value.as_deref());
        }
    }
    let part = unescape(token).map(String::from).map_err(drop);
    assert_eq!(part, twin::unescape(token));
    let mut out = Vec::new();
    assert_eq!(transcode(crossing, &mut out).is_ok(), part.is_ok());
    let crossed = part.map(|text| twin::encode(twin::Encoding::Smart, Some(&text)));
    assert_eq!(out, crossed.unwrap_or_default().into_bytes());
});
