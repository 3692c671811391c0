//! This end of one connection, in either role, as `rustls` needs it.

use super::identity::Resolver;
use super::role::Role;
use super::trust::Verifier;
use crate::provider::Connection;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ClientConnection, Error, ServerConfig, ServerConnection};
use std::sync::Arc;

/// What one connection uses, and what it learns of the peer.
#[derive(Debug)]
pub(in crate::server) struct Endpoint {
    pub(super) connection: Connection,
    pub(super) role: Role,
    pub(super) verifier: Arc<Verifier>,
    pub(super) resolver: Arc<Resolver>,
}

impl Endpoint {
    /// A connection that has yet to shake hands. It verifies its peer by the files as they are now, so
    /// nothing is taken over from an earlier session.
    pub(super) fn start(&self) -> Result<rustls::Connection, Error> {
        let provider = Arc::new(ring::default_provider());
        let (verifier, resolver) = (Arc::clone(&self.verifier), Arc::clone(&self.resolver));
        match &self.role {
            Role::Client(name) => {
                let mut config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
                    .with_client_cert_resolver(resolver);
                config.resumption = Resumption::disabled();
                ClientConnection::new(Arc::new(config), name.clone()).map(Into::into)
            }
            Role::Server { verifies } => {
                let builder = ServerConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?;
                let builder = match verifies {
                    true => builder.with_client_cert_verifier(verifier),
                    false => builder.with_no_client_auth(),
                };
                let mut config = builder.with_cert_resolver(resolver);
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                ServerConnection::new(Arc::new(config)).map(Into::into)
            }
        }
    }
}
