//! Identities that a server makes for itself, of a kind that browsers accept by hash.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Identity;
use crate::error::{Error, Result};

/// How long ago the validity of a self-signed certificate begins, because clients' clocks may be
/// behind.
const BEFORE: Duration = Duration::from_secs(24 * 3600);

/// How long it is valid in all, because browsers take at most 14 days by hash. The last second
/// counts, too.
const VALIDITY: Duration = Duration::from_secs(14 * 24 * 3600 - 1);

/// A new key with its certificate.
pub(super) fn make(names: &[String]) -> Result<Identity> {
    let default = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let names = if names.is_empty() { default.to_vec() } else { names.to_vec() };
    let begin = time::OffsetDateTime::now_utc() - BEFORE;
    let identity = wtransport::Identity::self_signed_builder()
        .subject_alt_names(&names)
        .validity_period(begin, begin + VALIDITY)
        .build()
        .map_err(|error| Error::Identity(format!("cannot make a self-signed certificate: {error}")))?;
    let chain = identity.certificate_chain().as_slice();
    let chain = chain.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect();
    let key = PrivateKeyDer::try_from(identity.private_key().secret_der().to_vec())
        .map_err(|error| Error::Identity(error.to_owned()))?;
    Identity::new(chain, key)
}
