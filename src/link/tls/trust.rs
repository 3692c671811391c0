//! Whom to believe: the platform's store, the built-in roots, or given files.

use super::{Failure, names};
use crate::shown::Shown;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use std::env;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The certificates to believe in.
#[derive(Debug)]
pub(super) struct Trust {
    roots: Arc<RootCertStore>,
    /// Given certificates, any of which may be the server's own.
    given: Vec<CertificateDer<'static>>,
    origin: String,
    /// What is wrong with the platform's store, if anything.
    trouble: Option<String>,
    /// Whether these are the built-in roots, for want of others.
    is_builtin: bool,
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
                let bad = |error: &dyn fmt::Display| {
                    let file = shown(file);
                    Failure::lasting(format!(
                        "{file} holds a certificate that is no good: {error}"
                    ))
                };
                // A server's own certificate is no authority, whatever its key signs.
                if names::may_issue(&certificate) {
                    roots.add(certificate.clone()).map_err(|e| bad(&e))?;
                } else {
                    webpki::anchor_from_trusted_cert(&certificate).map_err(|e| bad(&e))?;
                }
                given.push(certificate);
            }
        }
        let names = files.iter().map(|file| shown(file).to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        Ok(Trust {
            roots: Arc::new(roots),
            origin: format!("{} from {names}", certificates(given.len())),
            given,
            trouble: None,
            is_builtin: false,
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
            .filter_map(|name| Some(format!("{name}={}", shown(env::var_os(name)?.as_ref()))))
            .collect();
        let store = match elsewhere.as_slice() {
            [] => "the platform's store".to_owned(),
            variables => format!("the platform's store ({})", variables.join(", ")),
        };
        let trouble = found.errors.first().map(|error| {
            let error = error.to_string();
            format!("cannot be read: {}", Shown(error.as_bytes()))
        });
        let is_builtin = roots.is_empty();
        // A platform may well have no store. One that somebody pointed at is missing.
        let trouble = trouble
            .or((is_builtin && !elsewhere.is_empty())
                .then(|| "holds no certificate in PEM".to_owned()));
        let origin = if is_builtin {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            let why = trouble.as_deref().unwrap_or("is empty");
            format!("{} built-in roots, since {store} {why}", roots.len())
        } else {
            let mostly = trouble.as_deref();
            let mostly = mostly.map_or(String::new(), |why| format!(", part of which {why}"));
            format!("{} of {store}{mostly}", certificates(roots.len()))
        };
        Trust {
            roots: Arc::new(roots),
            given: Vec::new(),
            origin,
            trouble: trouble.map(|why| format!("{store} {why}")),
            is_builtin,
        }
    }

    /// Whether this is the platform's store, and good for something.
    pub(super) fn is_store(&self) -> bool {
        self.given.is_empty() && !self.is_builtin
    }

    /// Where it comes from and how much it is, for the log.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// What is wrong with the platform's store, which a person should know.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
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
    let failure = |what: &str| Failure::lasting(format!("{} {what}", shown(file)));
    let Some(pem) = read_pem(file)? else {
        let certificate = CertificateDer::from(read(file)?);
        return match webpki::anchor_from_trusted_cert(&certificate) {
            Ok(_) => Ok(vec![certificate.clone()]),
            Err(_) => Err(failure(
                "is neither PEM nor a certificate in DER \
                 (keytool -exportcert takes one out of a keystore)",
            )),
        };
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| failure(&bad_pem(&error)))?;
    let announced = memchr::memmem::find_iter(&pem, b"-----BEGIN CERTIFICATE-----").count();
    match found.len() {
        0 => Err(failure("holds no certificate")),
        count if count < announced => Err(failure(&format!(
            "holds {announced} certificates, of which {count} can be read"
        ))),
        _ => Ok(found),
    }
}

/// What is wrong with a file in PEM.
pub(super) fn bad_pem(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            "is not good PEM: a section has no \"-----END\" line".into()
        }
        error => format!("is not good PEM: {error}"),
    }
}

/// A file's content if it is PEM, good or bad, in the form that its readers insist on: some tools
/// write a byte order mark, and files that were put together may lack the line end in between.
pub(super) fn read_pem(file: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let bytes = read(file)?;
    if memchr::memmem::find(&bytes, b"-----BEGIN ").is_none() {
        return Ok(None);
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut pem = Vec::with_capacity(text.len());
    for line in text.split(|&byte| matches!(byte, b'\n' | b'\r')) {
        let mut line = line.trim_ascii();
        while let Some(at) = memchr::memmem::find(line, b"----------BEGIN ") {
            pem.extend_from_slice(&line[..at + 5]);
            pem.push(b'\n');
            line = &line[at + 5..];
        }
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    Ok(Some(pem))
}

/// The most that is read of a file, in bytes.
const LARGEST: u64 = 16 << 20;

/// A file's content.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
    let failure = |what: String| Err(Failure::lasting(format!("{} {what}", shown(file))));
    match read {
        Err(error) => failure(format!("cannot be read: {error}")),
        Ok(0) => failure("is empty".into()),
        Ok(count) if count as u64 == LARGEST => {
            failure("is too large for what it should hold".into())
        }
        Ok(_) => Ok(bytes),
    }
}

/// A file's name, for the log.
pub(super) fn shown(file: &Path) -> Shown<'_> {
    Shown(file.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            read_certificates(&file).map(|found| found.len())
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
}
