//! Remote Adapters for Lightstreamer Server: a kit to write them with, and the Basic Chat Demo as
//! the first one.
//!
//! Lightstreamer Server keeps the connections to browsers and phones. What they may do, and what they
//! get, is decided by an *Adapter Set*: here by a process of your own, which talks to the server's two
//! *Proxy Adapters* by the ARI protocol. An adapter has two sides, and each is a trait:
//!
//! - a [`MetadataProvider`](provider::MetadataProvider) answers questions: may this user log in?
//!   which items are in this group? what to do with this message? Every method has a default.
//! - a [`DataProvider`](provider::DataProvider) is told which items somebody wants, and sends their
//!   events by an [`ItemEventListener`](provider::ItemEventListener), from any thread.
//!
//! [`Servers`](server::Servers) runs them: it connects to the Proxies, says hello, answers the init,
//! calls the provider, and connects again when a connection is lost. You need one side only if the
//! other one is somebody else's, or the server's own.
//!
//! On the server, each side is a Proxy Adapter in the `adapters.xml` of an Adapter Set
//! (`ROBUST_PROXY_FOR_REMOTE_ADAPTER`), whose parameter `request_reply_port` is the port to connect
//! to. The repository has an `adapters.xml` with both, explained line by line. What a connection is
//! doing goes to the crate [`log`], so that a program sees it with a logger such as `env_logger`.
//!
//! # A complete adapter
//!
//! It greets, once for everybody who comes to listen:
//!
//! ```
//! use chat_adapter::provider::{DataError, DataProvider, ItemEventListener};
//! use chat_adapter::server::local::LocalProxy;
//! # use chat_adapter::server::{Servers, StartError};
//!
//! #[derive(Default)]
//! struct Greetings {
//!     listener: ItemEventListener,
//! }
//!
//! impl DataProvider for Greetings {
//!     fn set_listener(&mut self, listener: ItemEventListener) {
//!         self.listener = listener;
//!     }
//!
//!     fn subscribe(&mut self, item: &str) -> Result<(), DataError> {
//!         if item != "greetings" {
//!             return Err(DataError::Subscription("No such item".into()));
//!         }
//!         // Whoever does not get it now does so with the next event.
//!         let _ = self.listener.update(item, false, |event| {
//!             event.field("message", "Hello").field("timestamp", 1_732_348_800_000_i64);
//!         });
//!         Ok(())
//!     }
//!
//!     fn unsubscribe(&mut self, _item: &str) -> Result<(), DataError> {
//!         Ok(())
//!     }
//! }
//!
//! // To run it against a server on this host:
//! # fn run() -> Result<(), StartError> {
//! Servers::builder().data(6661, Greetings::default)?.wait();
//! # Ok(())
//! # }
//!
//! // To try it without one, a Proxy in memory plays the server's part:
//! let mut proxy = LocalProxy::data_at(Greetings::default(), || 1_732_348_800_000);
//! proxy.send(b"1|DPI|S|ARI.version|S|1.9.1\r\n2|SUB|S|greetings\r\n")?;
//! let received = String::from_utf8_lossy(&proxy.received()).into_owned();
//! assert_eq!(
//!     received.lines().collect::<Vec<_>>(),
//!     [
//!         "1|DPI|S|ARI.version|S|1.9.1",
//!         "1732348800000|EOS|S|greetings|S|2",
//!         "1732348800000|UD3|S|greetings|S|2|B|0|S|message|S|Hello|S|timestamp|S|1732348800000",
//!         "2|SUB|V",
//!     ]
//! );
//! # Ok::<(), chat_adapter::server::Disconnect>(())
//! ```
//!
//! More of that kind stand in the repository under `tests/examples`: `hello_world.rs`, which sends
//! each second from a thread of its own, and `login.rs`, a metadata provider. The chat in `chat` is
//! an adapter like any other: it uses nothing that is not public.
//!
//! # What must not block
//!
//! Each connection has one thread that reads requests and calls the provider. While a method of
//! yours runs, the requests behind it wait, those of other users included; so what takes long belongs
//! into a thread of your own. Nothing you call here waits for a Proxy: the listener refuses what does
//! not fit into its queue ([`Unsent`](provider::Unsent)), and a thread beside yours writes. You may
//! hold locks of your own while you call the listener, from `subscribe` too: lock first, then call.
//! The closure that fills an event is the exception: it must take no lock under which somebody else
//! calls the listener. A panic in a provider ends the process.
//!
//! # What is certain
//!
//! - An event leaves under the subscription that is open when it is accepted: after the end of the
//!   snapshot, before the reply that closes the subscription.
//! - Replies leave in the order of the requests, and what a metadata provider sent in
//!   [`requests_served`](provider::MetadataProvider::requests_served) is on its way before them.
//! - A request that is malformed is answered with an error, and never reaches the provider.
//! - Memory is bounded: [`UPDATE_LIMIT`](server::UPDATE_LIMIT) for updates,
//!   [`REPLY_LIMIT`](server::REPLY_LIMIT) for replies before reading stops.
//!
//! # The map
//!
//! Arrows point downwards; nothing points back.
//!
//! - the program: `cli`, `check` and `service`;
//! - what any program with the chat has: `credentials`, `logging`, `signals`, and `adapter`, which puts
//!   the chat and its servers together;
//! - `chat`: the Basic Chat Demo, two providers and a room; and
//! - [`server`]: runs a provider against a Proxy: threads, sockets, TLS, reconnecting; neither knows
//!   the other;
//! - [`provider`]: what an adapter implements and is given;
//! - [`ari`]: the protocol, as pure functions over bytes.
//!
//! All of it is there by default, which is the feature `program`. With `default-features = false` there
//! are [`provider`], [`server`] and [`ari`], and no TLS; the feature `tls` adds that, and `chat` all but
//! the first of these lines.

#[cfg(feature = "chat")]
pub mod adapter;
pub mod ari;
#[cfg(feature = "chat")]
pub mod chat;
#[cfg(feature = "program")]
pub mod check;
#[cfg(feature = "program")]
pub mod cli;
#[cfg(feature = "chat")]
pub mod credentials;
#[cfg(feature = "chat")]
mod log_writer;
#[cfg(feature = "chat")]
pub mod logging;
#[cfg(feature = "program")]
mod option_value;
pub mod provider;
pub mod server;
#[cfg(feature = "program")]
pub mod service;
#[cfg(feature = "chat")]
pub mod signals;
#[cfg(feature = "chat")]
mod start_error;
#[cfg(feature = "chat")]
mod time_zone;

// The adapter in README.md is one that compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(feature = "chat")]
pub use adapter::{Adapter, Config};
#[cfg(feature = "chat")]
pub use start_error::StartError;
