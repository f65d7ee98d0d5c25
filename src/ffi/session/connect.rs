//! Client
//!
//! A client connects to an `https` URL. Call order: `wtgram_connect_options_init`, set how to trust
//! the server, `wtgram_session_connect`. If your thread must not wait:
//! `wtgram_session_connect_start`.

use std::ffi::c_char;
use std::path::PathBuf;

use crate::datagram::options::TransportOptions;
use crate::datagram::session::{Connecting, Session};
use crate::error::Error;
use crate::ffi::boundary::enums::impl_read;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::pointer::{
    Versioned, bytes, clear, detailed, elements, init, init_sized, micros, optional_duration, optional_text,
    output, read_options, text, texts,
};
use crate::ffi::connection::{
    connection_options, ip_address, transport_options, wtgram_connection_options, wtgram_transport_options,
};
use crate::ffi::handles::wtgram_session;
use crate::ffi::identity::{optional_identity, wtgram_identity_options};
use crate::ffi::session::publish;
use crate::ffi::status::wtgram_status;
use crate::link::config::{ConnectOptions, Trust};

/// How a client verifies the server.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_trust {
    /// By the system's certificate authorities. The default.
    WTGRAM_TRUST_SYSTEM = 0,
    /// Only by the given certificate authorities.
    WTGRAM_TRUST_CA = 1,
    /// By one of the given SHA-256 hashes of the certificate, which must be ECDSA P-256 and valid
    /// for at most 14 days (W3C WebTransport, `serverCertificateHashes`). Names are not checked.
    WTGRAM_TRUST_CERTIFICATE_HASHES = 2,
    /// Not at all. Only for tests: an attacker on the path can read and change everything.
    WTGRAM_TRUST_INSECURE_NO_VERIFICATION = 3,
}

impl_read!(wtgram_trust { WTGRAM_TRUST_SYSTEM, WTGRAM_TRUST_CA, WTGRAM_TRUST_CERTIFICATE_HASHES, WTGRAM_TRUST_INSECURE_NO_VERIFICATION } or "there is no such kind of trust");

/// A header field of the client's request.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_header {
    /// Name, an HTTP token.
    pub name: *const c_char,
    /// Value.
    pub value: *const c_char,
}

/// Options of a client session.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_connect_options {
    /// Size of this struct, set by `wtgram_connect_options_init`.
    pub struct_size: usize,
    /// Deadline for name resolution, handshake, SETTINGS and CONNECT together, in microseconds.
    /// Default 10 s.
    pub timeout_us: i64,
    /// A `wtgram_trust`.
    pub trust: u32,
    /// Reserved; 0.
    pub reserved: u32,
    /// PEM file of certificate authorities, for `WTGRAM_TRUST_CA`.
    pub ca_file: *const c_char,
    /// The same as bytes; used if `ca_file` is NULL.
    pub ca_pem: *const u8,
    /// Length of `ca_pem`, in bytes.
    pub ca_pem_length: usize,
    /// SHA-256 hashes of 32 bytes each, one after the other, for `WTGRAM_TRUST_CERTIFICATE_HASHES`.
    pub certificate_hashes: *const u8,
    /// Number of hashes.
    pub certificate_hashes_count: usize,
    /// Additional header fields, sent in this order. Names may repeat; names that start with `:`
    /// are refused.
    pub headers: *const wtgram_header,
    /// Number of header fields.
    pub headers_count: usize,
    /// Local IP address to send from; NULL, the default, lets the system choose. Sessions with the
    /// same address share a UDP socket.
    pub bind_host: *const c_char,
    /// Options of the connection; NULL for the defaults.
    pub connection: *const wtgram_connection_options,
    /// Options of the session's transport; NULL for the defaults.
    pub transport: *const wtgram_transport_options,
    /// Subprotocols to offer, the best first. `wtgram_session_get_subprotocol` says which one the
    /// server picked.
    pub subprotocols: *const *const c_char,
    /// Number of subprotocols; default 0.
    pub subprotocols_count: usize,
    // Client certificate, key log.
    /// Certificate and private key for a server that asks for them, from PEM files or bytes; NULL,
    /// the default, for none.
    pub identity: *const wtgram_identity_options,
    /// File to which the TLS secrets of the connection are appended, in the format of
    /// `SSLKEYLOGFILE` (draft-ietf-tls-keylogfile), so that Wireshark can decrypt what was captured.
    /// NULL, the default, logs none; no environment variable changes that. **Whoever reads the file
    /// can read and forge the traffic**: use it to debug, and delete it. Only the owner can read a
    /// new file. The file is opened by the call that takes these options.
    pub key_log_file: *const c_char,
}

// SAFETY: repr(C), begins with its size, integers and pointers that are only used where checked.
unsafe impl Versioned for wtgram_connect_options {
    const FIRST_SIZE: usize = 96;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            timeout_us: micros(ConnectOptions::default().timeout),
            trust: wtgram_trust::WTGRAM_TRUST_SYSTEM as u32,
            reserved: 0,
            ca_file: std::ptr::null(),
            ca_pem: std::ptr::null(),
            ca_pem_length: 0,
            certificate_hashes: std::ptr::null(),
            certificate_hashes_count: 0,
            headers: std::ptr::null(),
            headers_count: 0,
            bind_host: std::ptr::null(),
            connection: std::ptr::null(),
            transport: std::ptr::null(),
            subprotocols: std::ptr::null(),
            subprotocols_count: 0,
            // Client certificate, key log.
            identity: std::ptr::null(),
            key_log_file: std::ptr::null(),
        }
    }
}

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_connect_options_init(options: *mut wtgram_connect_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_connect_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_connect_options_init_sized(
    options: *mut wtgram_connect_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

/// # Safety
/// `headers` points to `count` structs with NUL-terminated texts.
pub(in crate::ffi) unsafe fn owned_headers(
    headers: *const wtgram_header,
    count: usize,
) -> Result<Vec<(String, String)>, Failure> {
    // SAFETY: the caller's promise.
    unsafe {
        let headers = elements(headers, count)?.iter();
        headers.map(|one| Ok((text(one.name)?.to_owned(), text(one.value)?.to_owned()))).collect()
    }
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn connect_options(raw: &wtgram_connect_options) -> Result<ConnectOptions, Failure> {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        Ok(ConnectOptions {
            timeout: optional_duration(raw.timeout_us)?.unwrap_or_default(),
            trust: trust(raw)?,
            headers: owned_headers(raw.headers, raw.headers_count)?,
            subprotocols: texts(raw.subprotocols, raw.subprotocols_count)?,
            bind_host: ip_address(raw.bind_host)?,
            connection: connection_options(raw.connection)?,
            // Client certificate, key log.
            identity: optional_identity(raw.identity)?,
            key_log_file: optional_text(raw.key_log_file)?.map(PathBuf::from),
        })
    }
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn trust(raw: &wtgram_connect_options) -> Result<Trust, Failure> {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        Ok(match wtgram_trust::read(raw.trust)? {
            wtgram_trust::WTGRAM_TRUST_SYSTEM => Trust::System,
            wtgram_trust::WTGRAM_TRUST_CA => match optional_text(raw.ca_file)? {
                Some(path) => Trust::CaFile(PathBuf::from(path)),
                None => Trust::CaPem(bytes(raw.ca_pem, raw.ca_pem_length)?.to_vec()),
            },
            wtgram_trust::WTGRAM_TRUST_CERTIFICATE_HASHES => {
                let hashes = raw.certificate_hashes.cast::<[u8; 32]>();
                Trust::CertificateHashes(elements(hashes, raw.certificate_hashes_count)?.to_vec())
            }
            wtgram_trust::WTGRAM_TRUST_INSECURE_NO_VERIFICATION => Trust::InsecureNoVerification,
        })
    }
}

/// Connects to the server at `url` and waits until the session is established or the attempt
/// failed. It is `wtgram_session_connect_start`, then `wtgram_session_wait_connected`. The handle of
/// an attempt that failed is released.
///
/// The library tries every address of the host, the next one after 250 ms or as soon as one fails
/// (RFC 8305).
///
/// @param url `https://host[:port][/path][?query]`.
/// @param options Options; NULL for the defaults.
/// @param session Gets the handle. Free it with `wtgram_session_free`.
/// @param detail Buffer for an English sentence that explains a failure, shortened to fit and
///   NUL-terminated; NULL with 0 for none.
/// @param detail_capacity Size of `detail`, in bytes.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_URL`: the URL cannot be used.
/// - `WTGRAM_ERROR_NAME_NOT_RESOLVED`: the host name has no address.
/// - `WTGRAM_ERROR_CONNECT_TIMEOUT`: nothing answered in time. No server on this port looks the
///   same.
/// - `WTGRAM_ERROR_CONNECTION_REFUSED`: the server refused the connection, or closed it without
///   looking at the request.
/// - `WTGRAM_ERROR_CERTIFICATE_UNTRUSTED`, `WTGRAM_ERROR_CERTIFICATE_EXPIRED`,
///   `WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH`, `WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH`: the
///   certificate was not accepted.
/// - `WTGRAM_ERROR_CLIENT_CERTIFICATE`: the server requires a client certificate, or does not
///   accept the one given.
/// - `WTGRAM_ERROR_TLS`: the handshake failed for another reason.
/// - `WTGRAM_ERROR_REJECTED`: the server answered with an HTTP status other than 2xx.
/// - `WTGRAM_ERROR_PROTOCOL`: the server does not speak WebTransport.
/// - `WTGRAM_ERROR_UNSUPPORTED`: the server does not accept datagrams.
/// - `WTGRAM_ERROR_IDENTITY`: the certificate authorities, or the client's certificate or key,
///   cannot be read or used.
/// - `WTGRAM_ERROR_KEY_MISMATCH`: the client's certificate and key do not match.
/// - `WTGRAM_ERROR_IO`: the operating system refused a socket, a thread or the key log file, or has
///   no route to the server.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many sessions.
///
/// # Safety
/// Every pointer is NULL or as described.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_connect(
    url: *const c_char,
    options: *const wtgram_connect_options,
    session: *mut wtgram_session,
    detail: *mut c_char,
    detail_capacity: usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { begin(url, options, session, detail, detail_capacity, Session::connect) }
}

/// Reads the arguments of a connect, begins with `connect`, and gives the session its handle.
///
/// # Safety
/// Every pointer is NULL or as `wtgram_session_connect` describes it.
pub(super) unsafe fn begin<S: Into<Connecting>>(
    url: *const c_char,
    options: *const wtgram_connect_options,
    session: *mut wtgram_session,
    detail: *mut c_char,
    detail_capacity: usize,
    connect: impl FnOnce(&str, &ConnectOptions, &TransportOptions) -> Result<S, Error>,
) -> wtgram_status {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        clear(session);
        detailed(detail, detail_capacity, || {
            let session = output(session)?;
            let raw = read_options(options)?;
            let transport = transport_options(raw.transport)?;
            *session = publish(connect(text(url)?, &connect_options(&raw)?, &transport)?)?;
            Ok(())
        })
    }
}
