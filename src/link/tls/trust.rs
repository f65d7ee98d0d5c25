//! The trust of clients: verifiers that remember why they refused.

use std::sync::Arc;

use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use wtransport::tls::Sha256Digest;
use wtransport::tls::client::ServerHashVerification;

use super::authorities::{roots_from_pem, system_roots};
use super::key_log::key_log;
use super::{ALPN, certificate_hash, client_certificates, provider, read};
use crate::error::{Error, Result};
use crate::link::config::{ConnectOptions, Trust};
use crate::text::readable;

/// The TLS configuration of one client session, and the place where its verifier leaves the reason
/// for a refusal.
pub fn client_config(options: &ConnectOptions) -> Result<(rustls::ClientConfig, Refusal)> {
    let refusal = Refusal::default();
    let verifier = Recording { check: Check::new(&options.trust)?, refusal: refusal.clone() };
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some(source) => builder.with_client_cert_resolver(client_certificates::shown(source)?),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.key_log = key_log(options.key_log_file.as_deref())?;
    Ok((config, refusal))
}

/// Why a certificate was refused, once it was. QUIC itself reports only "the handshake failed".
#[derive(Clone, Default, Debug)]
pub struct Refusal(Arc<Mutex<Option<Error>>>);

impl Refusal {
    /// The reason, if there was a refusal.
    pub fn take(&self) -> Option<Error> {
        self.0.lock().take()
    }
}

#[derive(Debug)]
struct Recording {
    check: Check,
    refusal: Refusal,
}

#[derive(Debug)]
enum Check {
    Authorities(Arc<WebPkiServerVerifier>),
    Hashes(Vec<[u8; 32]>, ServerHashVerification),
    Nothing,
}

impl Check {
    fn new(trust: &Trust) -> Result<Self> {
        Ok(match trust {
            Trust::System => Self::authorities(system_roots()?)?,
            Trust::CaFile(path) => Self::authorities(roots_from_pem(&read(path, "CA certificates")?)?)?,
            Trust::CaPem(pem) => Self::authorities(roots_from_pem(pem)?)?,
            Trust::CertificateHashes(hashes) if hashes.is_empty() => {
                return Err(Error::InvalidArgument("no certificate hash is given".into()));
            }
            Trust::CertificateHashes(hashes) => Self::Hashes(
                hashes.clone(),
                ServerHashVerification::new(hashes.iter().copied().map(Sha256Digest::new)),
            ),
            Trust::InsecureNoVerification => {
                tracing::warn!(
                    "certificate verification is off: anyone on the path can read and change the session"
                );
                Self::Nothing
            }
        })
    }

    fn authorities(roots: Arc<RootCertStore>) -> Result<Self> {
        WebPkiServerVerifier::builder_with_provider(roots, provider())
            .build()
            .map(Self::Authorities)
            .map_err(|error| Error::Tls(error.to_string()))
    }
}

impl ServerCertVerifier for Recording {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = match &self.check {
            Check::Authorities(inner) => {
                inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Check::Hashes(_, inner) => {
                inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Check::Nothing => Ok(ServerCertVerified::assertion()),
        };
        if let Err(error) = &verdict {
            *self.refusal.0.lock() = Some(self.reason(error, end_entity, server_name));
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

impl Recording {
    fn reason(
        &self,
        error: &rustls::Error,
        certificate: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
    ) -> Error {
        if let Check::Hashes(hashes, _) = &self.check {
            return match certificate_hash(certificate) {
                Some(hash) if hashes.contains(&hash) => Error::CertificateExpired(format!(
                    "the hash matches, but the certificate is not one that may be trusted by hash \
                     (valid now, for at most 14 days, ECDSA P-256): {error}"
                )),
                Some(hash) => Error::CertificateHashMismatch(format!(
                    "the server's certificate has SHA-256 {}",
                    hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
                )),
                None => Error::Tls("the server's certificate cannot be parsed".into()),
            };
        }
        let rustls::Error::InvalidCertificate(cause) = error else { return Error::Tls(error.to_string()) };
        // The text may name the hosts that the peer's certificate is for.
        let text = readable(cause.to_string());
        match cause {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Error::CertificateExpired(text),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Error::CertificateNameMismatch(format!("{text} (connecting to {})", server_name.to_str()))
            }
            CertificateError::UnknownIssuer => {
                Error::CertificateUntrusted("no trusted authority has signed the server's certificate".into())
            }
            _ => Error::CertificateUntrusted(text),
        }
    }
}
