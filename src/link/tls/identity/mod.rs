//! The identity of one side: its certificate chain and key.
//!
//! - `self_signed`: identities that a server makes for itself, and that renew themselves.
//! - [`identities`]: the identities of a server, by name.

pub mod identities;
mod self_signed;

use std::path::Path;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use super::{certificate_hash, provider, read};
use crate::error::{Error, Result};

/// A certificate chain with its key.
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    hash: [u8; 32],
}

impl Identity {
    pub(super) fn from_files(certificate: &Path, key: &Path) -> Result<Self> {
        Self::from_pem(&read(certificate, "certificate")?, &read(key, "private key")?)
    }

    pub(super) fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self> {
        let chain = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::Identity(format!("the certificate is not PEM: {error}")))?;
        if chain.is_empty() {
            return Err(Error::Identity("the certificate PEM holds no CERTIFICATE section".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| Error::Identity(format!("the private key PEM cannot be used: {error}")))?;
        Self::new(chain, key)
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self> {
        let hash = certificate_hash(&chain[0])
            .ok_or_else(|| Error::Identity("the leaf certificate cannot be parsed".into()))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                Error::KeyMismatch("the certificate's public key is another one".into())
            }
            error => Error::Identity(error.to_string()),
        })?;
        Ok(Self { key: Arc::new(key), hash })
    }

    /// SHA-256 of the leaf certificate, as `serverCertificateHashes` takes it.
    pub fn certificate_hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Checks that the certificate is for `name`.
    fn check_name(&self, name: &ServerName<'_>) -> Result<()> {
        let certificate = self.key.end_entity_cert().and_then(ParsedCertificate::try_from);
        certificate
            .and_then(|certificate| verify_server_name(&certificate, name))
            .map_err(|error| Error::CertificateNameMismatch(error.to_string()))
    }
}
