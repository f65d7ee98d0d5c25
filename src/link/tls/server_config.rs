//! The TLS configuration of servers.

use std::sync::Arc;

use super::identity::identities::Identities;
use super::key_log::key_log;
use super::{ALPN, client_certificates, provider};
use crate::error::{Error, Result};
use crate::link::config::ListenOptions;

/// The TLS configuration of a server with these options, which shows `identities`.
pub fn server_config(identities: &Arc<Identities>, options: &ListenOptions) -> Result<rustls::ServerConfig> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::Tls(error.to_string()))?
        .with_client_cert_verifier(client_certificates::verifier(&options.client_certificates)?)
        .with_cert_resolver(Arc::clone(identities) as _);
    config.session_storage = Arc::clone(identities) as _;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // 0-RTT stays off, because a CONNECT could be replayed.
    config.max_early_data_size = 0;
    config.key_log = key_log(options.key_log_file.as_deref())?;
    Ok(config)
}
