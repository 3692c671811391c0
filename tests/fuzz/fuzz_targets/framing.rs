//! Framing: the lines of a stream are the same however it is cut, and memory stays bounded.
//!
//! The first two bytes say how the stream is cut. Where both are 0xFE, every further byte 0xFE stands for a quarter of
//! a mebibyte of one letter, so that lines beyond the limit are within reach.

#![no_main]

#[path = "../../properties/twin/framing.rs"]
mod twin;

use chat_adapter::ari::framing::{Line, LineBuffer, MAX_LINE};
use libfuzzer_sys::fuzz_target;
use twin::{Framed, lines};

/// The byte that stands for many.
const LONG: u8 = 0xFE;

/// The most such bytes that count: a little more than the longest line.
const MOST_LONG: usize = 17;

fuzz_target!(|input: &[u8]| {
    let [first, second, rest @ ..] = input else {
        return;
    };
    let stream = if [*first, *second] == [LONG, LONG] {
        unfolded(rest)
    } else {
        rest.to_vec()
    };
    let sizes = [1 + usize::from(*first), 1 + usize::from(*second) * 997];
    let expected = lines(&stream, MAX_LINE);
    if stream.len() > 1 << 16 {
        // Millions of tiny reads take long and show nothing that some thousand do not.
        let sizes = sizes.map(|size| size + 30_000);
        assert_eq!(framed(&stream, &sizes), expected);
        return;
    }
    assert_eq!(framed(&stream, &sizes), expected);
    assert_eq!(framed(&stream, &[usize::MAX]), expected);
});

fn unfolded(bytes: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut long = 0;
    for byte in bytes {
        match byte {
            &LONG if long < MOST_LONG => {
                long += 1;
                stream.resize(stream.len() + (1 << 18), b'x');
            }
            other => stream.push(*other),
        }
    }
    stream
}

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
