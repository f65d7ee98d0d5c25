//! Server
//!
//! A server listens on a UDP port and accepts sessions. Call order: `wtgram_listen_options_init`,
//! `wtgram_server_listen`, then `wtgram_server_accept` again and again, and `wtgram_server_free`.

pub mod limits;
pub mod renewal;
pub mod stats;

use std::ffi::{c_char, c_int};
use std::path::PathBuf;

use crate::datagram::session::Server;
use crate::ffi::boundary::descriptor::{NO_DESCRIPTOR, duplicate};
use crate::ffi::boundary::enums::impl_read;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::{free, guard};
use crate::ffi::boundary::handle::{Handle, names};
use crate::ffi::boundary::pointer::{
    Versioned, bytes, clear, deadline, detailed, give, give_text, init, init_sized, invalid, micros,
    optional_duration, optional_text, output, read_options, texts,
};
use crate::ffi::connection::{
    connection_options, ip_address, transport_options, wtgram_connection_options, wtgram_transport_options,
};
use crate::ffi::handles::{wtgram_server, wtgram_session};
use crate::ffi::identity::{
    identity, named_identities, wtgram_client_certificates, wtgram_identity, wtgram_identity_options,
    wtgram_named_identity,
};
use crate::ffi::server::limits::{limits, wtgram_server_limits};
use crate::ffi::session::close::close_reason;
use crate::ffi::session::publish;
use crate::ffi::status::wtgram_status;
use crate::link::config::{CaSource, ClientCertificates, Limits, ListenOptions};
use crate::link::ids::Label;

/// Length of a certificate hash (SHA-256), in bytes.
pub const WTGRAM_CERTIFICATE_HASH_LENGTH: usize = 32;

names!(wtgram_server => Server, SERVER, polled as |server| &server.link);

/// How a server decides about the requests of clients.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_admission {
    /// By its rules: `allowed_origins`, `allowed_authorities`, `allowed_paths`. Sessions are
    /// established at once and wait for `wtgram_server_accept`. The default.
    WTGRAM_ADMISSION_RULES = 0,
    /// The program decides: it gets each request from `wtgram_server_next_request`.
    WTGRAM_ADMISSION_REQUESTS = 1,
}

impl_read!(wtgram_admission { WTGRAM_ADMISSION_RULES, WTGRAM_ADMISSION_REQUESTS } or "there is no such way to decide about requests");

/// Options of a server.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_listen_options {
    /// Size of this struct, set by `wtgram_listen_options_init`.
    pub struct_size: usize,
    /// IP address to bind, for example `"127.0.0.1"` or `"::"` (IPv6 only). NULL, the default,
    /// binds all addresses of both families.
    pub host: *const c_char,
    /// UDP port, 0 to 65535; 0, the default, takes a free one.
    pub port: u32,
    /// A `wtgram_identity`.
    pub identity: u32,
    /// PEM file of the certificate chain, leaf first, for `WTGRAM_IDENTITY_PEM_FILES`.
    pub certificate_file: *const c_char,
    /// PEM file of the private key (PKCS #8, SEC 1 or PKCS #1).
    pub private_key_file: *const c_char,
    /// Certificate chain as PEM bytes, for `WTGRAM_IDENTITY_PEM_BYTES`.
    pub certificate_pem: *const u8,
    /// Length of `certificate_pem`, in bytes.
    pub certificate_pem_length: usize,
    /// Private key as PEM bytes.
    pub private_key_pem: *const u8,
    /// Length of `private_key_pem`, in bytes.
    pub private_key_pem_length: usize,
    /// DNS names and IP addresses of a self-signed certificate.
    pub self_signed_names: *const *const c_char,
    /// Number of names; 0, the default, means `localhost`, `127.0.0.1` and `::1`.
    pub self_signed_names_count: usize,
    /// Deadline of a client for the TLS handshake, SETTINGS and CONNECT together, in microseconds.
    /// With `WTGRAM_ADMISSION_REQUESTS` it includes the program's answer. Default 10 s.
    pub handshake_timeout_us: i64,
    /// How many established sessions may wait for `wtgram_server_accept`, 1 to 65536. With
    /// `WTGRAM_ADMISSION_REQUESTS`: how many requests may wait for the program's answer, also those
    /// that it has taken with `wtgram_server_next_request`. Further clients get HTTP status 503.
    /// Default 128.
    pub accept_backlog: u32,
    /// Limit of connections, including handshakes in progress. Further clients are refused. 0 sets
    /// no limit. Default 16384.
    pub max_sessions: u32,
    /// Options of each connection; NULL for the defaults.
    pub connection: *const wtgram_connection_options,
    /// Options of each session's transport; NULL for the defaults.
    pub transport: *const wtgram_transport_options,
    // Admission.
    /// Origins of the web pages that may connect, each as scheme, host and port, for example
    /// `"https://example.com:8443"`; `"*"` allows all. Pages of other origins get HTTP status 403.
    /// Clients that send no origin, as programs other than browsers do, are not affected.
    pub allowed_origins: *const *const c_char,
    /// Number of origins; 0, the default, allows pages of the host that the request is for, from
    /// any port. (`localhost` and `127.0.0.1` are two hosts.)
    pub allowed_origins_count: usize,
    /// Hosts that clients may ask for, each with or without a port. Other requests get HTTP status
    /// 421.
    pub allowed_authorities: *const *const c_char,
    /// Number of hosts; 0, the default, allows all.
    pub allowed_authorities_count: usize,
    /// Paths that clients may ask for, without query; with `*` at the end, all that begin like
    /// this. Other requests get HTTP status 404.
    pub allowed_paths: *const *const c_char,
    /// Number of paths; 0, the default, allows all.
    pub allowed_paths_count: usize,
    /// Subprotocols that the server speaks, the best first. It picks the first one that the client
    /// offers, or none.
    pub subprotocols: *const *const c_char,
    /// Number of subprotocols; default 0.
    pub subprotocols_count: usize,
    /// Limits; NULL for the defaults.
    pub limits: *const wtgram_server_limits,
    /// A `wtgram_admission`.
    pub admission: u32,
    /// Reserved; 0.
    pub reserved_admission: u32,
    // Identities by name, client certificates.
    /// Identities for clients that ask for a name (SNI). Clients that ask for none of them get the
    /// identity above.
    pub named_identities: *const wtgram_named_identity,
    /// Number of identities by name; 0 by default.
    pub named_identities_count: usize,
    /// A `wtgram_client_certificates`.
    pub client_certificates: u32,
    /// Reserved; 0.
    pub reserved_client_certificates: u32,
    /// PEM file of the certificate authorities that sign certificates of clients.
    pub client_ca_file: *const c_char,
    /// The same as bytes; used if `client_ca_file` is NULL.
    pub client_ca_pem: *const u8,
    /// Length of `client_ca_pem`, in bytes.
    pub client_ca_pem_length: usize,
    // The socket.
    /// A UDP socket that is bound already, for example by systemd or to a privileged port; -1, the
    /// default, binds a new one. With a socket, leave `host` and `port` as they are. The server uses
    /// a duplicate: the descriptor stays yours, and you may close it after the call. The port is in
    /// use until both are closed. The socket becomes non-blocking, because the two share its state.
    /// Only one server at a time can use a socket.
    pub socket_fd: c_int,
    /// On how many lanes its sessions are, each with a socket on the same port (`SO_REUSEPORT`); 0,
    /// the default, means all (`wtgram_runtime_options.lanes`), or one with `socket_fd`.
    pub lanes: u32,
    // Connection ids.
    /// The server's id for a load balancer that reads connection ids in the plaintext form of
    /// draft-ietf-quic-load-balancers; NULL, the default, for none.
    pub server_id: *const u8,
    /// Length of `server_id`, 1 to 11 bytes.
    pub server_id_length: usize,
    /// The number of the load balancers' configuration, 0 to 6.
    pub server_id_rotation: u32,
    /// Reserved; 0.
    pub reserved_server_id: u32,
    // Debugging.
    /// File to which the TLS secrets of every connection are appended, in the format of
    /// `SSLKEYLOGFILE` (draft-ietf-tls-keylogfile), so that Wireshark can decrypt what was captured.
    /// NULL, the default, logs none; no environment variable changes that. **Whoever reads the file
    /// can read and forge the traffic**: use it to debug, and delete it. Only the owner can read a
    /// new file. The file is opened by the call that takes these options.
    pub key_log_file: *const c_char,
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
            max_sessions: Limits::default().max_sessions.unwrap_or(0) as u32,
            connection: std::ptr::null(),
            transport: std::ptr::null(),
            allowed_origins: std::ptr::null(),
            allowed_origins_count: 0,
            allowed_authorities: std::ptr::null(),
            allowed_authorities_count: 0,
            allowed_paths: std::ptr::null(),
            allowed_paths_count: 0,
            subprotocols: std::ptr::null(),
            subprotocols_count: 0,
            limits: std::ptr::null(),
            admission: wtgram_admission::WTGRAM_ADMISSION_RULES as u32,
            reserved_admission: 0,
            // Identities by name, client certificates.
            named_identities: std::ptr::null(),
            named_identities_count: 0,
            client_certificates: wtgram_client_certificates::WTGRAM_CLIENT_CERTIFICATES_OFF as u32,
            reserved_client_certificates: 0,
            client_ca_file: std::ptr::null(),
            client_ca_pem: std::ptr::null(),
            client_ca_pem_length: 0,
            socket_fd: NO_DESCRIPTOR,
            lanes: ListenOptions::default().lanes,
            server_id: std::ptr::null(),
            server_id_length: 0,
            server_id_rotation: 0,
            reserved_server_id: 0,
            key_log_file: std::ptr::null(),
        }
    }
}

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_listen_options_init(options: *mut wtgram_listen_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_listen_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_listen_options_init_sized(options: *mut wtgram_listen_options, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn listen_options(raw: &wtgram_listen_options) -> Result<ListenOptions, Failure> {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        Ok(ListenOptions {
            host: ip_address(raw.host)?,
            port: u16::try_from(raw.port).map_err(|_| invalid("a port is at most 65535"))?,
            identity: identity(&own_identity(raw))?,
            handshake_timeout: optional_duration(raw.handshake_timeout_us)?.unwrap_or_default(),
            accept_backlog: raw.accept_backlog as usize,
            allowed_origins: texts(raw.allowed_origins, raw.allowed_origins_count)?,
            allowed_authorities: texts(raw.allowed_authorities, raw.allowed_authorities_count)?,
            allowed_paths: texts(raw.allowed_paths, raw.allowed_paths_count)?,
            asks: wtgram_admission::read(raw.admission)? == wtgram_admission::WTGRAM_ADMISSION_REQUESTS,
            subprotocols: texts(raw.subprotocols, raw.subprotocols_count)?,
            limits: limits(raw.limits, raw.max_sessions)?,
            connection: connection_options(raw.connection)?,
            socket: duplicate(raw.socket_fd)?,
            lanes: raw.lanes,
            label: label(raw)?,
            // Identities by name, client certificates.
            named_identities: named_identities(raw.named_identities, raw.named_identities_count)?,
            client_certificates: client_certificates(raw)?,
            key_log_file: optional_text(raw.key_log_file)?.map(PathBuf::from),
            ..ListenOptions::default()
        })
    }
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn label(raw: &wtgram_listen_options) -> Result<Label, Failure> {
    // SAFETY: the caller's promise.
    let server_id = unsafe { bytes(raw.server_id, raw.server_id_length) }?;
    if server_id.is_empty() && raw.server_id_rotation == 0 {
        return Ok(Label::default());
    }
    let rotation = u8::try_from(raw.server_id_rotation).unwrap_or(u8::MAX);
    Ok(Label::new(server_id, rotation)?)
}

/// The identity in the options.
fn own_identity(raw: &wtgram_listen_options) -> wtgram_identity_options {
    wtgram_identity_options {
        identity: raw.identity,
        certificate_file: raw.certificate_file,
        private_key_file: raw.private_key_file,
        certificate_pem: raw.certificate_pem,
        certificate_pem_length: raw.certificate_pem_length,
        private_key_pem: raw.private_key_pem,
        private_key_pem_length: raw.private_key_pem_length,
        self_signed_names: raw.self_signed_names,
        self_signed_names_count: raw.self_signed_names_count,
        ..wtgram_identity_options::initial()
    }
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn client_certificates(raw: &wtgram_listen_options) -> Result<ClientCertificates, Failure> {
    // SAFETY: the caller's promise, for every pointer below.
    let authorities = || unsafe {
        Ok::<_, Failure>(match optional_text(raw.client_ca_file)? {
            Some(path) => CaSource::File(path.into()),
            None => CaSource::Pem(bytes(raw.client_ca_pem, raw.client_ca_pem_length)?.to_vec()),
        })
    };
    Ok(match wtgram_client_certificates::read(raw.client_certificates)? {
        wtgram_client_certificates::WTGRAM_CLIENT_CERTIFICATES_OFF => ClientCertificates::Off,
        wtgram_client_certificates::WTGRAM_CLIENT_CERTIFICATES_OPTIONAL => {
            ClientCertificates::Optional(authorities()?)
        }
        wtgram_client_certificates::WTGRAM_CLIENT_CERTIFICATES_REQUIRED => {
            ClientCertificates::Required(authorities()?)
        }
    })
}

/// Binds a UDP socket, or takes that of `socket_fd`, and starts to listen.
///
/// @param options Options; NULL for the defaults.
/// @param server Gets the handle. Free it with `wtgram_server_free`.
/// @param detail Buffer for an English sentence that explains a failure, shortened to fit and
///   NUL-terminated; NULL with 0 for none.
/// @param detail_capacity Size of `detail`, in bytes.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_IDENTITY`: a certificate, a key or the authorities for client certificates cannot
///   be read or used.
/// - `WTGRAM_ERROR_KEY_MISMATCH`: certificate and key do not match.
/// - `WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH`: a certificate in `named_identities` is not for its
///   name.
/// - `WTGRAM_ERROR_IO`: the address cannot be bound, the key log file cannot be opened, or a thread
///   cannot be started.
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: an option is not allowed, or `socket_fd` is not a bound UDP
///   socket.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many servers.
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

/// Writes the address of the server, for example `"127.0.0.1:4433"` or `"[::]:4433"`.
///
/// @param server The server.
/// @param text Buffer for the text and its final NUL.
/// @param capacity Size of `text`, in bytes.
/// @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
///
/// # Safety
/// `text` points to `capacity` writable bytes, `length` to a `size_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_get_local_address(
    server: wtgram_server,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_text(text, capacity, length, || Ok(server.get()?.link.local_address().to_string())) }
}

/// Stores the UDP port of the server.
///
/// # Safety
/// `port` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_get_local_port(
    server: wtgram_server,
    port: *mut u16,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(port, || Ok(server.get()?.link.local_address().port())) }
}

/// Stores the SHA-256 hash of the certificate in the server's default identity. Browsers accept it
/// in `serverCertificateHashes`, clients of this library with `WTGRAM_TRUST_CERTIFICATE_HASHES`.
///
/// @param server The server.
/// @param hash Gets `WTGRAM_CERTIFICATE_HASH_LENGTH` bytes.
///
/// # Safety
/// `hash` is NULL or points to 32 writable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_get_certificate_hash(
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

/// Waits for the next established session.
///
/// Accept in time: a session counts as established for its client before you accept it. Its
/// datagrams wait in its transport, within the limits of `wtgram_transport_options`, and the oldest
/// are dropped when these are full. When `accept_backlog` sessions wait, further clients are
/// refused. Sessions that end before you accept them are not returned. Several threads may wait;
/// each session goes to one of them.
///
/// @param server The server.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param session Gets the handle. Free it with `wtgram_session_free`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_CLOSED`: the server is closed, or it no longer listens and no session waits.
/// - `WTGRAM_ERROR_INVALID_STATE`: the program answers requests; see `wtgram_server_next_request`.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many sessions.
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
    unsafe { give(session, || publish(server.get()?.accept(deadline(timeout_us)?)?)) }
}

/// Stops listening: new clients are refused, and sessions go on. Calling it again has no effect.
///
/// - New connections are refused at once, so that clients try another server. A client whose
///   handshake is in progress gets HTTP status 503.
/// - Sessions and requests that wait can still be taken with `wtgram_server_accept` or
///   `wtgram_server_next_request`. No more are added; when none is left, these functions return
///   `WTGRAM_ERROR_CLOSED`. The poller reports `WTGRAM_READY_CLOSED` for the server.
/// - The port is in use until the last connection has ended.
///
/// To end the server, drain its sessions, then call `wtgram_server_close_with`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_server_stop_listening(server: wtgram_server) -> wtgram_status {
    guard(|| {
        server.get()?.link.stop_listening();
        Ok(())
    })
}

/// Stops listening and closes all sessions of the server with code 0. Returns at once; the peers
/// are told in the background. Handles of sessions stay valid until you free them. Closing again
/// has no effect.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_server_close(server: wtgram_server) -> wtgram_status {
    guard(|| Ok(server.get()?.link.close_with(0, "")?))
}

/// Does what `wtgram_server_close` does, and gives all peers a code and a reason.
///
/// @param server The server.
/// @param code Any number; the peers get it.
/// @param reason UTF-8 text for the peers; NULL with length 0 for none.
/// @param reason_length Length of `reason` in bytes, at most 1024.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the reason is too long or not UTF-8.
///
/// # Safety
/// `reason` is NULL or points to `reason_length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_server_close_with(
    server: wtgram_server,
    code: u32,
    reason: *const c_char,
    reason_length: usize,
) -> wtgram_status {
    guard(|| {
        let server = server.get()?;
        // SAFETY: the caller's promise.
        Ok(server.link.close_with(code, unsafe { close_reason(reason, reason_length) }?)?)
    })
}

/// Closes the server if it is open and releases its handle. Handles that are zero or released are
/// ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_server_free(server: wtgram_server) {
    free(server, |server| server.link.close());
}
