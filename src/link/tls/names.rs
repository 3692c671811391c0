//! What stands in a certificate that those who verify it keep to themselves: the names, for
//! messages alone, and whether it is an authority's.

use crate::shown::Shown;

/// Who a certificate is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// The common name of the subject, or else its organisation.
    pub(super) subject: Option<String>,
    /// The same of the issuer.
    pub(super) issuer: Option<String>,
    /// Whether the two are one.
    pub(super) self_issued: bool,
}

impl Names {
    /// Those of a certificate in DER; none of what cannot be read.
    pub(super) fn of(certificate: &[u8]) -> Names {
        names(certificate).unwrap_or_default()
    }
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// The version, which certificates of version 1 leave out.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// 2.5.4.3, 2.5.4.10 and 2.5.4.11: common name, organisation, organisational unit.
const ATTRIBUTES: [&[u8]; 3] = [&[0x55, 4, 3], &[0x55, 4, 10], &[0x55, 4, 11]];

fn names(der: &[u8]) -> Option<Names> {
    let (certificate, _) = value(SEQUENCE, der)?;
    let (signed, _) = value(SEQUENCE, certificate)?;
    let signed = value(VERSION, signed).map_or(signed, |(_, rest)| rest);
    let (_serial, rest) = value(INTEGER, signed)?;
    let (_algorithm, rest) = value(SEQUENCE, rest)?;
    let (issuer, rest) = value(SEQUENCE, rest)?;
    let (_validity, rest) = value(SEQUENCE, rest)?;
    let (subject, _) = value(SEQUENCE, rest)?;
    Some(Names {
        subject: best(subject),
        issuer: best(issuer),
        self_issued: issuer == subject,
    })
}

/// Whether certificates that were signed with the key of this one can be believed: those of an
/// authority say so. What is of version 1 has no place to say anything, and is given the benefit of
/// the doubt.
pub(super) fn may_issue(certificate: &[u8]) -> bool {
    issuing(certificate).unwrap_or(true)
}

fn issuing(der: &[u8]) -> Option<bool> {
    let (certificate, _) = value(SEQUENCE, der)?;
    let (signed, _) = value(SEQUENCE, certificate)?;
    let (version, mut rest) = value(VERSION, signed)?;
    if value(INTEGER, version)?.0 != [2] {
        return None;
    }
    // The extensions are the last of the fields.
    let extensions = loop {
        let (tag, content, behind) = split(rest)?;
        if tag == EXTENSIONS {
            break content;
        }
        if behind.is_empty() {
            return Some(false);
        }
        rest = behind;
    };
    let (mut rest, _) = value(SEQUENCE, extensions)?;
    while let Some((extension, behind)) = value(SEQUENCE, rest) {
        rest = behind;
        let (oid, said) = value(OID, extension)?;
        if oid == BASIC_CONSTRAINTS {
            // Whether it is critical may stand before it.
            let said = value(BOOLEAN, said).map_or(said, |(_, rest)| rest);
            let (constraints, _) = value(SEQUENCE, value(OCTETS, said)?.0)?;
            let authority = value(BOOLEAN, constraints);
            return Some(authority.is_some_and(|(authority, _)| authority != [0]));
        }
    }
    Some(false)
}

/// The attribute by which a person knows somebody.
fn best(name: &[u8]) -> Option<String> {
    ATTRIBUTES.iter().find_map(|wanted| {
        let mut rest = name;
        while let Some((set, behind)) = value(SET, rest) {
            rest = behind;
            let (attribute, _) = value(SEQUENCE, set)?;
            let (oid, text) = value(OID, attribute)?;
            if oid == *wanted {
                return Some(Shown(split(text)?.1).to_string());
            }
        }
        None
    })
}

/// The content of the first value, if it is of this tag, and what follows it.
fn value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = split(der)?;
    (found == tag).then_some((content, rest))
}

/// The first value's tag and content, and what follows it.
fn split(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
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
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn both_names_are_found_in_any_version() {
        let long = "x".repeat(300);
        let issuer = name(&[(10, b"Example"), (3, long.as_bytes())]);
        let subject = name(&[(11, b"Demo"), (10, b"My \x1b Company")]);
        for version in [&[][..], &der(VERSION, &[&der(INTEGER, &[&[2]])])] {
            let names = Names::of(&certificate(version, &issuer, &subject));
            assert_eq!(names.issuer.as_deref(), Some(&*long));
            assert_eq!(names.subject.as_deref(), Some("My \\u{1b} Company"));
            assert!(!names.self_issued);
        }
        let names = Names::of(&certificate(&[], &subject, &subject));
        assert!(names.self_issued);
    }

    #[test]
    fn what_is_cut_short_has_none() {
        let name = name(&[(3, b"somebody")]);
        let whole = certificate(&[], &name, &name);
        assert!(Names::of(&whole).subject.is_some());
        for length in 0..whole.len() {
            assert_eq!(Names::of(&whole[..length]), Names::default());
        }
        assert_eq!(Names::of(&[0x30, 0xff, 0xff]), Names::default());
    }
}
