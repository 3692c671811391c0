//! What an adapter implements, and what it is given.
//!
//! - [`MetadataProvider`] answers what a Proxy Metadata Adapter asks: who may log in, which items
//!   there are, what to do with a message. It answers errors with a [`MetadataError`].
//! - [`DataProvider`] is told which items are wanted, and sends their events by an
//!   [`ItemEventListener`]. It answers errors with a [`DataError`].
//!
//! Nothing here knows sockets or threads. [`server`](crate::server) runs a provider.
//!
//! # Null
//! Where null means something it is `None`: a user, a password, the value of a parameter, a message
//! ([`Text::decode`]). An item, a group, a schema or a session id that is null arrives as the empty
//! string; a session that opens without an id is malformed.
//!
//! # Not in this version
//! Notifications of subscriptions (`NNT`, `NTC`) and those of mobile platforms (`MDA`, `MSA`, `MDC`)
//! are answered with success and not passed on. A session or subscription cannot be ended by the
//! adapter (`FST`, `FUS`), and the way in which differences are sent cannot be chosen (`DFD`).

mod connection;
mod data;
mod event;
mod listener;
mod lock;
mod metadata;
mod rate_limit;

pub use crate::ari::Side;
pub use crate::ari::parameters::Parameters;
pub use crate::ari::reply::{Mode, Names};
pub use crate::ari::text::Text;
pub use connection::Connection;
pub use data::{DataError, DataProvider};
pub use event::{Event, Fields, Value};
pub use listener::{ItemEventListener, Unsent, system_time};
pub use metadata::{MetadataError, MetadataProvider};

pub(crate) use listener::{MAX_REUSABLE_SIZE, UpdateQueue};
pub(crate) use lock::lock;
