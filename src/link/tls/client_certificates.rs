//! Certificates of clients (mutual TLS): what a client shows, and how a server checks it.

use std::sync::Arc;

use quinn_proto::ConnectionError;
use rustls::AlertDescription;
use rustls::client::ResolvesClientCert;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::SingleCertAndKey;

use super::authorities::roots_from_pem;
use super::identity::Identity;
use super::{CRYPTO_ERRORS, provider, read};
use crate::error::{Error, Result};
use crate::link::config::{CaSource, ClientCertificates, IdentitySource};
use crate::text::readable;

/// What checks the certificates of clients.
pub(super) fn verifier(wanted: &ClientCertificates) -> Result<Arc<dyn ClientCertVerifier>> {
    let (authorities, is_required) = match wanted {
        ClientCertificates::Off => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientCertificates::Optional(authorities) => (authorities, false),
        ClientCertificates::Required(authorities) => (authorities, true),
    };
    let roots = roots_from_pem(&match authorities {
        CaSource::File(path) => read(path, "client CA certificates")?,
        CaSource::Pem(pem) => pem.clone(),
    })?;
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let builder = if is_required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| Error::Tls(error.to_string()))
}

/// What a client shows to servers that ask for a certificate.
pub(super) fn shown(source: &IdentitySource) -> Result<Arc<dyn ResolvesClientCert>> {
    let identity = match source {
        IdentitySource::PemFiles { certificate, private_key } => {
            Identity::from_files(certificate, private_key)?
        }
        IdentitySource::PemBytes { certificate, private_key } => {
            Identity::from_pem(certificate, private_key)?
        }
        IdentitySource::SelfSigned { .. } => {
            let why = "no server accepts a self-signed client certificate: take one from PEM";
            return Err(Error::InvalidArgument(why.into()));
        }
    };
    Ok(Arc::new(SingleCertAndKey::from(identity.key)))
}

/// The error of a client whose certificate, or lack of one, the server refused.
pub fn certificate_refused_by_server(error: &ConnectionError) -> Option<Error> {
    let ConnectionError::ConnectionClosed(close) = error else { return None };
    let alert = about_certificate(close.error_code.into())?;
    let reason = readable(String::from_utf8_lossy(&close.reason));
    Some(Error::ClientCertificate(match alert {
        AlertDescription::CertificateRequired => "the server requires one, and none was given".into(),
        _ => format!("the server does not accept it: {alert:?}: {reason}"),
    }))
}

/// Why this side, a server, refused the certificate of a client, if it did.
pub fn certificate_refused_here(error: &ConnectionError) -> Option<&str> {
    let ConnectionError::TransportError(error) = error else { return None };
    about_certificate(error.code.into()).map(|_| error.reason.as_str())
}

/// The TLS alert in a code of QUIC, if it is about a certificate of the peer (RFC 8446 section 6.2).
fn about_certificate(code: u64) -> Option<AlertDescription> {
    let alert = u8::try_from(code.checked_sub(*CRYPTO_ERRORS.start())?).ok()?.into();
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            // Its signature.
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
    )
    .then_some(alert)
}
