//! A server to connect to: its host, and its ports where they are its own.

use super::affinity::Affinity;
use crate::ari::Side;
use crate::ari::escape::Escaped;

/// A server whose Proxies listen.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// A name or an address.
    pub name: String,
    /// Ports of its own, in the order of [`Side`]: that of the Proxy Metadata Adapter, and that of the Proxy
    /// Data Adapter.
    pub ports: Option<[u16; 2]>,
    /// What the connections to it know of each other.
    pub affinity: Affinity,
}

impl Host {
    pub fn new(name: String, ports: Option<[u16; 2]>) -> Host {
        Host {
            name,
            ports,
            affinity: Affinity::default(),
        }
    }

    /// The port of one side, `common` unless the server has its own.
    pub fn port(&self, side: Side, common: u16) -> u16 {
        self.ports.map_or(common, |ports| ports[side as usize])
    }

    /// Host and port, as they stand in the log.
    pub fn address(&self, side: Side, common: u16) -> String {
        address(&self.name, self.port(side, common))
    }
}

/// A name or an address and a port, as they stand in the log.
pub(super) fn address(name: &str, port: u16) -> String {
    let is_ipv6 = name.contains(':');
    let name = Escaped(name.as_bytes());
    match is_ipv6 {
        true => format!("[{name}]:{port}"),
        false => format!("{name}:{port}"),
    }
}
