//! The identity of a server: its certificate chain and key.

use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{ALPN, certificate_hash, provider, read};
use crate::error::{Error, Result};
use crate::link::config::IdentitySource;

/// How long ago the validity of a self-signed certificate begins, because clients' clocks may be
/// behind.
const SELF_SIGNED_BEFORE: Duration = Duration::from_secs(24 * 3600);

/// How long it is valid in all, because browsers take at most 14 days by hash. The last second
/// counts, too.
const SELF_SIGNED_VALIDITY: Duration = Duration::from_secs(14 * 24 * 3600 - 1);

/// A certificate chain with its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads or makes the identity that `source` names.
    pub fn load(source: &IdentitySource) -> Result<Self> {
        match source {
            IdentitySource::SelfSigned { names } => Self::self_signed(names),
            IdentitySource::PemFiles { certificate, private_key } => {
                Self::from_pem(&read(certificate, "certificate")?, &read(private_key, "private key")?)
            }
            IdentitySource::PemBytes { certificate, private_key } => Self::from_pem(certificate, private_key),
        }
    }

    fn self_signed(names: &[String]) -> Result<Self> {
        let default = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let names = if names.is_empty() { default.to_vec() } else { names.to_vec() };
        let begin = time::OffsetDateTime::now_utc() - SELF_SIGNED_BEFORE;
        let identity = wtransport::Identity::self_signed_builder()
            .subject_alt_names(&names)
            .validity_period(begin, begin + SELF_SIGNED_VALIDITY)
            .build()
            .map_err(|error| Error::Identity(format!("cannot make a self-signed certificate: {error}")))?;
        let chain = identity.certificate_chain().as_slice();
        Ok(Self {
            chain: chain.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect(),
            key: PrivateKeyDer::try_from(identity.private_key().secret_der().to_vec())
                .map_err(|error| Error::Identity(error.to_owned()))?,
        })
    }

    fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self> {
        let chain = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::Identity(format!("the certificate is not PEM: {error}")))?;
        if chain.is_empty() {
            return Err(Error::Identity("the certificate PEM holds no CERTIFICATE section".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| Error::Identity(format!("the private key PEM cannot be used: {error}")))?;
        Ok(Self { chain, key })
    }

    /// SHA-256 of the leaf certificate, as `serverCertificateHashes` takes it.
    pub fn certificate_hash(&self) -> Result<[u8; 32]> {
        certificate_hash(&self.chain[0])
            .ok_or_else(|| Error::Identity("the leaf certificate cannot be parsed".into()))
    }

    /// The TLS configuration of a server with this identity.
    pub fn server_config(&self) -> Result<rustls::ServerConfig> {
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| Error::Tls(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    Error::KeyMismatch("the certificate's public key is another one".into())
                }
                error => Error::Identity(error.to_string()),
            })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // 0-RTT stays off, because a CONNECT could be replayed.
        config.max_early_data_size = 0;
        Ok(config)
    }
}
