//! `wtgram_transport_*`.

use std::sync::{Arc, OnceLock};

use super::guard::{Failure, guard};
use super::handle::{Handle, Table, types};
use super::library::init;
use super::pointer::{
    Versioned, WTGRAM_FOREVER, bytes, clear, deadline, elements, elements_mut, fill, give, invalid,
    optional_duration, output, read_options, sized_output,
};
use super::session::wtgram_session;
use super::status::wtgram_status;
use crate::datagram::inbound::{DropPolicy, Slot};
use crate::datagram::message::{Limits, Priority};
use crate::datagram::outbound::FullPolicy;
use crate::datagram::stats::Stats;
use crate::datagram::transport::{SendOptions, Transport, TransportOptions};
use crate::error::Error;
use crate::runtime::wait::Deadline;

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

static TRANSPORTS: Table<TransportObject> = Table::new();

impl Handle for wtgram_transport {
    type Object = TransportObject;
    const TYPE: u8 = types::TRANSPORT;
    fn table() -> &'static Table<TransportObject> {
        &TRANSPORTS
    }
    fn from_id(id: u64) -> Self {
        Self { id }
    }
    fn id(self) -> u64 {
        self.id
    }
}

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
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_transport_options {
    const FIRST_SIZE: usize = 64;
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
        outgoing_policy: match raw.outgoing_full_policy {
            0 => FullPolicy::Evict,
            1 => FullPolicy::Reject,
            2 => FullPolicy::Wait,
            _ => return Err(invalid("there is no such full policy")),
        },
        incoming_limits: limits(raw.incoming_max_datagrams, raw.incoming_max_bytes)?,
        incoming_max_age: optional_duration(raw.incoming_max_age_us)?,
        incoming_policy: match raw.incoming_drop_policy {
            0 => DropPolicy::Oldest,
            1 => DropPolicy::Newest,
            _ => return Err(invalid("there is no such drop policy")),
        },
    })
}

fn limits(datagrams: u64, bytes: u64) -> Result<Limits, Failure> {
    if datagrams == 0 {
        return Err(invalid("a queue holds at least one datagram"));
    }
    let narrow = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Ok(Limits { datagrams: narrow(datagrams), bytes: narrow(bytes) })
}

/// How a datagram is sent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_send_options {
    /// Size of this struct, filled by `wtgram_send_options_init`.
    pub struct_size: usize,
    /// Age from which the datagram is dropped instead of sent, in microseconds; 0, the default, for none.
    pub ttl_us: i64,
    /// How long to wait for room under `WTGRAM_FULL_WAIT`, in microseconds; `WTGRAM_FOREVER`, the default; or 0. A batch
    /// has one timeout for all of it.
    pub timeout_us: i64,
    /// Report what becomes of the datagram under this number; 0, the default, reports nothing.
    pub report_id: u64,
    /// Urgency, clamped to 0 to 2; 2 leaves first. Default 0.
    pub priority: i32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_send_options {
    const FIRST_SIZE: usize = 40;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            ttl_us: 0,
            timeout_us: WTGRAM_FOREVER,
            report_id: 0,
            priority: 0,
            reserved: 0,
        }
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_send_options_init(options: *mut wtgram_send_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// # Safety
/// `raw` is NULL or points to a struct of its `struct_size`.
pub(super) unsafe fn send_options(
    raw: *const wtgram_send_options,
) -> Result<(SendOptions, Deadline), Failure> {
    // SAFETY: the caller's promise.
    let raw = unsafe { read_options(raw) }?;
    let options = SendOptions {
        priority: Priority::from(i64::from(raw.priority)),
        ttl: optional_duration(raw.ttl_us)?,
        report_id: (raw.report_id != 0).then_some(raw.report_id),
    };
    Ok((options, deadline(raw.timeout_us)?))
}

/// A datagram to send.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_slice {
    /// Its first byte; ignored if `length` is 0.
    pub data: *const u8,
    /// Its bytes.
    pub length: usize,
}

/// Sends one datagram: it is copied and queued. An empty one is valid.
///
/// `data`, `length`: the payload. `options`: NULL for the defaults.
///
/// Statuses: `WTGRAM_OK`: queued; `TOO_LARGE`: more than `wtgram_transport_max_datagram_size`, nothing is queued;
/// `QUEUE_FULL`: the policy is to reject, or everything queued is of higher priority; `TIMED_OUT`, `WOULD_BLOCK`: no
/// room in time under `WTGRAM_FULL_WAIT`, nothing is queued; `UNSUPPORTED`: the peer takes no datagrams; `LIMIT_REACHED`:
/// too many outcomes are unfetched; `CLOSED`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `FORKED`. Any thread.
///
/// # Safety
/// `data` points to `length` bytes; `options` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_send(
    transport: wtgram_transport,
    data: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let transport = transport.get()?;
        // SAFETY: the caller's promise.
        let (data, (options, deadline)) = unsafe { (bytes(data, length)?, send_options(options)?) };
        Ok(transport.transport.send(data, &options, deadline)?)
    })
}

/// `wtgram_transport_send` that never waits: under `WTGRAM_FULL_WAIT` a full queue is `WOULD_BLOCK`.
///
/// # Safety
/// As for `wtgram_transport_send`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_try_send(
    transport: wtgram_transport,
    data: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let transport = transport.get()?;
        // SAFETY: the caller's promise.
        let (data, (options, _)) = unsafe { (bytes(data, length)?, send_options(options)?) };
        Ok(transport.transport.send(data, &options, Deadline::Now)?)
    })
}

/// Sends many datagrams in one crossing. One that fails does not keep the others from going.
///
/// `datagrams`, `count`: the payloads; 0 is fine. `options`: for each of them; NULL for the defaults. `results`: NULL, or
/// `count` elements that get the status of each. `accepted`: how many were queued, on every status.
///
/// Statuses: that of the first datagram that failed, else `WTGRAM_OK`; `INVALID_HANDLE` and `INVALID_ARGUMENT` before
/// any is sent.
///
/// # Safety
/// `datagrams` points to `count` elements, each to its bytes; `results` is NULL or points to `count` writable elements;
/// `accepted` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_send_batch(
    transport: wtgram_transport,
    datagrams: *const wtgram_slice,
    count: usize,
    options: *const wtgram_send_options,
    results: *mut wtgram_status,
    accepted: *mut usize,
) -> wtgram_status {
    let mut first_failure = wtgram_status::WTGRAM_OK;
    // SAFETY: the caller's promise.
    let status = unsafe {
        give(accepted, || {
            let transport = transport.get()?;
            let datagrams = elements(datagrams, count)?;
            let (options, deadline) = send_options(options)?;
            let results_wanted = if results.is_null() { 0 } else { count };
            let mut results = elements_mut(results.cast::<i32>(), results_wanted)?.iter_mut();
            let payloads = datagrams.iter().map(|one| {
                // The only way a pointer of the caller's can be refused.
                bytes(one.data, one.length)
                    .map_err(|_| Error::InvalidArgument("a slice is NULL or too long".into()))
            });
            let mut accepted = 0;
            transport.transport.send_batch(payloads, &options, deadline, |result| {
                let status = result.map_or_else(|error| (&error).into(), |()| wtgram_status::WTGRAM_OK);
                accepted += usize::from(status == wtgram_status::WTGRAM_OK);
                if first_failure == wtgram_status::WTGRAM_OK {
                    first_failure = status;
                }
                if let Some(result) = results.next() {
                    *result = status as i32;
                }
            });
            Ok(accepted)
        })
    };
    if status == wtgram_status::WTGRAM_OK { first_failure } else { status }
}

/// Waits for the next datagram and copies it.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `buffer`, `capacity`: where it goes. `length`: its bytes.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `BUFFER_TOO_SMALL`: `length` says what is needed, the datagram stays
/// where it is; `CLOSED`: closed, and everything that had arrived was received; `INVALID_HANDLE`; `INVALID_ARGUMENT`;
/// `FORKED`. Any number of threads may wait; a datagram goes to one of them.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes; `length` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_receive(
    transport: wtgram_transport,
    timeout_us: i64,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { clear(length) };
    guard(|| {
        // SAFETY: the caller's promise.
        let (buffer, length) = unsafe { (elements_mut(buffer, capacity)?, output(length)?) };
        let received = transport.get()?.transport.receive(buffer, deadline(timeout_us)?);
        if let Err(Error::BufferTooSmall { needed }) = received {
            *length = needed;
        }
        *length = received?.size;
        Ok(())
    })
}

/// `wtgram_transport_receive` that never waits: `WOULD_BLOCK` when nothing is there.
///
/// # Safety
/// As for `wtgram_transport_receive`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_try_receive(
    transport: wtgram_transport,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { wtgram_transport_receive(transport, 0, buffer, capacity, length) }
}

/// A datagram in an arena.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_received {
    /// Its first byte's place in the arena.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// Its place in the order of arrival, counted from 0; gaps are datagrams that were dropped after arrival.
    pub sequence: u64,
    /// When it arrived, in Unix microseconds.
    pub timestamp_us: i64,
    /// Zero.
    pub reserved: [u64; 2],
}

/// Most datagrams that one crossing takes.
const MAX_BATCH: usize = 1024;

/// Waits for a datagram, then takes all that are there and fit, in one crossing.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0; for the first. `arena`, `arena_capacity`: where the payloads go,
/// back to back. `received`, `capacity`: what lies where; at most 1024 at once. `count`: how many were taken.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `BUFFER_TOO_SMALL`: not even the first fits; `count` is 0,
/// `received[0].length` says what it needs, nothing is lost; `CLOSED`; `INVALID_HANDLE`; `INVALID_ARGUMENT`: also when
/// `capacity` is 0; `FORKED`.
///
/// # Safety
/// `arena` points to `arena_capacity` writable bytes, `received` to `capacity` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_receive_batch(
    transport: wtgram_transport,
    timeout_us: i64,
    arena: *mut u8,
    arena_capacity: usize,
    received: *mut wtgram_received,
    capacity: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(count, || {
            let transport = transport.get()?;
            let arena = elements_mut(arena, arena_capacity)?;
            let received = elements_mut(received, capacity)?;
            SLOTS.with_borrow_mut(|slots| {
                slots.resize(received.len().min(MAX_BATCH), Slot::default());
                let taken = transport.transport.receive_batch(arena, slots, deadline(timeout_us)?);
                if let (Err(Error::BufferTooSmall { needed }), Some(first)) = (&taken, received.first_mut()) {
                    *first = wtgram_received { length: *needed as u64, ..NOTHING_RECEIVED };
                }
                let taken = taken?;
                for (to, from) in received.iter_mut().zip(&slots[..taken]) {
                    *to = wtgram_received {
                        offset: from.offset as u64,
                        length: from.len as u64,
                        sequence: from.metadata.sequence,
                        timestamp_us: i64::try_from(from.metadata.timestamp_us).unwrap_or(i64::MAX),
                        reserved: [0; 2],
                    };
                }
                Ok(taken)
            })
        })
    }
}

const NOTHING_RECEIVED: wtgram_received =
    wtgram_received { offset: 0, length: 0, sequence: 0, timestamp_us: 0, reserved: [0; 2] };

thread_local! {
    /// The core's view of a batch, kept by each receiving thread so that no call allocates.
    static SLOTS: std::cell::RefCell<Vec<Slot>> = const { std::cell::RefCell::new(Vec::new()) };
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
    unsafe { give(bytes, || Ok(transport.get()?.transport.max_datagram_size()?)) }
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
    unsafe { give(readable, || Ok(transport.get()?.transport.is_readable())) }
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
    unsafe { give(writable, || Ok(transport.get()?.transport.is_writable())) }
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
    unsafe { give(sequence, || Ok(transport.get()?.transport.send_sequence())) }
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
    unsafe { give(sequence, || Ok(transport.get()?.transport.receive_sequence())) }
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

/// Everything counted. At every snapshot:
/// `handed_in = sent + send_expired + send_evicted + send_rejected + send_too_large + send_failed + send_cleared +
/// send_queued`, and
/// `received = delivered + receive_expired + receive_dropped_full + receive_cleared + receive_queued`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_transport_statistics {
    /// Size of this struct, filled by `wtgram_transport_statistics_init`.
    pub struct_size: usize,
    /// Datagrams handed in.
    pub handed_in: u64,
    /// Handed to QUIC.
    pub sent: u64,
    /// Payload bytes of those.
    pub sent_bytes: u64,
    /// Dropped unsent: too old.
    pub send_expired: u64,
    /// Dropped unsent: made room for others.
    pub send_evicted: u64,
    /// Refused: no room.
    pub send_rejected: u64,
    /// Refused: larger than the path carries.
    pub send_too_large: u64,
    /// Refused by QUIC, or still queued when the transport closed.
    pub send_failed: u64,
    /// Cleared by the program.
    pub send_cleared: u64,
    /// Waiting for being sent.
    pub send_queued: u64,
    /// Payload bytes of those.
    pub send_queued_bytes: u64,
    /// Of `sent`: dropped by QUIC before they left (the path's MTU shrank, or the connection ended).
    pub sent_dropped_by_quic: u64,
    /// Datagrams that arrived for the queue.
    pub received: u64,
    /// Payload bytes of those.
    pub received_bytes: u64,
    /// Given to the program.
    pub delivered: u64,
    /// Payload bytes of those.
    pub delivered_bytes: u64,
    /// Dropped after arrival: too old.
    pub receive_expired: u64,
    /// Dropped after arrival: the queue was full.
    pub receive_dropped_full: u64,
    /// Cleared by the program.
    pub receive_cleared: u64,
    /// Waiting for being received.
    pub receive_queued: u64,
    /// Payload bytes of those.
    pub receive_queued_bytes: u64,
    /// Dropped by QUIC's receive buffer, before `received`.
    pub receive_dropped_by_quic: u64,
    /// Arrived under another session's id, and dropped before `received`.
    pub receive_foreign: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_transport_statistics {
    const FIRST_SIZE: usize = 192;
    fn initial() -> Self {
        Self::from(Stats::default())
    }
}

impl From<Stats> for wtgram_transport_statistics {
    fn from(stats: Stats) -> Self {
        let Stats { outbound, inbound, outside, .. } = stats;
        Self {
            struct_size: size_of::<Self>(),
            handed_in: outbound.handed_in.datagrams,
            sent: outbound.sent.datagrams,
            sent_bytes: outbound.sent.bytes,
            send_expired: outbound.expired.datagrams,
            send_evicted: outbound.evicted.datagrams,
            send_rejected: outbound.rejected.datagrams,
            send_too_large: outbound.too_large.datagrams,
            send_failed: outbound.failed.datagrams,
            send_cleared: outbound.cleared.datagrams,
            send_queued: outbound.queued.datagrams,
            send_queued_bytes: outbound.queued.bytes,
            sent_dropped_by_quic: outside.dropped_after_sent,
            received: inbound.received.datagrams,
            received_bytes: inbound.received.bytes,
            delivered: inbound.delivered.datagrams,
            delivered_bytes: inbound.delivered.bytes,
            receive_expired: inbound.expired.datagrams,
            receive_dropped_full: inbound.dropped_full.datagrams,
            receive_cleared: inbound.cleared.datagrams,
            receive_queued: inbound.queued.datagrams,
            receive_queued_bytes: inbound.queued.bytes,
            receive_dropped_by_quic: outside.dropped_in_quic,
            receive_foreign: outside.foreign.datagrams,
        }
    }
}

/// Fills `statistics` with zeroes and its size. NULL is ignored.
///
/// # Safety
/// `statistics` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_transport_statistics_init(statistics: *mut wtgram_transport_statistics) {
    // SAFETY: the caller's promise.
    unsafe { init(statistics) };
}

/// Everything counted so far, as one consistent snapshot.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`: NULL, or `struct_size` is that of no version; `CLOSED`: the
/// library was shut down; `FORKED`.
///
/// # Safety
/// `statistics` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_stats(
    transport: wtgram_transport,
    statistics: *mut wtgram_transport_statistics,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { sized_output(statistics) }?;
        let stats = transport.get()?.transport.stats();
        // SAFETY: the caller's promise.
        unsafe { fill(statistics, stats.into()) }
    })
}

/// Closes the datagram path; its session lives on. Calls that wait on it return `CLOSED`; what has arrived can still be
/// received; what is queued for sending is dropped and counted as failed. Closing again does nothing.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_transport_close(transport: wtgram_transport) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.close();
        Ok(())
    })
}
