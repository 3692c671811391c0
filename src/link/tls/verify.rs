//! Is this the server that is meant? Asked of one connection's server, in its handshake.

use super::Failure;
use super::names::Names;
use super::trust::Trust;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature};
use rustls::crypto::{verify_tls13_signature, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};

/// Verifies one connection's server.
///
/// A certificate that was given and is byte for byte the server's own is good as it is: whoever
/// gave it meant that one. All others need a chain to a root, the right name and the right time.
/// Either way the server must prove in the handshake that it has the key.
#[derive(Debug)]
pub(super) struct Verifier {
    given: Vec<CertificateDer<'static>>,
    /// None where nobody is trusted to vouch for others.
    chains: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    turned_away: Mutex<Option<TurnedAway>>,
}

/// A server that was not believed.
#[derive(Clone, Debug)]
pub(super) struct TurnedAway {
    /// Who its certificate is about, and who issued the last one of its chain.
    pub(super) names: Names,
    /// Whether it sent a chain, whose fault it may be.
    pub(super) has_chain: bool,
}

impl Verifier {
    /// # Errors
    /// [`Failure`], when no server at all could be believed.
    pub(super) fn new(trust: &Trust) -> Result<Verifier, Failure> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let roots = Arc::clone(trust.roots());
        let chains = match roots.is_empty() {
            true => None,
            false => {
                let chains = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
                Some(chains.map_err(|error| Failure::lasting(error.to_string()))?)
            }
        };
        Ok(Verifier {
            given: trust.given().to_vec(),
            chains,
            algorithms,
            turned_away: Mutex::new(None),
        })
    }

    /// The server, if it was not believed.
    pub(super) fn turned_away(&self) -> Option<TurnedAway> {
        let turned_away = self.turned_away.lock();
        turned_away.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_given(&self, certificate: &CertificateDer<'_>) -> bool {
        self.given.iter().any(|given| given == certificate)
    }

    /// The key of a certificate that is taken as it is, whatever else it may look like.
    fn given_key(&self, certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.is_given(certificate)
            .then(|| public_key(certificate))
            .flatten()
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
        if self.is_given(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = match &self.chains {
            None => Err(CertificateError::UnknownIssuer.into()),
            Some(chains) => chains.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
        };
        if verified.is_err() {
            let last = Names::of(intermediates.last().unwrap_or(end_entity));
            let names = Names {
                subject: Names::of(end_entity).subject,
                ..last
            };
            let has_chain = !intermediates.is_empty();
            let turned_away = self.turned_away.lock();
            *turned_away.unwrap_or_else(PoisonError::into_inner) =
                Some(TurnedAway { names, has_chain });
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.given_key(certificate) {
            Some(key) => verify_tls12_with_key(message, &key, signed, &self.algorithms),
            None => verify_tls12_signature(message, certificate, signed, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.given_key(certificate) {
            Some(key) => {
                verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
            }
            None => verify_tls13_signature(message, certificate, signed, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What `rustls` has for 1.3 alone. A scheme of 1.2 names no curve: each that fits it is tried.
fn verify_tls12_with_key(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
    let key = webpki::RawPublicKeyEntity::try_from(key).map_err(|_| bad())?;
    let mapping = algorithms.mapping.iter();
    let candidates = mapping
        .filter(|(scheme, _)| *scheme == signed.scheme)
        .flat_map(|(_, algorithms)| *algorithms);
    candidates
        .map(|algorithm| key.verify_signature(*algorithm, message, signed.signature()))
        .find_map(Result::ok)
        .map(|()| HandshakeSignatureValid::assertion())
        .ok_or_else(bad)
}

/// The public key in a certificate. One of version 1, as old tools make it, has one as well.
pub(super) fn public_key(
    certificate: &CertificateDer<'_>,
) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let anchor = webpki::anchor_from_trusted_cert(certificate).ok()?;
    Some(webpki::spki_for_anchor(&anchor))
}
