//! One TLS session over one socket, read by one thread and written by another at the same time.
//!
//! The two share the rustls connection under a lock that is held while bytes pass through it,
//! never while the socket is waited for. Records leave in the order in which they were made,
//! since only one thread takes them out: whoever writes. The reader, when TLS owes the peer
//! something, has the writer told.

use super::{Client, Failure};
use rustls::ClientConnection;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(30);

/// How much ciphertext is read at once.
const READ_SIZE: usize = 64 << 10;

/// An established session.
#[derive(Debug)]
pub struct Session {
    socket: Arc<TcpStream>,
    client: Client,
    connection: Mutex<ClientConnection>,
}

impl Session {
    /// Shakes hands.
    ///
    /// # Errors
    /// [`Failure`], in the words of the person who has to mend it.
    pub fn establish(socket: Arc<TcpStream>, client: Client) -> Result<Session, Failure> {
        let connection = ClientConnection::new(Arc::clone(&client.config), client.name.clone());
        let mut connection = connection.map_err(|e| Failure::lasting(e.to_string()))?;
        connection.set_buffer_limit(None); // batches are bounded before they come here
        match shake_hands(&mut connection, &socket) {
            Ok(()) => Ok(Session {
                socket,
                client,
                connection: Mutex::new(connection),
            }),
            Err(error) => {
                let told = client.failure(&error);
                Err(told.unwrap_or_else(|| match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        let seconds = HANDSHAKE.as_secs();
                        transient(format!(
                            "the peer did not shake hands within {seconds} s; perhaps it speaks no TLS"
                        ))
                    }
                    io::ErrorKind::UnexpectedEof => {
                        let what = "the peer closed the connection in the handshake; perhaps it speaks no TLS";
                        transient(what.into())
                    }
                    _ => transient(format!("the handshake broke: {error}")),
                }))
            }
        }
    }

    /// The socket underneath.
    #[must_use]
    pub fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    /// What was agreed on, for the log.
    #[must_use]
    pub fn agreed(&self) -> String {
        let connection = self.lock();
        let version = connection.protocol_version().and_then(|v| v.as_str());
        let version = version.map_or("TLS", |v| v).replace("TLSv1_", "TLS 1.");
        match connection.negotiated_cipher_suite() {
            Some(suite) => format!("{version}, {:?}", suite.suite()),
            None => version,
        }
    }

    /// The half that is read. `owing` is called when there is something to be sent that no
    /// application data asks for; [`flush`](Self::flush) sends it.
    pub fn reader<F: FnMut()>(&self, owing: F) -> Reader<'_, F> {
        Reader {
            session: self,
            ciphertext: vec![0; READ_SIZE],
            start: 0,
            end: 0,
            owing,
        }
    }

    /// Encrypts `parts` and takes what is to be sent, beside what TLS owes the peer on its own,
    /// into `out`. Records must leave in the order in which they are taken: by one thread.
    ///
    /// # Errors
    /// None in practice: nothing here waits or fails.
    pub fn seal(&self, parts: &[Vec<u8>], out: &mut Vec<u8>) -> io::Result<()> {
        let mut connection = self.lock();
        for part in parts {
            connection.writer().write_all(part)?;
        }
        while connection.wants_write() {
            connection.write_tls(out)?;
        }
        Ok(())
    }

    /// Ends the session's sending half: `close_notify` leaves, then the socket's end of stream.
    ///
    /// # Errors
    /// The socket's.
    pub fn finish(&self) -> io::Result<()> {
        self.lock().send_close_notify();
        let mut last = Vec::new();
        self.seal(&[], &mut last)?;
        (&*self.socket).write_all(&last)?;
        self.socket.shutdown(Shutdown::Write)
    }

    /// Puts an error of reading or writing into words, if TLS is what it is about.
    #[must_use]
    pub fn failure(&self, error: &io::Error) -> Option<Failure> {
        self.client.failure(error)
    }

    /// What it may mean that the peer ended the stream before it said anything.
    #[must_use]
    pub fn wants_certificate(&self) -> Option<Failure> {
        self.client.wants_certificate()
    }

    fn lock(&self) -> MutexGuard<'_, ClientConnection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn transient(what: String) -> Failure {
    Failure {
        what,
        lasting: false,
    }
}

fn shake_hands(connection: &mut ClientConnection, mut socket: &TcpStream) -> io::Result<()> {
    let deadline = Instant::now() + HANDSHAKE;
    loop {
        while connection.wants_write() {
            connection.write_tls(&mut socket)?;
        }
        if !connection.is_handshaking() {
            return socket.set_read_timeout(None);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        match connection.read_tls(&mut socket) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if let Err(error) = connection.process_new_packets() {
            // The alert that tells the peer why; it may be past listening.
            let _ = connection.write_tls(&mut socket);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
}

/// The half of a session that is read.
#[derive(Debug)]
pub struct Reader<'a, F> {
    session: &'a Session,
    /// `start..end` was read from the socket and not yet fed to TLS.
    ciphertext: Vec<u8>,
    start: usize,
    end: usize,
    owing: F,
}

impl<F: FnMut()> Reader<'_, F> {
    /// Decrypts what is there into `out`; `None` when more must be read from the socket.
    fn decrypt(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        let mut connection = self.session.lock();
        let mut filled = 0;
        let result = loop {
            match connection.reader().read(&mut out[filled..]) {
                Ok(0) => break Ok(Some(filled)), // full, or the peer's close_notify
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) if filled > 0 => break Ok(Some(filled)), // it will come up again
                Err(error) => break Err(error),
            }
            if self.start == self.end {
                break Ok((filled > 0).then_some(filled));
            }
            let mut rest = &self.ciphertext[self.start..self.end];
            self.start += connection.read_tls(&mut rest)?;
            if let Err(error) = connection.process_new_packets() {
                break Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        };
        let owes = connection.wants_write();
        drop(connection);
        if owes {
            (self.owing)();
        }
        result
    }
}

impl<F: FnMut()> Read for Reader<'_, F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = self.decrypt(out)? {
                return Ok(count);
            }
            let count = (&*self.session.socket).read(&mut self.ciphertext)?;
            (self.start, self.end) = (0, count);
            if count == 0 {
                // Tells TLS that the stream ended: without close_notify that is an error.
                self.session.lock().read_tls(&mut io::empty())?;
            }
        }
    }
}
