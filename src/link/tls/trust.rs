//! Whom to believe: the platform's store, the built-in roots, or given files.

use super::Failure;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The certificates to believe in.
#[derive(Debug)]
pub(super) struct Trust {
    roots: Arc<RootCertStore>,
    /// Given certificates, any of which may be the server's own.
    given: Vec<CertificateDer<'static>>,
    origin: String,
    /// Whether the store that was asked for could not be read.
    is_makeshift: bool,
}

impl Trust {
    /// Reads the given files, or else the platform's store, or else takes the built-in roots.
    ///
    /// # Errors
    /// [`Failure`], naming the file.
    pub(super) fn read(files: &[PathBuf]) -> Result<Trust, Failure> {
        if files.is_empty() {
            return Ok(Trust::of_platform());
        }
        let mut roots = RootCertStore::empty();
        let mut given = Vec::new();
        for file in files {
            for certificate in read_certificates(file)? {
                let added = roots.add(certificate.clone());
                added.map_err(|error| {
                    let file = file.display();
                    Failure::lasting(format!(
                        "{file} holds a certificate that is no good: {error}"
                    ))
                })?;
                given.push(certificate);
            }
        }
        let names = files.iter().map(|file| file.display().to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        Ok(Trust {
            roots: Arc::new(roots),
            origin: format!("{} from {names}", certificates(given.len())),
            given,
            is_makeshift: false,
        })
    }

    /// The platform's store, or what this program brings along when that is empty.
    fn of_platform() -> Trust {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        // A store has oddities that no server uses; only what is good counts.
        roots.add_parsable_certificates(found.certs);
        let elsewhere: Vec<_> = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
            .iter()
            .filter_map(|name| Some(format!("{name}={}", env::var_os(name)?.display())))
            .collect();
        let store = match elsewhere.as_slice() {
            [] => "the platform's store".to_owned(),
            variables => format!("the platform's store ({})", variables.join(", ")),
        };
        let trouble = found.errors.first();
        let is_makeshift = roots.is_empty() && trouble.is_some();
        let origin = if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            let why = trouble.map_or("is empty".into(), |e| format!("cannot be read: {e}"));
            format!("{} built-in roots, since {store} {why}", roots.len())
        } else {
            let mostly = trouble.map_or(String::new(), |e| format!(", part of it unreadable: {e}"));
            format!("{} of {store}{mostly}", certificates(roots.len()))
        };
        Trust {
            roots: Arc::new(roots),
            given: Vec::new(),
            origin,
            is_makeshift,
        }
    }

    /// Where it comes from and how much it is, for the log.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether it stands in for a store that cannot be read, which a person should know.
    pub(super) fn is_makeshift(&self) -> bool {
        self.is_makeshift
    }

    /// Whoever was issued a certificate by one of these is believed.
    pub(super) fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    /// Whoever has one of these is believed.
    pub(super) fn given(&self) -> &[CertificateDer<'static>] {
        &self.given
    }
}

fn certificates(count: usize) -> String {
    match count {
        1 => "1 certificate".into(),
        _ => format!("{count} certificates"),
    }
}

/// The certificates of a file: PEM, one or many, or a single one in DER.
pub(super) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bytes = read(file)?;
    let shown = file.display();
    if !is_pem(&bytes) {
        let certificate = CertificateDer::from(bytes);
        return match webpki::anchor_from_trusted_cert(&certificate) {
            Ok(_) => Ok(vec![certificate.clone()]),
            Err(_) => Err(Failure::lasting(format!(
                "{shown} is neither PEM nor a certificate in DER \
                 (keytool -exportcert takes one out of a keystore)"
            ))),
        };
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(Failure::lasting(format!("{shown} holds no certificate")))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(Failure::lasting(format!(
            "{shown} is not good PEM: {error}"
        ))),
    }
}

/// Whether a file is PEM, good or bad.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"-----BEGIN ").is_some()
}

/// A file's content.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file)
        .map_err(|error| Failure::lasting(format!("{} cannot be read: {error}", file.display())))
}
