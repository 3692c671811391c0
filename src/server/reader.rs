//! The blocking read loop of one connection: one read, all complete lines in it, their replies.

use super::disconnect::Disconnect;
use super::dispatch::Dispatch;
use super::heartbeat::Heartbeat;
use super::init::OPENING_LINE;
use super::outbox::Outbox;
use super::shutdown::Shutdown;
use super::waker::Source;
use crate::ari::framing::LineBuffer;
use std::io::{ErrorKind, Read};

/// What a reader needs beside what it reads and serves.
#[derive(Debug)]
pub struct Reader<'a> {
    /// What the thread waits for: bytes of the socket, a wake-up, or the time.
    pub source: &'a Source,
    /// Of the same connection: replies that are not taken hold back the reader.
    pub outbox: &'a Outbox,
    /// Of this thread.
    pub heartbeat: &'a Heartbeat,
    /// Whether to stop.
    pub shutdown: &'a Shutdown,
}

impl Reader<'_> {
    /// Reads `input`, which comes from the source, and serves until the connection ends; says why
    /// it did.
    pub fn run(&self, input: &mut impl Read, dispatch: &mut Dispatch) -> Disconnect {
        let mut lines = LineBuffer::new();
        lines.set_limit(OPENING_LINE);
        loop {
            let due = match dispatch.tick(lines.pending()) {
                Ok(due) => due,
                Err(reason) => return reason,
            };
            let timeout = self.heartbeat.interval().into_iter().chain(due).min();
            self.source.set_timeout(timeout);
            // A Proxy that does not take its replies is asked for no more requests.
            let is_stopping = || self.shutdown.is_requested() || self.source.waker().is_ended();
            self.outbox.wait_for_room(self.heartbeat, is_stopping);
            self.heartbeat.beat();
            let read = lines.fill(input);
            if self.shutdown.is_requested() {
                return Disconnect::Stopping;
            }
            match read {
                Ok(1..) => {
                    if let Err(reason) = dispatch.serve(&mut lines) {
                        return reason;
                    }
                }
                Ok(0) => {
                    let reason = dispatch.end_of_stream(lines.pending(), false);
                    return reason.unwrap_or(Disconnect::Closed);
                }
                Err(error) => {
                    let reason = match error.kind() {
                        ErrorKind::WouldBlock => continue,
                        ErrorKind::Interrupted => match self.source.waker().take_reason() {
                            Some(reason) => return reason,
                            None => continue,
                        },
                        ErrorKind::ConnectionReset => dispatch.end_of_stream(lines.pending(), true),
                        // TLS without close_notify, before the init: as good as any end.
                        ErrorKind::UnexpectedEof if dispatch.is_opening() => {
                            dispatch.end_of_stream(lines.pending(), false)
                        }
                        // No socket's: a session of TLS may encrypt no more.
                        ErrorKind::QuotaExceeded => Some(Disconnect::RecordLimit),
                        _ => None,
                    };
                    return reason.unwrap_or_else(|| Disconnect::broken("reading", error));
                }
            }
        }
    }
}
