//! The ARI line protocol as a Remote Adapter speaks it.
//!
//! Everything here is bytes in, bytes out: no socket, no thread, no clock, and no idea of what an
//! adapter answers. The documentation refers to the protocol's parts by number: 1 connections,
//! 2 lines and encodings, 3 opening, 4 keepalive, 5 close, 6 metadata, 7 data, 8 malformed lines.

pub mod args;
pub mod escape;
pub mod framing;
pub mod notification;
pub mod parameters;
pub mod reply;
pub mod request;
pub mod text;
pub mod version;

use std::fmt;

/// Which of the two Proxy Adapters a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The Proxy Metadata Adapter: logins, sessions, items, messages (section 6).
    Metadata,
    /// The Proxy Data Adapter: subscriptions and their events (section 7).
    Data,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Metadata => "metadata",
            Side::Data => "data",
        })
    }
}
