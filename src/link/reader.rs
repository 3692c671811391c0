//! The blocking read loop of one connection: one read, all complete lines in it, their replies.

use super::conversation::Conversation;
use super::lost::Lost;
use super::tls::{Failure, Spent};
use super::waiting::{LOOK_EVERY, Waiting};
use crate::ari::handler::Handler;
use crate::ari::line::{Line, LineBuffer};
use crate::ari::text::Encoding;
use crate::shown::ShownLine;
use std::io::{self, Read};
use std::net::TcpStream;

/// The first bytes of the record by which a TLS server turns away what is not TLS.
const TLS_ALERT: &[u8] = &[0x15, 0x03];

/// Reads and serves until the connection ends; says why it did.
pub fn read_on<H: Handler>(
    source: &mut impl Read,
    socket: &TcpStream,
    conversation: &mut Conversation<'_, H>,
) -> Lost {
    let mut lines = LineBuffer::new();
    match open(source, socket, conversation, &mut lines) {
        Ok(encoding) => serve(source, socket, conversation, &mut lines, encoding),
        Err(lost) => lost,
    }
}

fn serve<H: Handler>(
    source: &mut impl Read,
    socket: &TcpStream,
    conversation: &mut Conversation<'_, H>,
    lines: &mut LineBuffer,
    encoding: Encoding,
) -> Lost {
    let mut patience = None;
    loop {
        let tick = conversation.tick();
        if patience != Some(tick) {
            if let Err(error) = socket.set_read_timeout(tick) {
                return broken(error);
            }
            patience = Some(tick);
        }
        if let Err(lost) = conversation.serve(lines, encoding) {
            return lost;
        }
        // A Proxy that does not take its replies is asked for no more requests.
        let pulse = &conversation.status.reader;
        let stopping = || conversation.shutdown.is_requested();
        conversation.queue.wait_for_room(pulse, stopping);
        pulse.beat();
        match lines.fill(source) {
            Ok(_) if conversation.shutdown.is_requested() => return Lost::Stopping,
            Ok(0) => return Lost::Closed,
            Ok(_) => {}
            // By TLS, the end of a stream that the shutdown makes is an error.
            Err(_) if conversation.shutdown.is_requested() => return Lost::Stopping,
            Err(error) => match error.kind() {
                // It was time for the pulse, or for the log, which the next turn sees to.
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {}
                _ if error.get_ref().is_some_and(|error| error.is::<Spent>()) => {
                    return Lost::Spent;
                }
                _ => return broken(error),
            },
        }
    }
}

/// Waits for the init and has it answered; gives the encoding of what follows.
fn open<H: Handler>(
    source: &mut impl Read,
    socket: &TcpStream,
    conversation: &mut Conversation<'_, H>,
    lines: &mut LineBuffer,
) -> Result<Encoding, Lost> {
    let pulse = conversation.status.reader.every();
    let tick = pulse.map_or(LOOK_EVERY, |pulse| pulse.min(LOOK_EVERY));
    socket.set_read_timeout(Some(tick)).map_err(broken)?;
    let mut waiting = Waiting::new();
    loop {
        while let Some(line) = lines.next_line() {
            let strange = match line {
                // Where the alert is "unexpected message", its number is a line end.
                Line::Complete(line) if line.starts_with(TLS_ALERT) => return Err(speaks_tls()),
                Line::Complete(line) => match conversation.open(line)? {
                    Ok(Some(encoding)) => return Ok(encoding),
                    Ok(None) => continue,
                    Err(what) => what,
                },
                Line::TooLong(head) => ShownLine(head).to_string(),
            };
            waiting.strange_line(conversation.queue.steps(), strange);
        }
        waiting.check()?;
        conversation.status.reader.beat();
        match lines.fill(source) {
            Ok(0) if conversation.shutdown.is_requested() => return Err(Lost::Stopping),
            Ok(0) if lines.pending().starts_with(TLS_ALERT) => return Err(speaks_tls()),
            Ok(0) => return Err(waiting.closed(lines.pending(), conversation.closed_at_hello())),
            Ok(_) => {}
            Err(_) if conversation.shutdown.is_requested() => return Err(Lost::Stopping),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::ConnectionReset if lines.pending().starts_with(TLS_ALERT) => {
                    return Err(speaks_tls());
                }
                // Not a TimedOut: that is TCP, which has found that the peer is gone.
                io::ErrorKind::WouldBlock => {
                    waiting.silence(conversation.queue.steps(), lines.pending());
                }
                // TLS without close_notify: whoever is that rude at this point refuses, too.
                io::ErrorKind::UnexpectedEof => {
                    return Err(waiting.closed(lines.pending(), conversation.closed_at_hello()));
                }
                _ => return Err(broken(error)),
            },
        }
    }
}

fn speaks_tls() -> Lost {
    Lost::Tls(Failure {
        what: "the peer speaks it, and --tls was not given".into(),
        lasting: true,
    })
}

fn broken(error: io::Error) -> Lost {
    Lost::Broken {
        doing: "reading",
        error,
    }
}
