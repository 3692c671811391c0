//! One connection as the Proxy sees it: exact bytes out, checked lines in. It must not know what
//! the lines mean.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::DEADLINE;
use super::incoming::{End, Incoming};
use super::outgoing::Outgoing;
use super::transcript::Transcript;

/// Both directions of a connection. For the methods that read, see [`Incoming`]; for those that
/// send, [`Outgoing`].
pub(crate) struct Connection {
    incoming: Incoming,
    outgoing: Outgoing,
}

impl Connection {
    /// A connection over plain TCP.
    pub(crate) fn over_tcp(name: &str, stream: TcpStream) -> Self {
        let halves = (stream.try_clone(), stream.try_clone());
        let (Ok(source), Ok(sink)) = halves else {
            panic!("no file descriptor left to split the {name} connection")
        };
        Self::over(name, Box::new(source), Box::new(sink), stream)
    }

    /// A connection over any two byte streams that end up at `socket`, such as the two directions
    /// of a TLS stream. Deadlines are set on the socket; the streams have to pass its timeouts
    /// on as errors.
    pub(crate) fn over(
        name: &str,
        source: Box<dyn Read + Send>,
        sink: Box<dyn Write + Send>,
        socket: TcpStream,
    ) -> Self {
        // Without this, small sends would wait for acknowledgements and torn lines arrive in one
        // piece.
        socket.set_nodelay(true).expect("TCP_NODELAY");
        socket.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        socket
            .set_write_timeout(Some(DEADLINE))
            .expect("a deadline");
        let transcript = Transcript::new(name);
        Self {
            outgoing: Outgoing::new(sink, Arc::new(socket), transcript.clone()),
            incoming: Incoming::new(source, transcript),
        }
    }

    /// The two directions, for two threads.
    pub(crate) fn split(self) -> (Outgoing, Incoming) {
        (self.outgoing, self.incoming)
    }

    /// The direction in which the Proxy sends.
    pub(crate) fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    /// The direction in which the Proxy reads.
    pub(crate) fn incoming(&mut self) -> &mut Incoming {
        &mut self.incoming
    }

    /// Keeps no transcript from now on, for measurements.
    pub(crate) fn forget_transcript(&mut self) {
        self.outgoing.forget_transcript();
        self.incoming.forget_transcript();
    }

    /// Sends exactly these bytes.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.outgoing.send(bytes);
    }

    /// Sends a line, adding CR LF.
    #[track_caller]
    pub(crate) fn send_line(&mut self, line: impl AsRef<[u8]>) {
        self.outgoing.send_line(line);
    }

    /// Sends lines in one write, adding CR LF to each.
    #[track_caller]
    pub(crate) fn send_lines<L: AsRef<[u8]>>(&mut self, lines: impl IntoIterator<Item = L>) {
        self.outgoing.send_lines(lines);
    }

    /// Sends each byte as a TCP segment of its own.
    #[track_caller]
    pub(crate) fn send_torn(&mut self, bytes: impl AsRef<[u8]>) {
        self.outgoing.send_torn(bytes);
    }

    /// Sends bytes in one segment up to each of the positions given, and one for what follows.
    #[track_caller]
    pub(crate) fn send_cut(&mut self, bytes: impl AsRef<[u8]>, positions: &[usize]) {
        self.outgoing.send_cut(bytes, positions);
    }

    /// The next line that is not a keepalive.
    #[track_caller]
    pub(crate) fn expect_line(&mut self) -> String {
        self.incoming.expect_line()
    }

    /// The next line, which must be this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) {
        self.incoming.expect(line);
    }

    /// The next line, which must satisfy a condition; `what` says which.
    #[track_caller]
    pub(crate) fn expect_matching(
        &mut self,
        what: &str,
        condition: impl FnOnce(&str) -> bool,
    ) -> String {
        self.incoming.expect_matching(what, condition)
    }

    /// Awaits a keepalive, which must come before any other line.
    #[track_caller]
    pub(crate) fn expect_keepalive(&mut self) {
        self.incoming.expect_keepalive();
    }

    /// Sends a line and requires the next line to be its answer: nothing else was on its way.
    /// Keepalives, which have a right to come at any time, are passed over;
    /// [`Incoming::keepalives`] counts them.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, probe: &str, answer: &str) {
        self.send_line(probe);
        self.incoming.expect(answer);
    }

    /// The number of keepalives read so far.
    pub(crate) fn keepalives(&self) -> usize {
        self.incoming.keepalives()
    }

    /// Awaits the end of the connection, before which nothing but keepalives may come.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) -> End {
        self.incoming.expect_closed()
    }

    /// Awaits the end of the connection and yields the lines that came before it.
    #[track_caller]
    pub(crate) fn expect_last_lines(&mut self) -> Vec<String> {
        self.incoming.expect_last_lines()
    }

    /// Ends the Proxy's stream (FIN) and keeps reading.
    pub(crate) fn end_sending(&mut self) {
        self.outgoing.end();
    }

    /// Closes the connection as a process does that ends.
    pub(crate) fn close(self) {
        drop(self);
    }

    /// Breaks the connection: the peer sees a reset.
    pub(crate) fn abort(self) {
        self.outgoing.reset_at_end();
        drop(self);
    }

    /// Ends the test with a message that shows the last lines of the connection.
    #[track_caller]
    pub(crate) fn fail(&self, message: &str) -> ! {
        self.incoming.fail(message)
    }
}
