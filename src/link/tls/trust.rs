//! Which servers to believe: the platform's store, the built-in roots, or given files.

use super::Failure;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The certificates to believe in.
#[derive(Debug)]
pub(super) struct Trust {
    roots: Arc<RootCertStore>,
    /// Given certificates, any of which may be the server's own.
    given: Vec<CertificateDer<'static>>,
    origin: String,
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
        let count = roots.len();
        let names: Vec<_> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        Ok(Trust {
            roots: Arc::new(roots),
            given,
            origin: format!("{count} certificates from {}", names.join(", ")),
        })
    }

    fn of_platform() -> Trust {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        // A store has oddities that no server uses; only what is good counts.
        roots.add_parsable_certificates(found.certs);
        let origin = if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            let count = roots.len();
            match found.errors.first() {
                Some(error) => {
                    format!(
                        "{count} built-in roots, since the platform's store cannot be read: {error}"
                    )
                }
                None => format!("{count} built-in roots, since the platform has none"),
            }
        } else {
            format!("{} roots of the platform's store", roots.len())
        };
        Trust {
            roots: Arc::new(roots),
            given: Vec::new(),
            origin,
        }
    }

    /// Where it comes from and how much it is, for the log.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn verifier(&self) -> Result<Verifier, Failure> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider)
            .build()
            .map_err(|error| Failure::lasting(error.to_string()))?;
        Ok(Verifier {
            given: self.given.clone(),
            chains,
            algorithms,
            issuer: Mutex::new(None),
        })
    }
}

/// The certificates of a file: PEM, one or many, or a single one in DER.
pub(super) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bytes = read(file)?;
    let shown = file.display();
    if memchr::memmem::find(&bytes, b"-----BEGIN ").is_none() {
        let certificate = CertificateDer::from(bytes);
        return match webpki::EndEntityCert::try_from(&certificate) {
            Ok(_) => Ok(vec![certificate.clone().into_owned()]),
            Err(_) => Err(Failure::lasting(format!(
                "{shown} is neither PEM nor a certificate in DER"
            ))),
        };
    }
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes)
        .map(|found| found.map(CertificateDer::into_owned))
        .collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(Failure::lasting(format!("{shown} holds no certificate")))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(Failure::lasting(format!(
            "{shown} is not good PEM: {error}"
        ))),
    }
}

/// A file's content.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file)
        .map_err(|error| Failure::lasting(format!("{} cannot be read: {error}", file.display())))
}

/// Verifies one connection's server.
///
/// A certificate that was given and is byte for byte the server's own is good as it is: whoever
/// gave it meant that one. All others need a chain to a root, the right name and the right time.
/// Either way the server must prove in the handshake that it has the key.
#[derive(Debug)]
pub(super) struct Verifier {
    given: Vec<CertificateDer<'static>>,
    chains: Arc<WebPkiServerVerifier>,
    algorithms: WebPkiSupportedAlgorithms,
    /// Who issued the certificate that was turned away.
    issuer: Mutex<Option<String>>,
}

impl Verifier {
    /// The issuer of a certificate that was turned away because nobody knows it.
    pub(super) fn unknown_issuer(&self) -> Option<String> {
        let issuer = self.issuer.lock().unwrap_or_else(PoisonError::into_inner);
        issuer.clone()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.given.iter().any(|given| given == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self.chains.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        if let Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) = verified {
            let last = intermediates.last().unwrap_or(end_entity);
            let mut issuer = self.issuer.lock().unwrap_or_else(PoisonError::into_inner);
            *issuer = issuer_name(last);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The common name of a certificate's issuer, or else its organisation.
fn issuer_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    let name = parsed.issuer();
    // A name is a list of (object identifier, string); these two are 2.5.4.3 and 2.5.4.10.
    [3, 10].into_iter().find_map(|attribute| {
        let oid = [0x06, 0x03, 0x55, 0x04, attribute];
        let value = &name[memchr::memmem::find(name, &oid)? + oid.len()..];
        // Tag, length below 128, bytes.
        let length = usize::from(*value.get(1)?);
        let bytes = value.get(2..2 + length)?;
        Some(crate::shown::Shown(bytes).to_string())
    })
}
