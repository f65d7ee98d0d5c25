//! An identity whose every byte is fixed, signed by an authority whose every byte is fixed.
//!
//! They use Ed25519: its signatures have one length and no random numbers in them. ECDSA signatures
//! differ by a byte or two, and so do the sizes of packets.

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519, SerialNumber, date_time_ymd,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use wtgram::link::config::{IdentitySource, Trust};
use wtransport::tls::{Certificate, PrivateKey};

/// The name that the certificate is for.
pub const NAME: &str = "simulation.test";

/// The identity, and the certificate by which clients trust it.
pub fn fixed() -> (IdentitySource, Trust) {
    let authority_key = key(1);
    let mut authority = params(Vec::new(), 1);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a certificate");
    let issuer = Issuer::new(authority, authority_key);
    let leaf_key = key(2);
    let leaf = params(vec![NAME.to_owned()], 2).signed_by(&leaf_key, &issuer).expect("a certificate");
    let pem = |der: &[u8]| Certificate::from_der(der.to_vec()).expect("a certificate").to_pem().into_bytes();
    let identity = IdentitySource::PemBytes {
        certificate: pem(leaf.der()),
        private_key: PrivateKey::from_der_pkcs8(leaf_key.serialize_der()).to_secret_pem().into_bytes(),
    };
    (identity, Trust::CaPem(pem(root.der())))
}

fn params(names: Vec<String>, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(names).expect("names");
    params.serial_number = Some(SerialNumber::from(serial));
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2040, 1, 1));
    params
}

/// The Ed25519 key whose seed is 32 times this byte, wrapped as PKCS#8 (RFC 8410 section 7).
fn key(seed: u8) -> KeyPair {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([seed; 32]);
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_ED25519).expect("a key")
}
