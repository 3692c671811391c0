//! The client certificate, for Proxies that ask for one.
//!
//! How the files are read is not known here.

use super::certificate::public_key;
use super::error::TlsError;
use super::files;
use super::keys::{self, USABLE};
use crate::ari::escape::Escaped;
use crate::server::file::When;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// A client certificate with its key, or none.
#[derive(Debug, Default)]
pub(super) struct ClientCertificate {
    pub(super) certified_key: Option<Arc<CertifiedKey>>,
    /// What an operator should know about the file of the key; empty if nothing.
    pub(super) warning: String,
}

impl ClientCertificate {
    /// Reads the file of the chain and that of the key, if they are given.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub(super) fn read(
        files: Option<&(PathBuf, PathBuf)>,
        when: When,
    ) -> Result<ClientCertificate, TlsError> {
        let Some((chain_file, key_file)) = files else {
            return Ok(ClientCertificate::default());
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
        let file = Escaped::of(key_file);
        let warning = match is_public {
            false => String::new(),
            true => format!(
                "{file} holds the private key and can be read by everybody; its mode should be \
                 0600 or 0400"
            ),
        };
        Ok(ClientCertificate {
            certified_key: Some(Arc::new(CertifiedKey::new(chain, key))),
            warning,
        })
    }
}

/// Answers the server of one connection when it asks for a certificate.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) certified_key: Option<Arc<CertifiedKey>>,
    /// Set when the server asked.
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
