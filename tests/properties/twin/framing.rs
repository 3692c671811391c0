//! Lines out of a whole stream, all at once.

/// What one line comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Framed {
    /// A line without its end.
    Line(Vec<u8>),
    /// A line beyond the limit: its first bytes.
    TooLong(Vec<u8>),
}

/// How much of a line that is too long is told.
const HEAD: usize = 512;

/// The lines of a stream. A line that has not ended is none, unless it is too long already.
pub(crate) fn lines(stream: &[u8], most: usize) -> Vec<Framed> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut pieces: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    let unended = pieces.pop().unwrap_or_default();
    let mut out: Vec<Framed> = pieces
        .into_iter()
        .map(|piece| {
            let line = piece.strip_suffix(b"\r").unwrap_or(piece);
            if line.len() > most {
                Framed::TooLong(line[..HEAD].to_vec())
            } else {
                Framed::Line(line.to_vec())
            }
        })
        .collect();
    // The carriage return of a line end may have come without its line feed.
    if unended.len() > most + 1 {
        out.push(Framed::TooLong(unended[..HEAD].to_vec()));
    }
    out
}
