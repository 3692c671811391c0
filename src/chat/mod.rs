//! The Basic Chat Demo: one room, in which every message goes to everybody.
//!
//! An adapter like any other: [`ChatMetadata`] answers what a Proxy Metadata Adapter asks and
//! [`ChatData`] sends the room's events, both by the public interface of
//! [`provider`](crate::provider) alone. What they share is the [`Room`]. The sessions stand in a
//! [`SessionStore`], which a journal may keep while the adapter is away.

mod clock;
mod data;
mod journal;
mod label;
mod metadata;
mod restore;
mod room;
mod sessions;
mod store;

pub use clock::LocalTime;
pub use data::ChatData;
pub use metadata::ChatMetadata;
pub use room::{ITEM, Room};
pub use store::{SessionCount, SessionStore};
