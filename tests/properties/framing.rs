//! Framing: the same lines come out, however the bytes are cut.

use chat_adapter::ari::framing::{Line, LineBuffer, MAX_LINE, READ_SIZE};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::generate::cases;
use crate::twin::framing::{Framed, lines};

/// The lines that come out when the stream arrives in pieces of these sizes, over and over.
fn framed(stream: &[u8], sizes: &[usize]) -> Vec<Framed> {
    let mut buffer = LineBuffer::new();
    let mut out = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut piece, later) = rest.split_at((*size).min(rest.len()));
        rest = later;
        while !piece.is_empty() {
            buffer.fill(&mut piece).expect("memory can be read");
            while let Some(line) = buffer.next_line() {
                out.push(match line {
                    Line::Complete(line) => Framed::Line(line.to_vec()),
                    Line::TooLong(head) => Framed::TooLong(head.to_vec()),
                });
            }
            assert!(buffer.capacity() <= 2 * MAX_LINE, "memory is bounded");
        }
    }
    out
}

/// Bytes among which those that matter are frequent.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => "[a-z|]{0,9}".prop_map(String::into_bytes),
        4 => prop_oneof![Just("\n"), Just("\r\n"), Just("\r"), Just("\r\r\n")]
            .prop_map(|end| end.as_bytes().to_vec()),
        1 => Just(b"\xef\xbb\xbf".to_vec()),
        1 => vec(any::<u8>(), 0..9),
        1 => (1_usize..READ_SIZE / 2).prop_map(|size| vec![b'x'; size]),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn the_cut_does_not_matter(stream in stream(), sizes in vec(1_usize..200_000, 1..9)) {
        let expected = lines(&stream, MAX_LINE);
        prop_assert_eq!(framed(&stream, &[stream.len().max(1)]), expected.clone());
        prop_assert_eq!(framed(&stream, &sizes), expected);
    }

    #[test]
    fn nor_do_cuts_into_single_bytes(stream in vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'x'), any::<u8>()], 0..60)) {
        prop_assert_eq!(framed(&stream, &[1]), lines(&stream, MAX_LINE));
        prop_assert_eq!(framed(&stream, &[2, 1]), lines(&stream, MAX_LINE));
    }
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn lines_about_the_limit_pass_or_are_told_as_too_long(
        before in prop_oneof![Just(""), Just("\u{feff}"), Just("\n"), Just("\u{feff}x\r\n")],
        length in MAX_LINE - 3..MAX_LINE + 9,
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r"), Just("")],
        sizes in vec(2000_usize..3_000_000, 1..5),
    ) {
        let long = "y".repeat(length);
        let stream = [before, &long, end, "after\n"].concat();
        prop_assert_eq!(framed(stream.as_bytes(), &sizes), lines(stream.as_bytes(), MAX_LINE));
    }
}
