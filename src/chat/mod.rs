//! The Basic Chat Demo: one room, in which every message goes to everybody.
//!
//! An adapter like any other: [`ChatMetadata`] answers what a Proxy Metadata Adapter asks and
//! [`ChatData`] sends the room's events, both by the public interface of
//! [`provider`](crate::provider) alone. What they share is the [`Room`].

mod clock;
mod data;
mod metadata;
mod room;
mod sessions;

pub use clock::LocalTime;
pub use data::ChatData;
pub use metadata::ChatMetadata;
pub use room::{ITEM, Room};
