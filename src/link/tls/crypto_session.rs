//! The crypto session: rustls in the form that quinn-proto needs, with RESET_STREAM_AT, which
//! quinn-proto lacks, and two extension points.
//!
//! Transport parameters can be appended, and a [`FrameFilter`] sees the frames of 1-RTT packets in
//! the clear. Apart from that it behaves like quinn-proto's own session, errors included.

use std::any::Any;
use std::io::Cursor;
use std::sync::Arc;

use quinn_proto::crypto::{self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, UnsupportedVersion};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::CipherSuite;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::quic::{self, Connection, KeyChange, Secrets, Suite, Version};

use super::keys::{self, FrameFilter};
use super::reset_at::{ConnectReset, TRANSPORT_PARAMETERS};
use super::{provider, retry};

/// What sessions carry in addition to TLS and to RESET_STREAM_AT. The default is nothing.
#[derive(Clone, Default)]
pub struct Extensions {
    /// Encoded transport parameters (RFC 9000 section 18), appended to ours and those of
    /// quinn-proto. No parameter may occur twice.
    pub transport_parameters: Vec<u8>,
    /// Sees the frames of every session of this configuration.
    pub frame_filter: Option<Arc<dyn FrameFilter>>,
}

impl Extensions {
    fn parameters(&self, of_quic: &TransportParameters) -> Vec<u8> {
        let mut bytes = Vec::new();
        of_quic.write(&mut bytes);
        bytes.extend_from_slice(TRANSPORT_PARAMETERS);
        bytes.extend_from_slice(&self.transport_parameters);
        bytes
    }
}

/// Starts the crypto sessions of clients.
pub struct ClientCrypto {
    tls: Arc<rustls::ClientConfig>,
    extensions: Extensions,
}

impl ClientCrypto {
    /// Sessions with `tls`, a configuration for TLS 1.3 only.
    pub fn new(tls: rustls::ClientConfig, extensions: Extensions) -> Self {
        Self { tls: Arc::new(tls), extensions }
    }
}

impl crypto::ClientConfig for ClientCrypto {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn crypto::Session>, ConnectError> {
        let version = known(version)?;
        let name = ServerName::try_from(server_name)
            .map_err(|_| ConnectError::InvalidServerName(server_name.into()))?
            .to_owned();
        let parameters = self.extensions.parameters(params);
        let tls = quic::ClientConnection::new(Arc::clone(&self.tls), version, name, parameters)
            .expect("the configuration is for TLS 1.3, and the system has random numbers");
        Ok(Box::new(CryptoSession::new(version, tls.into(), &self.extensions)))
    }
}

/// Starts the crypto sessions of servers.
pub struct ServerCrypto {
    tls: Arc<rustls::ServerConfig>,
    extensions: Extensions,
}

impl ServerCrypto {
    /// Sessions with `tls`, a configuration for TLS 1.3 only and without early data.
    pub fn new(tls: rustls::ServerConfig, extensions: Extensions) -> Self {
        Self { tls: Arc::new(tls), extensions }
    }
}

impl crypto::ServerConfig for ServerCrypto {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        Ok(initial_keys(known(version)?, dst_cid, Side::Server))
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        retry::tag(accepted(version), orig_dst_cid, packet)
    }

    fn start_session(
        self: Arc<Self>,
        version: u32,
        params: &TransportParameters,
    ) -> Box<dyn crypto::Session> {
        let version = accepted(version);
        let parameters = self.extensions.parameters(params);
        let tls = quic::ServerConnection::new(Arc::clone(&self.tls), version, parameters)
            .expect("the configuration is for TLS 1.3 and without early data");
        Box::new(CryptoSession::new(version, tls.into(), &self.extensions))
    }
}

/// What is known after the peer's first flight has been read; `handshake_data` returns it.
pub struct HandshakeData {
    /// The application protocol that was agreed on.
    pub protocol: Option<Vec<u8>>,
    /// The name that a client asked for; `None` on clients.
    pub server_name: Option<String>,
    /// The peer's transport parameters as they arrived, including those that quinn-proto does not
    /// know.
    pub transport_parameters: Vec<u8>,
    /// Where the peer's reset of the CONNECT stream waits.
    pub connect_reset: Arc<ConnectReset>,
}

struct CryptoSession {
    version: Version,
    tls: Connection,
    connect_reset: Arc<ConnectReset>,
    frame_filter: Option<Arc<dyn FrameFilter>>,
    has_handshake_data: bool,
    next_secrets: Option<Secrets>,
}

impl CryptoSession {
    fn new(version: Version, tls: Connection, extensions: &Extensions) -> Self {
        let frame_filter = extensions.frame_filter.clone();
        Self {
            version,
            tls,
            connect_reset: Arc::default(),
            frame_filter,
            has_handshake_data: false,
            next_secrets: None,
        }
    }

    fn side(&self) -> Side {
        match self.tls {
            Connection::Client(_) => Side::Client,
            Connection::Server(_) => Side::Server,
        }
    }

    fn server_name(&self) -> Option<&str> {
        match &self.tls {
            Connection::Client(_) => None,
            Connection::Server(tls) => tls.server_name(),
        }
    }
}

impl crypto::Session for CryptoSession {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        initial_keys(self.version, dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.has_handshake_data.then(|| -> Box<dyn Any> {
            Box::new(HandshakeData {
                protocol: self.tls.alpn_protocol().map(<[u8]>::to_vec),
                server_name: self.server_name().map(str::to_owned),
                transport_parameters: self.tls.quic_transport_parameters().unwrap_or_default().to_vec(),
                connect_reset: Arc::clone(&self.connect_reset),
            })
        })
    }

    /// The peer's certificates, as `Vec<CertificateDer<'static>>`.
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        let chain = self.tls.peer_certificates()?;
        let chain: Vec<CertificateDer<'static>> = chain.iter().map(|one| one.clone().into_owned()).collect();
        Some(Box::new(chain))
    }

    // Early data is off on both sides.
    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn crypto::PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.tls.read_hs(buf).map_err(|error| {
            let code = match self.tls.alert() {
                Some(alert) => TransportErrorCode::crypto(alert.into()),
                None => TransportErrorCode::PROTOCOL_VIOLATION,
            };
            let reason = match self.tls.alert() {
                Some(_) => error.to_string(),
                None => format!("TLS error: {error}"),
            };
            TransportError { code, frame: None, reason }
        })?;
        // rustls does not report when the peer's first flight is complete. Any of these means that
        // it is.
        let complete =
            self.tls.alpn_protocol().is_some() || self.server_name().is_some() || !self.is_handshaking();
        let news = complete && !self.has_handshake_data;
        self.has_handshake_data |= complete;
        Ok(news)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let Some(bytes) = self.tls.quic_transport_parameters() else { return Ok(None) };
        Ok(Some(TransportParameters::read(self.side(), &mut Cursor::new(bytes))?))
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        Some(match self.tls.write_hs(buf)? {
            KeyChange::Handshake { keys } => keys::handshake_keys(keys),
            KeyChange::OneRtt { keys, next } => {
                self.next_secrets = Some(next);
                keys::keys(keys, &self.connect_reset, self.frame_filter.as_ref())
            }
        })
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn crypto::PacketKey>>> {
        let next = self.next_secrets.as_mut()?.next_packet_keys();
        Some(keys::packet_keys(next.local, next.remote, &self.connect_reset, self.frame_filter.as_ref()))
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        retry::is_valid(self.version, orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.tls
            .export_keying_material(output, label, Some(context))
            .map(|_| ())
            .map_err(|_| ExportKeyingMaterialError)
    }
}

/// The keys of Initial packets. These packets always use AES-128-GCM, whatever the handshake agrees
/// on.
fn initial_keys(version: Version, dst_cid: &ConnectionId, side: Side) -> Keys {
    let side = match side {
        Side::Client => rustls::Side::Client,
        Side::Server => rustls::Side::Server,
    };
    keys::handshake_keys(initial_suite().keys(dst_cid, side, version))
}

fn initial_suite() -> Suite {
    provider()
        .cipher_suites
        .iter()
        .filter(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256)
        .find_map(|suite| suite.tls13()?.quic_suite())
        .expect("our provider has AES-128-GCM")
}

/// The version in rustls's form, including the drafts that quinn-proto supports.
fn known(version: u32) -> Result<Version, UnsupportedVersion> {
    match version {
        0xff00_001d..=0xff00_0020 => Ok(Version::V1Draft),
        0x0000_0001 | 0xff00_0021..=0xff00_0022 => Ok(Version::V1),
        _ => Err(UnsupportedVersion),
    }
}

fn accepted(version: u32) -> Version {
    known(version).unwrap_or_else(|_| unreachable!("initial_keys refused the version before"))
}
