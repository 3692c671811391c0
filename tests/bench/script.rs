//! What the load generator says and what it must receive, rendered before the clock starts: all
//! requests one after another in one block, and beside them the replies and the steady part of the
//! updates, so that a message costs the generator a comparison of bytes and no rendering. A script
//! is sent round and round; it is longer than any window, so no two messages under way are alike
//! and a loss, a repetition or a swap shows.

use std::fmt::Arguments;
use std::io::Write;
use std::ops::Range;

use crate::clients::Client;

/// What the messages say.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Text {
    /// So many letters and spaces.
    Plain(usize),
    /// So many bytes before encoding, a third of the characters `%` or `+`, a third outside of
    /// ASCII.
    Escaped(usize),
}

impl Text {
    /// The text as it stands on the wire, in the smart encoding; its first eight digits are its
    /// number.
    fn encoded(self, number: usize) -> String {
        let (length, filler) = match self {
            Self::Plain(length) => (length, "the quick brown fox jumps over the lazy dog and "),
            Self::Escaped(length) => (length, "%é +ü %漢+ %😀+ß "),
        };
        let mut text = format!("{number:08}");
        let mut characters = filler.chars().cycle();
        let mut size = text.len();
        while size < length {
            // What no longer fits gives way to letters.
            let next = characters
                .next()
                .filter(|c| size + c.len_utf8() <= length)
                .unwrap_or('x');
            size += next.len_utf8();
            match next {
                '%' => text.push_str("%25"),
                '+' => text.push_str("%2B"),
                other => text.push(other),
            }
        }
        text
    }
}

/// Lines one after another in one block.
#[derive(Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    fn push(&mut self, line: Arguments<'_>) {
        self.bytes
            .write_fmt(line)
            .expect("memory takes every write");
        self.ends.push(self.bytes.len());
    }

    /// Where a line begins.
    fn start(&self, line: usize) -> usize {
        line.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// The lines of that range as one slice.
    pub(crate) fn get(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[self.start(range.start)..self.start(range.end)]
    }

    /// How many of the lines from `first` on are complete in that many bytes.
    pub(crate) fn whole(&self, first: usize, bytes: usize) -> usize {
        let end = self.start(first) + bytes;
        self.ends[first..].partition_point(|line| *line <= end)
    }
}

/// Requests with the answers they must get.
pub(crate) struct Script {
    /// Whole request lines.
    pub(crate) requests: Lines,
    /// Whole reply lines, all of one length.
    pub(crate) replies: Lines,
    /// Of each update what stands between the two places where the time does; none at all if
    /// nothing is published.
    pub(crate) updates: Option<Lines>,
}

impl Script {
    /// Messages from those clients in turn, at least `length` of them, to subscribers under that
    /// SUB id.
    pub(crate) fn chat(clients: &[Client], text: Text, length: usize, subscription: &str) -> Self {
        let (mut requests, mut replies, mut updates) = <(Lines, Lines, Lines)>::default();
        let senders: Vec<_> = clients
            .iter()
            .map(|client| (client.session(), client.ip(), client.agent()))
            .collect();
        for number in 0..length.next_multiple_of(senders.len()) {
            // An odd stride goes through a power of two completely, and far from the order of the
            // table at the other end.
            let (session, ip, agent) = &senders[number * 40_503 % senders.len()];
            let (id, text) = (id(number), text.encoded(number));
            requests.push(format_args!("{id}|NUM|S|#|S|{session}|S|CHAT%7C{text}\r\n"));
            replies.push(format_args!("{id}|NUM|V\r\n"));
            updates.push(format_args!(
                "|UD3|S|chat_room|S|{subscription}|B|0|S|IP|S|{ip}|S|nick|S|{agent}\
                 |S|message|S|{text}|S|timestamp|S|"
            ));
        }
        Self {
            requests,
            replies,
            updates: Some(updates),
        }
    }

    /// The opening of those sessions.
    pub(crate) fn opening(clients: impl Iterator<Item = Client>) -> Self {
        let (mut requests, mut replies) = <(Lines, Lines)>::default();
        for (number, client) in clients.enumerate() {
            let id = id(number);
            requests.push(format_args!("{id}|NNS|{}\r\n", client.context()));
            replies.push(format_args!("{id}|NNS|V\r\n"));
        }
        Self {
            requests,
            replies,
            updates: None,
        }
    }

    /// How many requests there are.
    pub(crate) fn len(&self) -> usize {
        self.requests.ends.len()
    }
}

/// A request id of the form the server gives, seventeen characters.
fn id(number: usize) -> String {
    format!("{:07}0c3e4d0462", 3_000_000 + number)
}
