//! Stands in for `tls` where the feature of that name is off. There are no [`Settings`] to be had then:
//! nothing here is ever called, and what handles TLS compiles as it is.

#[path = "tls/error.rs"]
#[allow(dead_code, reason = "who reads files is not here")]
mod error;

pub use error::TlsError;

use super::heartbeat::Heartbeat;
use crate::provider::Connection;
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;

/// Whom to trust, and what to show. To be had with the feature `tls` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {}

// What is made of them is not to be had either.
pub(super) type Tls = Settings;
pub(super) type Session = Settings;

impl Settings {
    pub(super) fn new(settings: Settings, _: &str) -> Result<Tls, TlsError> {
        match settings {}
    }
    pub(super) fn server(settings: Settings) -> Result<Tls, TlsError> {
        match settings {}
    }
    pub(super) fn in_words(&self, _: bool, _: bool) -> String {
        match *self {}
    }
    pub(super) fn validate(&self, _: usize, _: bool) -> Result<(), String> {
        match *self {}
    }
    pub(super) fn verifies_clients(&self) -> bool {
        match *self {}
    }
    pub(super) fn describe(&self) -> Vec<String> {
        match *self {}
    }
    pub(super) fn warn(&self, _: &Connection) {
        match *self {}
    }
    pub(super) fn open(
        &self,
        _: Arc<TcpStream>,
        _: &Connection,
        _: &Heartbeat,
    ) -> Result<Session, TlsError> {
        match *self {}
    }
    pub(super) fn negotiated(&self) -> String {
        match *self {}
    }
    pub(super) fn reader<S: Read>(&self, _: S, _: impl FnMut()) -> S {
        match *self {}
    }
    pub(super) fn seal(&self, _: &[u8], _: &mut Vec<u8>) -> io::Result<()> {
        match *self {}
    }
    pub(super) fn is_limit_reached(&self) -> bool {
        match *self {}
    }
    pub(super) fn finish(&self) -> io::Result<()> {
        match *self {}
    }
    pub(super) fn explain(&self, _: Option<&io::Error>, _: bool) -> Option<TlsError> {
        match *self {}
    }
}
