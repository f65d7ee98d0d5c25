//! TLS: who a server is, whom a client trusts, and the crypto session that QUIC runs over it.
//!
//! - `identity`: certificates and keys of servers.
//! - `trust`: verifiers of clients, which remember why they refused.

mod identity;
mod trust;

use std::path::Path;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use wtransport::tls::Certificate;

pub use identity::Identity;
pub use trust::{Refusal, client_config};

use crate::error::{Error, Result};

/// ALPN of HTTP/3.
const ALPN: &[u8] = b"h3";

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceCell<Arc<CryptoProvider>> = OnceCell::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

fn certificate_hash(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    Certificate::from_der(certificate.to_vec()).ok().map(|parsed| *parsed.hash().as_ref())
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::Identity(format!("cannot read the {what} file {}: {error}", path.display())))
}
