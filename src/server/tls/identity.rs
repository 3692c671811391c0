//! The certificate that this end shows, with its key: to a Proxy that asks for one, or to each that
//! connects.
//!
//! How the files are read is not known here.

use super::certificate::{CLIENT_AUTH, SERVER_AUTH, is_for, public_key};
use super::error::TlsError;
use super::files;
use super::keys::{self, USABLE};
use super::role::Role;
use crate::ari::escape::Escaped;
use crate::server::file::When;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// A certificate with its key, or none.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) certified_key: Option<Arc<CertifiedKey>>,
    /// What an operator should know about the files.
    pub(super) warnings: Vec<String>,
}

impl Identity {
    /// Reads the file of the chain and that of the key, if they are given.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub(super) fn read(
        files: Option<&(PathBuf, PathBuf)>,
        role: &Role,
        when: When,
    ) -> Result<Identity, TlsError> {
        let Some((chain_file, key_file)) = files else {
            return Ok(Identity::default());
        };
        let (chain, _) = files::read("--tls-cert", chain_file, when, files::certificates)?;
        let (key, is_public) = files::read("--tls-key", key_file, when, files::key)?;
        if let Some(certificate) = chain.first() {
            keys::check("--tls-cert", chain_file, certificate)?;
        }
        let key_provider = ring::default_provider().key_provider;
        let key = key_provider.load_private_key(key).map_err(|_| {
            let what = format!("does not hold a key of a kind that is known here: {USABLE}");
            TlsError::of_file("--tls-key", key_file, what)
        })?;
        // Not CertifiedKey::keys_match, which knows no certificates of version 1.
        let certified = chain.first().and_then(public_key).ok_or_else(|| {
            let what = "holds a certificate that is no good";
            TlsError::of_file("--tls-cert", chain_file, what)
        })?;
        if key.public_key().is_some_and(|key| key != certified) {
            let chain = Escaped::of(chain_file);
            let what =
                format!("does not hold the key of the first certificate in --tls-cert {chain}");
            return Err(TlsError::of_file("--tls-key", key_file, what));
        }
        let mut warnings = Vec::new();
        if is_public {
            let file = Escaped::of(key_file);
            warnings.push(format!(
                "{file} holds the private key and can be read by everybody; its mode should be \
                 0600 or 0400"
            ));
        }
        let (usage, name, who) = match role {
            Role::Client(_) => (CLIENT_AUTH, "clientAuth", "a Proxy that asks for it"),
            Role::Server { .. } => (SERVER_AUTH, "serverAuth", "a Proxy that connects"),
        };
        if !chain.first().is_some_and(|own| is_for(own, usage)) {
            let file = Escaped::of(chain_file);
            warnings.push(format!(
                "--tls-cert {file} has an extended key usage without {name}: {who} will refuse it"
            ));
        }
        Ok(Identity {
            certified_key: Some(Arc::new(CertifiedKey::new(chain, key))),
            warnings,
        })
    }
}

/// Gives the peer of one connection the certificate that it is to see.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) certified_key: Option<Arc<CertifiedKey>>,
    /// Set when a server asked.
    pub(super) answer: OnceLock<Answer>,
}

/// What a server got that asked for a certificate.
#[derive(Debug)]
pub(super) enum Answer {
    Certificate,
    /// There is one, but its key cannot sign in any way that the server accepts.
    Unfit,
    Missing,
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let answer = match &self.certified_key {
            None => Answer::Missing,
            Some(key) if key.key.choose_scheme(schemes).is_none() => Answer::Unfit,
            Some(_) => Answer::Certificate,
        };
        let _ = self.answer.set(answer);
        self.certified_key.clone()
    }

    fn has_certs(&self) -> bool {
        self.certified_key.is_some()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified_key.clone()
    }
}
