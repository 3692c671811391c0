//! One TLS session over one socket, read by one thread and written by others at the same time.
//!
//! They share the rustls connection under a lock that is held while bytes pass through it, never
//! while the socket is waited for. Records leave in the order in which they were made, since only
//! those who write take them out, one at a time. The reader, when TLS owes the peer something,
//! has the writer told.

use super::{Client, Failure, Stage, handshake};
use rustls::{ClientConnection, ProtocolVersion};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much ciphertext is read at once.
const READ_SIZE: usize = 64 << 10;

/// How many records a session of TLS 1.2 encrypts. At 2^24 `rustls` silently encrypts no more, since
/// the ciphers in use are only known to be safe up to there; the rest is for an end in good order.
const MOST_RECORDS: u64 = (1 << 24) - (1 << 20);

/// How much of what is written fits into one record.
const RECORD: usize = 16 << 10;

/// What a read ends with once the session has encrypted as much as it may.
#[derive(Debug)]
pub struct Spent;

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session has encrypted as much as it may")
    }
}

impl std::error::Error for Spent {}

/// How long the last word may take to leave; the peer may not be reading.
const FAREWELL: Duration = Duration::from_secs(1);

/// An established session.
#[derive(Debug)]
pub struct Session {
    socket: Arc<TcpStream>,
    client: Client,
    shared: Mutex<Shared>,
}

/// What both threads use, one at a time.
#[derive(Debug)]
struct Shared {
    connection: ClientConnection,
    /// The writer was told of what is owed, and has not come to it yet.
    told: bool,
    /// How many records may still be encrypted; TLS 1.3 changes its keys by itself.
    left: Option<u64>,
}

impl Session {
    /// Shakes hands, which takes [`HANDSHAKE`](super::HANDSHAKE) at the most.
    ///
    /// # Errors
    /// [`Failure`], in the words of the person who has to mend it.
    pub fn establish(socket: Arc<TcpStream>, client: Client) -> Result<Session, Failure> {
        let connection = handshake::shake(&client, &socket)?;
        let is_limited = connection.protocol_version() == Some(ProtocolVersion::TLSv1_2);
        let shared = Mutex::new(Shared {
            connection,
            told: false,
            left: is_limited.then_some(MOST_RECORDS),
        });
        Ok(Session {
            socket,
            client,
            shared,
        })
    }

    /// The socket underneath.
    #[must_use]
    pub fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    /// What was agreed on, for the log.
    #[must_use]
    pub fn agreed(&self) -> String {
        let Shared { connection, .. } = &*self.lock();
        let version = connection.protocol_version().and_then(|v| v.as_str());
        let version = version.map_or("TLS", |v| v).replace("TLSv1_", "TLS 1.");
        match connection.negotiated_cipher_suite() {
            Some(suite) => format!("{version}, {:?}", suite.suite()),
            None => version,
        }
    }

    /// The half that is read. `owing` is called when there is something to be sent that no
    /// application data asks for; [`seal`](Self::seal) takes it.
    pub fn reader<F: FnMut()>(&self, owing: F) -> Reader<'_, F> {
        Reader {
            session: self,
            ciphertext: vec![0; READ_SIZE],
            start: 0,
            end: 0,
            failed: None,
            owing,
        }
    }

    /// Encrypts `lines` and appends what is to be sent to `out`: what TLS owes the peer on its
    /// own, then the lines, of which there may be none. Records must leave in the order in which
    /// they are taken here: nobody may take any before those taken last are on their way.
    ///
    /// # Errors
    /// None in practice: nothing here waits or fails.
    pub fn seal(&self, lines: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let mut shared = self.lock();
        shared.told = false;
        if let Some(left) = &mut shared.left {
            let before = *left;
            *left = before.saturating_sub(lines.len().div_ceil(RECORD) as u64);
            if *left == 0 && before > 0 {
                // The reader wakes up and ends the connection.
                let _ = self.socket.shutdown(Shutdown::Read);
            }
        }
        // The answer to a key update stays within rustls until something is written, be it nothing.
        let _ = shared.connection.writer().write(&[]);
        shared.connection.writer().write_all(lines)?;
        while shared.connection.wants_write() {
            shared.connection.write_tls(out)?;
        }
        Ok(())
    }

    /// Ends the session's sending half: `close_notify` leaves.
    ///
    /// # Errors
    /// The socket's.
    pub fn finish(&self) -> io::Result<()> {
        self.lock().connection.send_close_notify();
        let mut last = Vec::new();
        self.seal(&[], &mut last)?;
        self.socket.set_write_timeout(Some(FAREWELL))?;
        (&*self.socket).write_all(&last)
    }

    /// Puts an error of reading or writing into words, if TLS is what it is about.
    #[must_use]
    pub fn failure(&self, error: &io::Error, stage: Stage) -> Option<Failure> {
        self.client.failure(error, stage)
    }

    /// What it may mean that the connection ended before the peer said anything. By TLS 1.2 it
    /// would have ended in the handshake.
    #[must_use]
    pub fn wants_certificate(&self) -> Option<Failure> {
        let version = self.lock().connection.protocol_version();
        let is_possible = version == Some(ProtocolVersion::TLSv1_3);
        is_possible
            .then(|| self.client.wants_certificate())
            .flatten()
    }

    fn is_spent(&self) -> bool {
        self.lock().left == Some(0)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// What is wrong behind what was decrypted.
    failed: Option<rustls::Error>,
    owing: F,
}

impl<F: FnMut()> Reader<'_, F> {
    /// Decrypts what is there into `out`; `None` when more must be read from the socket.
    fn decrypt(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        let session = self.session;
        let mut shared = session.lock();
        let result = self.drain(&mut shared.connection, out);
        // Once the writer is told it takes along whatever comes up until it writes.
        let mut owes = false;
        if !shared.told {
            let _ = shared.connection.writer().write(&[]);
            owes = shared.connection.wants_write();
            shared.told = owes;
        }
        drop(shared);
        if owes {
            (self.owing)();
        }
        result
    }

    fn drain(
        &mut self,
        connection: &mut ClientConnection,
        out: &mut [u8],
    ) -> io::Result<Option<usize>> {
        let mut filled = 0;
        loop {
            match connection.reader().read(&mut out[filled..]) {
                Ok(0) => return Ok(Some(filled)), // full, or the peer's close_notify
                Ok(count) => filled += count,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {}
                    _ if filled > 0 => {} // it comes up again
                    io::ErrorKind::UnexpectedEof => return Err(cut_off()),
                    _ => return Err(error),
                },
            }
            if filled < out.len() && self.failed.is_none() && self.start < self.end {
                let mut unfed = &self.ciphertext[self.start..self.end];
                connection.read_tls(&mut unfed)?;
                self.start = self.end - unfed.len();
                self.failed = connection.process_new_packets().err();
            } else if filled > 0 {
                return Ok(Some(filled));
            } else {
                let failed = self.failed.take();
                return failed.map_or(Ok(None), |e| {
                    Err(io::Error::new(io::ErrorKind::InvalidData, e))
                });
            }
        }
    }
}

fn cut_off() -> io::Error {
    let what = "the stream was cut off: no close_notify of TLS before its end";
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
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
                if self.session.is_spent() {
                    return Err(io::Error::other(Spent));
                }
                // Tells TLS that the stream ended: without close_notify that is an error.
                self.session.lock().connection.read_tls(&mut io::empty())?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, Tls};
    use super::*;
    use crate::link::steps::Steps;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion, version};
    use std::net::TcpListener;
    use std::thread;

    /// A session with a server that speaks this version, takes whatever comes and says nothing.
    fn session(version: &'static SupportedProtocolVersion) -> Session {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let name = format!("session-{:?}-{}.pem", version.version, std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, certificate.pem()).unwrap();
        let settings = Settings {
            ca: vec![file.clone()],
            ..Settings::default()
        };
        let tls = Tls::new(settings, "localhost");
        let client = tls.and_then(|mut tls| tls.client(&Arc::new(Steps::new("data".into()))));
        std::fs::remove_file(file).unwrap();

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut server = ServerConnection::new(Arc::new(config)).unwrap();
            while server
                .complete_io(&mut socket)
                .is_ok_and(|(read, _)| read > 0)
            {
                let mut rest = Vec::new();
                let _ = server.reader().read_to_end(&mut rest);
            }
        });
        let socket = TcpStream::connect(address).unwrap();
        Session::establish(Arc::new(socket), client.unwrap()).unwrap()
    }

    #[test]
    fn a_session_of_1_2_ends_before_it_may_encrypt_no_more() {
        let session = session(&version::TLS12);
        assert_eq!(session.lock().left, Some(MOST_RECORDS));
        session.lock().left = Some(3);
        let mut out = Vec::new();
        session.seal(&[b'x'; RECORD + 1], &mut out).unwrap();
        assert!(!session.is_spent());
        session.seal(b"KEEPALIVE\r\n", &mut out).unwrap();
        assert!(session.is_spent());
        let error = session.reader(|| {}).read(&mut [0; 8]).unwrap_err();
        assert!(error.get_ref().unwrap().is::<Spent>(), "{error}");
        // What has to be said until then still can be.
        let before = out.len();
        session.seal(b"the last word\r\n", &mut out).unwrap();
        assert!(out.len() > before + 15);
    }

    #[test]
    fn alerts_of_a_session_in_service_are_about_that_session_alone() {
        let session = session(&version::TLS13);
        for alert in [
            rustls::AlertDescription::HandshakeFailure,
            rustls::AlertDescription::ProtocolVersion,
            rustls::AlertDescription::UnrecognisedName,
        ] {
            let error = rustls::Error::AlertReceived(alert);
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            assert!(session.failure(&error, Stage::Hello).unwrap().lasting);
            let failure = session.failure(&error, Stage::Service).unwrap();
            assert!(!failure.lasting, "{failure}");
            assert!(failure.what.contains(&format!("{alert:?}")), "{failure}");
        }
    }

    #[test]
    fn a_session_of_1_3_has_no_such_end() {
        assert_eq!(session(&version::TLS13).lock().left, None);
    }
}
