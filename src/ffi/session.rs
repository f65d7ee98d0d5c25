//! `wtgram_session_*`.

use std::ffi::c_char;
use std::path::PathBuf;
use std::sync::Arc;

use super::guard::{Failure, free, guard};
use super::handle::{Handle, names};
use super::library::init;
use super::pointer::{
    Versioned, bytes, clear, deadline, detailed, elements, fill, give, invalid, micros, optional_duration,
    optional_text, output, read_options, sized_output, text, write_text,
};
use super::server::{connection_options, ip_address, wtgram_connection_options};
use super::status::wtgram_status;
use super::transport::{TransportObject, transport_options, wtgram_transport, wtgram_transport_options};
use crate::datagram::session::Session;
use crate::error::Error;
use crate::link::config::{ConnectOptions, Trust};
use crate::link::session::{CloseInfo, ClosedBy, MAX_CLOSE_REASON_BYTES, Phase};

/// A session. `{0}` is none.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_session {
    /// The number of the handle.
    pub id: u64,
}

/// A session and the handle of its transport, which lives and ends with it.
pub(super) struct SessionObject {
    pub(super) session: Session,
    pub(super) transport: wtgram_transport,
}

names!(wtgram_session => SessionObject, SESSION, polled as |object| &object.session.link);

/// Gives a session and its transport their handles. When there are none left, the session is closed.
pub(super) fn publish(session: Session) -> Result<wtgram_session, Failure> {
    let link = Arc::clone(&session.link);
    let published = TransportObject::publish(Arc::clone(&session.datagrams)).and_then(|transport| {
        let handle = wtgram_session::new(Arc::new(SessionObject { session, transport }));
        match handle {
            Ok(handle) => transport.get()?.belongs_to(handle),
            Err(_) => drop(transport.take()),
        }
        handle
    });
    if published.is_err() {
        let _ = link.close(0, "");
    }
    published
}

/// How a client decides that it talks to the right server.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_trust {
    /// The system's certificate authorities. The default.
    WTGRAM_TRUST_SYSTEM = 0,
    /// Only the given certificate authorities.
    WTGRAM_TRUST_CA = 1,
    /// Only certificates with one of the given SHA-256 hashes, valid for at most 14 days, ECDSA P-256: what the W3C's
    /// `serverCertificateHashes` asks. Names are not checked.
    WTGRAM_TRUST_CERTIFICATE_HASHES = 2,
    /// Anybody. Only for tests: an attacker on the path reads and changes everything.
    WTGRAM_TRUST_INSECURE_NO_VERIFICATION = 3,
}

/// A header of a request.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_header {
    /// Its name, a token of HTTP.
    pub name: *const c_char,
    /// Its value.
    pub value: *const c_char,
}

/// Options of a client session.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_connect_options {
    /// Size of this struct, filled by `wtgram_connect_options_init`.
    pub struct_size: usize,
    /// One deadline over name look-up, handshake, SETTINGS and CONNECT, in microseconds. Default 10 s.
    pub timeout_us: i64,
    /// A `wtgram_trust`.
    pub trust: u32,
    /// Zero.
    pub reserved: u32,
    /// PEM file of certificate authorities, for `WTGRAM_TRUST_CA`; or
    pub ca_file: *const c_char,
    /// the same as bytes, where `ca_file` is NULL.
    pub ca_pem: *const u8,
    /// Length of `ca_pem`, in bytes.
    pub ca_pem_length: usize,
    /// SHA-256 hashes, 32 bytes each, back to back, for `WTGRAM_TRUST_CERTIFICATE_HASHES`.
    pub certificate_hashes: *const u8,
    /// How many hashes.
    pub certificate_hashes_count: usize,
    /// Extra headers of the request, in order; repeated names are allowed, names that begin with `:` are not.
    pub headers: *const wtgram_header,
    /// How many headers.
    pub headers_count: usize,
    /// Local IP address to send from; NULL, the default, is any. Sessions with the same one share a UDP socket.
    pub bind_host: *const c_char,
    /// Options of the connection; NULL for the defaults.
    pub connection: *const wtgram_connection_options,
    /// Options of the session's transport; NULL for the defaults.
    pub transport: *const wtgram_transport_options,
}

// SAFETY: repr(C), begins with its size, integers and pointers that are only used where checked.
unsafe impl Versioned for wtgram_connect_options {
    const FIRST_SIZE: usize = 104;
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
        }
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_connect_options_init(options: *mut wtgram_connect_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn connect_options(raw: &wtgram_connect_options) -> Result<ConnectOptions, Failure> {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        let headers = elements(raw.headers, raw.headers_count)?.iter();
        let headers = headers.map(|one| Ok((text(one.name)?.to_owned(), text(one.value)?.to_owned())));
        Ok(ConnectOptions {
            timeout: optional_duration(raw.timeout_us)?.unwrap_or_default(),
            trust: trust(raw)?,
            headers: headers.collect::<Result<_, Failure>>()?,
            bind_host: ip_address(raw.bind_host)?,
            connection: connection_options(raw.connection)?,
        })
    }
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn trust(raw: &wtgram_connect_options) -> Result<Trust, Failure> {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        Ok(match raw.trust {
            0 => Trust::System,
            1 => match optional_text(raw.ca_file)? {
                Some(path) => Trust::CaFile(PathBuf::from(path)),
                None => Trust::CaPem(bytes(raw.ca_pem, raw.ca_pem_length)?.to_vec()),
            },
            2 => {
                let hashes = raw.certificate_hashes.cast::<[u8; 32]>();
                Trust::CertificateHashes(elements(hashes, raw.certificate_hashes_count)?.to_vec())
            }
            3 => Trust::InsecureNoVerification,
            _ => return Err(invalid("there is no such kind of trust")),
        })
    }
}

/// Establishes a session with the server at `url`; waits until it is there or the attempt has failed.
///
/// `url`: `https://host[:port][/path][?query]`. `options`: NULL for the defaults. `session`: the handle, to be freed.
/// `detail`, `detail_capacity`: a buffer that gets, NUL-terminated and shortened to fit, what went wrong; may be NULL
/// with 0.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`; `INVALID_URL`; `NAME_NOT_RESOLVED`; `CONNECT_TIMEOUT`: nothing answered in
/// time, which is also what a port looks like on which nobody listens; `CONNECTION_REFUSED`; `CERTIFICATE_UNTRUSTED`,
/// `_EXPIRED`, `_NAME_MISMATCH`, `_HASH_MISMATCH`; `TLS`; `REJECTED`: an HTTP status other than 2xx; `PROTOCOL`: the
/// server does not speak WebTransport; `UNSUPPORTED`: it takes no datagrams; `IDENTITY`: the authorities cannot be
/// read; `IO`; `LIMIT_REACHED`; `CLOSED`; `FORKED`.
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
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        clear(session);
        detailed(detail, detail_capacity, || {
            let session = output(session)?;
            let raw = read_options(options)?;
            let transport = transport_options(raw.transport)?;
            *session = publish(Session::connect(text(url)?, &connect_options(&raw)?, &transport)?)?;
            Ok(())
        })
    }
}

/// Where a session is in its life.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_session_phase {
    /// The handshake is under way.
    WTGRAM_SESSION_CONNECTING = 0,
    /// Datagrams flow.
    WTGRAM_SESSION_CONNECTED = 1,
    /// Datagrams flow, and the peer has asked to end the session soon (GOAWAY or DRAIN).
    WTGRAM_SESSION_DRAINING = 2,
    /// Over.
    WTGRAM_SESSION_CLOSED = 3,
}

/// Where the session is in its life: a `wtgram_session_phase`.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `phase` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_state(session: wtgram_session, phase: *mut u32) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(phase, || {
            Ok(match session.get()?.session.link.phase() {
                Phase::Connecting => 0,
                Phase::Connected => 1,
                Phase::Draining => 2,
                Phase::Closed => 3,
            })
        })
    }
}

/// The session's id: that of its CONNECT stream.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `id` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_id(session: wtgram_session, id: *mut u64) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(id, || Ok(session.get()?.session.link.established()?.id)) }
}

/// The path of the session's request, with its query, for example `"/room?name=a"`.
///
/// `text`, `capacity`: a buffer for it and its NUL. `length`: its bytes without the NUL.
///
/// Statuses: `WTGRAM_OK`; `BUFFER_TOO_SMALL`: `length` says what is needed, without NUL; `INVALID_HANDLE`;
/// `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `text` points to `capacity` writable bytes, `length` to a `size_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_path(
    session: wtgram_session,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        clear(length);
        guard(|| write_text(&session.get()?.session.link.established()?.path, text, capacity, length))
    }
}

/// The peer's address now, for example `"192.0.2.1:50000"`; it changes when the peer moves to another network.
///
/// Parameters and statuses as for `wtgram_session_path`.
///
/// # Safety
/// `text` points to `capacity` writable bytes, `length` to a `size_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_remote_address(
    session: wtgram_session,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        clear(length);
        guard(|| {
            let address = session.get()?.session.link.remote_address()?;
            write_text(&address.to_string(), text, capacity, length)
        })
    }
}

/// The address this side's packets leave from, for example `"192.0.2.2:4433"`. The IP address is unspecified
/// (`0.0.0.0` or `[::]`) where the system does not tell.
///
/// Parameters and statuses as for `wtgram_session_path`.
///
/// # Safety
/// `text` points to `capacity` writable bytes, `length` to a `size_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_local_address(
    session: wtgram_session,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        clear(length);
        guard(|| {
            let address = session.get()?.session.link.local_address()?;
            write_text(&address.to_string(), text, capacity, length)
        })
    }
}

/// The session's transport: the same handle each time, valid as long as the session's own.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `transport` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_datagrams(
    session: wtgram_session,
    transport: *mut wtgram_transport,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(transport, || Ok(session.get()?.transport)) }
}

/// Figures of the connection under a session.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_session_statistics {
    /// Size of this struct, filled by `wtgram_session_statistics_init`.
    pub struct_size: usize,
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: i64,
    /// Least round-trip time seen, in microseconds.
    pub min_rtt_us: i64,
    /// Congestion window, in bytes.
    pub congestion_window_bytes: u64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets lost.
    pub packets_lost: u64,
    /// Bytes in lost packets.
    pub bytes_lost: u64,
    /// Bytes of UDP payload sent.
    pub udp_bytes_sent: u64,
    /// Bytes of UDP payload received.
    pub udp_bytes_received: u64,
    /// UDP datagrams sent.
    pub udp_datagrams_sent: u64,
    /// UDP datagrams received.
    pub udp_datagrams_received: u64,
    /// Times the congestion window was reduced.
    pub congestion_events: u64,
    /// QUIC DATAGRAM frames sent.
    pub datagram_frames_sent: u64,
    /// QUIC DATAGRAM frames received.
    pub datagram_frames_received: u64,
    /// Streams that the peer opened and that were refused; the library carries datagrams only.
    pub peer_streams_refused: u64,
    /// Largest UDP payload the path carries, in bytes.
    pub path_mtu_bytes: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_session_statistics {
    const FIRST_SIZE: usize = 128;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            rtt_us: 0,
            min_rtt_us: 0,
            congestion_window_bytes: 0,
            packets_sent: 0,
            packets_lost: 0,
            bytes_lost: 0,
            udp_bytes_sent: 0,
            udp_bytes_received: 0,
            udp_datagrams_sent: 0,
            udp_datagrams_received: 0,
            congestion_events: 0,
            datagram_frames_sent: 0,
            datagram_frames_received: 0,
            peer_streams_refused: 0,
            path_mtu_bytes: 0,
            reserved: 0,
        }
    }
}

/// Fills `statistics` with zeroes and its size. NULL is ignored.
///
/// # Safety
/// `statistics` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_session_statistics_init(statistics: *mut wtgram_session_statistics) {
    // SAFETY: the caller's promise.
    unsafe { init(statistics) };
}

/// Figures of the connection now; after its end, the last ones.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`: NULL, or `struct_size` is that of no version; `CLOSED`:
/// the library was shut down; `FORKED`.
///
/// # Safety
/// `statistics` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_stats(
    session: wtgram_session,
    statistics: *mut wtgram_session_statistics,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { sized_output(statistics) }?;
        let stats = session.get()?.session.link.stats()?;
        let value = wtgram_session_statistics {
            rtt_us: micros(stats.rtt),
            min_rtt_us: micros(stats.min_rtt),
            congestion_window_bytes: stats.congestion_window_bytes,
            packets_sent: stats.packets_sent,
            packets_lost: stats.packets_lost,
            bytes_lost: stats.bytes_lost,
            udp_bytes_sent: stats.udp_bytes_sent,
            udp_bytes_received: stats.udp_bytes_received,
            udp_datagrams_sent: stats.udp_datagrams_sent,
            udp_datagrams_received: stats.udp_datagrams_received,
            congestion_events: stats.congestion_events,
            datagram_frames_sent: stats.datagram_frames_sent,
            datagram_frames_received: stats.datagram_frames_received,
            peer_streams_refused: stats.peer_streams_refused,
            path_mtu_bytes: stats.path_mtu_bytes,
            ..Versioned::initial()
        };
        // SAFETY: the caller's promise.
        unsafe { fill(statistics, value) }
    })
}

/// Ends the session: it is closed for this side at once, and code and reason are on their way to the peer, also when the
/// handle is freed right after. What has arrived can still be received. Closing again does nothing.
///
/// `code`: the application's, any. `reason`: UTF-8, `reason_length` bytes, at most 1024; NULL with 0 for none.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`: the reason is too long or not UTF-8; `CLOSED`: the
/// library was shut down; `FORKED`.
///
/// # Safety
/// `reason` is NULL or points to `reason_length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_session_close(
    session: wtgram_session,
    code: u32,
    reason: *const c_char,
    reason_length: usize,
) -> wtgram_status {
    guard(|| {
        let session = session.get()?;
        // SAFETY: the caller's promise.
        let reason = unsafe { bytes(reason.cast(), reason_length) }?;
        let reason = std::str::from_utf8(reason).map_err(|_| invalid("a close reason is UTF-8"))?;
        Ok(session.session.link.close(code, reason)?)
    })
}

/// Who ended a session.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_closed_by {
    /// This side.
    WTGRAM_CLOSED_BY_LOCAL = 0,
    /// The other side, in its own words.
    WTGRAM_CLOSED_BY_PEER = 1,
    /// The connection below: lost, timed out, or broken by a protocol error of either side.
    WTGRAM_CLOSED_BY_TRANSPORT = 2,
}

/// Room for a close reason and its NUL, in bytes.
pub const WTGRAM_CLOSE_REASON_CAPACITY: usize = 1025;

/// The last words of a session.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_close_info {
    /// Size of this struct, filled by `wtgram_close_info_init`.
    pub struct_size: usize,
    /// A `wtgram_closed_by`.
    pub closed_by: u32,
    /// The application's code; 0 where there is none.
    pub code: u32,
    /// QUIC or HTTP/3 error code where `closed_by` is `WTGRAM_CLOSED_BY_TRANSPORT`.
    pub transport_error: u64,
    /// Bytes of `reason` without its NUL.
    pub reason_length: usize,
    /// The application's reason, or what happened to the connection: UTF-8, NUL-terminated.
    pub reason: [c_char; WTGRAM_CLOSE_REASON_CAPACITY],
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_close_info {
    const FIRST_SIZE: usize = 1064;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            closed_by: 0,
            code: 0,
            transport_error: 0,
            reason_length: 0,
            reason: [0; WTGRAM_CLOSE_REASON_CAPACITY],
        }
    }
}

impl From<CloseInfo> for wtgram_close_info {
    fn from(info: CloseInfo) -> Self {
        let mut value = Self::initial();
        value.closed_by = match info.by {
            ClosedBy::Local => 0,
            ClosedBy::Peer => 1,
            ClosedBy::Transport => 2,
        };
        value.code = info.code;
        value.transport_error = info.transport_error;
        value.reason_length = info.reason.len().min(MAX_CLOSE_REASON_BYTES);
        for (to, from) in value.reason.iter_mut().zip(info.reason.bytes().take(MAX_CLOSE_REASON_BYTES)) {
            *to = from as c_char;
        }
        value
    }
}

/// Fills `info` with zeroes and its size. NULL is ignored.
///
/// # Safety
/// `info` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_close_info_init(info: *mut wtgram_close_info) {
    // SAFETY: the caller's promise.
    unsafe { init(info) };
}

/// Waits until the session is over. What this side said in closing leaves in the background; `wtgram_shutdown` waits
/// for that.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `info`: its last words.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut
/// down; `FORKED`.
///
/// # Safety
/// `info` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_wait_closed(
    session: wtgram_session,
    timeout_us: i64,
    info: *mut wtgram_close_info,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { sized_output(info) }?;
        let words = session.get()?.session.link.wait_closed(deadline(timeout_us)?)?;
        // SAFETY: the caller's promise.
        unsafe { fill(info, words.into()) }
    })
}

/// The last words of a session that is over.
///
/// Statuses: `WTGRAM_OK`; `WOULD_BLOCK`: it is not over; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was
/// shut down; `FORKED`.
///
/// # Safety
/// `info` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_close_info(
    session: wtgram_session,
    info: *mut wtgram_close_info,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { sized_output(info) }?;
        let words = session.get()?.session.link.close_info().ok_or(Error::WouldBlock)?;
        // SAFETY: the caller's promise.
        unsafe { fill(info, words.into()) }
    })
}

/// Closes the session with code 0, if it is open, and makes its handle and its transport's name nothing. Calls that wait
/// on either return `CLOSED`. None and stale handles are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_session_free(session: wtgram_session) {
    free(session, |object| {
        drop(object.transport.take());
        let _ = object.session.link.close(0, "");
    });
}
