//! Strings: both encodings and the decoder, against the twin.

use chat_adapter::ari::text::{Encoding, Text, decode};
use proptest::prelude::*;

use crate::generate::{awkward_text, cases, token};
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
    fn what_is_written_is_what_the_protocol_says_and_reads_back(value in proptest::option::of(awkward_text())) {
        for (encoding, twin_encoding) in BOTH {
            let wire = encoded(encoding, value.as_deref());
            prop_assert_eq!(&wire, &twin::encode(twin_encoding, value.as_deref()));
            prop_assert!(!wire.contains(['|', '\r', '\n']));
            prop_assert!(encoding == Encoding::Smart || wire.is_ascii());
            let read = decode(wire.as_bytes()).expect("what was written can be read");
            prop_assert_eq!(read.as_deref(), value.as_deref());
        }
    }

    #[test]
    fn any_token_is_read_as_the_protocol_says_or_refused(token in token()) {
        let read = decode(&token).map(|value| value.map(String::from)).map_err(drop);
        prop_assert_eq!(&read, &twin::decode(&token));
        let text = Text::new(&token).map(|text| text.decode().map(String::from)).map_err(drop);
        prop_assert_eq!(&text, &read);
    }

    #[test]
    fn a_text_that_is_passed_on_is_written_anew(token in token(), prefix in "(CHAT\\||a| |é|#)?") {
        let Ok(text) = Text::new(&token) else { return Ok(()) };
        let value = twin::decode(&token).expect("what the library decodes");
        for (encoding, twin_encoding) in BOTH {
            let mut out = b"before".to_vec();
            text.put(encoding, &mut out);
            let expected = format!("before{}", twin::encode(twin_encoding, value.as_deref()));
            prop_assert_eq!(String::from_utf8(out), Ok(expected));
            // The same for what is left behind a prefix, where `#` and `$` are text.
            let rest = value.as_deref().and_then(|value| value.strip_prefix(&prefix));
            let stripped = text.strip_prefix(&prefix);
            let left = stripped.and_then(Text::decode);
            prop_assert_eq!(left.as_deref(), rest);
            prop_assert_eq!(stripped.is_some(), rest.is_some());
            if let Some(stripped) = stripped {
                let mut out = Vec::new();
                stripped.put(encoding, &mut out);
                prop_assert_eq!(String::from_utf8(out), Ok(twin::encode(twin_encoding, rest)));
                prop_assert_eq!(stripped.is_empty(), rest == Some(""));
            }
        }
    }
}
