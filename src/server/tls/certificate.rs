//! What is read of a certificate by hand: the names, for messages, whether it is an authority's, for
//! trust, and what it may be used for.
//!
//! `rustls` and `webpki` keep both to themselves, and `webpki` rejects certificates of version 1, which
//! old tools still make. Nothing here verifies anything: a certificate that is no good DER just has no
//! names. It must not know where a certificate comes from.

use crate::ari::escape::Escaped;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
pub(super) const OID: u8 = 0x06;
/// A time with a year of two digits.
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
/// The version, which certificates of version 1 leave out.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// 2.5.29.37, and below it the one that stands for all.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0];

/// 1.3.6.1.5.5.7.3.1 and 1.3.6.1.5.5.7.3.2: what a server and a client is for.
pub(super) const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
pub(super) const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// 2.5.4.3, 2.5.4.10 and 2.5.4.11: common name, organisation, organisational unit.
const ATTRIBUTES: [&[u8]; 3] = [&[0x55, 4, 3], &[0x55, 4, 10], &[0x55, 4, 11]];

/// The names of issuer and subject, as they are in DER.
pub(super) fn names(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let sequences = fields(certificate)?.filter(|(tag, _)| *tag == SEQUENCE);
    // In this order: algorithm, issuer, validity, subject.
    let mut contents = sequences.map(|(_, content)| content);
    Some((contents.nth(1)?, contents.nth(1)?))
}

/// The end of a certificate's validity: a day and a time of day, in UTC.
pub(super) fn until(certificate: &[u8]) -> Option<String> {
    let (_, validity) = fields(certificate)?
        .filter(|(tag, _)| *tag == SEQUENCE)
        .nth(2)?;
    let (tag, time) = values(validity).nth(1)?;
    let mut time = Escaped(time).to_string();
    if tag == UTC_TIME {
        time.insert_str(0, if *time < *"5" { "20" } else { "19" });
    }
    for (at, mark) in [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':')] {
        if time.is_char_boundary(at) {
            time.insert(at, mark);
        }
    }
    Some(time)
}

/// The attribute by which a person recognises the owner of a name, escaped for the log.
pub(super) fn best_attribute(name: &[u8]) -> Option<String> {
    let mut wanted = ATTRIBUTES.iter();
    wanted.find_map(|wanted| {
        values(name).find_map(|(_, set)| {
            let mut attribute = values(content(set)?);
            let is_wanted = attribute.next()? == (OID, wanted);
            let (_, text) = attribute.next().filter(|_| is_wanted)?;
            Some(Escaped(text).to_string())
        })
    })
}

/// Whether the key of this certificate may sign others. An authority's certificate says so. One of
/// version 1 cannot say anything and may.
pub(super) fn may_issue(certificate: &[u8]) -> bool {
    is_authority(certificate).unwrap_or(true)
}

fn is_authority(certificate: &[u8]) -> Option<bool> {
    let mut fields = fields(certificate)?;
    let (VERSION, version) = fields.next()? else {
        return None;
    };
    if values(version).next()? != (INTEGER, &[2]) {
        return None;
    }
    let Some(constraints) = extension(certificate, BASIC_CONSTRAINTS) else {
        return Some(false);
    };
    let authority = values(content(constraints)?).next();
    Some(authority.is_some_and(|(tag, value)| tag == BOOLEAN && value != [0]))
}

/// Whether a certificate is for this extended key usage; one that has none is for all.
pub(super) fn is_for(certificate: &[u8], usage: &[u8]) -> bool {
    let usages = extension(certificate, EXTENDED_KEY_USAGE).and_then(content);
    usages.is_none_or(|usages| values(usages).any(|(_, id)| id == usage || id == ANY_USAGE))
}

/// What is in an extension of a certificate, if it has that.
fn extension<'a>(certificate: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let (_, extensions) = fields(certificate)?.find(|(tag, _)| *tag == EXTENSIONS)?;
    values(content(extensions)?).find_map(|(_, extension)| {
        let mut parts = values(extension);
        let is_wanted = parts.next()? == (OID, wanted);
        // Whether the extension is critical may stand in between.
        let (_, value) = parts.last().filter(|_| is_wanted)?;
        Some(value)
    })
}

/// The public key in a certificate of any version.
pub(super) fn public_key(
    certificate: &CertificateDer<'_>,
) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let anchor = webpki::anchor_from_trusted_cert(certificate).ok()?;
    Some(webpki::spki_for_anchor(&anchor))
}

/// The fields of the signed part of a certificate.
fn fields(certificate: &[u8]) -> Option<impl Iterator<Item = (u8, &[u8])>> {
    Some(values(content(content(certificate)?)?))
}

/// The content of the first DER value.
pub(super) fn content(der: &[u8]) -> Option<&[u8]> {
    values(der).next().map(|(_, content)| content)
}

/// The tags and contents of DER values that follow each other, up to one that is cut short.
pub(super) fn values(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [tag, first, rest @ ..] = der else {
            return None;
        };
        let (length, rest) = match first {
            ..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let fold = |length, &byte| length << 8 | usize::from(byte);
                (length.iter().fold(0, fold), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        der = rest;
        Some((*tag, content))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: u8 = 0x31;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u16::try_from(content.len()).unwrap();
        let mut der = vec![tag];
        match length {
            0..0x80 => der.push(length as u8),
            0x80..0x100 => der.extend([0x81, length as u8]),
            _ => der.extend([&[0x82][..], &length.to_be_bytes()].concat()),
        }
        [der, content].concat()
    }

    fn name(attributes: &[(u8, &[u8])]) -> Vec<u8> {
        let sets = attributes.iter().map(|(attribute, text)| {
            let oid = der(OID, &[&[0x55, 4, *attribute]]);
            der(SET, &[&der(SEQUENCE, &[&oid, &der(0x0c, &[text])])])
        });
        der(SEQUENCE, &[&sets.collect::<Vec<_>>().concat()])
    }

    fn certificate(version: &[u8], issuer: &[u8], subject: &[u8]) -> Vec<u8> {
        let empty = der(SEQUENCE, &[]);
        let serial = der(INTEGER, &[&[1]]);
        let signed = [version, &serial, &empty, issuer, &empty, subject, &empty];
        der(SEQUENCE, &[&der(SEQUENCE, &signed), &empty])
    }

    #[test]
    fn authorities_are_told_from_servers() {
        let made = |ca: rcgen::IsCa| {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
            params.is_ca = ca;
            let certificate = params.self_signed(&key).unwrap();
            may_issue(certificate.der())
        };
        assert!(made(rcgen::IsCa::Ca(
            rcgen::BasicConstraints::Unconstrained
        )));
        assert!(made(rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(
            0
        ))));
        assert!(!made(rcgen::IsCa::ExplicitNoCa));
        assert!(!made(rcgen::IsCa::NoCa));
        assert!(may_issue(b"no certificate"));
    }

    #[test]
    fn what_a_certificate_is_for_is_found() {
        use rcgen::ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
        for (usages, server, client) in [
            (vec![], true, true),
            (vec![ServerAuth], true, false),
            (vec![ClientAuth], false, true),
            (vec![ClientAuth, ServerAuth], true, true),
            (vec![CodeSigning, Any], true, true),
            (vec![CodeSigning], false, false),
        ] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
            params.extended_key_usages = usages;
            let certificate = params.self_signed(&key).unwrap();
            let is_for = [SERVER_AUTH, CLIENT_AUTH].map(|usage| is_for(certificate.der(), usage));
            assert_eq!(is_for, [server, client], "{:?}", params.extended_key_usages);
        }
        assert!(is_for(b"no certificate", SERVER_AUTH));
    }

    #[test]
    fn both_names_are_found_in_any_version() {
        let long = "x".repeat(300);
        let issuer = name(&[(10, b"Example"), (3, long.as_bytes())]);
        let subject = name(&[(11, b"Demo"), (10, b"My \x1b Company")]);
        for version in [&[][..], &der(VERSION, &[&der(INTEGER, &[&[2]])])] {
            let certificate = certificate(version, &issuer, &subject);
            let (issuer, subject) = names(&certificate).unwrap();
            assert_eq!(best_attribute(issuer).as_deref(), Some(&*long));
            assert_eq!(
                best_attribute(subject).as_deref(),
                Some("My \\u{1b} Company")
            );
            assert_ne!(issuer, subject);
        }
        let certificate = certificate(&[], &subject, &subject);
        let (issuer, subject) = names(&certificate).unwrap();
        assert_eq!(issuer, subject);
    }

    #[test]
    fn what_is_cut_short_has_none() {
        let name = name(&[(3, b"somebody")]);
        let whole = certificate(&[], &name, &name);
        let (_, subject) = names(&whole).unwrap();
        assert_eq!(best_attribute(subject).as_deref(), Some("somebody"));
        for length in 0..whole.len() {
            assert_eq!(names(&whole[..length]), None);
        }
        assert_eq!(names(&[0x30, 0xff, 0xff]), None);
    }
}
