//! Which keys of certificates can be used, and what those are that cannot.
//!
//! A server with another key can do no handshake, and what an authority with another key has signed
//! cannot be verified. Whose key it is, is not known here.

use super::certificate::{OID, content, public_key, values};
use super::error::TlsError;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, alg_id};
use std::path::Path;

/// What can be used.
pub(super) const USABLE: &str = "RSA of 2048 to 8192 bits, ECDSA on P-256 or P-384, Ed25519";

/// The object identifiers of other kinds, of the curve where there is one, and what to call them.
const OTHERS: [(&[u8], &str); 4] = [
    (&[0x2b, 0x81, 4, 0, 35], "ECDSA on P-521"),
    (&[0x2b, 101, 113], "Ed448"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1], "DSA"),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 10],
        "RSA for PSS alone",
    ),
];

/// Makes sure that the key of a certificate, which is in the file of an option, can be used.
///
/// # Errors
/// [`TlsError`], naming the file and the kind of the key.
pub(super) fn check(
    option: &str,
    file: &Path,
    certificate: &CertificateDer<'_>,
) -> Result<(), TlsError> {
    let Some(kind) = unusable(certificate) else {
        return Ok(());
    };
    let what = format!("holds a certificate whose key cannot be used, {kind}; what can: {USABLE}");
    Err(TlsError::of_file(option, file, what))
}

/// The kind of a certificate's key, if that is none that can be used.
pub(super) fn unusable(certificate: &CertificateDer<'_>) -> Option<String> {
    let key = public_key(certificate)?;
    let mut parts = values(content(&key)?).map(|(_, content)| content);
    let (algorithm, key) = (parts.next()?, parts.next()?);
    if *algorithm == *alg_id::RSA_ENCRYPTION {
        // One byte says how many bits of the last one do not count.
        let modulus = content(content(key.get(1..)?)?)?;
        let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
        return (!(2048..=8192).contains(&bits)).then(|| format!("RSA of {bits} bits"));
    }
    let mut known = algorithms().all.iter();
    if known.any(|known| *known.public_key_alg_id() == *algorithm) {
        return None;
    }
    let (_, id) = values(algorithm).filter(|(tag, _)| *tag == OID).last()?;
    let kind = OTHERS.iter().find(|(other, _)| *other == id);
    let kind = kind.map_or("one of a kind that is not known here", |(_, name)| name);
    Some(kind.into())
}

/// What can be used, as `rustls` needs it.
pub(super) fn algorithms() -> WebPkiSupportedAlgorithms {
    ring::default_provider().signature_verification_algorithms
}
