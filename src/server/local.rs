//! A Proxy in memory: lines in, lines out. For tests of adapters, which need no socket and no
//! thread then.
//!
//! ```
//! use chat_adapter::provider::MetadataProvider;
//! use chat_adapter::server::local::LocalProxy;
//!
//! struct Everybody;
//! impl MetadataProvider for Everybody {}
//!
//! let mut proxy = LocalProxy::metadata(Everybody);
//! proxy.send(b"1|MPI|S|ARI.version|S|1.9.1\r\n2|GIS|S|user|S|one two|S|S1\r\n")?;
//! assert_eq!(proxy.received(), b"1|MPI|S|ARI.version|S|1.9.1\r\n2|GIS|S|one|S|two\r\n");
//! # Ok::<(), chat_adapter::server::Disconnect>(())
//! ```

use super::config::Context;
use super::data::DataService;
use super::disconnect::Disconnect;
use super::dispatch::{Dispatch, Service};
use super::metadata::MetadataService;
use super::outbox::{AllQueued, Item, Outbox};
use crate::ari::framing::LineBuffer;
use crate::provider::{Connection, DataProvider, MetadataProvider, system_time};
use crossbeam_channel::Receiver;
use std::sync::Arc;

/// A Proxy in memory with the provider that serves it. The same code does so as on a connection;
/// only the hello and keepalives are left out.
pub struct LocalProxy {
    dispatch: Dispatch,
    lines: LineBuffer,
    outbox: Arc<Outbox>,
    items: Receiver<Item>,
}

impl LocalProxy {
    /// A Proxy Metadata Adapter that has just been connected to.
    #[must_use]
    pub fn metadata(provider: impl MetadataProvider + 'static) -> LocalProxy {
        LocalProxy::new(Box::new(MetadataService::new(provider)))
    }

    /// A Proxy Data Adapter that has just been connected to.
    #[must_use]
    pub fn data(provider: impl DataProvider + 'static) -> LocalProxy {
        LocalProxy::data_at(provider, system_time)
    }

    /// The same with another clock, which gives milliseconds since the epoch.
    #[must_use]
    pub fn data_at(provider: impl DataProvider + 'static, now: fn() -> u64) -> LocalProxy {
        LocalProxy::new(Box::new(DataService::new(provider, now)))
    }

    fn new(service: Box<dyn Service>) -> LocalProxy {
        let connection = Connection::new(service.side().to_string());
        let context = Context::new(&Arc::default(), connection, Arc::default(), None);
        let (outbox, items) = Outbox::new(AllQueued::default());
        let mut proxy = LocalProxy {
            dispatch: Dispatch::new(service, context),
            lines: LineBuffer::new(),
            outbox,
            items,
        };
        proxy.reconnect();
        proxy
    }

    /// Sends some bytes in one go: whole lines or parts of them. What is complete is served.
    ///
    /// # Errors
    /// [`Disconnect`], when that ends the connection; [`reconnect`](Self::reconnect) makes another.
    pub fn send(&mut self, mut bytes: &[u8]) -> Result<(), Disconnect> {
        while !bytes.is_empty() {
            // A read from memory does not fail.
            let _ = self.lines.fill(&mut bytes);
            self.dispatch.serve(&mut self.lines)?;
        }
        Ok(())
    }

    /// What was received since the last call: whole lines, each with its CR LF.
    pub fn received(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        for item in self.items.try_iter() {
            if let Item::Batch(batch) = item {
                received.extend_from_slice(&batch.lines);
                self.outbox.written(batch);
            }
        }
        received
    }

    /// Takes no more than so many bytes of updates before [`received`](Self::received) is called,
    /// until the next connection.
    pub fn set_update_limit(&mut self, bytes: usize) {
        self.outbox.set_update_limit(bytes);
    }

    /// Stops reading for good, as a connection that breaks does.
    pub fn break_off(&mut self) {
        self.outbox.close();
    }

    /// Ends the connection and makes a new one. What was not received is lost.
    pub fn reconnect(&mut self) {
        self.dispatch.disconnected();
        (self.outbox, self.items) = Outbox::new(AllQueued::default());
        self.lines = LineBuffer::new();
        self.dispatch
            .connected(Arc::clone(&self.outbox), None, None);
    }
}
