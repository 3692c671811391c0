//! The chat: one room, in which every message goes to everybody.
//!
//! Two handlers of ARI requests, one a side, and what they share. Pure state: no socket, no
//! thread, nothing of how bytes come and go.

pub mod data;
pub mod metadata;
pub mod room;
pub mod sessions;
pub mod stamp;
pub mod talkers;
pub mod update;

/// The one item there is.
pub const ITEM: &str = "chat_room";
