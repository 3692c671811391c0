//! An adapter that listens for Proxies, which connect to it by TLS. Its certificate is in `server.pem`, and can be
//! replaced, like that of the authorities that vouch for Proxies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::files::Files;
use crate::peer::Peer;
use crate::pki::{Certified, Profile};
use crate::setup::command;
use crate::standin::{
    Adapter, Agreement, Command, Connection, DataProxy, Init, MetadataProxy, Side,
};

/// The name by which Proxies know the adapter.
pub(crate) const NAME: &str = "push.example.com";

/// Where the adapter listens, and with what.
pub(crate) struct Place {
    pub(crate) files: Files,
    /// Whose certificate is shown.
    pub(crate) own: Certified,
    /// An address that is nobody else's, so that the ports stay free.
    address: IpAddr,
    ports: [u16; 2],
}

impl Place {
    /// One with a certificate.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        let [.., high, low] = std::process::id().to_be_bytes();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::new(127, high.max(1), low, count).into();
        let free = [(); 2].map(|()| TcpListener::bind((address, 0)).expect("a port"));
        let place = Self {
            files: Files::new(),
            own: Profile::server().self_signed(),
            address,
            ports: free.map(|port| port.local_addr().expect("its address").port()),
        };
        place.show(&place.own);
        place
    }

    /// Shows this certificate from now on.
    pub(crate) fn show(&self, certified: &Certified) {
        self.files.write("server.pem", certified.chain_pem());
        let key = certified.key.serialize_pem();
        self.files.write("server.key", key);
    }

    /// A command line that listens here by TLS.
    pub(crate) fn command(&self) -> Command {
        let [metadata, data] = self.ports.map(|port| port.to_string());
        command()
            .args(["--listen", &self.address.to_string(), "--tls"])
            .args(["--metadata_rrport", &metadata, "--data_rrport", &data])
            .args(["--tls-cert", &self.files.path("server.pem")])
            .args(["--tls-key", &self.files.path("server.key")])
    }

    /// The same, for Proxies for which these vouch.
    pub(crate) fn command_for(&self, clients: &[&Certified]) -> Command {
        let pem: String = clients.iter().map(|clients| clients.pem()).collect();
        let file = self.files.write("clients.pem", pem);
        self.command().args(["--tls-client-ca", &file])
    }

    /// Starts it, and awaits that it listens.
    #[track_caller]
    pub(crate) fn start(&self, command: Command) -> Adapter {
        let adapter = command.start();
        for side in ["metadata", "data"] {
            adapter.wait_for_log(&[&format!(" {side} {}", self.address), ": listening"]);
        }
        adapter
    }

    /// The port of one side.
    pub(crate) fn port(&self, side: Side) -> SocketAddr {
        (self.address, self.ports[side as usize]).into()
    }

    /// Connects to one side, up to the init.
    #[track_caller]
    pub(crate) fn call(&self, side: Side, config: &Arc<ClientConfig>) -> (Peer, Connection) {
        let peer = Peer::call(self.port(side), config, NAME).expect("a handshake");
        let connection = peer.connection(side.name());
        (peer, connection)
    }

    /// Takes the adapter in as a Proxy Metadata Adapter that connects.
    #[track_caller]
    pub(crate) fn meet_metadata(&self, config: &Arc<ClientConfig>) -> (Peer, MetadataProxy) {
        let (peer, mut connection) = self.call(Side::Metadata, config);
        let Agreement { encoding, .. } = connection.handshake(&Init::new(Side::Metadata));
        (peer, MetadataProxy::new(connection, encoding))
    }

    /// The same for the data side.
    #[track_caller]
    pub(crate) fn meet_data(&self, config: &Arc<ClientConfig>) -> (Peer, DataProxy) {
        let (peer, mut connection) = self.call(Side::Data, config);
        let Agreement { encoding, .. } = connection.handshake(&Init::new(Side::Data));
        (peer, DataProxy::new(connection, encoding))
    }

    /// What a Proxy meets that is turned away, in the handshake or after it, and before it has read anything.
    #[track_caller]
    pub(crate) fn turned_away(&self, config: &Arc<ClientConfig>) -> String {
        use std::io::Read as _;
        let read = Peer::call(self.port(Side::Metadata), config, NAME)
            .and_then(|mut peer| peer.read(&mut [0]));
        match read {
            Ok(count) => panic!("a session, of which {count} bytes were read"),
            Err(error) => error.to_string(),
        }
    }
}

/// A Proxy's side of TLS: whose certificate it trusts, and what it shows.
pub(crate) fn proxy(
    versions: &[&'static SupportedProtocolVersion],
    trusted: &Certified,
    shown: Option<&Certified>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let trusted = trusted.chain.last().expect("a certificate");
    roots.add(trusted.clone()).expect("a certificate");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots);
    Arc::new(match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => builder
            .with_client_auth_cert(shown.chain.clone(), shown.private_key())
            .expect("a certificate and its key"),
    })
}
