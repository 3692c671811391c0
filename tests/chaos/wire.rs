//! The bytes of one connection, as the Proxy has them: it sends and reads at the same time, or sends and does not read. It
//! must not know what the lines mean.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustix::event::PollFlags;
use socket2::SockRef;

use crate::port::wait_for;

/// How the adapter ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By ending its stream.
    Orderly,
    /// By a reset.
    Reset,
}

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    /// What was read and is no whole line yet.
    partial: Vec<u8>,
    lines: VecDeque<String>,
    end: Option<End>,
}

impl Wire {
    /// Takes a connection over.
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("O_NONBLOCK");
        // Torn lines shall leave as they were torn.
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self {
            stream,
            partial: Vec::new(),
            lines: VecDeque::new(),
            end: None,
        }
    }

    /// Sends and reads what goes within this time, and returns as soon as something went.
    pub(crate) fn transfer(
        &mut self,
        out: &mut &[u8],
        reads: bool,
        time: Duration,
    ) -> Result<(), String> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, reads);
        flags.set(PollFlags::OUT, !out.is_empty());
        let ready = wait_for(&self.stream, flags, time);
        let broken = PollFlags::ERR | PollFlags::HUP;
        if reads && ready.intersects(PollFlags::IN | broken) {
            self.read()?;
        }
        if ready.intersects(PollFlags::OUT | broken) && !out.is_empty() {
            self.write(out);
        }
        Ok(())
    }

    fn write(&mut self, out: &mut &[u8]) {
        match self.stream.write(out) {
            Ok(count) => *out = &out[count..],
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                // What the adapter has sent before can be read still.
                _ => *out = &[],
            },
        }
    }

    fn read(&mut self) -> Result<(), String> {
        let mut chunk = [0; 64 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.end = Some(End::Orderly),
            Ok(count) => {
                self.partial.extend_from_slice(&chunk[..count]);
                return self.split();
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                _ => self.end = Some(End::Reset),
            },
        }
        Ok(())
    }

    fn split(&mut self) -> Result<(), String> {
        let mut whole = 0;
        for piece in self.partial.split_inclusive(|byte| *byte == b'\n') {
            if !piece.ends_with(b"\n") {
                break;
            }
            whole += piece.len();
            let line = piece
                .strip_suffix(b"\r\n")
                .and_then(|line| std::str::from_utf8(line).ok());
            match line {
                Some("KEEPALIVE") => {}
                Some(line) => self.lines.push_back(line.to_owned()),
                None => return Err(format!("not a proper line: {}", piece.escape_ascii())),
            }
        }
        self.partial.drain(..whole);
        Ok(())
    }

    /// The next line that was read, keepalives aside.
    pub(crate) fn line(&mut self) -> Option<String> {
        self.lines.pop_front()
    }

    /// How the adapter ended it, if it has, and if it did so after whole lines.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether the adapter has ended it in the middle of a line.
    pub(crate) fn is_torn(&self) -> bool {
        self.end.is_some() && !self.partial.is_empty()
    }

    /// Sends nothing more.
    pub(crate) fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write); // it is gone already
    }

    /// Breaks it: the adapter sees a reset.
    pub(crate) fn reset(self) {
        // Fails for a connection that is broken already.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}
