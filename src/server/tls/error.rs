//! Why TLS cannot be set up or used: one line, and whether it is worth a quick retry.

use crate::ari::escape::Escaped;
use std::fmt;
use std::path::Path;

/// Why TLS cannot be set up, or why it ended. [`Display`](fmt::Display) gives the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    /// What is wrong, on one line.
    pub message: String,
    /// Whether it stays until somebody changes something: then a quick retry is in vain.
    pub lasting: bool,
}

impl TlsError {
    pub(in crate::server) fn lasting(message: impl fmt::Display) -> TlsError {
        TlsError {
            message: message.to_string(),
            lasting: true,
        }
    }

    pub(super) fn temporary(message: impl fmt::Display) -> TlsError {
        TlsError {
            lasting: false,
            ..TlsError::lasting(message)
        }
    }

    /// What is wrong with a file: the option that gives it and its name, then `what`.
    pub(super) fn of_file(option: &str, path: &Path, what: impl fmt::Display) -> TlsError {
        TlsError::lasting(format_args!("{option} {} {what}", Escaped::of(path)))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TlsError {}
