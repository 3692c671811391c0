//! One TLS session, read by one thread and written by others at the same time.
//!
//! They share the rustls connection under a lock that is held while bytes pass through it, never
//! while the network is waited for. Records must leave in the order in which rustls made them: only
//! [`Session::seal`] takes them, and its caller lets one writer at a time do so. When TLS itself has
//! something to send, the reader announces it to the writer. Who those threads are and how they wake
//! each other is not known here.

use super::TlsError;
use super::endpoint::Endpoint;
use super::explain::Stage;
use super::handshake::handshake;
use crate::provider::lock;
use rustls::{Connection, ProtocolVersion};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How much ciphertext is read at once, in bytes.
const READ_SIZE: usize = 64 << 10;

/// How many records a session of TLS 1.2 may encrypt. At 2^24 `rustls` silently encrypts no more,
/// since the ciphers are only known to be safe up to there; the rest is for an orderly close. TLS 1.3
/// changes its keys by itself.
const MAX_RECORDS: u64 = (1 << 24) - (1 << 20);

/// How much of what is written fits into one record, in bytes.
const RECORD_SIZE: usize = 16 << 10;

/// How long `close_notify` may take to leave; the peer may not be reading.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// An established session.
#[derive(Debug)]
pub struct Session {
    socket: Arc<TcpStream>,
    endpoint: Endpoint,
    shared: Mutex<Shared>,
}

/// What both threads use, one at a time.
#[derive(Debug)]
struct Shared {
    connection: Connection,
    /// The writer was told of output of TLS itself, and has not taken it yet.
    is_output_announced: bool,
    /// How many records may still be encrypted.
    records_left: u64,
}

impl Session {
    /// Does the handshake in the role of this endpoint, which takes
    /// [`HANDSHAKE_TIMEOUT`](super::HANDSHAKE_TIMEOUT) at the most.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn establish(socket: Arc<TcpStream>, endpoint: Endpoint) -> Result<Session, TlsError> {
        let connection = handshake(&endpoint, &socket)?;
        let records_left = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => MAX_RECORDS,
            _ => u64::MAX,
        };
        let shared = Mutex::new(Shared {
            connection,
            is_output_announced: false,
            records_left,
        });
        Ok(Session {
            socket,
            endpoint,
            shared,
        })
    }

    /// Version and cipher suite, for the log.
    pub fn negotiated(&self) -> String {
        let Shared { connection, .. } = &*self.lock();
        let version = connection.protocol_version().and_then(|v| v.as_str());
        let version = version.unwrap_or("TLS").replace("TLSv1_", "TLS 1.");
        match connection.negotiated_cipher_suite() {
            Some(suite) => format!("{version}, {:?}", suite.suite()),
            None => version,
        }
    }

    /// The half that is read; one at a time. `source` gives ciphertext. `on_output` is called when
    /// TLS itself has something to send, for which [`seal`](Self::seal) must be called soon.
    pub fn reader<S: Read, F: FnMut()>(&self, source: S, on_output: F) -> Reader<'_, S, F> {
        Reader {
            session: self,
            source,
            on_output,
            ciphertext: vec![0; READ_SIZE],
            unfed: 0..0,
        }
    }

    /// Encrypts `lines`, which may be empty, and appends to `out` what must be sent: the output of TLS
    /// itself, then the lines. It must leave before what the next call gives.
    ///
    /// When [`is_limit_reached`](Self::is_limit_reached) afterwards, the caller wakes the reader, which
    /// ends the connection. What is needed for that may still be encrypted.
    ///
    /// # Errors
    /// None in practice: nothing here waits or fails.
    pub fn seal(&self, lines: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let shared = &mut *self.lock();
        shared.is_output_announced = false;
        let records = lines.len().div_ceil(RECORD_SIZE) as u64;
        shared.records_left = shared.records_left.saturating_sub(records);
        // The answer to a key update stays within rustls until something is written, be it nothing.
        let _ = shared.connection.writer().write(&[]);
        shared.connection.writer().write_all(lines)?;
        while shared.connection.wants_write() {
            shared.connection.write_tls(out)?;
        }
        Ok(())
    }

    /// Whether the session has encrypted as many records as it may, and has to end.
    pub fn is_limit_reached(&self) -> bool {
        self.lock().records_left == 0
    }

    /// Ends the half that is written: sends `close_notify`.
    ///
    /// # Errors
    /// The socket's, also when the peer does not take it within a second.
    pub fn finish(&self) -> io::Result<()> {
        self.lock().connection.send_close_notify();
        let mut last = Vec::new();
        self.seal(&[], &mut last)?;
        self.socket.set_write_timeout(Some(CLOSE_TIMEOUT))?;
        (&*self.socket).write_all(&last)
    }

    /// Explains the end of the connection: by an error of reading or writing, or without any. `None` if
    /// TLS has nothing to do with it. `is_opening`: before the peer said anything.
    pub fn explain(&self, error: Option<&io::Error>, is_opening: bool) -> Option<TlsError> {
        let stage = match is_opening {
            true => Stage::Hello,
            false => Stage::Service,
        };
        let explained = error.and_then(|error| self.endpoint.explain(error, stage));
        let version = self.lock().connection.protocol_version();
        // A server that wants a client certificate may end it so. By TLS 1.2 it would have ended in
        // the handshake.
        let may_want = is_opening && version == Some(ProtocolVersion::TLSv1_3);
        explained.or_else(|| self.endpoint.explain_end().filter(|_| may_want))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

/// The half of a session that is read.
///
/// An error of its source is passed on as it is. Nothing is lost by that: a later read goes on. When the
/// session has encrypted as many records as it may, the error is of kind `QuotaExceeded`, which no socket
/// has.
#[derive(Debug)]
pub struct Reader<'a, S, F> {
    session: &'a Session,
    source: S,
    on_output: F,
    ciphertext: Vec<u8>,
    /// The part of `ciphertext` that was not fed to TLS yet.
    unfed: Range<usize>,
}

impl<S, F: FnMut()> Reader<'_, S, F> {
    /// Decrypts what is there into `out`; `None` when it takes more ciphertext.
    fn decrypt(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        let mut shared = self.session.lock();
        let connection = &mut shared.connection;
        let mut filled = 0;
        let result = loop {
            // An error comes up each time, and counts after what was decrypted before it.
            let processed = connection.process_new_packets();
            match connection.reader().read(&mut out[filled..]) {
                Ok(0) => break Ok(Some(filled)), // full, or the peer's close_notify
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) if filled > 0 => {} // it comes up again
                Err(error) => {
                    let what = "the stream was cut off: no close_notify of TLS before its end";
                    break Err(io::Error::new(error.kind(), what));
                }
            }
            if filled < out.len() && !self.unfed.is_empty() && processed.is_ok() {
                let mut unfed = &self.ciphertext[self.unfed.clone()];
                connection.read_tls(&mut unfed)?;
                self.unfed.start = self.unfed.end - unfed.len();
            } else if filled > 0 {
                break Ok(Some(filled));
            } else {
                let failed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
                break processed.map(|_| None).map_err(failed);
            }
        };
        // Once it is announced the writer takes along whatever comes up until then.
        if !shared.is_output_announced {
            let _ = shared.connection.writer().write(&[]);
            shared.is_output_announced = shared.connection.wants_write();
            if shared.is_output_announced {
                drop(shared);
                (self.on_output)();
            }
        }
        result
    }
}

impl<S: Read, F: FnMut()> Read for Reader<'_, S, F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // What was read before the limit was reached still counts.
        if let Some(count) = self.decrypt(out)? {
            return Ok(count);
        }
        if !self.session.is_limit_reached() {
            match self.source.read(&mut self.ciphertext) {
                Ok(count) if count > 0 => self.unfed = 0..count,
                // That is what the source was woken for, whatever it returns then.
                _ if self.session.is_limit_reached() => {}
                // Tells TLS that the stream ended: without close_notify that is an error.
                Ok(_) => {
                    self.session.lock().connection.read_tls(&mut io::empty())?;
                }
                Err(error) => return Err(error),
            }
            if let Some(count) = self.decrypt(out)? {
                return Ok(count);
            }
        }
        match self.session.is_limit_reached() {
            true => Err(io::ErrorKind::QuotaExceeded.into()),
            // A record may come a byte at a time: whoever reads has other things to see to meanwhile.
            false => Err(io::ErrorKind::Interrupted.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, Tls};
    use super::*;
    use crate::provider::Connection;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion, version};
    use std::cell::Cell;
    use std::mem;
    use std::net::TcpListener;
    use std::thread;

    /// A session with a server that speaks this version, takes whatever comes and says nothing of its
    /// own.
    fn session(version: &'static SupportedProtocolVersion) -> Session {
        session_told(version, b"")
    }

    /// The same with a server that sends `text` once it has read something.
    fn session_told(version: &'static SupportedProtocolVersion, text: &'static [u8]) -> Session {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let server_key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], server_key)
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        // Of its own: tests run side by side.
        let file = std::env::temp_dir().join(format!("session-{}.pem", address.port()));
        std::fs::write(&file, certificate.pem()).unwrap();
        let settings = Settings {
            ca: vec![file.clone()],
            ..Settings::default()
        };
        let tls = Tls::new(settings, "localhost");
        let endpoint = tls.map(|tls| tls.endpoint(&Connection::new("data".into())));
        std::fs::remove_file(file).unwrap();
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut server = ServerConnection::new(Arc::new(config)).unwrap();
            let mut text = text;
            while server
                .complete_io(&mut socket)
                .is_ok_and(|(read, _)| read > 0)
            {
                let mut heard = Vec::new();
                let _ = server.reader().read_to_end(&mut heard);
                if !heard.is_empty() {
                    server.writer().write_all(mem::take(&mut text)).unwrap();
                    server.send_close_notify();
                }
            }
        });
        let socket = TcpStream::connect(address).unwrap();
        Session::establish(Arc::new(socket), endpoint.unwrap()).unwrap()
    }

    /// What a session gets that says something and reads until the end of the stream.
    fn ciphertext(session: &Session) -> Vec<u8> {
        let mut out = Vec::new();
        session.seal(b"hello\r\n", &mut out).unwrap();
        let mut socket = &*session.socket;
        socket.write_all(&out).unwrap();
        let mut ciphertext = Vec::new();
        socket.read_to_end(&mut ciphertext).unwrap();
        ciphertext
    }

    /// Gives so much of something at a time, and before each part an error of every kind by which a
    /// wait can be ended.
    struct Woken<'a> {
        parts: std::slice::Chunks<'a, u8>,
        errors: Vec<io::ErrorKind>,
    }

    const WOKEN: [io::ErrorKind; 3] = [
        io::ErrorKind::WouldBlock,
        io::ErrorKind::TimedOut,
        io::ErrorKind::Interrupted,
    ];

    impl Read for Woken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if let Some(error) = self.errors.pop() {
                return Err(error.into());
            }
            self.errors = WOKEN.to_vec();
            let mut part = self.parts.next().unwrap_or_default();
            part.read(buffer)
        }
    }

    #[test]
    fn a_read_that_is_woken_loses_nothing() {
        const TEXT: &[u8] = b"1f|GIS|S|#|S|chat_room|S|S1\r\n";
        for version in [&version::TLS12, &version::TLS13] {
            let session = session_told(version, TEXT);
            let ciphertext = ciphertext(&session);
            let source = Woken {
                parts: ciphertext.chunks(7),
                errors: Vec::new(),
            };
            let mut reader = session.reader(source, || {});
            let (mut text, mut woken) = (Vec::new(), 0);
            loop {
                let mut part = [0; 5];
                match reader.read(&mut part) {
                    Ok(0) => break,
                    Ok(count) => text.extend_from_slice(&part[..count]),
                    Err(error) => {
                        assert!(WOKEN.contains(&error.kind()), "{error}");
                        woken += 1;
                    }
                }
            }
            assert_eq!(text, TEXT);
            assert!(woken > WOKEN.len(), "{woken}");
        }
    }

    #[test]
    fn a_record_that_comes_byte_by_byte_keeps_nobody_for_longer_than_a_byte() {
        struct ByteByByte<'a>(&'a [u8], &'a Cell<usize>);
        impl Read for ByteByByte<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1.set(self.1.get() + 1);
                self.0.read(&mut buffer[..1])
            }
        }
        let session = session_told(&version::TLS13, b"a line\r\n");
        let (ciphertext, taken) = (ciphertext(&session), Cell::new(0));
        let mut reader = session.reader(ByteByByte(&ciphertext, &taken), || {});
        for calls in 1.. {
            let read = reader.read(&mut [0; 8]);
            assert!(taken.get() <= calls);
            if read.is_ok() {
                break;
            }
        }
        assert!(taken.get() > 8);
    }

    #[test]
    fn a_session_of_1_2_ends_before_it_may_encrypt_no_more() {
        let session = session(&version::TLS12);
        assert_eq!(session.lock().records_left, MAX_RECORDS);
        session.lock().records_left = 3;
        let mut out = Vec::new();
        session.seal(&[b'x'; RECORD_SIZE + 1], &mut out).unwrap();
        assert!(!session.is_limit_reached());
        session.seal(b"KEEPALIVE\r\n", &mut out).unwrap();
        assert!(session.is_limit_reached());
        // Nothing is read any more, not even the end of the stream.
        let error = session.reader(io::empty(), || {}).read(&mut [0; 8]);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        // What has to be said until then still can be.
        let before = out.len();
        session.seal(b"the last word\r\n", &mut out).unwrap();
        assert!(out.len() > before + 15);
    }

    #[test]
    fn a_reader_that_waits_ends_at_the_limit_however_it_is_woken() {
        struct Reaches<'a>(&'a Session, io::Result<usize>);
        impl Read for Reaches<'_> {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                self.0.lock().records_left = 0;
                mem::replace(&mut self.1, Ok(0))
            }
        }
        let session = session(&version::TLS12);
        for woken in WOKEN
            .map(|kind| Err(kind.into()))
            .into_iter()
            .chain([Ok(0)])
        {
            session.lock().records_left = 1;
            let source = Reaches(&session, woken);
            let error = session.reader(source, || {}).read(&mut [0; 8]);
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        }
    }

    #[test]
    fn what_came_before_the_limit_is_read_before_it_ends() {
        let session = session_told(&version::TLS12, b"a line\r\n");
        let ciphertext = ciphertext(&session);
        let source = Woken {
            parts: ciphertext.chunks(ciphertext.len() - 1),
            errors: Vec::new(),
        };
        let mut reader = session.reader(source, || {});
        let mut part = [0; 4];
        reader.read_exact(&mut part).unwrap();
        session.lock().records_left = 0;
        reader.read_exact(&mut part).unwrap();
        assert_eq!(&part, b"ne\r\n");
        let error = reader.read(&mut part).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
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
            assert!(session.explain(Some(&error), true).unwrap().lasting);
            let failure = session.explain(Some(&error), false).unwrap();
            assert!(!failure.lasting, "{failure}");
            assert!(failure.message.contains(&format!("{alert:?}")), "{failure}");
        }
    }

    #[test]
    fn a_session_of_1_3_has_no_such_end() {
        assert_eq!(session(&version::TLS13).lock().records_left, u64::MAX);
    }
}
