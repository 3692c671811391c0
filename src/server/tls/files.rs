//! Reads certificates and private keys from files.
//!
//! Files may be PEM or DER, as other tools leave them. What is done with their content is not known
//! here.

use super::error::TlsError;
use crate::server::file::{self, When};
use memchr::memmem;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// Reads the file of an option as [`certificates`] or as a [`key`]: their errors go on after its name.
/// Also says whether everybody can read it.
///
/// # Errors
/// [`TlsError`], naming the file.
pub(super) fn read<T>(
    option: &str,
    file: &Path,
    when: When,
    parse: impl FnOnce(Vec<u8>) -> Result<T, String>,
) -> Result<(T, bool), TlsError> {
    let content = file::read(option, file, when).map_err(|e| format!("cannot be read: {e}"));
    let parsed = content.and_then(|content| match content.bytes.is_empty() {
        true => Err("is empty".into()),
        false => Ok((parse(content.bytes)?, content.is_public)),
    });
    parsed.map_err(|what| TlsError::of_file(option, file, what))
}

/// The certificates in the content of a file: PEM with one or many, or a single one in DER.
///
/// # Errors
/// What is wrong, also when only a part of them can be read.
pub(super) fn certificates(bytes: Vec<u8>) -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(pem) = normalized_pem(&bytes) else {
        let certificate = CertificateDer::from(bytes);
        return match webpki::anchor_from_trusted_cert(&certificate).is_ok() {
            true => Ok(vec![certificate]),
            false => Err("is neither PEM nor a certificate in DER \
                 (keytool -exportcert takes one out of a keystore)"
                .into()),
        };
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(bad_pem)?;
    let announced = memmem::find_iter(&pem, b"-----BEGIN CERTIFICATE-----").count();
    match found.len() {
        0 => Err("holds no certificate".into()),
        count if count < announced => Err(format!(
            "holds {announced} certificates, of which {count} can be read"
        )),
        _ => Ok(found),
    }
}

/// The private key in the content of a file: DER, or PEM in which other things may stand.
///
/// # Errors
/// What is wrong.
pub(super) fn key(bytes: Vec<u8>) -> Result<PrivateKeyDer<'static>, String> {
    let Some(pem) = normalized_pem(&bytes) else {
        return PrivateKeyDer::try_from(bytes).map_err(|_| {
            "is neither PEM nor a private key in DER, or it is encrypted: it must be stored \
             without a passphrase"
                .into()
        });
    };
    let has = |mark: &[u8]| memmem::find(&pem, mark).is_some();
    if has(b"-----BEGIN ENCRYPTED") || has(b"Proc-Type: 4,ENCRYPTED") {
        return Err("holds an encrypted key: it must be stored without a passphrase".into());
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(bad_pem)
}

fn bad_pem(error: PemError) -> String {
    match error {
        // Of keys alone: a file without certificates has none, which is no error of PEM.
        PemError::NoItemsFound => "holds no private key in PKCS#8, PKCS#1 or SEC1".into(),
        PemError::MissingSectionEnd { .. } => {
            "is not good PEM: a section has no \"-----END\" line".into()
        }
        // Its own words hold the line, which may be the key.
        PemError::IllegalSectionStart { .. } => {
            "is not good PEM: a \"-----BEGIN\" line goes on behind its end".into()
        }
        error => format!("is not good PEM: {error}"),
    }
}

/// PEM, good or bad, in the form that its parser insists on; `None` if it is something else. Some
/// tools write a byte order mark, and in files that were put together a line end may be missing.
fn normalized_pem(bytes: &[u8]) -> Option<Vec<u8>> {
    memmem::find(bytes, b"-----BEGIN ")?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut pem = Vec::with_capacity(text.len());
    for line in text.split(|&byte| matches!(byte, b'\n' | b'\r')) {
        let mut line = line.trim_ascii();
        while let Some(at) = memmem::find(line, b"----------BEGIN ") {
            let (end, begin) = line.split_at(at + 5);
            pem.extend_from_slice(end);
            pem.push(b'\n');
            line = begin;
        }
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    Some(pem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    #[test]
    fn a_bundle_is_read_whole_or_not_at_all() {
        let certificate = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec![name.into()]).unwrap();
            params.self_signed(&key).unwrap().pem()
        };
        let (one, two) = (certificate("one"), certificate("two"));
        let file = env::temp_dir().join(format!("bundle-{}.pem", std::process::id()));
        let count = |content: &str| {
            std::fs::write(&file, content).unwrap();
            read("--tls-ca", &file, When::Start, certificates).map(|(found, _)| found.len())
        };
        for (content, expected) in [
            (format!("{one}{two}"), 2),
            (format!("{}{two}", one.trim_end()), 2),
            (format!("\u{feff}{one}{two}"), 2),
            (format!("  {one}\t{two}"), 2),
            (format!("{one}{two}").replace('\n', "\r\n"), 2),
            (format!("a comment\n{one}"), 1),
        ] {
            assert_eq!(count(&content).ok(), Some(expected), "{content}");
        }
        let half = &two[..two.len() / 2];
        for (content, what) in [
            (format!("{one}{half}"), "has no \"-----END\" line"),
            (format!("{half}\n{one}"), "of which 1 can be read"),
            (String::new(), "is empty"),
            ("text".into(), "neither PEM nor"),
        ] {
            let failure = count(&content).unwrap_err().to_string();
            assert!(failure.contains(what), "{failure}");
        }
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn an_error_does_not_tell_the_key() {
        let content = "-----BEGIN PRIVATE KEY----- zebra\n-----END PRIVATE KEY-----\n";
        let error = key(content.into()).unwrap_err();
        assert!(error.contains("goes on behind its end"), "{error}");
        let bytes = format!("{:?}", b"zebra");
        assert!(!error.contains(bytes.trim_matches(['[', ']'])), "{error}");
    }
}
