//! A stand-in for Lightstreamer Server: the Proxy Adapters' side of the ARI protocol, for tests.
//!
//! It sends what a Proxy sends and reads what a Remote Adapter answers. It shares no line of code
//! with the adapter, so that agreement between the two means something. It must not know what the
//! chat is for (the one exception is [`Update::chat`], which reads the chat's five fields), and it
//! never bends a rule to suit the adapter.
//!
//! Include it with `#[path = "../standin/mod.rs"] mod standin;`. Its layers, each usable without
//! those above it:
//!
//! - [`Encoding`]: the two string encodings, written from the protocol page alone.
//! - [`Listener`]: a port of 127.0.0.1 given by the system and held for as long as the value lives.
//!   `accept` yields a [`Connection`]; `close` makes the port refuse, `reopen` lets it come back.
//! - [`Connection`]: line by line. `send`, `send_line(s)`, `send_torn`, `send_cut`;
//!   `expect_line`, `expect`, `expect_matching`, `expect_closed`, `expect_silence`; `close`,
//!   `abort` (RST), `end_sending` (FIN). It stands on any pair of byte streams
//!   ([`Connection::over`]) and comes apart into its two directions ([`Connection::split`]:
//!   [`Outgoing`], [`Incoming`]) for tests that send and read at once.
//! - [`Rac`], [`Init`], [`Side`]: the handshake, for every version and every odd shape of an init;
//!   [`Connection::handshake`] does it and checks the answer against a version table of its own.
//! - [`MetadataProxy`], [`DataProxy`]: a Proxy that does by itself: request ids, encoding by the
//!   version agreed, replies in any order, updates taken apart and checked.
//! - [`Server`]: both Proxies of an Adapter Set.
//! - [`RemoteHost`]: the ports on which an adapter listens, for Proxies that connect to it ([`Caller`]).
//! - [`Adapter`]: the real binary as a child process: its log as events, its signals, its exit, its
//!   `/proc` figures.
//!
//! Everything blocks, nothing sleeps. A deadline ([`DEADLINE`]) turns a hang into a failure that
//! shows what was awaited and the last lines in both directions; nothing is ever decided by a
//! deadline passing.

#![allow(
    dead_code,
    reason = "each test binary that includes the stand-in uses a part of it"
)]
#![allow(unused_imports, reason = "the same, for the names gathered here")]

mod adapter;
mod codec;
mod connection;
mod handshake;
mod incoming;
mod listener;
mod message;
mod outgoing;
mod proxy;
mod remote_host;
#[cfg(test)]
mod tests;
mod transcript;
mod uninterrupted;

pub(crate) use adapter::{Adapter, Command, Exit, announced_wait};
pub(crate) use codec::{Encoding, decode};
pub(crate) use connection::Connection;
pub(crate) use handshake::{Agreement, Answer, Init, Rac, Side};
pub(crate) use incoming::{End, Incoming};
pub(crate) use listener::Listener;
pub(crate) use message::{Chat, Event, Reply, ServerError, Update};
pub(crate) use outgoing::Outgoing;
pub(crate) use proxy::{DataProxy, Ids, MetadataProxy, Server, Session};
pub(crate) use remote_host::{Caller, RemoteHost};
pub(crate) use uninterrupted::uninterrupted;

/// How long anything may take before it counts as a failure. Far beyond what a loaded machine
/// needs, and short enough that a hang is reported before a CI job is killed.
pub(crate) const DEADLINE: std::time::Duration = std::time::Duration::from_secs(20);
