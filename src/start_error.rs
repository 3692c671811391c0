//! Why the program cannot start, and by which exit code its end says so.

use std::fmt;

/// Why the program cannot start; one line that names the thing.
#[derive(Debug, PartialEq, Eq)]
pub enum StartError {
    /// The command line is wrong, or what stands in for a part of it.
    Usage(String),
    /// Something else is.
    Other(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (StartError::Usage(what) | StartError::Other(what)) = self;
        f.write_str(what)
    }
}

/// Not an error by that trait itself, so that any that is can become one.
impl<E: std::error::Error> From<E> for StartError {
    fn from(error: E) -> Self {
        StartError::Other(error.to_string())
    }
}
