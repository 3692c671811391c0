//! The blocking read loop of one connection: one read, all complete lines in it, their replies.

use super::conversation::Conversation;
use super::lost::Lost;
use super::tls::Failure;
use crate::ari::handler::{Handler, Outlet};
use crate::ari::line::{Line, LineBuffer};
use crate::ari::text::Encoding;
use crate::shown::Shown;
use std::io::{self, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A peer that sent something which is not ARI, and no init, is given up after this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// While the init is awaited, the wait is looked at so often.
const OPENING_TICK: Duration = Duration::from_secs(10);

/// An init that is long in coming is mentioned at the first tick and at every so many after it.
const MENTION_EVERY: u32 = 6;

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
        Ok(encoding) => serve(source, conversation, &mut lines, encoding),
        Err(lost) => lost,
    }
}

fn serve<H: Handler>(
    source: &mut impl Read,
    conversation: &mut Conversation<'_, H>,
    lines: &mut LineBuffer,
    encoding: Encoding,
) -> Lost {
    loop {
        if let Err(lost) = conversation.serve(lines, encoding) {
            return lost;
        }
        // A Proxy that does not take its replies is asked for no more requests.
        conversation.queue.wait_for_room();
        match lines.fill(source) {
            Ok(0) => return Lost::Closed,
            Ok(_) if conversation.shutdown.is_requested() => return Lost::Stopping,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return broken(error),
        }
    }
}

/// Waits for the init and has it answered; gives the encoding of what follows.
///
/// A Proxy may take as long as it likes, since its server may be starting; TCP tells when the
/// host is gone. What is evidently no Proxy is given up.
fn open<H: Handler>(
    source: &mut impl Read,
    socket: &TcpStream,
    conversation: &mut Conversation<'_, H>,
    lines: &mut LineBuffer,
) -> Result<Encoding, Lost> {
    let broken_socket = |error| broken(error);
    socket
        .set_read_timeout(Some(OPENING_TICK))
        .map_err(broken_socket)?;
    let mut strange: Option<(Instant, String)> = None;
    let mut ticks = 0;
    loop {
        while let Some(line) = lines.next_line() {
            let what = match line {
                Line::Complete(line) => match conversation.open(line)? {
                    Ok(Some(encoding)) => {
                        socket.set_read_timeout(None).map_err(broken_socket)?;
                        return Ok(encoding);
                    }
                    Ok(None) => continue,
                    Err(what) => what,
                },
                Line::TooLong(head) => format!("a line without end: {}", Shown(&head[..64])),
            };
            let name = conversation.queue.name();
            if strange.is_none() {
                log::warn!("{name}: what came before the init is no request, skipped: {what}");
            }
            strange.get_or_insert_with(|| (Instant::now(), what));
        }
        match lines.fill(source) {
            Ok(0) if lines.pending().starts_with(TLS_ALERT) => {
                let what = "the peer speaks it, and --tls was not given".into();
                return Err(Lost::Tls(Failure {
                    what,
                    lasting: true,
                }));
            }
            Ok(0) if conversation.shutdown.is_requested() => return Err(Lost::Stopping),
            Ok(0) if strange.is_some() => return Err(Lost::Closed),
            Ok(0) => return Err(conversation.closed_at_hello()),
            Ok(_) => {}
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                // TLS without close_notify: whoever is that rude at this point has refused us.
                io::ErrorKind::UnexpectedEof if strange.is_none() => {
                    return Err(conversation.closed_at_hello());
                }
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    if lines.is_mid_line() && strange.is_none() {
                        let start = lines.pending();
                        let start = Shown(&start[..start.len().min(64)]).to_string();
                        strange = Some((Instant::now() - OPENING_TICK, start));
                    }
                    if strange.is_none() && ticks % MENTION_EVERY == 0 {
                        let name = conversation.queue.name();
                        log::info!("{name}: waiting for the init; the server may be starting");
                    }
                    ticks += 1;
                }
                _ => return Err(broken(error)),
            },
        }
        if let Some((since, what)) = &strange
            && since.elapsed() >= PATIENCE
        {
            return Err(Lost::NotAri(what.clone()));
        }
    }
}

fn broken(error: io::Error) -> Lost {
    Lost::Broken {
        doing: "reading",
        error,
    }
}
