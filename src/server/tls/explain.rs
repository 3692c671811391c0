//! What went wrong with TLS, in words that tell an operator what to do about it.
//!
//! All sentences about a peer are here; what is wrong with files is said where they are read. Nothing here
//! decides anything: what is accepted was decided when an error comes here.

use super::certificate::{best_attribute, names, until};
use super::endpoint::Endpoint;
use super::error::TlsError;
use super::identity::Answer;
use super::keys::{self, USABLE};
use super::role::Role;
use crate::ari::escape::Escaped;
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use std::io;

const OLD_TLS: &str = "the peer refuses TLS 1.2 and 1.3, and older versions are not spoken here";

const WANTS_CERTIFICATE: &str =
    "the Proxy demands a client certificate and got none: see --tls-cert and --tls-key";

const MAY_WANT_CERTIFICATE: &str = "the Proxy ended the connection without a word right after it had \
     asked for a client certificate, of which there is none: it may demand one (see --tls-cert and \
     --tls-key), want credentials, or be stopping";

const UNFIT: &str = "the client certificate's key can sign in no way that the Proxy accepts; another \
     kind of key may: RSA, ECDSA, Ed25519";

const SHOWS_NONE: &str = "the Proxy shows no client certificate, and --tls-client-ca demands one: it \
     must be in the keystore of that Proxy";

/// So many names of a certificate are listed.
const MAX_NAMES: usize = 10;

/// How far a connection had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// In the handshake.
    Handshake,
    /// After it, before the peer sent anything else: by TLS 1.3 it may reject a client only then.
    Hello,
    /// In service.
    Service,
}

impl Endpoint {
    /// Explains an error of the connection; `None` if it is the system's, not one of TLS.
    pub(super) fn explain(&self, error: &io::Error, stage: Stage) -> Option<TlsError> {
        use InvalidMessage as I;
        use PeerIncompatible as P;
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        Some(match error {
            Error::InvalidCertificate(error) => TlsError::lasting(self.certificate(error)),
            Error::AlertReceived(alert) => match self.alert(*alert) {
                Some(message) if stage != Stage::Service => TlsError::lasting(message),
                _ => TlsError::temporary(format_args!(
                    "the peer ended the session with the alert {alert:?}"
                )),
            },
            Error::InvalidMessage(
                I::InvalidContentType
                | I::UnknownProtocolVersion
                | I::MessageTooLarge
                | I::InvalidEmptyPayload,
            ) if stage == Stage::Handshake => TlsError::lasting(match self.role {
                Role::Client(..) => "the peer speaks no TLS; is --tls meant for this port?",
                Role::Server { .. } => {
                    "the peer speaks no TLS; a Proxy does with tls=Y, or leave out --tls"
                }
            }),
            Error::InvalidMessage(I::HandshakePayloadTooLarge) => {
                TlsError::lasting("the peer's certificate with its chain is larger than 64 KiB")
            }
            Error::PeerIncompatible(
                P::ServerTlsVersionIsDisabledByOurConfig
                | P::ServerDoesNotSupportTls12Or13
                | P::SupportedVersionsExtensionRequired
                // Which they do not have.
                | P::SignatureAlgorithmsExtensionRequired
                | P::Tls12NotOffered,
            ) => TlsError::lasting(OLD_TLS),
            Error::NoCertificatesPresented => TlsError::lasting(SHOWS_NONE),
            Error::PeerIncompatible(why) => {
                TlsError::lasting(format_args!("no common ground with the peer: {why:?}"))
            }
            other => TlsError::temporary(other),
        })
    }

    /// What an end without any reason right after the handshake may mean.
    pub(super) fn explain_end(&self) -> Option<TlsError> {
        match self.resolver.answer.get()? {
            Answer::Missing => Some(TlsError::temporary(MAY_WANT_CERTIFICATE)),
            Answer::Unfit => Some(TlsError::lasting(UNFIT)),
            Answer::Certificate => None,
        }
    }

    fn certificate(&self, error: &CertificateError) -> String {
        use CertificateError as E;
        let (peer, option) = self.peer();
        let give_it = format!(
            "a {peer}'s certificate that is itself given with {option} FILE is accepted as it is"
        );
        // None if the peer failed to prove that it has the key.
        let sent = self.verifier.rejected.get().map_or(&[][..], Vec::as_slice);
        let own = sent.first().and_then(|own| names(own));
        let is_self_issued = own.is_some_and(|(issuer, subject)| issuer == subject);
        let is_self_signed = is_self_issued && sent.len() == 1;
        let whose = match sent.len() {
            ..=1 => format!("the {peer}'s certificate"),
            _ => format!("the {peer}'s certificate, or one of those it sent along,"),
        };
        let unusable = sent.iter().find_map(keys::unusable);
        let unusable = unusable.map_or(String::new(), |kind| format!(" ({kind})"));
        match error {
            E::ExpiredContext { not_after, .. } => {
                format!("{whose} expired on {}; {give_it}", date(*not_after))
            }
            E::NotValidYetContext {
                time, not_before, ..
            } => {
                let (now, date) = (date(*time), date(*not_before));
                format!(
                    "{whose} is not valid yet: it will be from {date} on, and this host's clock \
                     says {now}"
                )
            }
            E::NotValidForNameContext {
                expected,
                presented,
            } => {
                let expected = expected.to_str();
                let subject = own.and_then(|(_, subject)| best_attribute(subject));
                let carried = carried(presented, subject);
                format!(
                    "the server's certificate has the wrong name: {expected} is wanted, {carried}; \
                     --tls-name NAME verifies another one"
                )
            }
            // An authority's, as "openssl req -x509" makes them, or one of a name that is trusted
            // for another: neither is the point.
            E::Other(_) | E::BadSignature if is_self_signed => self.unknown_issuer(sent, true),
            E::UnknownIssuer => self.unknown_issuer(sent, is_self_signed),
            E::BadSignature if !sent.is_empty() && unusable.is_empty() => {
                format!("{whose} was not signed by the issuer that is trusted, but by a namesake")
            }
            E::BadSignature if sent.is_empty() => format!(
                "the {peer} does not prove that it has the key of its certificate: a bad \
                 signature, or an RSA key of less than 2048 bits"
            ),
            E::BadSignature
            | E::UnsupportedSignatureAlgorithmContext { .. }
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => format!(
                "{whose} was signed by a key, or in a way, that cannot be used here{unusable}; \
                 {give_it}"
            ),
            E::Other(other) => format!("{whose} is not accepted: {}; {give_it}", other.0),
            other => format!("{whose} is not accepted: {other}; {give_it}"),
        }
    }

    /// What the peer is called whose certificate is verified, and the option that trusts it.
    fn peer(&self) -> (&'static str, &'static str) {
        match self.role {
            Role::Client(..) => ("server", "--tls-ca"),
            Role::Server { .. } => ("Proxy", "--tls-client-ca"),
        }
    }

    fn unknown_issuer(&self, sent: &[CertificateDer<'_>], is_self_signed: bool) -> String {
        let issuer = sent.last().and_then(|last| names(last));
        let issuer = issuer.and_then(|(issuer, _)| best_attribute(issuer));
        let issuer = issuer.as_deref().unwrap_or("somebody without a name");
        let (peer, option) = self.peer();
        let what = match is_self_signed {
            true => format!("the {peer}'s certificate is self-signed"),
            false => format!("unknown issuer of the {peer}'s certificate"),
        };
        let remedy = match self.verifier.trust.given.is_empty() {
            true => {
                "--tls-ca FILE trusts the issuer's certificate in FILE, or the server's own".into()
            }
            false => format!("it is not among the certificates given with {option}"),
        };
        format!("{what}: \"{issuer}\"; {remedy}")
    }

    /// What an alert means to an end that is not yet in service; `None` if nothing in particular.
    fn alert(&self, alert: AlertDescription) -> Option<String> {
        use AlertDescription as A;
        Some(match (alert, self.resolver.answer.get()) {
            (
                A::HandshakeFailure | A::CertificateRequired | A::BadCertificate,
                Some(Answer::Unfit),
            ) => UNFIT.into(),
            (A::ProtocolVersion, _) => OLD_TLS.into(),
            (A::CertificateRequired, _) => WANTS_CERTIFICATE.into(),
            (
                A::BadCertificate | A::HandshakeFailure | A::CertificateUnknown,
                Some(Answer::Missing),
            ) => WANTS_CERTIFICATE.into(),
            (
                A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::UnknownCA
                | A::AccessDenied
                | A::DecryptError,
                answer,
            ) => match (&self.role, answer) {
                (Role::Server { .. }, _) => format!(
                    "the Proxy refuses the certificate of --tls-cert ({alert:?}): its truststore \
                     must vouch for it, and it must carry the name in remote_host"
                ),
                (_, Some(Answer::Certificate | Answer::Unfit)) => {
                    format!("the Proxy refuses the client certificate ({alert:?}); see --tls-cert")
                }
                _ => return None,
            },
            (A::HandshakeFailure, _) => {
                format!(
                    "the peer finds no cipher in common, or refuses for a reason \
                     that it keeps to itself (handshake failure): perhaps its key cannot be used \
                     here; what can: {USABLE}"
                )
            }
            (A::UnrecognisedName, _) => match &self.role {
                Role::Server { .. } => return None,
                Role::Client(name) => {
                    let name = name.to_str();
                    format!(
                        "the peer knows no server named {name}; --tls-name NAME asks for another"
                    )
                }
            },
            (A::InsufficientSecurity, _) => {
                "the peer wants stronger ciphers than those that are spoken here".into()
            }
            _ => return None,
        })
    }
}

/// The names that a certificate carries. `presented` is as webpki writes them:
/// `DnsName("localhost")`.
fn carried(presented: &[String], subject: Option<String>) -> String {
    let plain = |name: &String| {
        let name = match name.split_once('(') {
            Some(("DnsName" | "IpAddress", rest)) => rest.trim_end_matches(')').trim_matches('"'),
            _ => name,
        };
        Escaped(name.as_bytes()).to_string()
    };
    let names: Vec<_> = presented.iter().take(MAX_NAMES).map(plain).collect();
    let names = names.join(", ");
    match (presented.len(), subject) {
        (0, Some(subject)) => format!(
            "and it carries none at all (its subject \"{subject}\" does not count, only \
             alternative names do)"
        ),
        (0, None) => "and it carries none at all".to_owned(),
        (count, _) if count > MAX_NAMES => {
            format!("it carries {names} and {} more", count - MAX_NAMES)
        }
        _ => format!("it carries {names}"),
    }
}

/// Whose a certificate of a file is, and until when.
pub(super) fn describe(certificate: &[u8]) -> String {
    let subject = names(certificate).and_then(|(_, subject)| best_attribute(subject));
    let subject = subject.as_deref().unwrap_or("somebody without a name");
    let until = until(certificate).unwrap_or("?".into());
    let is_over = until < date(UnixTime::now());
    let doubt = if is_over { ", which is over" } else { "" };
    format!("\"{subject}\", valid until {until}{doubt}")
}

/// A day and a time of day, in UTC.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "a day out of reach".into(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_as_people_write_them() {
        let told = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            carried(&names, None)
        };
        assert_eq!(
            told(&["DnsName(\"localhost\")", "IpAddress(127.0.0.1)", "?\u{1b}"]),
            "it carries localhost, 127.0.0.1, ?\\u{1b}"
        );
        assert_eq!(told(&[]), "and it carries none at all");
        let many = told(&["DnsName(\"a\")"; 25]);
        assert!(many.ends_with("a, a and 15 more"), "{many}");
    }
}
