//! Certificates for every occasion, made when they are needed.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer};

use crate::der;

/// A day.
pub(crate) type Day = (i32, u8, u8);

/// Who has a certificate, to be built up: for how long, under which names.
#[derive(Clone)]
pub(crate) struct Profile {
    common_name: String,
    names: Vec<String>,
    from: Day,
    until: Day,
    is_authority: bool,
    usages: Vec<ExtendedKeyUsagePurpose>,
}

/// A certificate with its key and those that vouch for it, which a server sends along.
pub(crate) struct Certified {
    /// The certificate first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub(crate) key: KeyPair,
    params: CertificateParams,
    is_root: bool,
}

impl Profile {
    /// A common name, and nothing that a client would verify.
    pub(crate) fn new(common_name: &str) -> Self {
        Self {
            common_name: common_name.to_owned(),
            names: Vec::new(),
            from: (2020, 1, 1),
            until: (2120, 1, 1),
            is_authority: false,
            usages: Vec::new(),
        }
    }

    /// A server that goes by its address here, and by a name.
    pub(crate) fn server() -> Self {
        Self::new("the server").named(&["127.0.0.1", "::1", "localhost", "push.example.com"])
    }

    /// An authority that issues certificates.
    pub(crate) fn authority(common_name: &str) -> Self {
        Self {
            is_authority: true,
            ..Self::new(common_name)
        }
    }

    /// With these alternative names, hosts' or addresses.
    pub(crate) fn named(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Good from one day to another.
    pub(crate) fn good(mut self, from: Day, until: Day) -> Self {
        (self.from, self.until) = (from, until);
        self
    }

    /// Good for this alone.
    pub(crate) fn used_for(mut self, usage: ExtendedKeyUsagePurpose) -> Self {
        self.usages = vec![usage];
        self
    }

    fn params(self) -> CertificateParams {
        let mut params = CertificateParams::new(self.names).expect("names");
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, self.common_name);
        params.not_before = date_time_ymd(self.from.0, self.from.1, self.from.2);
        params.not_after = date_time_ymd(self.until.0, self.until.1, self.until.2);
        params.extended_key_usages = self.usages;
        if self.is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }

    /// A certificate that vouches for itself.
    pub(crate) fn self_signed(self) -> Certified {
        self.self_signed_with(KeyPair::generate().expect("a key"))
    }

    /// The same for a given key.
    pub(crate) fn self_signed_with(self, key: KeyPair) -> Certified {
        let params = self.params();
        let certificate = params.self_signed(&key).expect("a certificate");
        Certified {
            chain: vec![certificate.der().clone()],
            key,
            params,
            is_root: true,
        }
    }
}

impl Certified {
    /// An authority of this name.
    pub(crate) fn authority(common_name: &str) -> Self {
        Profile::authority(common_name).self_signed()
    }

    /// Issues a certificate. What vouches for the issuer goes along, but for the root.
    pub(crate) fn issue(&self, profile: Profile) -> Self {
        self.issue_for(profile, KeyPair::generate().expect("a key"))
    }

    /// The same for a given key.
    pub(crate) fn issue_for(&self, profile: Profile, key: KeyPair) -> Self {
        let params = profile.params();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let above = match self.is_root {
            true => &[],
            false => &self.chain[..],
        };
        Self {
            chain: [&[certificate.der().clone()], above].concat(),
            key,
            params,
            is_root: false,
        }
    }

    /// The certificate itself.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    /// The certificate in PEM.
    pub(crate) fn pem(&self) -> String {
        der::pem("CERTIFICATE", self.certificate())
    }

    /// The certificate and what goes along with it, in PEM.
    pub(crate) fn chain_pem(&self) -> String {
        let all = self
            .chain
            .iter()
            .map(|certificate| der::pem("CERTIFICATE", certificate));
        all.collect()
    }

    /// The key, for a server of this process.
    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).expect("PKCS#8")
    }
}

/// Kinds of keys that cannot be used, each with what it is called, the algorithm's content in DER and a key.
pub(crate) fn unusable_keys() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let point = |size: usize| [&[4][..], &vec![7; 2 * size]].concat();
    let curve = |id: &[u8]| [&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1][..], id].concat();
    vec![
        (
            "ECDSA on P-521",
            curve(&[6, 5, 0x2b, 0x81, 4, 0, 35]),
            point(66),
        ),
        (
            "one of a kind that is not known here",
            curve(&[6, 5, 0x2b, 0x81, 4, 0, 10]),
            point(32),
        ),
        ("Ed448", vec![6, 3, 0x2b, 101, 113], vec![7; 57]),
        // With its parameters left out, which stand in a sequence.
        (
            "DSA",
            vec![6, 7, 0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1, 0x30, 0],
            vec![2, 1, 7],
        ),
        (
            "RSA of 1024 bits",
            der::RSA.to_vec(),
            der::rsa_public_key(128),
        ),
        (
            "RSA of 16384 bits",
            der::RSA.to_vec(),
            der::rsa_public_key(2048),
        ),
        (
            "RSA for PSS alone",
            vec![6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 10],
            der::rsa_public_key(256),
        ),
    ]
}

/// The RSA key of the tests, in PKCS#1.
pub(crate) fn rsa_pkcs1() -> Vec<u8> {
    let key = PrivatePkcs1KeyDer::from_pem_slice(include_bytes!("rsa-key.pem"));
    key.expect("an RSA key").secret_pkcs1_der().to_vec()
}

/// The same, to make certificates with.
pub(crate) fn rsa() -> KeyPair {
    let pkcs8 = der::pkcs8_of_rsa(&rsa_pkcs1()).into();
    KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &rcgen::PKCS_RSA_SHA256).expect("an RSA key")
}
