//! Options of connections and transports
//!
//! Servers and clients take the same options for their QUIC connections and for the queues of their
//! sessions. Fill a struct with its `_init` function, change what you need, and set the pointer
//! `connection` or `transport` in `wtgram_listen_options` or `wtgram_connect_options`.

use std::ffi::c_char;
use std::net::IpAddr;

use crate::datagram::message::Limits;
use crate::datagram::options::TransportOptions;
use crate::datagram::receive::DropPolicy;
use crate::datagram::send::FullPolicy;
use crate::datagram::send::watermark::Marks;
use crate::ffi::boundary::enums::impl_read;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::pointer::{
    Versioned, init, init_sized, invalid, micros, optional_duration, optional_text, read_options,
};
use crate::link::config::{Congestion, ConnectionOptions};

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

impl_read!(wtgram_congestion_controller { WTGRAM_CONGESTION_CUBIC, WTGRAM_CONGESTION_BBR, WTGRAM_CONGESTION_NEW_RENO } or "there is no such congestion controller");

/// Options of a QUIC connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_connection_options {
    /// Size of this struct, set by `wtgram_connection_options_init`.
    pub struct_size: usize,
    /// Interval of keep-alive packets, in microseconds; 0 disables them. Default 10 s.
    pub keep_alive_us: i64,
    /// The connection ends when nothing arrives for this long, in microseconds; 0 disables the
    /// timeout. The lower value of both peers applies. Default 30 s.
    pub idle_timeout_us: i64,
    /// Requested `SO_RCVBUF` in bytes; 0 requests 4 MiB. The system may grant less.
    pub socket_receive_buffer_bytes: u64,
    /// Requested `SO_SNDBUF` in bytes; 0 requests 4 MiB. The system may grant less.
    pub socket_send_buffer_bytes: u64,
    /// A `wtgram_congestion_controller`. Default CUBIC.
    pub congestion_controller: u32,
    /// Reserved; 0.
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

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_connection_options_init(options: *mut wtgram_connection_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_connection_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_connection_options_init_sized(
    options: *mut wtgram_connection_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

/// # Safety
/// `raw` is NULL or points to a struct of its `struct_size`.
pub(in crate::ffi) unsafe fn connection_options(
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
        congestion: match wtgram_congestion_controller::read(raw.congestion_controller)? {
            wtgram_congestion_controller::WTGRAM_CONGESTION_CUBIC => Congestion::Cubic,
            wtgram_congestion_controller::WTGRAM_CONGESTION_BBR => Congestion::Bbr,
            wtgram_congestion_controller::WTGRAM_CONGESTION_NEW_RENO => Congestion::NewReno,
        },
    })
}

/// What happens to a datagram when the outgoing queue is full.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_full_policy {
    /// The oldest queued datagram of the lowest priority is dropped, unless its priority is higher.
    /// The default.
    WTGRAM_FULL_EVICT = 0,
    /// The new datagram is rejected with `WTGRAM_ERROR_QUEUE_FULL`.
    WTGRAM_FULL_REJECT = 1,
    /// The call waits until there is space.
    WTGRAM_FULL_WAIT = 2,
}

impl_read!(wtgram_full_policy { WTGRAM_FULL_EVICT, WTGRAM_FULL_REJECT, WTGRAM_FULL_WAIT } or "there is no such full policy");

/// Which datagram is dropped when the incoming queue is full.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_drop_policy {
    /// The oldest one in the queue. The default.
    WTGRAM_DROP_OLDEST = 0,
    /// The one that arrives.
    WTGRAM_DROP_NEWEST = 1,
}

impl_read!(wtgram_drop_policy { WTGRAM_DROP_OLDEST, WTGRAM_DROP_NEWEST } or "there is no such drop policy");

/// Options of a session's transport. All but `outcome_capacity` can be changed later.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_transport_options {
    /// Size of this struct, set by `wtgram_transport_options_init`.
    pub struct_size: usize,
    /// Limit of the outgoing queue in datagrams, at least 1. Default 100.
    pub outgoing_max_datagrams: u64,
    /// Limit of the outgoing queue in payload bytes. Default 4 MiB.
    pub outgoing_max_bytes: u64,
    /// Outgoing datagrams of this age are dropped, in microseconds; 0, the default, sets no limit.
    pub outgoing_max_age_us: i64,
    /// Limit of the incoming queue in datagrams, at least 1. Default 4096.
    pub incoming_max_datagrams: u64,
    /// Limit of the incoming queue in payload bytes. Default 1 MiB.
    pub incoming_max_bytes: u64,
    /// Incoming datagrams of this age are dropped, in microseconds; 0, the default, sets no limit.
    pub incoming_max_age_us: i64,
    /// A `wtgram_full_policy`. Default `WTGRAM_FULL_EVICT`.
    pub outgoing_full_policy: u32,
    /// A `wtgram_drop_policy`. Default `WTGRAM_DROP_OLDEST`.
    pub incoming_drop_policy: u32,
    /// High-water mark of the outgoing queue in datagrams; 0, the default, takes the queue's limit.
    /// The low-water mark is half of it.
    pub outgoing_high_water_mark: u64,
    /// How many outcomes there can be that are pending or not fetched, at least 1. Default 1024.
    pub outcome_capacity: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_transport_options {
    const FIRST_SIZE: usize = 72;
    fn initial() -> Self {
        let defaults = TransportOptions::default();
        Self {
            struct_size: size_of::<Self>(),
            outgoing_max_datagrams: defaults.outgoing_limits.datagrams as u64,
            outgoing_max_bytes: defaults.outgoing_limits.bytes as u64,
            outgoing_max_age_us: 0,
            incoming_max_datagrams: defaults.incoming_limits.datagrams as u64,
            incoming_max_bytes: defaults.incoming_limits.bytes as u64,
            incoming_max_age_us: 0,
            outgoing_full_policy: wtgram_full_policy::WTGRAM_FULL_EVICT as u32,
            incoming_drop_policy: wtgram_drop_policy::WTGRAM_DROP_OLDEST as u32,
            outgoing_high_water_mark: 0,
            outcome_capacity: defaults.outcome_capacity as u64,
        }
    }
}

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_transport_options_init(options: *mut wtgram_transport_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_transport_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_transport_options_init_sized(
    options: *mut wtgram_transport_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

/// # Safety
/// `raw` is NULL or points to a struct of its `struct_size`.
pub(in crate::ffi) unsafe fn transport_options(
    raw: *const wtgram_transport_options,
) -> Result<TransportOptions, Failure> {
    // SAFETY: the caller's promise.
    let raw = unsafe { read_options(raw) }?;
    Ok(TransportOptions {
        outgoing_limits: limits(raw.outgoing_max_datagrams, raw.outgoing_max_bytes)?,
        outgoing_max_age: optional_duration(raw.outgoing_max_age_us)?,
        outgoing_policy: full_policy(raw.outgoing_full_policy)?,
        outgoing_marks: (raw.outgoing_high_water_mark != 0)
            .then(|| Marks::of_datagrams(narrow(raw.outgoing_high_water_mark))),
        outcome_capacity: limits(raw.outcome_capacity, 0)?.datagrams,
        incoming_limits: limits(raw.incoming_max_datagrams, raw.incoming_max_bytes)?,
        incoming_max_age: optional_duration(raw.incoming_max_age_us)?,
        incoming_policy: drop_policy(raw.incoming_drop_policy)?,
    })
}

pub(in crate::ffi) fn full_policy(policy: u32) -> Result<FullPolicy, Failure> {
    Ok(match wtgram_full_policy::read(policy)? {
        wtgram_full_policy::WTGRAM_FULL_EVICT => FullPolicy::Evict,
        wtgram_full_policy::WTGRAM_FULL_REJECT => FullPolicy::Reject,
        wtgram_full_policy::WTGRAM_FULL_WAIT => FullPolicy::Wait,
    })
}

pub(in crate::ffi) fn drop_policy(policy: u32) -> Result<DropPolicy, Failure> {
    Ok(match wtgram_drop_policy::read(policy)? {
        wtgram_drop_policy::WTGRAM_DROP_OLDEST => DropPolicy::Oldest,
        wtgram_drop_policy::WTGRAM_DROP_NEWEST => DropPolicy::Newest,
    })
}

pub(in crate::ffi) fn limits(datagrams: u64, bytes: u64) -> Result<Limits, Failure> {
    if datagrams == 0 {
        return Err(invalid("a queue holds at least one datagram"));
    }
    Ok(Limits { datagrams: narrow(datagrams), bytes: narrow(bytes) })
}

/// A number from the caller as a `usize`. A number that is too large sets no limit.
pub(in crate::ffi) fn narrow(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// # Safety
/// `host` is NULL or NUL-terminated.
pub(in crate::ffi) unsafe fn ip_address(host: *const c_char) -> Result<Option<IpAddr>, Failure> {
    // SAFETY: the caller's promise.
    let host = unsafe { optional_text(host) }?;
    host.map(|host| host.parse().map_err(|_| invalid("a host to bind must be an IP address"))).transpose()
}
