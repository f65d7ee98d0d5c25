//! Server statistics
//!
//! What a server counts from the moment it listens.

use std::ffi::c_char;

use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{Versioned, give_sized, give_text, init, init_sized, micros};
use crate::ffi::handles::wtgram_server;
use crate::ffi::status::wtgram_status;
use crate::link::server::stats::{HandshakeFailure, Refused, ServerStats};
use crate::monitor::prometheus;

/// Statistics of a server.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_server_stats {
    /// Size of this struct, set by `wtgram_server_stats_init`.
    pub struct_size: usize,
    /// Connections now, half-open ones included.
    pub connections: u64,
    /// Connections now whose session is not established yet.
    pub half_open: u64,
    /// Sessions established.
    pub established: u64,
    /// Sessions closed because they were not accepted in time (`accept_timeout_us`).
    pub not_accepted: u64,
    /// Times that a client had to prove its address first.
    pub retries: u64,
    /// Connections refused because of `max_sessions`.
    pub refused_sessions: u64,
    /// Connections refused because of `max_sessions_per_address`.
    pub refused_address: u64,
    /// Connections refused because of `connections_per_second_per_address`.
    pub refused_rate: u64,
    /// Connections refused because of `max_memory_bytes`.
    pub refused_memory: u64,
    /// Requests refused because of `allowed_origins`.
    pub refused_origin: u64,
    /// Requests refused because of `allowed_authorities`.
    pub refused_authority: u64,
    /// Requests refused because of `allowed_paths`.
    pub refused_path: u64,
    /// Requests refused because of `max_path_bytes`.
    pub refused_path_length: u64,
    /// Requests refused because of `max_header_bytes` or `max_header_fields`.
    pub refused_headers: u64,
    /// Requests refused because of `accept_backlog`.
    pub refused_backlog: u64,
    /// Requests that the program rejected, or freed unanswered.
    pub rejected: u64,
    /// Connections and requests refused after `wtgram_server_stop_listening`.
    pub refused_stopped: u64,
    /// Handshakes that took longer than `handshake_timeout_us`.
    pub failed_timed_out: u64,
    /// Handshakes that failed in TLS, for example because the client does not trust the
    /// certificate.
    pub failed_tls: u64,
    /// Handshakes whose client closed the connection or was lost.
    pub failed_lost: u64,
    /// Handshakes whose client broke the protocol or does not speak WebTransport.
    pub failed_protocol: u64,
    /// Handshakes that ended because of `max_half_open`.
    pub failed_evicted: u64,
    /// Time from the first packet of a client to its session, in microseconds, summed over all
    /// sessions. It includes the program's time to answer the request. After a Retry, the packet that
    /// proves the address counts as the first.
    pub handshake_time_us: i64,
    /// The longest of these times, in microseconds.
    pub longest_handshake_us: i64,
    /// Datagrams dropped because of `datagrams_per_second` or `bytes_per_second`.
    pub datagrams_over_rate: u64,
    /// Datagrams dropped because of `max_memory_bytes`.
    pub datagrams_over_memory: u64,
    /// Memory that clients make the server hold now, in bytes (see `max_memory_bytes`).
    pub memory_bytes: u64,
    /// Handshakes that failed because the client's certificate was refused, or the lack of one.
    pub failed_client_certificate: u64,
    /// First packets of clients that were dropped because too many waited to be looked at. The
    /// clients send them again.
    pub ignored: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_server_stats {
    const FIRST_SIZE: usize = 224;
    fn initial() -> Self {
        Self::from(&ServerStats::default())
    }
}

impl From<&ServerStats> for wtgram_server_stats {
    fn from(stats: &ServerStats) -> Self {
        let refused = |reason: Refused| stats.refused[reason as usize];
        let failed = |reason: HandshakeFailure| stats.failed[reason as usize];
        Self {
            struct_size: size_of::<Self>(),
            connections: stats.connections,
            half_open: stats.half_open,
            established: stats.established,
            not_accepted: stats.not_accepted,
            retries: stats.retries,
            refused_sessions: refused(Refused::Sessions),
            refused_address: refused(Refused::Address),
            refused_rate: refused(Refused::Rate),
            refused_memory: refused(Refused::Memory),
            refused_origin: refused(Refused::Origin),
            refused_authority: refused(Refused::Authority),
            refused_path: refused(Refused::Path),
            refused_path_length: refused(Refused::PathLength),
            refused_headers: refused(Refused::Headers),
            refused_backlog: refused(Refused::Backlog),
            rejected: refused(Refused::Rejected),
            refused_stopped: refused(Refused::Stopped),
            failed_timed_out: failed(HandshakeFailure::TimedOut),
            failed_tls: failed(HandshakeFailure::Tls),
            failed_lost: failed(HandshakeFailure::Lost),
            failed_protocol: failed(HandshakeFailure::Protocol),
            failed_evicted: failed(HandshakeFailure::Evicted),
            handshake_time_us: micros(stats.handshake_time),
            longest_handshake_us: micros(stats.longest_handshake),
            datagrams_over_rate: stats.datagrams_over_rate,
            datagrams_over_memory: stats.datagrams_over_memory,
            memory_bytes: stats.memory_bytes,
            failed_client_certificate: failed(HandshakeFailure::ClientCertificate),
            ignored: stats.ignored,
        }
    }
}

/// Fills `*stats` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `stats` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_server_stats_init(stats: *mut wtgram_server_stats) {
    // SAFETY: the caller's promise.
    unsafe { init(stats) };
}

/// For bindings: `wtgram_server_stats_init` for a struct of `size` bytes.
///
/// # Safety
/// `stats` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_server_stats_init_sized(stats: *mut wtgram_server_stats, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(stats, size) };
}

/// Stores the statistics of the server.
///
/// @param server The server.
/// @param stats Gets the statistics; prepared by `wtgram_server_stats_init`.
///
/// # Safety
/// `stats` points to a struct whose `struct_size` is right.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_get_stats(
    server: wtgram_server,
    stats: *mut wtgram_server_stats,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_sized(stats, || Ok((&server.get()?.link.stats()).into())) }
}

/// Writes the statistics of the server as OpenMetrics 1.0 text for Prometheus, labelled with the
/// address on which it listens. Serve it as `application/openmetrics-text; version=1.0.0;
/// charset=utf-8`.
///
/// @param server The server.
/// @param text Buffer for the text and its final NUL.
/// @param capacity Size of `text`, in bytes.
/// @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed. The text grows with its
///   numbers, so allocate a little more.
///
/// # Safety
/// `text` points to `capacity` writable bytes; `length` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_get_prometheus(
    server: wtgram_server,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || {
            let link = &server.get()?.link;
            Ok(prometheus::server(link.local_address(), &link.stats())?)
        })
    }
}
