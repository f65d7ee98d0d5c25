//! TLS: identities, and verifiers that remember why they refused.

use std::path::Path;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use wtransport::tls::client::ServerHashVerification;
use wtransport::tls::{Certificate, Sha256Digest};

use super::config::{IdentitySource, Trust};
use crate::error::{Error, Result};

/// ALPN of HTTP/3.
const ALPN: &[u8] = b"h3";

/// Validity of a self-signed certificate. Browsers accept at most 14 days by hash; one is left for wrong clocks.
const SELF_SIGNED_DAYS: u32 = 13;

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
        let identity = wtransport::Identity::self_signed_builder()
            .subject_alt_names(&names)
            .from_now_utc()
            .validity_days(SELF_SIGNED_DAYS)
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

    /// The TLS side of a server with this identity.
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
        // 0-RTT stays off: a CONNECT could be replayed.
        config.max_early_data_size = 0;
        Ok(config)
    }
}

/// The TLS side of one client session, and the place where its verifier leaves the reason of a refusal.
pub fn client_config(trust: &Trust) -> Result<(rustls::ClientConfig, Refusal)> {
    let refusal = Refusal::default();
    let verifier = Recording { check: Check::new(trust)?, refusal: refusal.clone() };
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
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
        let text = cause.to_string();
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

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceCell<Arc<CryptoProvider>> = OnceCell::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// The system's authorities, read once.
fn system_roots() -> Result<Arc<RootCertStore>> {
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

fn roots_from_pem(pem: &[u8]) -> Result<Arc<RootCertStore>> {
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

fn certificate_hash(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    Certificate::from_der(certificate.to_vec()).ok().map(|parsed| *parsed.hash().as_ref())
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::Identity(format!("cannot read the {what} file {}: {error}", path.display())))
}
