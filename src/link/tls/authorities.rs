//! Certificate authorities: those of the system, and those of a PEM text.

use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Error, Result};

/// The system's certificate authorities, read once.
pub(super) fn system_roots() -> Result<Arc<RootCertStore>> {
    static ROOTS: OnceCell<Arc<RootCertStore>> = OnceCell::new();
    ROOTS
        .get_or_try_init(|| {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                let why = found.errors.first().map_or("none are installed".into(), ToString::to_string);
                return Err(Error::CertificateUntrusted(format!("no system certificate authorities: {why}")));
            }
            Ok(Arc::new(roots))
        })
        .cloned()
}

/// The authorities of a PEM text, of which there must be one.
pub(super) fn roots_from_pem(pem: &[u8]) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate
            .map_err(|error| Error::Identity(format!("the CA certificates are not PEM: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| Error::Identity(format!("unusable CA certificate: {error}")))?;
    }
    if roots.is_empty() {
        return Err(Error::Identity("the CA PEM holds no CERTIFICATE section".into()));
    }
    Ok(Arc::new(roots))
}
