//! Where these tests play: an adapter that speaks TLS, both Proxies it is to meet, and what every theme needs of them.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SupportedProtocolVersion};

use crate::files::Files;
use crate::peer::{Peer, Port};
use crate::pki::{Certified, Profile};
use crate::standin::{Adapter, Agreement, Command, DataProxy, Init, MetadataProxy, Session, Side};

/// The session that tests chat from.
pub(crate) const SESSION: &str = "S8f3da29cfc463220T5454537";

/// Every version, by itself.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A command line of the adapter, without arguments.
pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_chat-adapter"))
}

/// A server's side of TLS.
pub(crate) fn server(certified: &Certified) -> Arc<ServerConfig> {
    server_of(certified, &[&TLS13, &TLS12], None)
}

/// The same with certain versions, and with demands on the client.
pub(crate) fn server_of(
    certified: &Certified,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions");
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(certified.chain.clone(), certified.private_key());
    Arc::new(config.expect("a certificate and its key"))
}

/// Clients must have a certificate of this authority.
pub(crate) fn clients_of(authority: &Certified) -> Arc<dyn ClientCertVerifier> {
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.certificate().clone())
        .expect("an authority");
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    builder.build().expect("a verifier")
}

/// Both ports of a server.
pub(crate) struct Ports {
    pub(crate) metadata: Port,
    pub(crate) data: Port,
}

impl Ports {
    /// Opens them.
    pub(crate) fn open() -> Self {
        Self {
            metadata: Port::open(),
            data: Port::open(),
        }
    }

    /// A command line that leads to them, by this name, by TLS.
    pub(crate) fn command_to(&self, host: &str) -> Command {
        self.plain_command_to(host).arg("--tls")
    }

    /// The same without TLS.
    pub(crate) fn plain_command_to(&self, host: &str) -> Command {
        command()
            .args(["--host", host])
            .args(["--metadata_rrport", &self.metadata.number().to_string()])
            .args(["--data_rrport", &self.data.number().to_string()])
    }

    /// A command line that leads to them by their address, trusting this file.
    pub(crate) fn command_trusting(&self, file: &str) -> Command {
        self.command_to("127.0.0.1").args(["--tls-ca", file])
    }

    /// Takes the adapter in on the metadata port.
    #[track_caller]
    pub(crate) fn meet_metadata(&self, config: &Arc<ServerConfig>) -> (Peer, MetadataProxy) {
        self.meet_metadata_with(config, &Init::new(Side::Metadata))
    }

    /// The same with another init.
    #[track_caller]
    pub(crate) fn meet_metadata_with(
        &self,
        config: &Arc<ServerConfig>,
        init: &Init,
    ) -> (Peer, MetadataProxy) {
        let peer = self.metadata.meet(config);
        let mut connection = peer.connection("metadata");
        let Agreement { encoding, .. } = connection.handshake(init);
        (peer, MetadataProxy::new(connection, encoding))
    }

    /// Takes the adapter in on the data port.
    #[track_caller]
    pub(crate) fn meet_data(&self, config: &Arc<ServerConfig>) -> (Peer, DataProxy) {
        let peer = self.data.meet(config);
        let mut connection = peer.connection("data");
        let Agreement { encoding, .. } = connection.handshake(&Init::new(Side::Data));
        (peer, DataProxy::new(connection, encoding))
    }
}

/// An adapter with both connections open, by TLS.
pub(crate) struct Setup {
    // Dropped in this order: the adapter first, so that it does not complain of the rest.
    pub(crate) adapter: Adapter,
    pub(crate) metadata: MetadataProxy,
    pub(crate) data: DataProxy,
    pub(crate) metadata_peer: Peer,
    pub(crate) data_peer: Peer,
    pub(crate) ports: Ports,
    pub(crate) config: Arc<ServerConfig>,
    _files: Files,
}

impl Setup {
    /// With any version.
    pub(crate) fn new() -> Self {
        Self::with(&[&TLS13, &TLS12], &[])
    }

    /// With certain versions and further arguments.
    pub(crate) fn with(versions: &[&'static SupportedProtocolVersion], arguments: &[&str]) -> Self {
        Self::over(Ports::open(), versions, arguments)
    }

    /// The same on given ports.
    pub(crate) fn over(
        ports: Ports,
        versions: &[&'static SupportedProtocolVersion],
        arguments: &[&str],
    ) -> Self {
        let files = Files::new();
        let certified = Profile::server().self_signed();
        let trusted = files.write("server.pem", certified.pem());
        let config = server_of(&certified, versions, None);
        let adapter = ports.command_trusting(&trusted).args(arguments).start();
        let (metadata_peer, metadata) = ports.meet_metadata(&config);
        let (data_peer, data) = ports.meet_data(&config);
        Self {
            adapter,
            metadata,
            data,
            metadata_peer,
            data_peer,
            ports,
            config,
            _files: files,
        }
    }

    /// Opens [`SESSION`] and subscribes.
    pub(crate) fn open_room(&mut self) {
        self.metadata
            .open(&Session::new(SESSION, "192.0.2.7", "Mozilla/5.0"));
        self.data.subscribe("chat_room");
    }

    /// Says something, which must be answered with success and come out on the other side.
    #[track_caller]
    pub(crate) fn chat(&mut self, text: &str) {
        assert_eq!(self.metadata.say(SESSION, text), Ok(()));
        assert_eq!(self.data.chat().message, text);
    }
}
