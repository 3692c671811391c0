//! One accepted connection as the Proxy's end sees it: plain or TLS, and a buffer for what has
//! arrived. It knows no protocol beyond the line end. A call that would have blocked reports zero
//! bytes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use memchr::memchr;
use rustls::ServerConnection;

/// How long the adapter may keep silent while it owes something; beyond it the bench gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Large enough that one read takes what several hundred messages bring.
const BUFFER: usize = 1 << 18;

/// A connection with the bytes that arrived on it and were not consumed yet.
pub(crate) struct Channel {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    blocking: bool,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Channel {
    /// Wraps an accepted socket; calls block until told otherwise.
    pub(crate) fn new(socket: TcpStream, tls: Option<ServerConnection>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Ok(Self {
            socket,
            tls: tls.map(Box::new),
            blocking: true,
            buffer,
            start: 0,
            end: 0,
        })
    }

    /// Chooses between blocking calls and calls that return at once.
    pub(crate) fn set_blocking(&mut self, blocking: bool) -> io::Result<()> {
        self.blocking = blocking;
        self.socket.set_nonblocking(!blocking)
    }

    /// What has arrived and was not consumed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Forgets the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
    }

    /// Reads once and says how many bytes that brought. The end of the stream is an error.
    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = &mut self.buffer[self.end..];
        let read = match &mut self.tls {
            None => self.socket.read(room),
            Some(tls) => read_tls(tls, &mut self.socket, room),
        };
        match read {
            Ok(0) => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the adapter closed the connection",
            )),
            Ok(count) => {
                self.end += count;
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            Err(_) if self.blocking => Err(self.silence()),
            Err(_) => Ok(0),
        }
    }

    /// Writes as much as the connection takes and says how much that was.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.tls {
            None => self.socket.write(bytes),
            Some(tls) => write_tls(tls, &mut self.socket, bytes),
        };
        match written {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// Whether bytes that `write` took still wait for the socket; a `write` of nothing pushes them
    /// on.
    pub(crate) fn is_behind(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Writes a whole line, blocking.
    pub(crate) fn say(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\r\n");
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let written = self.write(rest)?;
            rest = &rest[written..];
        }
        Ok(())
    }

    /// Reads a whole line, blocking, without its end.
    pub(crate) fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = memchr(b'\n', self.bytes()) {
                let line = String::from_utf8_lossy(&self.bytes()[..end])
                    .trim_end()
                    .to_owned();
                self.consume(end + 1);
                return Ok(line);
            }
            self.fill()?;
        }
    }

    /// The error for an adapter that owes something and keeps silent, with what it said last.
    pub(crate) fn silence(&self) -> io::Error {
        let last = self.bytes()[..self.bytes().len().min(400)].escape_ascii();
        io::Error::new(
            ErrorKind::TimedOut,
            format!("nothing more within {PATIENCE:?} after “{last}”"),
        )
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Reads ciphertext until some of it turns into plaintext, answering what the handshake wants
/// answered.
fn read_tls(
    tls: &mut ServerConnection,
    socket: &mut TcpStream,
    room: &mut [u8],
) -> io::Result<usize> {
    loop {
        match tls.reader().read(room) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            done => return done,
        }
        tls.read_tls(socket)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        if tls.is_handshaking() {
            write_tls(tls, socket, b"")?;
        }
    }
}

/// Hands plaintext to TLS as far as it takes it, and ciphertext to the socket as far as that does.
fn write_tls(
    tls: &mut ServerConnection,
    socket: &mut TcpStream,
    bytes: &[u8],
) -> io::Result<usize> {
    let taken = tls.writer().write(bytes)?;
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            other => other?,
        };
    }
    Ok(taken)
}
