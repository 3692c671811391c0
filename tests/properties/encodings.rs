//! Strings: both encodings and the decoder, against the twin.

use chat_adapter::ari::text::{Encoding, Part, Text, transcode, unescape};
use proptest::prelude::*;

use crate::generate::{cases, spicy, token};
use crate::twin::text as twin;

const BOTH: [(Encoding, twin::Encoding); 2] = [
    (Encoding::Form, twin::Encoding::Form),
    (Encoding::Smart, twin::Encoding::Smart),
];

fn encoded(encoding: Encoding, value: Option<&str>) -> String {
    let mut out = Vec::new();
    encoding.put(value, &mut out);
    String::from_utf8(out).expect("what is written is UTF-8")
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn what_is_written_is_what_the_protocol_says_and_reads_back(value in proptest::option::of(spicy())) {
        for (encoding, twin_encoding) in BOTH {
            let wire = encoded(encoding, value.as_deref());
            prop_assert_eq!(&wire, &twin::encode(twin_encoding, value.as_deref()));
            prop_assert!(!wire.contains(['|', '\r', '\n']));
            prop_assert!(encoding == Encoding::Smart || wire.is_ascii());
            let read = Text(wire.as_bytes()).decode().expect("what was written can be read");
            prop_assert_eq!(read.as_deref(), value.as_deref());
        }
    }

    #[test]
    fn any_token_is_read_as_the_protocol_says_or_refused(token in token()) {
        let read = Text(&token).decode().map(|value| value.map(String::from)).map_err(drop);
        prop_assert_eq!(read, twin::decode(&token));
        let part = unescape(&token).map(String::from).map_err(drop);
        prop_assert_eq!(part, twin::unescape(&token));
    }

    #[test]
    fn a_text_that_crosses_over_is_written_anew(token in token()) {
        let mut out = b"before".to_vec();
        let part = Part::of(&token).expect("a token has no bar");
        let crossed = transcode(part, &mut out).map_err(drop);
        let expected = match twin::unescape(&token) {
            Ok(text) => format!("before{}", twin::encode(twin::Encoding::Smart, Some(&text))),
            Err(()) => "before".to_owned(),
        };
        prop_assert_eq!(crossed.is_ok(), twin::unescape(&token).is_ok());
        prop_assert_eq!(String::from_utf8(out), Ok(expected));
    }
}
