//! Certificates of the adapter's own: for servers that demand one, in each form that a key may have.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};

use crate::der;
use crate::files::Files;
use crate::pki::{self, Certified, Profile};
use crate::setup::{Ports, VERSIONS, clients_of, server_of};

/// A server that demands certificates of one authority, and the file by which to trust it.
struct Demanding {
    files: Files,
    clients: Certified,
    trusted: String,
    configs: Vec<Arc<ServerConfig>>,
}

impl Demanding {
    fn new() -> Self {
        let files = Files::new();
        let certified = Profile::server().self_signed();
        let trusted = files.write("server.pem", certified.pem());
        let clients = Certified::authority("Clients");
        let config = |version| server_of(&certified, &[version], Some(clients_of(&clients)));
        let configs = VERSIONS.into_iter().map(config).collect();
        Self {
            files,
            clients,
            trusted,
            configs,
        }
    }

    /// The adapter with this identity must be taken in, by each version, as the first of its certificates.
    #[track_caller]
    fn takes(&self, certified: &Certified, key: impl AsRef<[u8]>) {
        let cert = self.files.write("client.pem", certified.chain_pem());
        let key = self.files.write("client.key", key);
        for config in &self.configs {
            let ports = Ports::open();
            let command = ports.command_trusting(&self.trusted);
            let _adapter = command
                .args(["--tls-cert", &cert, "--tls-key", &key])
                .start();
            let (peer, mut metadata) = ports.meet_metadata(config);
            metadata.close_session("S1");
            let (_peer, mut data) = ports.meet_data(config);
            data.expect_silence();
            let tls = peer.tls();
            assert_eq!(tls.peer_certificates(), Some(&certified.chain[..]));
        }
    }
}

#[test]
fn a_key_in_pkcs8() {
    let server = Demanding::new();
    let client = server.clients.issue(Profile::new("chat-adapter"));
    server.takes(&client, client.key.serialize_pem());
}

#[test]
fn a_key_in_sec1() {
    let server = Demanding::new();
    let client = server.clients.issue(Profile::new("chat-adapter"));
    let bare = der::pem("EC PRIVATE KEY", &der::sec1(&client.key, false));
    server.takes(&client, bare);
    let complete = der::pem("EC PRIVATE KEY", &der::sec1(&client.key, true));
    let parameters = der::pem("EC PARAMETERS", &der::ec_parameters());
    server.takes(&client, parameters + &complete);
}

/// A client whose key is the RSA key of the tests; its own issuer, hence an authority.
fn rsa_client() -> (Demanding, Certified) {
    let server = Demanding::new();
    let client = server
        .clients
        .issue_for(Profile::new("chat-adapter"), pki::rsa());
    (server, client)
}

#[test]
fn a_key_in_pkcs1() {
    let (server, client) = rsa_client();
    server.takes(&client, include_str!("rsa-key.pem"));
}

#[test]
fn an_rsa_key_in_pkcs8() {
    let (server, client) = rsa_client();
    server.takes(
        &client,
        der::pem("PRIVATE KEY", &der::pkcs8_of_rsa(&pki::rsa_pkcs1())),
    );
}

#[test]
fn a_key_in_der() {
    let server = Demanding::new();
    let client = server.clients.issue(Profile::new("chat-adapter"));
    server.takes(&client, client.key.serialize_der());
    server.takes(&client, der::sec1(&client.key, true));
}

#[test]
fn a_chain_goes_along() {
    let server = Demanding::new();
    let between = server.clients.issue(Profile::authority("Teams"));
    let client = between.issue(Profile::new("chat-adapter"));
    assert_eq!(client.chain.len(), 2);
    server.takes(&client, client.key.serialize_pem());
}

#[test]
fn a_key_and_its_certificate_may_share_a_file() {
    let server = Demanding::new();
    let client = server.clients.issue(Profile::new("chat-adapter"));
    let both = server
        .files
        .write("both.pem", client.pem() + &client.key.serialize_pem());
    let ports = Ports::open();
    let command = ports.command_trusting(&server.trusted);
    let _adapter = command
        .args(["--tls-cert", &both, "--tls-key", &both])
        .start();
    ports.meet_metadata(&server.configs[0]);
}

#[test]
fn a_certificate_of_version_1_fits_its_key() {
    // Whether a server takes one is the server's affair; a server that asks for none never sees it.
    let files = Files::new();
    let certified = Profile::server().self_signed();
    let trusted = files.write("server.pem", certified.pem());
    let client = Profile::new("chat-adapter").self_signed();
    let cert = der::pem("CERTIFICATE", &der::version_1(client.certificate()));
    let cert = files.write("client.pem", cert);
    let key = files.write("client.key", client.key.serialize_pem());
    let ports = Ports::open();
    let command = ports.command_trusting(&trusted);
    let _adapter = command
        .args(["--tls-cert", &cert, "--tls-key", &key])
        .start();
    ports.meet_metadata(&server_of(&certified, &[&TLS13, &TLS12], None));
}
