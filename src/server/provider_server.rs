//! What runs a provider, as its owner sees it: what the connections are doing, and whether all is well.

use super::config::Config;
use super::status::Phase;
use crate::ari::Side;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A provider that is running. To drop this stops nothing: [`Servers::stop`](super::Servers::stop) does, from a signal
/// handler's thread for example.
#[derive(Debug)]
pub struct ProviderServer {
    pub(super) side: Side,
    pub(super) config: Arc<Config>,
}

/// A metadata provider that is running.
pub type MetadataProviderServer = ProviderServer;

/// A data provider that is running.
pub type DataProviderServer = ProviderServer;

impl ProviderServer {
    /// Blocks until the end is requested ([`Servers::request_stop`](super::Servers::request_stop)), which is the end of all
    /// providers of the same [`Servers`](super::Servers).
    pub fn wait(&self) {
        self.config.shutdown.wait_for_request();
    }

    /// Whether no thread has missed its heartbeat; always, without [`Servers::heartbeat`](super::Servers::heartbeat).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.config.connections.is_alive()
    }

    /// What each connection is doing, by its name in the log.
    #[must_use]
    pub fn phases(&self) -> Vec<(String, Phase)> {
        let all = self.config.connections.all().into_iter();
        all.map(|it| (it.name.clone(), it.phase().0)).collect()
    }

    /// A line for each connection, such as `data ls1:8001 serving, ARI 1.9.1 (0 reconnections, 0 bytes
    /// queued)`.
    #[must_use]
    pub fn details(&self) -> Vec<String> {
        let all = self.config.connections.all().into_iter();
        all.map(|it| format!("{} {it}", it.name)).collect()
    }

    /// Updates since the start that were accepted and could not be written.
    #[must_use]
    pub fn lost_updates(&self) -> u64 {
        self.config.connections.lost_updates.load(Ordering::Relaxed)
    }
}

/// The connections in a few words, such as `data serving, ARI 1.9.1 (0 reconnections, 0 bytes queued)`, or with
/// several `data 62 of 64 serving (3 reconnections, 0 bytes queued)`.
impl fmt::Display for ProviderServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.side, self.config.connections)
    }
}
