//! The last lines on a connection, kept for the message of a failure.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

const ENTRIES: usize = 40;
const ENTRY_BYTES: usize = 300;

/// Shared by the two directions of a connection; cheap to clone.
#[derive(Clone)]
pub(crate) struct Transcript {
    name: Arc<str>,
    entries: Option<Arc<Mutex<VecDeque<String>>>>,
}

impl Transcript {
    /// `name` says which connection this is.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            entries: Some(Arc::default()),
        }
    }

    /// Keeps nothing from now on, for measurements.
    pub(crate) fn forget(&mut self) {
        self.entries = None;
    }

    pub(crate) fn sent(&self, bytes: &[u8]) {
        self.push('→', bytes);
    }

    pub(crate) fn received(&self, bytes: &[u8]) {
        self.push('←', bytes);
    }

    fn push(&self, arrow: char, bytes: &[u8]) {
        let Some(entries) = &self.entries else { return };
        let head = &bytes[..bytes.len().min(ENTRY_BYTES)];
        let more = if head.len() < bytes.len() {
            format!(" … ({} bytes)", bytes.len())
        } else {
            String::new()
        };
        let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == ENTRIES {
            entries.pop_front();
        }
        entries.push_back(format!("{arrow} {}{more}", head.escape_ascii()));
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "last lines of the {} connection:", self.name)?;
        if let Some(entries) = &self.entries {
            for entry in &*entries.lock().unwrap_or_else(PoisonError::into_inner) {
                writeln!(f, "  {entry}")?;
            }
        }
        Ok(())
    }
}
