//! Whom to trust: of servers, given files, or else the platform's store, or else the built-in roots;
//! of clients, given files alone. And whether the peer of a connection is trusted by that.
//!
//! What an operator reads of a rejected peer is not decided here.

use super::certificate::{may_issue, public_key};
use super::error::TlsError;
use super::files;
use super::keys::{self, algorithms};
use crate::ari::escape::Escaped;
use crate::server::file::{LeftBehind, When};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use std::env;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The certificates that are trusted.
#[derive(Debug)]
pub(super) struct Trust {
    /// Trusted to issue certificates.
    pub(super) roots: Arc<RootCertStore>,
    /// Given certificates, any of which may be the peer's own.
    pub(super) given: Vec<CertificateDer<'static>>,
    /// How much it is and where it comes from, for the log; empty if it is nothing.
    pub(super) origin: String,
    /// What is wrong with the platform's store, which an operator should know.
    pub(super) trouble: Option<String>,
    /// Whether all comes from the platform's store.
    pub(super) is_store: bool,
}

impl Trust {
    /// Whom to trust as a server: what is in the given files, or else in the platform's store, or else
    /// the built-in roots.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub(super) fn in_servers(files: &[PathBuf], when: When) -> Result<Trust, TlsError> {
        if !files.is_empty() {
            return Trust::given("--tls-ca", files, when);
        }
        static LEFT_BEHIND: LeftBehind<Trust> = LeftBehind::new();
        let what = "the platform's store";
        let work = || (Trust::of_platform(), false);
        let trust = LEFT_BEHIND.wait_for(Path::new(""), what, when.patience(), work);
        trust.map_err(|error| TlsError::lasting(format_args!("{what} cannot be read: {error}")))
    }

    /// Trusts what is in the files of an option, and nobody if there are none.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub(super) fn given(option: &str, files: &[PathBuf], when: When) -> Result<Trust, TlsError> {
        let mut roots = RootCertStore::empty();
        let (mut given, mut unusable) = (Vec::new(), Vec::new());
        for file in files {
            for certificate in files::read(option, file, when, files::certificates)?.0 {
                // A peer's own certificate is no authority, whatever its key signs.
                let added = match may_issue(&certificate) {
                    true => roots.add(certificate.clone()).map_err(|e| e.to_string()),
                    false => webpki::anchor_from_trusted_cert(&certificate)
                        .map(|_| ())
                        .map_err(|e| e.to_string()),
                };
                added.map_err(|error| {
                    let what = format!("holds a certificate that is no good: {error}");
                    TlsError::of_file(option, file, what)
                })?;
                unusable.extend(keys::check(option, file, &certificate).err());
                given.push(certificate);
            }
        }
        let origin = match files.is_empty() {
            true => String::new(),
            false => format!("{} from {}", certificates(given.len()), names(files)),
        };
        let (origin, trouble) = match unusable.pop() {
            Some(error) if unusable.len() + 1 == given.len() => return Err(error),
            Some(error) => (format!("{origin}; {error}"), Some(error.message)),
            None => (origin, None),
        };
        Ok(Trust {
            roots: Arc::new(roots),
            origin,
            given,
            trouble,
            is_store: false,
        })
    }

    fn of_platform() -> Trust {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        // A store has oddities that no server uses; only what is good counts.
        roots.add_parsable_certificates(found.certs);
        let variables: Vec<_> = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
            .iter()
            .filter_map(|name| Some(format!("{name}={}", Escaped::of(&env::var_os(name)?))))
            .collect();
        let store = match variables.is_empty() {
            true => "the platform's store".to_owned(),
            false => format!("the platform's store ({})", variables.join(", ")),
        };
        let (is_store, count) = (!roots.is_empty(), certificates(roots.len()));
        let trouble = match found.errors.first().map(ToString::to_string) {
            Some(error) => Some(format!("cannot be read: {}", Escaped(error.as_bytes()))),
            // A platform may well have no store. One that somebody pointed at is missing.
            None if is_store || variables.is_empty() => None,
            None => Some("holds no certificate in PEM".to_owned()),
        };
        let origin = match (&trouble, is_store) {
            (None, true) => format!("{count} of {store}"),
            (Some(why), true) => format!("{count} of {store}, part of which {why}"),
            (why, false) => {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                let why = why.as_deref().unwrap_or("is empty");
                format!("{} built-in roots, since {store} {why}", roots.len())
            }
        };
        Trust {
            roots: Arc::new(roots),
            given: Vec::new(),
            origin,
            trouble: trouble.map(|why| format!("{store} {why}")),
            is_store,
        }
    }
}

/// Names of files, for the log.
pub(super) fn names(files: &[PathBuf]) -> String {
    let names = files.iter().map(|file| Escaped::of(file).to_string());
    names.collect::<Vec<_>>().join(", ")
}

fn certificates(count: usize) -> String {
    match count {
        1 => "1 certificate".into(),
        _ => format!("{count} certificates"),
    }
}

/// Verifies the peer of one connection.
///
/// A given certificate that is byte for byte the peer's own is accepted, whatever else it says:
/// whoever gave it meant this one. All others need a chain to a root and the right time, and a server
/// the right name. Either way the peer has to prove that it has the key.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trust: Arc<Trust>,
    /// The peer's certificate and those that it sent along, if they were not accepted.
    pub(super) rejected: OnceLock<Vec<CertificateDer<'static>>>,
}

impl Verifier {
    /// Accepts the peer's certificate if it is given itself, or if `verify` accepts it.
    fn accept(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        verify: impl FnOnce(&Arc<RootCertStore>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.is_given(own) {
            return Ok(());
        }
        // Without roots nothing else that is wrong with the certificate matters.
        let verified = match self.trust.roots.is_empty() {
            true => Err(CertificateError::UnknownIssuer.into()),
            false => verify(&self.trust.roots),
        };
        verified.inspect_err(|_| {
            let sent = iter::once(own).chain(others);
            let sent = sent.map(|certificate| certificate.clone().into_owned());
            let _ = self.rejected.set(sent.collect());
        })
    }

    fn is_given(&self, certificate: &CertificateDer<'_>) -> bool {
        self.trust.given.iter().any(|given| given == certificate)
    }
}

/// How a server and a client prove that they have their key, which is the same in both traits.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            match self.is_given(certificate) {
                true => verify_tls12_with_key(message, certificate, signed),
                false => verify_tls12_signature(message, certificate, signed, &algorithms()),
            }
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let key = public_key(certificate).ok_or(CertificateError::BadEncoding)?;
            verify_tls13_signature_with_raw_key(message, &key, signed, &algorithms())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            algorithms().supported_schemes()
        }
    };
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.accept(own, others, |roots| {
            let (parsed, algorithms) = (ParsedCertificate::try_from(own)?, algorithms().all);
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, others, now, algorithms)?;
            verify_server_name(&parsed, name)
        })?;
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

impl ClientCertVerifier for Verifier {
    /// None: a client that chooses by them would show nothing instead of the wrong certificate, of
    /// which there is more to say.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.accept(own, others, |roots| {
            let provider = Arc::new(ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider);
            let verifier = verifier
                .build()
                .map_err(|_| CertificateError::UnknownIssuer)?;
            verifier.verify_client_cert(own, others, now).map(drop)
        })?;
        Ok(ClientCertVerified::assertion())
    }

    signatures!();
}

/// What `rustls` has for TLS 1.3 alone: a given certificate may be of version 1, of which it takes no
/// more than the key. A scheme of TLS 1.2 names no curve, so each that fits it is tried.
fn verify_tls12_with_key(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = public_key(certificate).ok_or(CertificateError::BadSignature)?;
    let key = webpki::RawPublicKeyEntity::try_from(&key);
    let key = key.map_err(|_| CertificateError::BadSignature)?;
    let candidates = algorithms().mapping.iter();
    candidates
        .filter(|(scheme, _)| *scheme == signed.scheme)
        .flat_map(|(_, algorithms)| *algorithms)
        .find_map(|algorithm| {
            let verified = key.verify_signature(*algorithm, message, signed.signature());
            verified.ok().map(|()| HandshakeSignatureValid::assertion())
        })
        .ok_or(CertificateError::BadSignature.into())
}
