//! The blocking read loop of one connection: one read, all complete lines in it, their replies.

use super::config::Context;
use super::disconnect::Disconnect;
use super::dispatch::Dispatch;
use super::init::OPENING_LINE;
use super::outbox::Outbox;
use super::waker::Source;
use crate::ari::framing::LineBuffer;
use std::io::{ErrorKind, Read};

/// Reads `input`, which comes from `source`, and serves until the connection ends; says why it did. What
/// is in `outbox` and is not taken holds it back.
pub fn serve(
    source: &Source,
    mut input: impl Read,
    outbox: &Outbox,
    dispatch: &mut Dispatch,
    context: &Context,
) -> Disconnect {
    let (heartbeat, shutdown) = (&context.status.reader, &context.config.shutdown);
    let mut lines = LineBuffer::new();
    lines.set_limit(OPENING_LINE);
    loop {
        let due = match dispatch.tick(lines.pending()) {
            Ok(due) => due,
            Err(reason) => return reason,
        };
        let timeout = heartbeat.interval.into_iter().chain(due).min();
        source.set_timeout(timeout);
        // A Proxy that does not take its replies is asked for no more requests.
        let is_stopping = || shutdown.is_requested() || source.waker().is_ended();
        outbox.wait_for_room(heartbeat, is_stopping);
        heartbeat.beat();
        let read = lines.fill(&mut input);
        if shutdown.is_requested() {
            return Disconnect::Stopping;
        }
        match read {
            Ok(1..) => {
                if let Err(reason) = dispatch.serve(&mut lines) {
                    return reason;
                }
            }
            Ok(0) => return dispatch.end_of_stream(lines.pending()),
            Err(error) => {
                let reason = match error.kind() {
                    ErrorKind::WouldBlock => continue,
                    ErrorKind::Interrupted => match source.waker().take_reason() {
                        Some(reason) => return reason,
                        None => continue,
                    },
                    // A reset means something only after words.
                    ErrorKind::ConnectionReset => dispatch.not_ari(lines.pending()),
                    // TLS without close_notify, before the init: as good as any end.
                    ErrorKind::UnexpectedEof if dispatch.is_opening() => {
                        Some(dispatch.end_of_stream(lines.pending()))
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
