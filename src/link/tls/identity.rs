//! Who to be: the client certificate for Proxies that demand one.

use super::Failure;
use super::trust::{bad_pem, read, read_certificates, read_pem, shown};
use super::verify::public_key;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::sign::CertifiedKey;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A client certificate with its key, or none.
#[derive(Debug)]
pub(super) struct Identity {
    key: Option<Arc<CertifiedKey>>,
    /// What an operator should know about the file of the key.
    pub(super) warning: Option<String>,
}

impl Identity {
    /// Reads the two files, if any are given.
    ///
    /// # Errors
    /// [`Failure`], naming the file.
    pub(super) fn read(files: Option<&(PathBuf, PathBuf)>) -> Result<Identity, Failure> {
        let Some((chain_file, key_file)) = files else {
            return Ok(Identity {
                key: None,
                warning: None,
            });
        };
        let chain = read_certificates(chain_file)?;
        let key = read_key(key_file)?;
        let key = ring::default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| {
                let file = shown(key_file);
                Failure::lasting(format!(
                    "{file} does not hold a key of a kind that is known here: RSA of 2048 to 8192 \
                     bits, ECDSA on P-256 or P-384, Ed25519"
                ))
            })?;
        // Not CertifiedKey::keys_match, which knows no certificates of version 1.
        let certified = chain.first().and_then(public_key);
        let certified = certified.ok_or_else(|| {
            let chain = shown(chain_file);
            Failure::lasting(format!("{chain} holds a certificate that is no good"))
        })?;
        if key.public_key().is_some_and(|key| key != certified) {
            let (chain, key) = (shown(chain_file), shown(key_file));
            return Err(Failure::lasting(format!(
                "{key} does not hold the key of the first certificate in {chain}"
            )));
        }
        let mode = std::fs::metadata(key_file).map_or(0, |file| file.mode());
        let is_open = mode & 0o004 != 0;
        Ok(Identity {
            key: Some(Arc::new(CertifiedKey::new(chain, key))),
            warning: is_open.then(|| {
                let file = shown(key_file);
                format!(
                    "{file} holds the private key and can be read by everybody; its mode should \
                     be 0600 or 0400"
                )
            }),
        })
    }

    pub(super) fn resolver(&self) -> Resolver {
        Resolver {
            identity: self.key.clone(),
            asked: AtomicBool::new(false),
            fits: AtomicBool::new(true),
        }
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, Failure> {
    let failure = |what: String| Err(Failure::lasting(format!("{} {what}", shown(file))));
    let Some(pem) = read_pem(file)? else {
        return match PrivateKeyDer::try_from(read(file)?) {
            Ok(key) => Ok(key),
            Err(_) => failure(
                "is neither PEM nor a private key in DER, or it is encrypted: it must be stored \
                 without a passphrase"
                    .into(),
            ),
        };
    };
    let has = |mark| memchr::memmem::find(&pem, mark).is_some();
    if has(b"-----BEGIN ENCRYPTED".as_slice()) || has(b"Proc-Type: 4,ENCRYPTED") {
        return failure("holds an encrypted key: it must be stored without a passphrase".into());
    }
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => {
            failure("holds no private key in PKCS#8, PKCS#1 or SEC1".into())
        }
        Err(error) => failure(bad_pem(&error)),
    }
}

/// Answers one connection's server when it asks for a certificate, and remembers that it did.
#[derive(Debug)]
pub(super) struct Resolver {
    identity: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
    fits: AtomicBool,
}

impl Resolver {
    /// Whether the server asked, and whether there was something to answer.
    pub(super) fn was_asked(&self) -> (bool, bool) {
        (self.asked.load(Ordering::Relaxed), self.identity.is_some())
    }
}

impl Resolver {
    /// Whether the key can sign in a way that the server accepts.
    pub(super) fn fits(&self) -> bool {
        self.fits.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        let identity = self.identity.clone()?;
        let fits = identity.key.choose_scheme(schemes).is_some();
        self.fits.store(fits, Ordering::Relaxed);
        Some(identity)
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}
