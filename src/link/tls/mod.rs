//! TLS: the identity of servers, the trust of clients, and the crypto session of QUIC.
//!
//! - `client_certificates`: mutual TLS; `authorities`: who signs certificates.
//! - `identity`: certificates and keys; `server_config`: the configuration of servers; `key_log`:
//!   secrets for those who debug.
//! - `trust`: verifiers of clients, which remember why they refused.
//! - `crypto_session`: the crypto session; `keys`: its packet keys; `reset_at`: RESET_STREAM_AT;
//!   `retry`: the integrity of Retry packets.

mod authorities;
mod client_certificates;
mod crypto_session;
mod identity;
mod key_log;
mod keys;
mod reset_at;
mod retry;
mod server_config;
mod trust;

use std::path::Path;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use quinn_proto::ConnectionError;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::pki_types::CertificateDer;
use wtransport::tls::Certificate;

pub use client_certificates::{certificate_refused_by_server, certificate_refused_here};
pub use crypto_session::{ClientCrypto, Extensions, HandshakeData, ServerCrypto};
pub use identity::Identity;
pub use identity::identities::Identities;
pub use keys::FrameFilter;
#[cfg(any(test, fuzzing))]
pub use reset_at::fuzz::tls_reset_at;
pub use reset_at::{ConnectReset, ResetAt};
pub use server_config::server_config;
pub use trust::{Refusal, client_config};

use crate::error::{Error, Result};

/// ALPN of HTTP/3.
const ALPN: &[u8] = b"h3";

/// The codes of QUIC that carry a TLS alert (RFC 9001 section 4.8).
pub const CRYPTO_ERRORS: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;

/// Whether a connection was lost because TLS failed on either side.
pub fn is_crypto_error(lost: &ConnectionError) -> bool {
    match lost {
        ConnectionError::TransportError(error) => CRYPTO_ERRORS.contains(&error.code.into()),
        ConnectionError::ConnectionClosed(close) => CRYPTO_ERRORS.contains(&close.error_code.into()),
        _ => false,
    }
}

/// The cipher suites of TLS. AES-128 comes before AES-256, which rustls prefers, because AES-128
/// takes 3 to 10 % less CPU time a datagram. A server takes the first of the client's suites that
/// it has.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceCell<Arc<CryptoProvider>> = OnceCell::new();
    Arc::clone(PROVIDER.get_or_init(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                TLS13_AES_128_GCM_SHA256,
                TLS13_AES_256_GCM_SHA384,
                TLS13_CHACHA20_POLY1305_SHA256,
            ],
            ..rustls::crypto::ring::default_provider()
        })
    }))
}

fn certificate_hash(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    Certificate::from_der(certificate.to_vec()).ok().map(|parsed| *parsed.hash().as_ref())
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::Identity(format!("cannot read the {what} file {}: {error}", path.display())))
}

/// One certificate of those that a peer has shown, as DER.
pub fn certificate_at<'a>(shown: &'a [CertificateDer<'static>], index: usize) -> Result<&'a [u8]> {
    let certificate = shown.get(index).map(|certificate| &**certificate);
    certificate.ok_or(Error::InvalidArgument("the peer has shown fewer certificates".into()))
}
