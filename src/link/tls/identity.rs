//! Who to be: the client certificate for Proxies that demand one.

use super::Failure;
use super::trust::{is_pem, read, read_certificates};
use super::verify::public_key;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A client certificate with its key, or none.
#[derive(Debug)]
pub(super) struct Identity(Option<Arc<CertifiedKey>>);

impl Identity {
    /// Reads the two files, if any are given.
    ///
    /// # Errors
    /// [`Failure`], naming the file.
    pub(super) fn read(files: Option<&(PathBuf, PathBuf)>) -> Result<Identity, Failure> {
        let Some((chain_file, key_file)) = files else {
            return Ok(Identity(None));
        };
        let chain = read_certificates(chain_file)?;
        let key = read_key(key_file)?;
        let key = ring::default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| Failure::lasting(format!("{}: {error}", key_file.display())))?;
        // Not CertifiedKey::keys_match, which knows no certificates of version 1.
        let certified = chain.first().and_then(public_key);
        let certified = certified.ok_or_else(|| {
            let chain = chain_file.display();
            Failure::lasting(format!("{chain} holds a certificate that is no good"))
        })?;
        if key.public_key().is_some_and(|key| key != certified) {
            let (chain, key) = (chain_file.display(), key_file.display());
            return Err(Failure::lasting(format!(
                "{key} does not hold the key of the first certificate in {chain}"
            )));
        }
        Ok(Identity(Some(Arc::new(CertifiedKey::new(chain, key)))))
    }

    pub(super) fn resolver(&self) -> Resolver {
        Resolver {
            identity: self.0.clone(),
            asked: AtomicBool::new(false),
        }
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, Failure> {
    let bytes = read(file)?;
    let shown = file.display();
    let failure = |what: String| Err(Failure::lasting(format!("{shown} {what}")));
    if !is_pem(&bytes) {
        return match PrivateKeyDer::try_from(bytes) {
            Ok(key) => Ok(key),
            Err(_) => failure("is neither PEM nor a private key in DER".into()),
        };
    }
    // Two forms have the word: `BEGIN ENCRYPTED PRIVATE KEY` and `Proc-Type: 4,ENCRYPTED`.
    if memchr::memmem::find(&bytes, b"ENCRYPTED").is_some() {
        return failure("holds an encrypted key: it must be stored without a passphrase".into());
    }
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => {
            failure("holds no private key in PKCS#8, PKCS#1 or SEC1".into())
        }
        Err(error) => failure(format!("is not good PEM: {error}")),
    }
}

/// Answers one connection's server when it asks for a certificate, and remembers that it did.
#[derive(Debug)]
pub(super) struct Resolver {
    identity: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Resolver {
    /// Whether the server asked, and whether there was something to answer.
    pub(super) fn was_asked(&self) -> (bool, bool) {
        (self.asked.load(Ordering::Relaxed), self.identity.is_some())
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}
