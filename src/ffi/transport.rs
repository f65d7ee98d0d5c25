//! `wtgram_transport_*`: the handle, its options, what it is. What it does is in `send`, `receive`, `outcome`, `settings`,
//! `statistics` and `tools`.

use std::sync::{Arc, OnceLock};

use super::guard::{Failure, guard};
use super::handle::{Handle, names};
use super::library::init;
use super::pointer::{Versioned, give, invalid, optional_duration, read_options};
use super::session::wtgram_session;
use super::status::wtgram_status;
use crate::datagram::message::Limits;
use crate::datagram::receive::DropPolicy;
use crate::datagram::send::FullPolicy;
use crate::datagram::send::watermark::Marks;
use crate::datagram::transport::{Transport, TransportOptions};

/// The datagrams of one session. `{0}` is none. It lives as long as its session and is not freed by itself.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_transport {
    /// The number of the handle.
    pub id: u64,
}

/// A transport and the handle of its session.
pub(super) struct TransportObject {
    pub(super) transport: Arc<Transport>,
    session: OnceLock<wtgram_session>,
}

impl TransportObject {
    pub(super) fn publish(transport: Arc<Transport>) -> Result<wtgram_transport, Failure> {
        wtgram_transport::new(Arc::new(Self { transport, session: OnceLock::new() }))
    }

    pub(super) fn belongs_to(&self, session: wtgram_session) {
        let _ = self.session.set(session);
    }
}

names!(wtgram_transport => TransportObject, TRANSPORT, polled as |object| &object.transport);

/// What happens to a datagram when the outgoing queue is full.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_full_policy {
    /// The oldest of the lowest priority not above its own makes room. The default.
    WTGRAM_FULL_EVICT = 0,
    /// It is rejected: `QUEUE_FULL`.
    WTGRAM_FULL_REJECT = 1,
    /// The call waits for room.
    WTGRAM_FULL_WAIT = 2,
}

/// Which datagram goes when the incoming queue is full.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_drop_policy {
    /// The one that has waited longest. The default.
    WTGRAM_DROP_OLDEST = 0,
    /// The one that has just arrived.
    WTGRAM_DROP_NEWEST = 1,
}

/// Options of a transport.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_transport_options {
    /// Size of this struct, filled by `wtgram_transport_options_init`.
    pub struct_size: usize,
    /// Datagrams that may wait for sending, at least 1. Default 100.
    pub outgoing_max_datagrams: u64,
    /// Payload bytes that may wait for sending. Default 4 MiB.
    pub outgoing_max_bytes: u64,
    /// Age at which a datagram is dropped instead of sent, in microseconds; 0, the default, for none.
    pub outgoing_max_age_us: i64,
    /// Datagrams that may wait for being received, at least 1. Default 4096.
    pub incoming_max_datagrams: u64,
    /// Payload bytes that may wait for being received. Default 1 MiB.
    pub incoming_max_bytes: u64,
    /// Age at which a datagram is dropped instead of delivered, in microseconds; 0, the default, for none.
    pub incoming_max_age_us: i64,
    /// A `wtgram_full_policy`. Default `WTGRAM_FULL_EVICT`.
    pub outgoing_full_policy: u32,
    /// A `wtgram_drop_policy`. Default `WTGRAM_DROP_OLDEST`.
    pub incoming_drop_policy: u32,
    /// High-water mark of the outgoing queue in datagrams, the low one is half of it; 0, the default, for its limit.
    pub outgoing_high_water_mark: u64,
    /// Places for outcomes, unfetched or still to come, at least 1; cannot be changed later. Default 1024.
    pub outcome_capacity: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_transport_options {
    const FIRST_SIZE: usize = 80;
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

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_transport_options_init(options: *mut wtgram_transport_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// # Safety
/// `raw` is NULL or points to a struct of its `struct_size`.
pub(super) unsafe fn transport_options(
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

pub(super) fn full_policy(policy: u32) -> Result<FullPolicy, Failure> {
    match policy {
        0 => Ok(FullPolicy::Evict),
        1 => Ok(FullPolicy::Reject),
        2 => Ok(FullPolicy::Wait),
        _ => Err(invalid("there is no such full policy")),
    }
}

pub(super) fn drop_policy(policy: u32) -> Result<DropPolicy, Failure> {
    match policy {
        0 => Ok(DropPolicy::Oldest),
        1 => Ok(DropPolicy::Newest),
        _ => Err(invalid("there is no such drop policy")),
    }
}

pub(super) fn limits(datagrams: u64, bytes: u64) -> Result<Limits, Failure> {
    if datagrams == 0 {
        return Err(invalid("a queue holds at least one datagram"));
    }
    Ok(Limits { datagrams: narrow(datagrams), bytes: narrow(bytes) })
}

/// A number of the caller's as this machine counts; more than it can count is as good as no limit.
pub(super) fn narrow(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The largest payload that can be sent now, in bytes; it follows the path's MTU.
///
/// Statuses: `WTGRAM_OK`; `UNSUPPORTED`: the peer takes no datagrams; `CLOSED`; `INVALID_HANDLE`; `INVALID_ARGUMENT`;
/// `FORKED`.
///
/// # Safety
/// `bytes` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_max_datagram_size(
    transport: wtgram_transport,
    bytes: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(bytes, || Ok(transport.get()?.transport.outgoing.max_datagram_size()?)) }
}

/// Whether the transport or its session is closed. What has arrived can still be received.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `closed` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_is_closed(
    transport: wtgram_transport,
    closed: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(closed, || Ok(transport.get()?.transport.is_closed())) }
}

/// Whether the receiving side is open, or holds datagrams that can still be received.
///
/// Statuses: as for `wtgram_transport_is_closed`.
///
/// # Safety
/// `readable` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_is_readable(
    transport: wtgram_transport,
    readable: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(readable, || Ok(transport.get()?.transport.incoming.is_readable())) }
}

/// Whether the sending side is open.
///
/// Statuses: as for `wtgram_transport_is_closed`.
///
/// # Safety
/// `writable` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_is_writable(
    transport: wtgram_transport,
    writable: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(writable, || Ok(!transport.get()?.transport.is_closed())) }
}

/// The sequence number of the next datagram to send: how many were handed in so far.
///
/// Statuses: as for `wtgram_transport_is_closed`.
///
/// # Safety
/// `sequence` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_send_sequence(
    transport: wtgram_transport,
    sequence: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(sequence, || Ok(transport.get()?.transport.outgoing.sequence())) }
}

/// The sequence number of the next datagram to arrive: how many arrived so far.
///
/// Statuses: as for `wtgram_transport_is_closed`.
///
/// # Safety
/// `sequence` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_receive_sequence(
    transport: wtgram_transport,
    sequence: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(sequence, || Ok(transport.get()?.transport.incoming.sequence())) }
}

/// The session of the transport.
///
/// Statuses: as for `wtgram_transport_is_closed`.
///
/// # Safety
/// `session` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_session(
    transport: wtgram_transport,
    session: *mut wtgram_session,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(session, || transport.get()?.session.get().copied().ok_or(Failure::InvalidHandle)) }
}

/// The id of the transport's session: that of its CONNECT stream.
///
/// Statuses: as for `wtgram_transport_is_closed`.
///
/// # Safety
/// `id` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_session_id(
    transport: wtgram_transport,
    id: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(id, || Ok(transport.get()?.transport.session().established()?.id)) }
}

/// Closes the datagram path; its session lives on. Calls that wait on it return `CLOSED`; what has arrived can still be
/// received; what arrives later is dropped and counted in `receive_dropped_by_quic`; what is queued for sending is dropped
/// and counted as failed. Closing again does nothing.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_transport_close(transport: wtgram_transport) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.close();
        Ok(())
    })
}
