//! Framing: bytes as TCP hands them over in, complete lines out, in bounded memory.
//!
//! A line ends at LF; a CR right before it belongs to the line end. The buffer is read into in
//! large pieces and lines are borrowed from it where they lie. Nothing here knows what a line says.

use std::io::{self, Read};

/// The longest line taken, in bytes, its line end not counted.
pub const MAX_LINE: usize = 4 << 20;

/// How many bytes are asked for in one read while lines are of ordinary length: so many that the
/// calls do not count, and so few that they and what is written for them stay in a core's cache.
pub const READ_SIZE: usize = 64 << 10;

/// How much of a line that is too long is handed out, in bytes: enough for its id and method.
const HEAD: usize = 512;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What [`LineBuffer::next_line`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// One line, without its end. May be empty.
    Complete(&'a [u8]),
    /// A line went beyond the limit: its first bytes. The rest of it is dropped as it arrives.
    TooLong(&'a [u8]),
}

/// A read buffer that gives out complete lines.
#[derive(Debug)]
pub struct LineBuffer {
    /// The longest line that is taken.
    limit: usize,
    /// Always fully initialised; `start..end` holds what was read and not yet given out.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// No LF stands in `start..scanned`, so that a long line arriving in many pieces is searched
    /// once and not again with every piece.
    scanned: usize,
    /// Inside a line that was too long: drop everything up to the next LF.
    dropping: bool,
    /// Nothing was given out yet: a byte order mark may open the stream.
    at_start: bool,
}

impl Default for LineBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl LineBuffer {
    /// An empty buffer, at the start of a stream.
    pub fn new() -> Self {
        LineBuffer {
            limit: MAX_LINE,
            buffer: vec![0; READ_SIZE],
            start: 0,
            end: 0,
            scanned: 0,
            dropping: false,
            at_start: true,
        }
    }

    /// From now on no longer line is taken, in bytes: [`MAX_LINE`], or less as long as the peer is a
    /// stranger.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Reads once from `source`, which may block. Returns how many bytes came; 0 is the end of
    /// the stream.
    ///
    /// Call it when [`next_line`](Self::next_line) has returned `None`.
    ///
    /// # Errors
    /// Those of `source`, as they are.
    pub fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.make_room();
        let count = source.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// Moves what is left of the last read to the front, and sizes the buffer to it.
    fn make_room(&mut self) {
        let left = self.end - self.start;
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.scanned -= self.start;
            self.start = 0;
            self.end = left;
        }
        if left == self.buffer.len() {
            // The longest line and a CR LF must fit; a full buffer of that size without LF is too long.
            let size = (left * 2).min(self.limit.max(READ_SIZE) + 2);
            self.buffer.resize(size, 0);
        } else if left < READ_SIZE / 2 && self.buffer.len() > READ_SIZE {
            self.buffer.truncate(READ_SIZE);
            self.buffer.shrink_to_fit();
        }
    }

    /// The next complete line of what was read, or `None` when more must be read first.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        if self.at_start {
            self.skip_bom();
        }
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[self.scanned..self.end]);
            let Some(offset) = found else {
                return self.without_end();
            };
            let (from, lf) = (self.start, self.scanned + offset);
            self.start = lf + 1;
            self.scanned = self.start;
            if std::mem::take(&mut self.dropping) {
                continue;
            }
            let line = self.strip(from, lf);
            return Some(if line.len() > self.limit {
                Line::TooLong(&line[..HEAD])
            } else {
                Line::Complete(line)
            });
        }
    }

    /// What is buffered holds no LF: wait for more, unless it is beyond the limit already.
    fn without_end(&mut self) -> Option<Line<'_>> {
        if self.dropping {
            self.start = self.end;
        }
        self.scanned = self.end;
        if self.end - self.start < self.limit + 2 {
            return None;
        }
        let from = self.start;
        self.dropping = true;
        self.start = self.end;
        Some(Line::TooLong(&self.buffer[from..from + HEAD]))
    }

    fn strip(&self, from: usize, lf: usize) -> &[u8] {
        let line = &self.buffer[from..lf];
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Passes over a byte order mark, as soon as there is enough to tell one.
    fn skip_bom(&mut self) {
        let held = &self.buffer[self.start..self.end];
        if held.starts_with(BOM) {
            self.start += BOM.len();
            self.scanned = self.start;
        }
        self.at_start = held.len() < BOM.len() && BOM.starts_with(held);
    }

    /// What is held of a line that has not ended yet.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// How many bytes of memory the buffer takes.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `pieces` one read each and collects what comes out.
    fn lines(pieces: &[&[u8]]) -> Vec<Result<Vec<u8>, Vec<u8>>> {
        let mut buffer = LineBuffer::new();
        let mut out = Vec::new();
        for mut piece in pieces.iter().copied() {
            while !piece.is_empty() {
                buffer.fill(&mut piece).unwrap();
                while let Some(line) = buffer.next_line() {
                    out.push(match line {
                        Line::Complete(line) => Ok(line.to_vec()),
                        Line::TooLong(head) => Err(head.to_vec()),
                    });
                }
            }
        }
        assert!(buffer.capacity() <= 2 * MAX_LINE);
        out
    }

    fn complete(lines: &[&str]) -> Vec<Result<Vec<u8>, Vec<u8>>> {
        lines.iter().map(|l| Ok(l.as_bytes().to_vec())).collect()
    }

    #[test]
    fn both_line_ends_and_many_lines_in_one_read() {
        assert_eq!(
            lines(&[b"a|b\r\nc\n\r\n\nd\r"]),
            complete(&["a|b", "c", "", ""])
        );
    }

    #[test]
    fn a_carriage_return_inside_a_line_stays() {
        assert_eq!(lines(&[b"a\rb\r\r\n"]), complete(&["a\rb\r"]));
    }

    #[test]
    fn the_cut_does_not_matter() {
        let text: &[u8] = b"\xef\xbb\xbfone\r\n\xef\xbb\xbftwo\nthree\r\n";
        let whole = lines(&[text]);
        assert_eq!(whole, complete(&["one", "\u{feff}two", "three"]));
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&bytes), whole);
        for cut in 1..text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn the_longest_line_passes_and_one_more_byte_does_not() {
        for end in ["\n", "\r\n"] {
            let fits = "x".repeat(MAX_LINE);
            let text = format!("{fits}{end}next{end}");
            assert_eq!(lines(&[text.as_bytes()]), complete(&[&fits, "next"]));

            let text = format!("y{fits}{end}next{end}");
            let out = lines(&[text.as_bytes()]);
            assert_eq!(out.len(), 2);
            assert_eq!(out[0], Err(text.as_bytes()[..HEAD].to_vec()));
            assert_eq!(out[1], Ok(b"next".to_vec()));
        }
    }

    #[test]
    fn a_line_without_end_is_told_once_and_costs_no_more_memory() {
        let piece = vec![b'z'; 1 << 20];
        let mut pieces: Vec<&[u8]> = vec![b"7|NUM|S|"];
        pieces.extend(std::iter::repeat_n(&piece[..], 40));
        pieces.push(b"\nafter\n");
        let out = lines(&pieces);
        assert_eq!(out.len(), 2, "one report, one line");
        assert!(matches!(&out[0], Err(head) if head.starts_with(b"7|NUM|S|z")));
        assert_eq!(out[1], Ok(b"after".to_vec()));
    }

    #[test]
    fn the_buffer_shrinks_after_a_long_line() {
        let mut buffer = LineBuffer::new();
        let text = [&vec![b'x'; 1 << 20][..], b"\nshort\n"].concat();
        let mut rest = &text[..];
        while buffer.fill(&mut rest).unwrap() > 0 {
            while buffer.next_line().is_some() {}
        }
        assert_eq!(buffer.capacity(), READ_SIZE);
        assert!(buffer.pending().is_empty());
    }
}
