//! Limits of a server
//!
//! What the clients of a server may use up. The defaults suit a server on the internet, and leave
//! enough for many clients behind one address (carrier NAT). Each refusal is counted by its reason
//! in `wtgram_server_stats`.

use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::pointer::{Versioned, init, init_sized, micros, optional_duration, read_options};
use crate::link::config::Limits;

/// Limits of a server. In each field, 0 sets no limit, if nothing else is said.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_server_limits {
    /// Size of this struct, set by `wtgram_server_limits_init`.
    pub struct_size: usize,
    /// Connections of one address: an IPv4 address, or an IPv6 network of 64 bits. Default 2048.
    pub max_sessions_per_address: u32,
    /// Connections that one address may open in a second, and five times as many at once after a
    /// quiet time. Clients above it must prove their address, and are refused if they are too fast
    /// then, too. Default 200.
    pub connections_per_second_per_address: u32,
    /// Connections whose session is not established yet, at least 1. When there are more, the one
    /// that has waited longest ends. Those whose request waits for the program do not count here:
    /// `accept_backlog` limits them. Default 1024.
    pub max_half_open: u32,
    /// With so many of them, clients must prove their address before they cost memory (Retry, RFC
    /// 9000 section 8.1.2), which takes one more round trip; 0: always. Default 64.
    pub retry_above_half_open: u32,
    /// Bytes of header fields in a request, counted as RFC 9114 section 4.2.2 says, at least 1.
    /// Clients above it get HTTP status 431. Default 16384; more than 65536 has no effect.
    pub max_header_bytes: u32,
    /// Header fields in a request. Clients above it get HTTP status 431. 0 allows none. Default 100;
    /// more than 123 has no effect.
    pub max_header_fields: u32,
    /// Length of a path with its query, in bytes, at least 1. Clients above it get HTTP status 414.
    /// Default 4096.
    pub max_path_bytes: u32,
    /// Reserved; 0.
    pub reserved: u32,
    /// Datagrams that one session may send to the server in a second. Those above it are dropped
    /// and counted. Default 0.
    pub datagrams_per_second: u64,
    /// The same in bytes of payload. Default 0.
    pub bytes_per_second: u64,
    /// How long an established session may wait for `wtgram_server_accept`, in microseconds.
    /// Default 30 s.
    pub accept_timeout_us: i64,
    /// Memory that clients may make the server hold, in bytes: datagrams that wait to be received,
    /// and an estimate of 40 KiB for each connection. Above it, clients are refused, and datagrams
    /// are dropped instead of a queue growing. Default 1 GiB.
    pub max_memory_bytes: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_server_limits {
    const FIRST_SIZE: usize = 72;
    fn initial() -> Self {
        let defaults = Limits::default();
        Self {
            struct_size: size_of::<Self>(),
            max_sessions_per_address: defaults.max_sessions_per_address.unwrap_or(0) as u32,
            connections_per_second_per_address: defaults.connections_per_second_per_address.unwrap_or(0),
            max_half_open: defaults.max_half_open as u32,
            retry_above_half_open: defaults.retry_above_half_open as u32,
            max_header_bytes: defaults.max_header_bytes as u32,
            max_header_fields: defaults.max_header_fields as u32,
            max_path_bytes: defaults.max_path_bytes as u32,
            reserved: 0,
            datagrams_per_second: 0,
            bytes_per_second: 0,
            accept_timeout_us: micros(defaults.accept_timeout.unwrap_or_default()),
            max_memory_bytes: defaults.max_memory_bytes.unwrap_or(0) as u64,
        }
    }
}

/// Fills `*limits` with the defaults. NULL is ignored.
///
/// # Safety
/// `limits` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_server_limits_init(limits: *mut wtgram_server_limits) {
    // SAFETY: the caller's promise.
    unsafe { init(limits) };
}

/// For bindings: `wtgram_server_limits_init` for a struct of `size` bytes.
///
/// # Safety
/// `limits` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_server_limits_init_sized(limits: *mut wtgram_server_limits, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(limits, size) };
}

/// # Safety
/// `raw` is NULL or points to a struct whose size is right.
pub(super) unsafe fn limits(raw: *const wtgram_server_limits, max_sessions: u32) -> Result<Limits, Failure> {
    // SAFETY: the caller's promise.
    let raw = unsafe { read_options(raw) }?;
    let count = |limit: u32| (limit > 0).then_some(limit as usize);
    let rate = |limit: u64| (limit > 0).then_some(limit);
    Ok(Limits {
        max_sessions: count(max_sessions),
        max_sessions_per_address: count(raw.max_sessions_per_address),
        connections_per_second_per_address: (raw.connections_per_second_per_address > 0)
            .then_some(raw.connections_per_second_per_address),
        max_half_open: raw.max_half_open as usize,
        retry_above_half_open: raw.retry_above_half_open as usize,
        max_header_bytes: raw.max_header_bytes as usize,
        max_header_fields: raw.max_header_fields as usize,
        max_path_bytes: raw.max_path_bytes as usize,
        datagrams_per_second: rate(raw.datagrams_per_second),
        bytes_per_second: rate(raw.bytes_per_second),
        accept_timeout: optional_duration(raw.accept_timeout_us)?,
        max_memory_bytes: rate(raw.max_memory_bytes)
            .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
    })
}
