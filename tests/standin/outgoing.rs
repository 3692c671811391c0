//! The direction in which the Proxy sends: exact bytes, whole or torn. It must not know what they
//! mean.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::transcript::Transcript;

/// The direction in which the Proxy sends.
pub(crate) struct Outgoing {
    sink: Box<dyn Write + Send>,
    socket: Arc<TcpStream>,
    transcript: Transcript,
}

impl Outgoing {
    /// Sends to `sink`, which ends up at `socket`.
    pub(super) fn new(
        sink: Box<dyn Write + Send>,
        socket: Arc<TcpStream>,
        transcript: Transcript,
    ) -> Self {
        Self {
            sink,
            socket,
            transcript,
        }
    }

    /// Keeps no transcript from now on.
    pub(super) fn forget_transcript(&mut self) {
        self.transcript.forget();
    }

    /// Sends exactly these bytes.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.try_send(bytes) {
            panic!("cannot send: {error}\n{}", self.transcript);
        }
    }

    /// The same, for tests in which the adapter may be gone or may not be reading.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        let bytes = bytes.as_ref();
        self.transcript.sent(bytes);
        self.sink.write_all(bytes)?;
        self.sink.flush()
    }

    /// Sends a line, adding CR LF.
    #[track_caller]
    pub(crate) fn send_line(&mut self, line: impl AsRef<[u8]>) {
        self.send_lines([line]);
    }

    /// Sends lines in one write, adding CR LF to each.
    #[track_caller]
    pub(crate) fn send_lines<L: AsRef<[u8]>>(&mut self, lines: impl IntoIterator<Item = L>) {
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend_from_slice(line.as_ref());
            bytes.extend_from_slice(b"\r\n");
        }
        self.send(bytes);
    }

    /// Sends each byte as a TCP segment of its own.
    #[track_caller]
    pub(crate) fn send_torn(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
    }

    /// Sends bytes in one segment up to each of the positions given, and one for what follows.
    #[track_caller]
    pub(crate) fn send_cut(&mut self, bytes: impl AsRef<[u8]>, positions: &[usize]) {
        let bytes = bytes.as_ref();
        let mut from = 0;
        for to in positions.iter().copied().chain([bytes.len()]) {
            self.send(&bytes[from..to]);
            from = to;
        }
    }

    /// Ends the Proxy's stream (FIN).
    pub(crate) fn end(&mut self) {
        // Fails only if the connection is gone, which is what was asked for.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Ends both directions at once, which also wakes a thread that reads the other half.
    pub(crate) fn cut(&mut self) {
        // As above.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Makes the end of the connection a reset, whenever both halves are gone.
    pub(crate) fn reset_at_end(&self) {
        SockRef::from(&*self.socket)
            .set_linger(Some(Duration::ZERO))
            .expect("SO_LINGER");
    }
}
