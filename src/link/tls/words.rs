//! What went wrong with TLS, in the words of the person who has to mend it.

use super::{Client, Failure};
use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use std::io;

impl Client {
    /// Puts an error of the connection into words. The system's errors have none to be added.
    pub(super) fn failure(&self, error: &io::Error) -> Option<Failure> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        let (what, lasting) = match error {
            Error::InvalidCertificate(error) => (self.certificate(error), true),
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge
                | InvalidMessage::InvalidEmptyPayload,
            ) => (
                "the peer speaks no TLS; is --tls meant for this port?".into(),
                true,
            ),
            Error::PeerIncompatible(
                PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::ServerDoesNotSupportTls12Or13,
            ) => (OLD_TLS.into(), true),
            Error::PeerIncompatible(why) => {
                (format!("no common ground with the peer: {why:?}"), true)
            }
            other => (other.to_string(), false),
        };
        Some(Failure { what, lasting })
    }

    fn certificate(&self, error: &CertificateError) -> String {
        match error {
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("the server's certificate expired on {}", date(*not_after))
            }
            CertificateError::NotValidYetContext { not_before, .. } => {
                let date = date(*not_before);
                format!("the server's certificate is not valid yet: it will be from {date} on")
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                let expected = self.name.to_str();
                let carried = match presented.as_slice() {
                    [] => "it carries no name at all (no subject alternative name)".into(),
                    names => format!("it carries {}", names.join(", ")),
                };
                format!(
                    "the server's certificate has the wrong name: {expected} is wanted, {carried}; \
                     --tls-name NAME verifies another one"
                )
            }
            CertificateError::UnknownIssuer => {
                let issuer = self.verifier.unknown_issuer();
                let issuer = issuer.unwrap_or_else(|| "somebody without a name".into());
                format!(
                    "the server's certificate was issued by \"{issuer}\", who is not trusted; \
                     --tls-ca FILE trusts the certificates in a file"
                )
            }
            CertificateError::BadSignature => {
                "the server's certificate has a bad signature".to_owned()
            }
            CertificateError::Other(other) => format!(
                "the server's certificate is not accepted: {other}; a certificate that is itself \
                 given with --tls-ca is accepted as it is"
            ),
            other => format!("the server's certificate is not accepted: {other}"),
        }
    }

    fn alert(&self, alert: AlertDescription) -> (String, bool) {
        use AlertDescription as A;
        let what = match (alert, self.resolver.was_asked()) {
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
            ) => format!("the Proxy refuses the client certificate ({alert:?})"),
            (A::HandshakeFailure, _) => {
                "the peer finds no cipher or version in common (handshake failure)".to_owned()
            }
            (A::UnrecognisedName, _) => {
                let name = self.name.to_str();
                format!("the peer knows no server named {name}; --tls-name NAME asks for another")
            }
            _ => {
                return (
                    format!("the peer ended the session with the alert {alert:?}"),
                    false,
                );
            }
        };
        (what, true)
    }

    /// What a connection that ends for no stated reason right after the handshake may mean.
    pub(super) fn wants_certificate(&self) -> Option<Failure> {
        (self.resolver.was_asked() == (true, false)).then(|| Failure::lasting(WANTS_CERTIFICATE))
    }
}

const OLD_TLS: &str = "the peer refuses TLS 1.2 and 1.3, and older versions are not spoken here";

const WANTS_CERTIFICATE: &str =
    "the Proxy demands a client certificate and got none: see --tls-cert and --tls-key";

/// A day and a time of day, in UTC.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "a day out of reach".into(), |time| time.to_string())
}
