//! Options of endpoints: plain data, checked where it is used.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::ids::Label;
use crate::runtime::clock::WallClock;

/// Options of a QUIC connection, for servers and clients alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// Interval of keep-alive packets; `None` sends none. Default 10 s.
    pub keep_alive: Option<Duration>,
    /// How long a peer may be silent before its connection ends; `None` sets no limit. Default 30
    /// s.
    pub idle_timeout: Option<Duration>,
    /// `SO_RCVBUF` to ask the system for, in bytes; 0 means the library's default.
    pub socket_receive_buffer_bytes: usize,
    /// `SO_SNDBUF` to ask the system for, in bytes; 0 means the library's default.
    pub socket_send_buffer_bytes: usize,
    /// Congestion control algorithm.
    pub congestion: Congestion,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            keep_alive: Some(Duration::from_secs(10)),
            idle_timeout: Some(Duration::from_secs(30)),
            socket_receive_buffer_bytes: 0,
            socket_send_buffer_bytes: 0,
            congestion: Congestion::Cubic,
        }
    }
}

/// A congestion control algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Congestion {
    /// CUBIC (RFC 9438).
    #[default]
    Cubic,
    /// BBR, as quinn implements it: experimental.
    Bbr,
    /// NewReno (RFC 9002).
    NewReno,
}

/// The longest deadline for an attempt to connect or for a handshake.
pub const MAX_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Options of a server.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Address to bind; `None` is every address of both families.
    pub host: Option<IpAddr>,
    /// Port to bind; 0 takes a free one.
    pub port: u16,
    /// Certificate and key.
    pub identity: IdentitySource,
    /// One deadline for TLS handshake, SETTINGS, CONNECT and the program's answer together. Default
    /// 10 s.
    pub handshake_timeout: Duration,
    /// Established sessions that may wait for `accept`, or requests that may wait for the program's
    /// answer, also those that it has taken; more are refused. Default 128.
    pub accept_backlog: usize,
    /// Web pages whose requests are accepted, by their origin; `*` accepts all. None means pages of
    /// the host that the request is for.
    pub allowed_origins: Vec<String>,
    /// Hosts, with or without port, for which requests are accepted; none means all.
    pub allowed_authorities: Vec<String>,
    /// Paths for which requests are accepted, with `*` at the end for all that begin like this;
    /// none means all.
    pub allowed_paths: Vec<String>,
    /// Whether the program answers each request, instead of the rules.
    pub asks: bool,
    /// Subprotocols in the order of preference, of which the server picks one that the client
    /// offers.
    pub subprotocols: Vec<String>,
    /// What clients may use up.
    pub limits: Limits,
    /// Options of each connection.
    pub connection: ConnectionOptions,
    /// Says when a self-signed certificate is to be renewed.
    pub clock: WallClock,
    /// Identities for clients that ask for these names (SNI).
    pub named_identities: Vec<(String, IdentitySource)>,
    /// Whether clients are asked for a certificate. Default off.
    pub client_certificates: ClientCertificates,
    /// A UDP socket that is bound already. The server uses a duplicate of it instead of binding
    /// `host` and `port`, which must then keep their defaults.
    pub socket: Option<Arc<OwnedFd>>,
    /// On how many lanes its sessions are, each with a socket; 0 means all of the runtime's. Default
    /// 0. A server with a `socket` that is handed in has one.
    pub lanes: u32,
    /// What a load balancer reads in connection ids.
    pub label: Label,
    /// The file to which the secrets of each connection are appended.
    pub key_log_file: Option<PathBuf>,
}

/// What the clients of a server may use up. The defaults are for a public server, and leave enough
/// for many clients behind one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at any time, half-open ones included; `None` sets no limit. Default
    /// 16,384.
    pub max_sessions: Option<usize>,
    /// The same for one address: an IPv4 address, or an IPv6 network of 64 bits. Default 2,048.
    pub max_sessions_per_address: Option<usize>,
    /// Connections that one address may open in a second; five times as many at once after a quiet
    /// time. Default 200.
    pub connections_per_second_per_address: Option<u32>,
    /// The most connections whose session is not established. When there are more, the one that
    /// has waited longest ends. Those whose request waits for the program do not count. Default 1,024.
    pub max_half_open: usize,
    /// With so many of them, clients must prove their address first; 0: always. Default 64.
    pub retry_above_half_open: usize,
    /// The most bytes of header fields of a request, counted as in RFC 9114 section 4.2.2. Default
    /// 16 KiB.
    pub max_header_bytes: usize,
    /// The most header fields of a request. Default 100.
    pub max_header_fields: usize,
    /// The longest path with its query, in bytes. Default 4 KiB.
    pub max_path_bytes: usize,
    /// Datagrams that a session may send in a second; `None`, the default, sets no limit.
    pub datagrams_per_second: Option<u64>,
    /// Bytes of datagrams that a session may send in a second; `None`, the default, sets no limit.
    pub bytes_per_second: Option<u64>,
    /// How long an established session may wait for `accept`; `None` sets no limit. Default 30 s.
    pub accept_timeout: Option<Duration>,
    /// Memory that clients may make the server hold, in bytes; `None` sets no limit. Default 1 GiB.
    pub max_memory_bytes: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sessions: Some(16_384),
            max_sessions_per_address: Some(2048),
            connections_per_second_per_address: Some(200),
            max_half_open: 1024,
            retry_above_half_open: 64,
            max_header_bytes: 16 * 1024,
            max_header_fields: 100,
            max_path_bytes: 4096,
            datagrams_per_second: None,
            bytes_per_second: None,
            accept_timeout: Some(Duration::from_secs(30)),
            max_memory_bytes: Some(1024 * 1024 * 1024),
        }
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            host: None,
            port: 0,
            identity: IdentitySource::SelfSigned { names: Vec::new() },
            handshake_timeout: Duration::from_secs(10),
            accept_backlog: 128,
            allowed_origins: Vec::new(),
            allowed_authorities: Vec::new(),
            allowed_paths: Vec::new(),
            asks: false,
            subprotocols: Vec::new(),
            limits: Limits::default(),
            connection: ConnectionOptions::default(),
            clock: WallClock::default(),
            named_identities: Vec::new(),
            client_certificates: ClientCertificates::Off,
            socket: None,
            lanes: 0,
            label: Label::default(),
            key_log_file: None,
        }
    }
}

/// Where a server's certificate and key come from.
#[derive(Clone)]
pub enum IdentitySource {
    /// A new ECDSA P-256 certificate, valid for 14 days from a day ago. A browser accepts it by its
    /// hash. It renews itself.
    SelfSigned {
        /// DNS names and IP addresses; none means `localhost`, `127.0.0.1` and `::1`.
        names: Vec<String>,
    },
    /// PEM files: the chain, leaf first, and the key.
    PemFiles {
        /// Certificate chain.
        certificate: PathBuf,
        /// Private key.
        private_key: PathBuf,
    },
    /// The same two as PEM bytes.
    PemBytes {
        /// Certificate chain.
        certificate: Vec<u8>,
        /// Private key.
        private_key: Vec<u8>,
    },
}

impl std::fmt::Debug for IdentitySource {
    // Written by hand so that a private key can never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SelfSigned { .. } => "SelfSigned",
            Self::PemFiles { .. } => "PemFiles",
            Self::PemBytes { .. } => "PemBytes",
        })
    }
}

/// Whether a server asks clients for a certificate, and which authorities must have signed it.
#[derive(Debug, Clone)]
pub enum ClientCertificates {
    /// It does not ask.
    Off,
    /// A client may show one. A client that shows one that is not good is refused.
    Optional(CaSource),
    /// A client that shows none that is good is refused.
    Required(CaSource),
}

/// Where certificate authorities come from.
#[derive(Debug, Clone)]
pub enum CaSource {
    /// A PEM file.
    File(PathBuf),
    /// PEM bytes.
    Pem(Vec<u8>),
}

/// Options of a client session.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// One deadline for name look-up, handshake, SETTINGS and CONNECT together. Default 10 s.
    pub timeout: Duration,
    /// Which servers to trust.
    pub trust: Trust,
    /// Extra request headers, in order. Repeats are allowed.
    pub headers: Vec<(String, String)>,
    /// Subprotocols that the client offers, in its order of preference.
    pub subprotocols: Vec<String>,
    /// Local address to send from; `None` is any.
    pub bind_host: Option<IpAddr>,
    /// Options of the connection.
    pub connection: ConnectionOptions,
    /// Certificate and key for servers that ask for one; not self-signed.
    pub identity: Option<IdentitySource>,
    /// The file to which the secrets of the connection are appended.
    pub key_log_file: Option<PathBuf>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            trust: Trust::System,
            headers: Vec::new(),
            subprotocols: Vec::new(),
            bind_host: None,
            connection: ConnectionOptions::default(),
            identity: None,
            key_log_file: None,
        }
    }
}

/// How a client decides that it talks to the right server.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The system's certificate authorities.
    System,
    /// Only these certificate authorities, from a PEM file.
    CaFile(PathBuf),
    /// Only these certificate authorities, as PEM bytes.
    CaPem(Vec<u8>),
    /// A certificate whose SHA-256 is one of these, under the rules of the W3C's
    /// `serverCertificateHashes`.
    CertificateHashes(Vec<[u8; 32]>),
    /// Any server. For tests: an attacker on the path can read and change everything.
    InsecureNoVerification,
}
