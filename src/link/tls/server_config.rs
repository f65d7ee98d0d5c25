//! The TLS configuration of servers.

use std::sync::Arc;

use rustls::server::NoServerSessionStorage;

use super::identity::identities::Identities;
use super::key_log::key_log;
use super::{ALPN, client_certificates, provider};
use crate::error::{Error, Result};
use crate::link::config::{ClientCertificates, ListenOptions};

/// The TLS configuration of a server with these options, which shows `identities`.
pub fn server_config(identities: &Arc<Identities>, options: &ListenOptions) -> Result<rustls::ServerConfig> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::Tls(error.to_string()))?
        .with_client_cert_verifier(client_certificates::verifier(&options.client_certificates)?)
        .with_cert_resolver(Arc::clone(identities) as _);
    if matches!(options.client_certificates, ClientCertificates::Off) {
        config.session_storage = Arc::clone(identities) as _;
    } else {
        // rustls does not look again at the client's certificate when a session is resumed, although
        // it may have expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = vec![ALPN.to_vec()];
    // 0-RTT stays off, because a CONNECT could be replayed.
    config.max_early_data_size = 0;
    config.key_log = key_log(options.key_log_file.as_deref())?;
    Ok(config)
}
