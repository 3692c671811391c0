//! In place of TLS in a build without the feature `tls`: to want it is an error at the start.
//!
//! Its types have no values, so nothing here is ever called but `Tls::new` and `Tls::server`.

mod error;
mod settings;

pub use error::TlsError;
pub use settings::Settings;

use crate::provider::Connection;
use std::fmt;
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::ZERO;

#[derive(Debug)]
enum Never {}

#[derive(Debug)]
pub(super) struct Tls(Never);

#[derive(Debug)]
pub(super) struct Session(Never);

#[derive(Debug)]
pub(super) struct RecordLimit(Never);

#[allow(dead_code, reason = "only sessions go through stages")]
pub(super) enum Stage {
    Hello,
    Service,
}

fn absent() -> TlsError {
    TlsError::lasting("this build is without it: it takes the feature `tls`")
}

impl Tls {
    pub fn new(_: Settings, _: &str) -> Result<Tls, TlsError> {
        Err(absent())
    }

    pub fn server(_: Settings) -> Result<Tls, TlsError> {
        Err(absent())
    }

    pub fn longest_read(&self) -> Duration {
        match self.0 {}
    }

    pub fn describe(&self) -> Vec<String> {
        match self.0 {}
    }

    pub fn warn(&self, _: &Connection) {
        match self.0 {}
    }

    pub fn endpoint(&self, _: &Connection) -> Tls {
        match self.0 {}
    }
}

impl Session {
    pub fn establish(_: Arc<TcpStream>, endpoint: Tls) -> Result<Session, TlsError> {
        match endpoint.0 {}
    }

    pub fn socket(&self) -> &Arc<TcpStream> {
        match self.0 {}
    }

    pub fn negotiated(&self) -> String {
        match self.0 {}
    }

    pub fn reader(&self, _: impl Read, _: impl FnMut()) -> io::Empty {
        match self.0 {}
    }

    pub fn seal(&self, _: &[u8], _: &mut Vec<u8>) -> io::Result<()> {
        match self.0 {}
    }

    pub fn is_limit_reached(&self) -> bool {
        match self.0 {}
    }

    pub fn finish(&self) -> io::Result<()> {
        match self.0 {}
    }

    pub fn explain(&self, _: Option<&io::Error>, _: Stage) -> Option<TlsError> {
        match self.0 {}
    }
}

impl fmt::Display for RecordLimit {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl std::error::Error for RecordLimit {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_it_is_told_what_is_missing() {
        let message = "this build is without it: it takes the feature `tls`";
        for tls in [
            Tls::new(Settings::default(), "localhost"),
            Tls::server(Settings::default()),
        ] {
            assert_eq!(tls.unwrap_err().to_string(), message);
        }
    }
}
