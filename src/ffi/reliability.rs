//! `wtgram_reliability_*`.

use std::sync::Arc;
use std::time::Duration;

use super::guard::{Failure, free, guard};
use super::handle::{Handle, names};
use super::library::init;
use super::pointer::{
    Versioned, bytes, clear, deadline, elements_mut, fill, give, invalid, micros, output, read_options,
    sized_output,
};
use super::send::{send_options, wtgram_send_options};
use super::session::wtgram_session;
use super::status::wtgram_status;
use super::transport::{narrow, wtgram_transport};
use crate::error::Error;
use crate::reliability::layer::{Layer, LayerOptions};
use crate::reliability::negotiation::Mode;
use crate::reliability::{Outcome, Report, Stats};
use crate::runtime::wait::Deadline;

/// A reliability layer: messages that are acknowledged, retransmitted, and delivered at most once. `{0}` is none.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_reliability {
    /// The number of the handle.
    pub id: u64,
}

names!(wtgram_reliability => Layer, RELIABILITY, polled as |layer| layer);

/// What a reliability layer speaks, and how it treats *plain frames*: datagrams in pywebtransport's form, which begin with the
/// bytes `04 'DATA'` or `03 'ACK'`. They carry no mark, so a program's own datagrams may look like them.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_negotiation {
    /// Speaks with every peer. Plain frames are sent until a HELLO of the peer's layer is answered, and taken until one arrives
    /// that answers this layer's: usually within two round trips of the first message. In this window the layer also takes
    /// datagrams of the peer's program that look like plain frames; `plain_taken` of the statistics counts all that it took,
    /// and `takes_plain` says whether the window is open. After the window, and for all later layers on the session, they go
    /// to the transport's reader. To a peer that never answers the window stays open. The default.
    WTGRAM_NEGOTIATION_AUTO = 0,
    /// Speaks only with a layer of this library that negotiates. It says HELLO first, messages wait for the answer, and plain
    /// frames are never taken. A message is given up when no layer answers for `ack_timeout_us × (max_retries + 1)`. For
    /// programs whose own datagrams may look like plain frames; both ends should ask for it.
    WTGRAM_NEGOTIATION_REQUIRED = 1,
    /// pywebtransport's protocol and nothing else: plain frames are always taken. A layer like this does not reach one that
    /// had another on the same session with a negotiation before.
    WTGRAM_NEGOTIATION_OFF = 2,
}

/// Options of a reliability layer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_reliability_options {
    /// Size of this struct, filled by `wtgram_reliability_options_init`.
    pub struct_size: usize,
    /// A message is not given up before `ack_timeout_us × (max_retries + 1)`, in microseconds. Default 2 s.
    pub ack_timeout_us: i64,
    /// The most messages without an outcome; sending waits beyond that. Default 1024.
    pub window_messages: u64,
    /// The most payload bytes of those. Default 1 MiB.
    pub window_bytes: u64,
    /// The most messages received and not yet read; more are not acknowledged, so that the peer keeps them. Default 4096.
    pub inbound_messages: u64,
    /// The most payload bytes of those. Default 1 MiB.
    pub inbound_bytes: u64,
    /// Nor is a message given up before so many retransmissions by timer. Default 5.
    pub max_retries: u32,
    /// A `wtgram_negotiation`. Default `WTGRAM_NEGOTIATION_AUTO`.
    pub negotiation: u32,
    /// The first sequence on a session that had no layer before. Default 0.
    pub first_sequence: u32,
    /// Zero.
    pub reserved: u32,
}

impl wtgram_reliability_options {
    fn with(defaults: LayerOptions) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            ack_timeout_us: micros(defaults.ack_timeout),
            window_messages: defaults.window_messages as u64,
            window_bytes: defaults.window_bytes as u64,
            inbound_messages: defaults.inbound_messages as u64,
            inbound_bytes: defaults.inbound_bytes as u64,
            max_retries: defaults.max_retries,
            negotiation: match defaults.negotiation {
                Mode::Auto => 0,
                Mode::Required => 1,
                Mode::Off => 2,
            },
            first_sequence: defaults.first_sequence,
            reserved: 0,
        }
    }

    fn layer_options(&self) -> Result<LayerOptions, Failure> {
        let ack_timeout_us =
            u64::try_from(self.ack_timeout_us).map_err(|_| invalid("ack_timeout_us is negative"))?;
        Ok(LayerOptions {
            ack_timeout: Duration::from_micros(ack_timeout_us),
            max_retries: self.max_retries,
            window_messages: narrow(self.window_messages),
            window_bytes: narrow(self.window_bytes),
            inbound_messages: narrow(self.inbound_messages),
            inbound_bytes: narrow(self.inbound_bytes),
            negotiation: match self.negotiation {
                0 => Mode::Auto,
                1 => Mode::Required,
                2 => Mode::Off,
                _ => return Err(invalid("there is no such negotiation")),
            },
            first_sequence: self.first_sequence,
        })
    }
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_reliability_options {
    const FIRST_SIZE: usize = 64;
    fn initial() -> Self {
        Self::with(LayerOptions::default())
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_reliability_options_init(options: *mut wtgram_reliability_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// Opens a reliability layer over a transport (pywebtransport 0.6.1's constructor). From now on its frames are taken out of what the transport receives. One
/// transport carries one layer at a time; another can be opened when it is closed.
///
/// `options`: NULL for the defaults. `reliability`: the handle, to be freed.
///
/// Statuses: `WTGRAM_OK`; `INVALID_STATE`: a layer is open on this transport; `CLOSED`; `INVALID_HANDLE`;
/// `INVALID_ARGUMENT`; `LIMIT_REACHED`; `FORKED`.
///
/// # Safety
/// `options` is NULL or points to a struct of its `struct_size`; `reliability` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_open_over_transport(
    transport: wtgram_transport,
    options: *const wtgram_reliability_options,
    reliability: *mut wtgram_reliability,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(reliability, || {
            let options = read_options(options)?.layer_options()?;
            Handle::new(Layer::open(Arc::clone(&transport.get()?.transport), &options)?)
        })
    }
}

/// Opens a reliability layer over a session (pywebtransport 0.9's constructor): over its transport.
///
/// Parameters and statuses as for `wtgram_reliability_open_over_transport`.
///
/// # Safety
/// As for `wtgram_reliability_open_over_transport`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_open_over_session(
    session: wtgram_session,
    options: *const wtgram_reliability_options,
    reliability: *mut wtgram_reliability,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(reliability, || {
            let options = read_options(options)?.layer_options()?;
            Handle::new(Layer::open(Arc::clone(&session.get()?.session.datagrams), &options)?)
        })
    }
}

/// Opens a reliability layer over a transport with the parameters of pywebtransport 0.6.1's factory `create`, whose defaults
/// are 1 s and 3 retries. All else is as by default.
///
/// `ack_timeout_us`, `max_retries`: as in `wtgram_reliability_options`. `reliability`: the handle, to be freed.
///
/// Statuses: as for `wtgram_reliability_open_over_transport`.
///
/// # Safety
/// `reliability` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_create(
    transport: wtgram_transport,
    ack_timeout_us: i64,
    max_retries: u32,
    reliability: *mut wtgram_reliability,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(reliability, || {
            let transport = Arc::clone(&transport.get()?.transport);
            let options = wtgram_reliability_options { ack_timeout_us, max_retries, ..Versioned::initial() };
            Handle::new(Layer::open(transport, &options.layer_options()?)?)
        })
    }
}

/// Accepts a message to be delivered, waiting for room in the window. Messages arrive in the order in which the network
/// delivers them, each at most once.
///
/// `data`, `length`: the message, at most `wtgram_reliability_max_message_size`. `options`: NULL for the defaults.
/// `timeout_us` there: how long to wait for room in the window. `priority`: the highest is transmitted first, also again.
/// `ttl_us`: age from which the message is not transmitted any more; its outcome is then `WTGRAM_RELIABILITY_EXPIRED`.
/// `report_id`: `wtgram_reliability_next_outcome` gives its outcome under this number; 0 reports nothing (it is counted
/// anyway).
///
/// Statuses: `WTGRAM_OK`: accepted, and there will be exactly one outcome; `TIMED_OUT`, `WOULD_BLOCK`: no room in time, or
/// its TTL passed first (`TIMED_OUT`); `TOO_LARGE`; `UNSUPPORTED`; `LIMIT_REACHED`: too many outcomes are unfetched;
/// `CLOSED`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `FORKED`. After any other status than `WTGRAM_OK` there is no outcome.
/// Any thread.
///
/// # Safety
/// `data` points to `length` bytes; `options` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_send(
    reliability: wtgram_reliability,
    data: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let layer = reliability.get()?;
        // SAFETY: the caller's promise.
        let (data, (options, deadline)) = unsafe { (bytes(data, length)?, send_options(options)?) };
        Ok(layer.send(data, &options, deadline)?)
    })
}

/// `wtgram_reliability_send` that never waits: `WOULD_BLOCK` when the window is full.
///
/// # Safety
/// As for `wtgram_reliability_send`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_try_send(
    reliability: wtgram_reliability,
    data: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let layer = reliability.get()?;
        // SAFETY: the caller's promise.
        let (data, (options, _)) = unsafe { (bytes(data, length)?, send_options(options)?) };
        Ok(layer.send(data, &options, Deadline::Now)?)
    })
}

/// Waits for the next message and copies it.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `buffer`, `capacity`: where it goes. `length`: its bytes.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `BUFFER_TOO_SMALL`: `length` says what is needed, the message stays
/// where it is; `CLOSED`: closed, and everything that had arrived was received; `INVALID_HANDLE`; `INVALID_ARGUMENT`;
/// `FORKED`. Any number of threads may wait; a message goes to one of them.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes; `length` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_receive(
    reliability: wtgram_reliability,
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
        let received = reliability.get()?.receive(buffer, deadline(timeout_us)?);
        if let Err(Error::BufferTooSmall { needed }) = received {
            *length = needed;
        }
        *length = received?.size;
        Ok(())
    })
}

/// `wtgram_reliability_receive` that never waits: `WOULD_BLOCK` when nothing is there.
///
/// # Safety
/// As for `wtgram_reliability_receive`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_try_receive(
    reliability: wtgram_reliability,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { wtgram_reliability_receive(reliability, 0, buffer, capacity, length) }
}

/// The largest message that can be sent now, in bytes; it follows the path's MTU.
///
/// Statuses: `WTGRAM_OK`; `UNSUPPORTED`: the peer takes no datagrams; `CLOSED`; `INVALID_HANDLE`; `INVALID_ARGUMENT`;
/// `FORKED`.
///
/// # Safety
/// `bytes` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_max_message_size(
    reliability: wtgram_reliability,
    bytes: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(bytes, || Ok(reliability.get()?.max_message_size()?)) }
}

/// Whether the layer, or what it stands on, is closed. What has arrived can still be received.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `closed` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_is_closed(
    reliability: wtgram_reliability,
    closed: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(closed, || Ok(reliability.get()?.is_closed())) }
}

/// What became of a message.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_reliability_result {
    /// The peer's layer has it.
    WTGRAM_RELIABILITY_ACKNOWLEDGED = 0,
    /// Retransmitted long enough without an acknowledgement, or no layer of the peer answered for as long; whether it was
    /// delivered is unknown if `transmissions` is not 0.
    WTGRAM_RELIABILITY_GAVE_UP = 1,
    /// It no longer fitted the path when it was to be transmitted.
    WTGRAM_RELIABILITY_TOO_LARGE = 2,
    /// The layer closed first; whether it was delivered is unknown if `transmissions` is not 0.
    WTGRAM_RELIABILITY_CLOSED = 3,
    /// Its TTL passed first; whether it was delivered is unknown if `transmissions` is not 0.
    WTGRAM_RELIABILITY_EXPIRED = 4,
}

/// The outcome of a message.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_reliability_outcome {
    /// The number it was sent with.
    pub report_id: u64,
    /// From acceptance to this outcome, in microseconds.
    pub elapsed_us: i64,
    /// A `wtgram_reliability_result`.
    pub result: u32,
    /// How often it was transmitted; 0 if never.
    pub transmissions: u32,
    /// Zero.
    pub reserved: [u64; 2],
}

impl From<Report> for wtgram_reliability_outcome {
    fn from(report: Report) -> Self {
        Self {
            report_id: report.id,
            elapsed_us: micros(report.elapsed),
            result: match report.outcome {
                Outcome::Acknowledged => 0,
                Outcome::GaveUp => 1,
                Outcome::TooLarge => 2,
                Outcome::Closed => 3,
                Outcome::Expired => 4,
            },
            transmissions: report.transmissions,
            reserved: [0; 2],
        }
    }
}

/// Waits for the next outcome of a message that was sent with a `report_id`.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `outcome`: what became of it.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `CLOSED`: closed, and every outcome was fetched; `INVALID_HANDLE`;
/// `INVALID_ARGUMENT`; `FORKED`.
///
/// # Safety
/// `outcome` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_next_outcome(
    reliability: wtgram_reliability,
    timeout_us: i64,
    outcome: *mut wtgram_reliability_outcome,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(outcome, || Ok(reliability.get()?.next_outcome(deadline(timeout_us)?)?.into())) }
}

/// Waits for an outcome, then takes all that are there and fit.
///
/// `timeout_us`: for the first. `outcomes`, `capacity`: where they go, at least 1. `count`: how many.
///
/// Statuses: as for `wtgram_reliability_next_outcome`.
///
/// # Safety
/// `outcomes` points to `capacity` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_outcomes(
    reliability: wtgram_reliability,
    timeout_us: i64,
    outcomes: *mut wtgram_reliability_outcome,
    capacity: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(count, || {
            let mut outcomes = elements_mut(outcomes, capacity)?.iter_mut();
            if capacity == 0 {
                return Err(invalid("there is no room for outcomes"));
            }
            Ok(reliability.get()?.outcomes(capacity, deadline(timeout_us)?, |report| {
                if let Some(outcome) = outcomes.next() {
                    *outcome = report.into();
                }
            })?)
        })
    }
}

/// Counters and momentary values of a reliability layer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_reliability_statistics {
    /// Size of this struct, filled by `wtgram_reliability_statistics_init`.
    pub struct_size: usize,
    /// Messages accepted. Always the sum of the next four, `unresolved` and `expired`.
    pub submitted: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages given up; their delivery is unknown.
    pub gave_up: u64,
    /// Messages that no longer fitted the path.
    pub too_large: u64,
    /// Messages that closing cut off.
    pub closed: u64,
    /// Messages without an outcome, now.
    pub unresolved: u64,
    /// Payload bytes of those.
    pub unresolved_bytes: u64,
    /// DATA frames transmitted.
    pub transmissions: u64,
    /// Bytes of those.
    pub bytes_transmitted: u64,
    /// Retransmissions because later messages were acknowledged.
    pub early_retransmits: u64,
    /// Retransmissions because a timer ran out.
    pub timer_retransmits: u64,
    /// Retransmissions that turned out to be unnecessary.
    pub spurious_retransmits: u64,
    /// Messages that arrived, each once.
    pub received: u64,
    /// Messages given to the program.
    pub delivered: u64,
    /// Copies that arrived and were dropped.
    pub duplicates: u64,
    /// Messages not acknowledged because the inbound queue was full; the peer keeps them.
    pub refused_full: u64,
    /// Messages waiting for being received, now.
    pub receive_queued: u64,
    /// Frames that were malformed.
    pub malformed: u64,
    /// Times the peer's layer was found to have been opened again.
    pub peer_restarts: u64,
    /// Smoothed round-trip time, in microseconds; 0 before the first measurement.
    pub rtt_us: i64,
    /// Retransmission timeout before backoff, in microseconds.
    pub rto_us: i64,
    /// 1 when both ends speak more than the plain protocol.
    pub negotiated: u32,
    /// 1 while the peer says that its inbound queue is full.
    pub peer_full: u32,
    /// Messages whose TTL passed first.
    pub expired: u64,
    /// Plain frames that this layer took, among them such datagrams of the peer's program as look like them; with
    /// `WTGRAM_NEGOTIATION_AUTO` all of them came before the window closed.
    pub plain_taken: u64,
    /// Datagrams that look like plain frames and were left to the transport's reader.
    pub plain_left: u64,
    /// 1 while this layer takes plain frames.
    pub takes_plain: u32,
    /// Zero.
    pub reserved: u32,
}

impl From<Stats> for wtgram_reliability_statistics {
    fn from(stats: Stats) -> Self {
        let Stats { sender, receiver, .. } = stats;
        Self {
            struct_size: size_of::<Self>(),
            submitted: sender.submitted,
            acknowledged: sender.acknowledged,
            gave_up: sender.gave_up,
            too_large: sender.too_large,
            closed: sender.closed,
            unresolved: stats.unresolved as u64,
            unresolved_bytes: stats.unresolved_bytes as u64,
            transmissions: sender.transmissions,
            bytes_transmitted: sender.bytes_transmitted,
            early_retransmits: sender.early_retransmits,
            timer_retransmits: sender.timer_retransmits,
            spurious_retransmits: sender.spurious_retransmits,
            received: receiver.accepted,
            delivered: receiver.delivered,
            duplicates: receiver.duplicates,
            refused_full: receiver.refused_full,
            receive_queued: stats.inbound as u64,
            malformed: stats.malformed,
            peer_restarts: receiver.peer_restarts,
            rtt_us: stats.srtt.map_or(0, micros),
            rto_us: micros(stats.rto),
            negotiated: u32::from(stats.negotiated),
            peer_full: u32::from(stats.peer_full),
            expired: sender.expired,
            plain_taken: stats.plain_taken,
            plain_left: stats.plain_left,
            takes_plain: u32::from(stats.takes_plain),
            reserved: 0,
        }
    }
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_reliability_statistics {
    const FIRST_SIZE: usize = 184;
    fn initial() -> Self {
        Self::from(Stats::default())
    }
}

/// Fills `statistics` with zeroes and its size. NULL is ignored.
///
/// # Safety
/// `statistics` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_reliability_statistics_init(statistics: *mut wtgram_reliability_statistics) {
    // SAFETY: the caller's promise.
    unsafe { init(statistics) };
}

/// Counters and momentary values, as one consistent snapshot.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`: NULL, or `struct_size` is that of no version; `CLOSED`: the
/// library was shut down; `FORKED`.
///
/// # Safety
/// `statistics` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_stats(
    reliability: wtgram_reliability,
    statistics: *mut wtgram_reliability_statistics,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { sized_output(statistics) }?;
        let stats = reliability.get()?.stats();
        // SAFETY: the caller's promise.
        unsafe { fill(statistics, stats.into()) }
    })
}

/// Accepts no more messages, waits up to `drain_timeout_us` for the outcomes of those under way, and ends the layer;
/// messages still without an outcome get `WTGRAM_RELIABILITY_CLOSED`. Calls that wait on the layer return `CLOSED`. What has arrived can
/// still be received, and outcomes can still be fetched. The transport lives on.
///
/// `drain_timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0.
///
/// Statuses: `WTGRAM_OK`: every message has its outcome from the peer, or there was none; `TIMED_OUT`, `WOULD_BLOCK`: some had
/// none in time (the layer is closed all the same); `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut
/// down; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_reliability_close(
    reliability: wtgram_reliability,
    drain_timeout_us: i64,
) -> wtgram_status {
    guard(|| Ok(reliability.get()?.close(deadline(drain_timeout_us)?)?))
}

/// Closes the layer without waiting, if it is open, and makes its handle name nothing. None and stale handles are
/// ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_reliability_free(reliability: wtgram_reliability) {
    free(reliability, |layer| {
        let _ = layer.close(Deadline::Now);
    });
}
