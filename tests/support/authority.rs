//! A certificate authority, and certificates with every fault that a peer's may have.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use wtgram::link::config::{IdentitySource, Trust};
use wtransport::tls::{Certificate, PrivateKey};

pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { pem: pem(certificate.der()), issuer: Issuer::new(params, key) }
    }

    /// Chain and key, in PEM.
    pub fn sign(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (pem(certificate.der()), key_pem(&key))
    }

    /// An identity for these names, valid now for a few days.
    pub fn identity(&self, names: &[&str]) -> IdentitySource {
        from_pem(self.sign(&good(names)))
    }

    pub fn trust(&self) -> Trust {
        Trust::CaPem(self.pem.clone().into_bytes())
    }
}

pub fn from_pem((certificate, private_key): (String, String)) -> IdentitySource {
    IdentitySource::PemBytes { certificate: certificate.into_bytes(), private_key: private_key.into_bytes() }
}

fn pem(der: &[u8]) -> String {
    Certificate::from_der(der.to_vec()).expect("a certificate").to_pem()
}

fn key_pem(key: &KeyPair) -> String {
    PrivateKey::from_der_pkcs8(key.serialize_der()).to_secret_pem()
}

/// A certificate for these names, valid now for a few days.
pub fn good(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    valid(&mut params, -1, 5);
    params
}

/// Like [`good`], but of no use for clients.
pub fn only_for_servers(names: &[&str]) -> CertificateParams {
    let mut params = good(names);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// Sets the validity, in days from now.
pub fn valid(params: &mut CertificateParams, from: i32, to: i32) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let day = Duration::from_secs(24 * 3600);
    let at = |days: i32| {
        let shift = day * days.unsigned_abs();
        epoch + if days < 0 { now - shift } else { now + shift }
    };
    (params.not_before, params.not_after) = (at(from), at(to));
}
