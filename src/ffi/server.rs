//! `wtgram_server_*`, and the options that servers and clients share.

use std::ffi::c_char;
use std::net::IpAddr;
use std::path::PathBuf;

use super::guard::{Failure, free};
use super::handle::{Handle, names};
use super::library::init;
use super::pointer::{
    Versioned, bytes, clear, deadline, detailed, elements, give, invalid, micros, optional_duration,
    optional_text, output, read_options, text, write_text,
};
use super::session::{self, wtgram_session};
use super::status::wtgram_status;
use super::transport::{transport_options, wtgram_transport_options};
use crate::datagram::session::Server;
use crate::ffi::guard::guard;
use crate::link::config::{Congestion, ConnectionOptions, IdentitySource, ListenOptions};

/// Length of a certificate hash (SHA-256), in bytes.
pub const WTGRAM_CERTIFICATE_HASH_LENGTH: usize = 32;

/// A listening server. `{0}` is none.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_server {
    /// The number of the handle.
    pub id: u64,
}

names!(wtgram_server => Server, SERVER, polled as |server| &server.link);

/// Congestion control algorithms.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_congestion_controller {
    /// CUBIC, RFC 9438. The default.
    WTGRAM_CONGESTION_CUBIC = 0,
    /// BBR, experimental.
    WTGRAM_CONGESTION_BBR = 1,
    /// NewReno, RFC 9002.
    WTGRAM_CONGESTION_NEW_RENO = 2,
}

/// Options of a QUIC connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_connection_options {
    /// Size of this struct, filled by `wtgram_connection_options_init`.
    pub struct_size: usize,
    /// Interval of keep-alive packets, in microseconds; 0 sends none. Default 10 s.
    pub keep_alive_us: i64,
    /// Silence after which the connection is given up, in microseconds; 0 never gives up. Default 30 s. The lower of
    /// both sides' values holds.
    pub idle_timeout_us: i64,
    /// `SO_RCVBUF` to ask for, in bytes; 0 asks for 4 MiB. The system may grant less.
    pub socket_receive_buffer_bytes: u64,
    /// `SO_SNDBUF` to ask for, in bytes; 0 asks for 4 MiB. The system may grant less.
    pub socket_send_buffer_bytes: u64,
    /// A `wtgram_congestion_controller`. Default CUBIC.
    pub congestion_controller: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_connection_options {
    const FIRST_SIZE: usize = 48;
    fn initial() -> Self {
        let defaults = ConnectionOptions::default();
        Self {
            struct_size: size_of::<Self>(),
            keep_alive_us: defaults.keep_alive.map_or(0, micros),
            idle_timeout_us: defaults.idle_timeout.map_or(0, micros),
            socket_receive_buffer_bytes: 0,
            socket_send_buffer_bytes: 0,
            congestion_controller: wtgram_congestion_controller::WTGRAM_CONGESTION_CUBIC as u32,
            reserved: 0,
        }
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_connection_options_init(options: *mut wtgram_connection_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// # Safety
/// `raw` is NULL or points to a struct of its `struct_size`.
pub(super) unsafe fn connection_options(
    raw: *const wtgram_connection_options,
) -> Result<ConnectionOptions, Failure> {
    // SAFETY: the caller's promise.
    let raw = unsafe { read_options(raw) }?;
    let size = |bytes: u64| usize::try_from(bytes).map_err(|_| invalid("a buffer size is too large"));
    Ok(ConnectionOptions {
        keep_alive: optional_duration(raw.keep_alive_us)?,
        idle_timeout: optional_duration(raw.idle_timeout_us)?,
        socket_receive_buffer_bytes: size(raw.socket_receive_buffer_bytes)?,
        socket_send_buffer_bytes: size(raw.socket_send_buffer_bytes)?,
        congestion: match raw.congestion_controller {
            0 => Congestion::Cubic,
            1 => Congestion::Bbr,
            2 => Congestion::NewReno,
            _ => return Err(invalid("there is no such congestion controller")),
        },
    })
}

/// Where a server's certificate and key come from.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_identity {
    /// A fresh ECDSA P-256 certificate that a browser accepts by its hash. It is valid for 14 days and began a day ago,
    /// for clients whose clocks are behind. The default.
    WTGRAM_IDENTITY_SELF_SIGNED = 0,
    /// PEM files.
    WTGRAM_IDENTITY_PEM_FILES = 1,
    /// PEM bytes.
    WTGRAM_IDENTITY_PEM_BYTES = 2,
}

/// Options of a server.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_listen_options {
    /// Size of this struct, filled by `wtgram_listen_options_init`.
    pub struct_size: usize,
    /// IP address to bind, for example `"127.0.0.1"` or `"::"` (IPv6 only). NULL, the default, is every address of
    /// both families.
    pub host: *const c_char,
    /// Port to bind, 0 to 65535; 0, the default, takes a free one.
    pub port: u32,
    /// A `wtgram_identity`.
    pub identity: u32,
    /// PEM file of the certificate chain, leaf first, for `WTGRAM_IDENTITY_PEM_FILES`.
    pub certificate_file: *const c_char,
    /// PEM file of the private key (PKCS #8, SEC 1 or PKCS #1).
    pub private_key_file: *const c_char,
    /// The same as bytes, for `WTGRAM_IDENTITY_PEM_BYTES`.
    pub certificate_pem: *const u8,
    /// Length of `certificate_pem`, in bytes.
    pub certificate_pem_length: usize,
    /// The private key as bytes.
    pub private_key_pem: *const u8,
    /// Length of `private_key_pem`, in bytes.
    pub private_key_pem_length: usize,
    /// DNS names and IP addresses of a self-signed certificate.
    pub self_signed_names: *const *const c_char,
    /// How many; 0, the default, means `localhost`, `127.0.0.1` and `::1`.
    pub self_signed_names_count: usize,
    /// One deadline over TLS handshake, SETTINGS and CONNECT, in microseconds. Default 10 s.
    pub handshake_timeout_us: i64,
    /// Established sessions that may wait for `wtgram_server_accept`, 1 to 65536; more are answered with HTTP status
    /// 503. A session that ends while it waits gives its place back. Default 128.
    pub accept_backlog: u32,
    /// Connections at any time, half-open ones included; more are refused. 0, the default, sets no limit.
    pub max_sessions: u32,
    /// Options of each connection; NULL for the defaults.
    pub connection: *const wtgram_connection_options,
    /// Options of each session's transport; NULL for the defaults.
    pub transport: *const wtgram_transport_options,
}

// SAFETY: repr(C), begins with its size, integers and pointers that are only used where checked.
unsafe impl Versioned for wtgram_listen_options {
    const FIRST_SIZE: usize = 120;
    fn initial() -> Self {
        let defaults = ListenOptions::default();
        Self {
            struct_size: size_of::<Self>(),
            host: std::ptr::null(),
            port: 0,
            identity: wtgram_identity::WTGRAM_IDENTITY_SELF_SIGNED as u32,
            certificate_file: std::ptr::null(),
            private_key_file: std::ptr::null(),
            certificate_pem: std::ptr::null(),
            certificate_pem_length: 0,
            private_key_pem: std::ptr::null(),
            private_key_pem_length: 0,
            self_signed_names: std::ptr::null(),
            self_signed_names_count: 0,
            handshake_timeout_us: micros(defaults.handshake_timeout),
            accept_backlog: defaults.accept_backlog as u32,
            max_sessions: 0,
            connection: std::ptr::null(),
            transport: std::ptr::null(),
        }
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_listen_options_init(options: *mut wtgram_listen_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn listen_options(raw: &wtgram_listen_options) -> Result<ListenOptions, Failure> {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        Ok(ListenOptions {
            host: ip_address(raw.host)?,
            port: u16::try_from(raw.port).map_err(|_| invalid("a port is at most 65535"))?,
            identity: identity(raw)?,
            handshake_timeout: optional_duration(raw.handshake_timeout_us)?.unwrap_or_default(),
            accept_backlog: raw.accept_backlog as usize,
            max_sessions: (raw.max_sessions > 0).then_some(raw.max_sessions as usize),
            connection: connection_options(raw.connection)?,
        })
    }
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn identity(raw: &wtgram_listen_options) -> Result<IdentitySource, Failure> {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        Ok(match raw.identity {
            0 => {
                let names = elements(raw.self_signed_names, raw.self_signed_names_count)?;
                let names = names.iter().map(|name| text(*name).map(str::to_owned));
                IdentitySource::SelfSigned { names: names.collect::<Result<_, _>>()? }
            }
            1 => IdentitySource::PemFiles {
                certificate: PathBuf::from(text(raw.certificate_file)?),
                private_key: PathBuf::from(text(raw.private_key_file)?),
            },
            2 => IdentitySource::PemBytes {
                certificate: bytes(raw.certificate_pem, raw.certificate_pem_length)?.to_vec(),
                private_key: bytes(raw.private_key_pem, raw.private_key_pem_length)?.to_vec(),
            },
            _ => return Err(invalid("there is no such identity source")),
        })
    }
}

/// # Safety
/// `host` is NULL or NUL-terminated.
pub(super) unsafe fn ip_address(host: *const c_char) -> Result<Option<IpAddr>, Failure> {
    // SAFETY: the caller's promise.
    let host = unsafe { optional_text(host) }?;
    host.map(|host| host.parse().map_err(|_| invalid("a host to bind must be an IP address"))).transpose()
}

/// Binds a UDP socket and begins to listen.
///
/// `options`: NULL for the defaults. `server`: the handle. `detail`, `detail_capacity`: a buffer that gets, NUL-terminated
/// and shortened to fit, what went wrong; may be NULL with 0.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`; `IDENTITY`: a PEM source cannot be read or used; `KEY_MISMATCH`; `IO`: the
/// address cannot be bound, or a thread cannot be started; `LIMIT_REACHED`; `CLOSED`; `FORKED`.
///
/// # Safety
/// Every pointer is NULL or as described.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_listen(
    options: *const wtgram_listen_options,
    server: *mut wtgram_server,
    detail: *mut c_char,
    detail_capacity: usize,
) -> wtgram_status {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        clear(server);
        detailed(detail, detail_capacity, || {
            let server = output(server)?;
            let raw = read_options(options)?;
            let transport = transport_options(raw.transport)?;
            *server = Handle::new(Server::listen(&listen_options(&raw)?, &transport)?.into())?;
            Ok(())
        })
    }
}

/// The address the server listens on, for example `"127.0.0.1:4433"` or `"[::]:4433"`.
///
/// `text`, `capacity`: a buffer for it and its NUL. `length`: its bytes without the NUL.
///
/// Statuses: `WTGRAM_OK`; `BUFFER_TOO_SMALL`: `length` says what is needed, without NUL; `INVALID_ARGUMENT`;
/// `INVALID_HANDLE`; `CLOSED`; `FORKED`.
///
/// # Safety
/// `text` points to `capacity` writable bytes, `length` to a `size_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_local_address(
    server: wtgram_server,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        clear(length);
        guard(|| write_text(&server.get()?.link.local_address().to_string(), text, capacity, length))
    }
}

/// The UDP port the server listens on.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`; `FORKED`.
///
/// # Safety
/// `port` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_local_port(server: wtgram_server, port: *mut u16) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(port, || Ok(server.get()?.link.local_address().port())) }
}

/// SHA-256 of the server's leaf certificate, which a browser takes as one of its `serverCertificateHashes` and a client
/// as `WTGRAM_TRUST_CERTIFICATE_HASHES`.
///
/// `hash`: 32 bytes.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`; `FORKED`.
///
/// # Safety
/// `hash` is NULL or points to 32 writable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_certificate_hash(
    server: wtgram_server,
    hash: *mut u8,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(hash.cast::<[u8; WTGRAM_CERTIFICATE_HASH_LENGTH]>(), || {
            Ok(server.get()?.link.certificate_hash())
        })
    }
}

/// Waits for the next established session. Datagrams that arrived before wait in its transport, within the incoming limits of
/// the `transport` that the server was given. Sessions that have ended meanwhile are not handed out.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `session`: its handle, to be freed.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `CLOSED`: the server was closed; `INVALID_HANDLE`;
/// `INVALID_ARGUMENT`; `LIMIT_REACHED`; `FORKED`. Any number of threads may wait; a session goes to one of them.
///
/// # Safety
/// `session` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_accept(
    server: wtgram_server,
    timeout_us: i64,
    session: *mut wtgram_session,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(session, || session::publish(server.get()?.accept(deadline(timeout_us)?)?)) }
}

/// Stops listening and closes every session of this server with code 0; their handles stay valid until they are freed.
/// Calls that wait on the server return `CLOSED`. Returns at once; goodbyes leave in the background. Idempotent.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_server_close(server: wtgram_server) -> wtgram_status {
    guard(|| {
        server.get()?.link.close();
        Ok(())
    })
}

/// Closes the server, if it is open, and makes its handle name nothing. None and stale handles are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_server_free(server: wtgram_server) {
    free(server, |server| server.link.close());
}
