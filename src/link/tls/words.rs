//! What went wrong with TLS, in the words of the person who has to mend it.

use super::verify::TurnedAway;
use super::{Client, Failure};
use crate::shown::Shown;
use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use std::io;

const OLD_TLS: &str = "the peer refuses TLS 1.2 and 1.3, and older versions are not spoken here";

const WANTS_CERTIFICATE: &str =
    "the Proxy demands a client certificate and got none: see --tls-cert and --tls-key";

const AS_IT_IS: &str =
    "a server's certificate that is itself given with --tls-ca FILE is accepted as it is";

const MAY_WANT_CERTIFICATE: &str = "the Proxy ended the connection without a word right after it had \
     asked for a client certificate, of which there is none: it may demand one (see --tls-cert and \
     --tls-key), want credentials, or be stopping";

const UNFIT: &str = "the client certificate's key can sign in no way that the Proxy accepts; another \
     kind of key may: RSA, ECDSA, Ed25519";

/// How far a connection had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// In the handshake.
    Handshake,
    /// Behind it, but the peer had said nothing yet: by TLS 1.3 it may turn away a client then.
    Hello,
    /// In service.
    Service,
}

/// So many names of a certificate are told.
const NAMES: usize = 10;

impl Client {
    /// Puts an error of the connection into words; the system's errors have none to be added.
    pub(super) fn failure(&self, error: &io::Error, stage: Stage) -> Option<Failure> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        Some(match error {
            Error::InvalidCertificate(error) => Failure::lasting(self.certificate(error)),
            Error::AlertReceived(alert) if stage != Stage::Service => self.alert(*alert),
            Error::AlertReceived(alert) => ended_with(*alert),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge
                | InvalidMessage::InvalidEmptyPayload,
            ) if stage == Stage::Handshake => {
                Failure::lasting("the peer speaks no TLS; is --tls meant for this port?")
            }
            Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
                Failure::lasting("the server's certificate with its chain is larger than 64 KiB")
            }
            Error::PeerIncompatible(
                PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::ServerDoesNotSupportTls12Or13,
            ) => Failure::lasting(OLD_TLS),
            Error::PeerIncompatible(why) => {
                Failure::lasting(format!("no common ground with the peer: {why:?}"))
            }
            other => Failure::passing(other.to_string()),
        })
    }

    fn certificate(&self, error: &CertificateError) -> String {
        use CertificateError as E;
        let server = self.verifier.turned_away();
        let whose = match &server {
            Some(server) if server.has_chain => {
                "the server's certificate, or one of those it sent along,"
            }
            _ => "the server's certificate",
        };
        match error {
            E::ExpiredContext { not_after, .. } => {
                let date = date(*not_after);
                format!("{whose} expired on {date}; {AS_IT_IS}")
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
            E::NotValidForNameContext { presented, .. } => {
                let expected = self.name.to_str();
                let carried = carried(presented, server.as_ref());
                format!(
                    "the server's certificate has the wrong name: {expected} is wanted, {carried}; \
                     --tls-name NAME verifies another one"
                )
            }
            E::UnknownIssuer => self.unknown_issuer(server.as_ref()),
            // An authority's, as "openssl req -x509" makes them, or one of a name that is trusted
            // for another: neither is the point.
            E::Other(_) | E::BadSignature if server.as_ref().is_some_and(is_self_signed) => {
                self.unknown_issuer(server.as_ref())
            }
            E::BadSignature if server.is_some() => {
                format!("{whose} was not signed by the issuer that is trusted, but by a namesake")
            }
            E::BadSignature => "the server does not prove that it has the key of its \
                 certificate: a bad signature, or an RSA key of less than 2048 bits"
                .to_owned(),
            E::Other(other) => format!("{whose} is not accepted: {}; {AS_IT_IS}", other.0),
            other => format!("{whose} is not accepted: {other}; {AS_IT_IS}"),
        }
    }

    fn unknown_issuer(&self, server: Option<&TurnedAway>) -> String {
        let names = server.map(|server| &server.names);
        let issuer = names.and_then(|names| names.issuer.as_deref());
        let issuer = issuer.unwrap_or("somebody without a name");
        let what = match server.is_some_and(is_self_signed) {
            true => "the server's certificate is self-signed",
            false => "unknown issuer of the server's certificate",
        };
        let remedy = match self.has_given {
            true => "it is not among the certificates given with --tls-ca",
            false => "--tls-ca FILE trusts the issuer's certificate in FILE, or the server's own",
        };
        format!("{what}: \"{issuer}\"; {remedy}")
    }

    fn alert(&self, alert: AlertDescription) -> Failure {
        use AlertDescription as A;
        let what = match (alert, self.resolver.was_asked()) {
            (A::HandshakeFailure | A::CertificateRequired | A::BadCertificate, (true, true))
                if !self.resolver.fits() =>
            {
                UNFIT.to_owned()
            }
            (A::ProtocolVersion, _) => OLD_TLS.to_owned(),
            (A::CertificateRequired, _) => WANTS_CERTIFICATE.to_owned(),
            (A::BadCertificate | A::HandshakeFailure | A::CertificateUnknown, (true, false)) => {
                WANTS_CERTIFICATE.to_owned()
            }
            (
                A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::UnknownCA
                | A::AccessDenied,
                (true, true),
            ) => format!("the Proxy refuses the client certificate ({alert:?}); see --tls-cert"),
            (A::HandshakeFailure, _) => {
                "the peer finds no cipher in common, or refuses for a reason that it keeps to \
                 itself (handshake failure)"
                    .to_owned()
            }
            (A::UnrecognisedName, _) => {
                let name = self.name.to_str();
                format!("the peer knows no server named {name}; --tls-name NAME asks for another")
            }
            (A::InsufficientSecurity, _) => {
                "the peer wants stronger ciphers than those that are spoken here".to_owned()
            }
            _ => return ended_with(alert),
        };
        Failure::lasting(what)
    }

    /// What a connection that ends for no stated reason right after the handshake may mean.
    pub(super) fn wants_certificate(&self) -> Option<Failure> {
        match self.resolver.was_asked() {
            (true, false) => Some(Failure::passing(MAY_WANT_CERTIFICATE)),
            (true, true) if !self.resolver.fits() => Some(Failure::lasting(UNFIT)),
            _ => None,
        }
    }
}

fn ended_with(alert: AlertDescription) -> Failure {
    Failure::passing(format!(
        "the peer ended the session with the alert {alert:?}"
    ))
}

fn is_self_signed(server: &TurnedAway) -> bool {
    server.names.self_issued && !server.has_chain
}

/// The names that a certificate carries, as webpki writes them: `DnsName("localhost")`.
fn carried(presented: &[String], server: Option<&TurnedAway>) -> String {
    let plain = |name: &String| {
        let name = match name.split_once('(') {
            Some(("DnsName" | "IpAddress", rest)) => rest.trim_end_matches(')').trim_matches('"'),
            _ => name,
        };
        Shown(name.as_bytes()).to_string()
    };
    let names: Vec<_> = presented.iter().take(NAMES).map(plain).collect();
    let names = names.join(", ");
    let subject = server.and_then(|server| server.names.subject.as_deref());
    match (presented.len(), subject) {
        (0, Some(subject)) => format!(
            "and it carries none at all (its subject \"{subject}\" does not count, only \
             alternative names do)"
        ),
        (0, None) => "and it carries none at all".to_owned(),
        (count, _) if count > NAMES => {
            format!("it carries {names} and {} more", count - NAMES)
        }
        _ => format!("it carries {names}"),
    }
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
