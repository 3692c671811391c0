//! As much of DER as it takes to turn what `rcgen` makes into what other tools make: keys in their older forms,
//! certificates of version 1.

use rcgen::KeyPair;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// The version of a certificate, and the parameters of a key in SEC1.
const TAG_0: u8 = 0xa0;
/// The extensions of a certificate.
const TAG_3: u8 = 0xa3;

/// The object identifier of the curve P-256, tag and all.
const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// The object identifier of RSA with the parameters it is given, none.
pub(crate) const RSA: [u8; 13] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

/// A value: its tag and its content.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    match length {
        0..=0x7f => der.push(length as u8),
        0x80..=0xff => der.extend([0x81, length as u8]),
        _ => der.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    der.extend_from_slice(content);
    der
}

/// The values that stand one after another: tag, content, and all of it.
fn values(mut der: &[u8]) -> Vec<(u8, &[u8], &[u8])> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (head, length) = match der[1] {
            short @ 0..=0x7f => (2, usize::from(short)),
            0x81 => (3, usize::from(der[2])),
            _ => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        };
        let (whole, rest) = der.split_at(head + length);
        found.push((whole[0], &whole[head..], whole));
        der = rest;
    }
    found
}

/// A key of the curve P-256 in SEC1. `complete`: with the name of the curve, as `openssl` writes it.
pub(crate) fn sec1(key: &KeyPair, complete: bool) -> Vec<u8> {
    let pkcs8 = key.serialize_der();
    let parts = values(values(&pkcs8)[0].1);
    let (OCTET_STRING, inner, _) = parts[2] else {
        panic!("not PKCS#8: {parts:?}")
    };
    let inner = values(values(inner)[0].1);
    let mut rebuilt = Vec::new();
    for (position, (_, _, whole)) in inner.iter().enumerate() {
        rebuilt.extend_from_slice(whole);
        if position == 1 && complete {
            rebuilt.extend(value(TAG_0, &P256));
        }
    }
    value(SEQUENCE, &rebuilt)
}

/// What `openssl ecparam -genkey` writes before the key.
pub(crate) fn ec_parameters() -> Vec<u8> {
    P256.to_vec()
}

/// An RSA key in PKCS#8, from PKCS#1.
pub(crate) fn pkcs8_of_rsa(pkcs1: &[u8]) -> Vec<u8> {
    let version = value(INTEGER, &[0]);
    let algorithm = value(SEQUENCE, &RSA);
    let key = value(OCTET_STRING, pkcs1);
    value(SEQUENCE, &[version, algorithm, key].concat())
}

/// The same certificate as one of version 1, which has no extensions. Its signature is not made anew: a certificate
/// that is taken as it is needs none.
pub(crate) fn version_1(certificate: &[u8]) -> Vec<u8> {
    let parts = values(values(certificate)[0].1);
    let signed = values(parts[0].1);
    let kept = signed
        .iter()
        .filter(|(tag, ..)| ![TAG_0, TAG_3].contains(tag));
    let signed: Vec<u8> = kept.flat_map(|(.., whole)| whole.iter().copied()).collect();
    let signed = value(SEQUENCE, &signed);
    value(SEQUENCE, &[&signed, parts[1].2, parts[2].2].concat())
}

/// The same certificate with another public key: the content of its algorithm, and the key. Its signature is not made
/// anew.
pub(crate) fn with_key(certificate: &[u8], algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let key = value(BIT_STRING, &[&[0], key].concat());
    let key = value(SEQUENCE, &[value(SEQUENCE, algorithm), key].concat());
    let parts = values(values(certificate)[0].1);
    let mut signed: Vec<_> = values(parts[0].1)
        .iter()
        .map(|(.., whole)| *whole)
        .collect();
    // Behind version, serial number, algorithm, issuer, validity and subject.
    signed[6] = &key;
    let signed = value(SEQUENCE, &signed.concat());
    value(SEQUENCE, &[&signed, parts[1].2, parts[2].2].concat())
}

/// An RSA public key of so many bytes, which must be less than 65,000.
pub(crate) fn rsa_public_key(bytes: usize) -> Vec<u8> {
    let modulus = value(INTEGER, &[&[0][..], &vec![0xff; bytes]].concat());
    let exponent = value(INTEGER, &[1, 0, 1]);
    value(SEQUENCE, &[modulus, exponent].concat())
}

/// PEM of anything.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        text.extend(line.iter().map(|&byte| char::from(byte)));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// Base 64 of anything.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, n| {
            bits << 8 | usize::from(*chunk.get(n).unwrap_or(&0))
        });
        for digit in 0..4 {
            text.push(match digit <= chunk.len() {
                true => char::from(DIGITS[bits >> (18 - 6 * digit) & 63]),
                false => '=',
            });
        }
    }
    text
}

#[test]
fn base64_is_what_others_write() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
    ] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}
