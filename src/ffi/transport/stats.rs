//! Transport statistics
//!
//! Every datagram is counted exactly once. The library also counts what QUIC drops.

use crate::datagram::stats::Stats;
use crate::datagram::transport::Snapshot;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{Versioned, give_sized, init, init_sized, micros};
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;

/// Statistics of a transport, as one consistent snapshot.
///
/// For datagrams and for bytes, `handed_in` is the sum of `sent`, `send_expired`, `send_evicted`,
/// `send_rejected`, `send_too_large`, `send_failed`, `send_cleared` and `send_queued`; `received` is
/// the sum of `delivered`, `receive_expired`, `receive_dropped_full`, `receive_cleared` and
/// `receive_queued`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_transport_stats {
    /// Size of this struct, set by `wtgram_transport_stats_init`.
    pub struct_size: usize,
    /// Id of the session.
    pub session_id: u64,
    /// Time at which the transport was created, Unix time in microseconds.
    pub created_at_us: i64,
    /// Datagrams submitted, whatever became of them.
    pub handed_in: u64,
    /// Payload bytes of those.
    pub handed_in_bytes: u64,
    /// Handed to QUIC.
    pub sent: u64,
    /// Payload bytes of those.
    pub sent_bytes: u64,
    /// Dropped before sending because of their age.
    pub send_expired: u64,
    /// Payload bytes of those.
    pub send_expired_bytes: u64,
    /// Dropped to make space for newer ones.
    pub send_evicted: u64,
    /// Payload bytes of those.
    pub send_evicted_bytes: u64,
    /// Rejected because the queue was full.
    pub send_rejected: u64,
    /// Payload bytes of those.
    pub send_rejected_bytes: u64,
    /// Refused because they were larger than the path carried.
    pub send_too_large: u64,
    /// Payload bytes of those.
    pub send_too_large_bytes: u64,
    /// Refused by QUIC, or in the queue when the transport closed.
    pub send_failed: u64,
    /// Payload bytes of those.
    pub send_failed_bytes: u64,
    /// Dropped by a `clear` function.
    pub send_cleared: u64,
    /// Payload bytes of those.
    pub send_cleared_bytes: u64,
    /// In the outgoing queue.
    pub send_queued: u64,
    /// Payload bytes of those.
    pub send_queued_bytes: u64,
    /// Part of `sent` that QUIC dropped before sending, because the path MTU shrank or the
    /// connection ended.
    pub sent_dropped_by_quic: u64,
    /// Datagrams that arrived for the queue of the transport, or for a reliability layer or
    /// structured transport whose queue was full.
    pub received: u64,
    /// Payload bytes of those.
    pub received_bytes: u64,
    /// Received by the program.
    pub delivered: u64,
    /// Payload bytes of those.
    pub delivered_bytes: u64,
    /// Dropped after arrival because of their age.
    pub receive_expired: u64,
    /// Payload bytes of those.
    pub receive_expired_bytes: u64,
    /// Dropped because the queue was full: that of the transport, a reliability layer or a
    /// structured transport.
    pub receive_dropped_full: u64,
    /// Payload bytes of those.
    pub receive_dropped_full_bytes: u64,
    /// Dropped by a `clear` function.
    pub receive_cleared: u64,
    /// Payload bytes of those.
    pub receive_cleared_bytes: u64,
    /// In the incoming queue.
    pub receive_queued: u64,
    /// Payload bytes of those.
    pub receive_queued_bytes: u64,
    /// Taken by a reliability layer or structured transport. Not part of `received`.
    pub receive_routed: u64,
    /// Payload bytes of those.
    pub receive_routed_bytes: u64,
    /// Not part of `received`: dropped in QUIC's receive buffer, before the client requested the
    /// session, or after the transport was closed.
    pub receive_dropped_by_quic: u64,
    /// Not part of `received`: dropped because they carried the id of another session.
    pub receive_foreign: u64,
    /// `sent`.
    pub datagrams_sent: u64,
    /// `sent_bytes`.
    pub bytes_sent: u64,
    /// `send_too_large` + `send_failed` + `send_rejected`.
    pub send_failures: u64,
    /// `send_expired` + `send_evicted` + `send_cleared`.
    pub send_drops: u64,
    /// `delivered` + `receive_routed`.
    pub datagrams_received: u64,
    /// `delivered_bytes` + `receive_routed_bytes`.
    pub bytes_received: u64,
    /// `receive_expired` + `receive_dropped_full` + `receive_cleared` + `receive_dropped_by_quic` +
    /// `receive_over_rate`.
    pub receive_drops: u64,
    /// `receive_foreign`.
    pub receive_errors: u64,
    /// Time spent in send calls, in microseconds. In a quick succession of calls that do not wait,
    /// one in eight is measured and counts for all.
    pub total_send_time_us: i64,
    /// Longest of those, in microseconds.
    pub max_send_time_us: i64,
    /// Time spent waiting in receive calls that returned something, in microseconds; includes
    /// reliability layers and structured transports over this transport.
    pub total_receive_time_us: i64,
    /// Longest of those, in microseconds.
    pub max_receive_time_us: i64,
    /// Payload bytes of the smallest datagram of `datagrams_sent` and `datagrams_received`; 0 with
    /// none.
    pub min_datagram_size: u64,
    /// Payload bytes of the largest datagram of `datagrams_sent` and `datagrams_received`; 0 with
    /// none.
    pub max_datagram_size: u64,
    /// `bytes_sent` + `bytes_received`.
    pub total_datagram_size: u64,
    /// `total_datagram_size` over `datagrams_sent` + `datagrams_received`; 0 with none.
    pub avg_datagram_size: f64,
    /// `total_send_time_us` over `datagrams_sent`; 0 with none.
    pub avg_send_time_us: f64,
    /// `total_receive_time_us` over `datagrams_received`; 0 with none.
    pub avg_receive_time_us: f64,
    /// `datagrams_sent` over `datagrams_sent` + `send_failures`; 1 with none.
    pub send_success_rate: f64,
    /// `datagrams_received` over `datagrams_received` + `receive_errors`; 1 with none.
    pub receive_success_rate: f64,
    /// Outcomes that were not fetched.
    pub outcomes_waiting: u64,
    /// Time since the last datagram arrived, or since the transport was created, in microseconds.
    pub silence_us: i64,
    /// Smoothed round-trip time of the connection, in microseconds.
    pub rtt_us: i64,
    /// Congestion window of the connection, in bytes.
    pub congestion_window_bytes: u64,
    /// QUIC packets sent on the connection.
    pub packets_sent: u64,
    /// QUIC packets lost on the connection.
    pub packets_lost: u64,
    /// Not part of `received`: dropped because the peer sends faster than `datagrams_per_second` and
    /// `bytes_per_second` of the server let it.
    pub receive_over_rate: u64,
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl Versioned for wtgram_transport_stats {
    const FIRST_SIZE: usize = 512;
    fn initial() -> Self {
        // SAFETY: all zeroes is a value of every field.
        let zeroes: Self = unsafe { std::mem::zeroed() };
        Self { struct_size: size_of::<Self>(), ..zeroes }
    }
}

impl From<&Snapshot> for wtgram_transport_stats {
    fn from(seen: &Snapshot) -> Self {
        let Snapshot { stats, session, .. } = seen;
        let Stats { outbound, inbound, outside, .. } = stats;
        let wide = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Self {
            struct_size: size_of::<Self>(),
            session_id: stats.session_id,
            created_at_us: wide(stats.created_at_us),
            handed_in: outbound.handed_in.datagrams,
            handed_in_bytes: outbound.handed_in.bytes,
            sent: outbound.sent.datagrams,
            sent_bytes: outbound.sent.bytes,
            send_expired: outbound.expired.datagrams,
            send_expired_bytes: outbound.expired.bytes,
            send_evicted: outbound.evicted.datagrams,
            send_evicted_bytes: outbound.evicted.bytes,
            send_rejected: outbound.rejected.datagrams,
            send_rejected_bytes: outbound.rejected.bytes,
            send_too_large: outbound.too_large.datagrams,
            send_too_large_bytes: outbound.too_large.bytes,
            send_failed: outbound.failed.datagrams,
            send_failed_bytes: outbound.failed.bytes,
            send_cleared: outbound.cleared.datagrams,
            send_cleared_bytes: outbound.cleared.bytes,
            send_queued: outbound.queued.datagrams,
            send_queued_bytes: outbound.queued.bytes,
            sent_dropped_by_quic: outside.dropped_after_sent,
            received: inbound.received.datagrams,
            received_bytes: inbound.received.bytes,
            delivered: inbound.delivered.datagrams,
            delivered_bytes: inbound.delivered.bytes,
            receive_expired: inbound.expired.datagrams,
            receive_expired_bytes: inbound.expired.bytes,
            receive_dropped_full: inbound.dropped_full.datagrams,
            receive_dropped_full_bytes: inbound.dropped_full.bytes,
            receive_cleared: inbound.cleared.datagrams,
            receive_cleared_bytes: inbound.cleared.bytes,
            receive_queued: inbound.queued.datagrams,
            receive_queued_bytes: inbound.queued.bytes,
            receive_routed: outside.routed.datagrams,
            receive_routed_bytes: outside.routed.bytes,
            receive_dropped_by_quic: outside.dropped_in_quic,
            receive_foreign: outside.foreign.datagrams,
            datagrams_sent: stats.datagrams_sent(),
            bytes_sent: stats.bytes_sent(),
            send_failures: stats.send_failures(),
            send_drops: stats.send_drops(),
            datagrams_received: stats.datagrams_received(),
            bytes_received: stats.bytes_received(),
            receive_drops: stats.receive_drops(),
            receive_errors: stats.receive_errors(),
            total_send_time_us: micros(stats.send_time.total),
            max_send_time_us: micros(stats.send_time.max),
            total_receive_time_us: micros(stats.receive_time.total),
            max_receive_time_us: micros(stats.receive_time.max),
            min_datagram_size: stats.sizes.min() as u64,
            max_datagram_size: stats.sizes.max() as u64,
            total_datagram_size: stats.total_datagram_size(),
            avg_datagram_size: stats.avg_datagram_size(),
            avg_send_time_us: stats.avg_send_time().as_secs_f64() * 1e6,
            avg_receive_time_us: stats.avg_receive_time().as_secs_f64() * 1e6,
            send_success_rate: stats.send_success_rate(),
            receive_success_rate: stats.receive_success_rate(),
            outcomes_waiting: seen.outcomes as u64,
            silence_us: micros(seen.silence),
            rtt_us: micros(session.rtt),
            congestion_window_bytes: session.congestion_window_bytes,
            packets_sent: session.packets_sent,
            packets_lost: session.packets_lost,
            receive_over_rate: outside.over_rate,
        }
    }
}

/// Fills `*stats` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `stats` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_transport_stats_init(stats: *mut wtgram_transport_stats) {
    // SAFETY: the caller's promise.
    unsafe { init(stats) };
}

/// For bindings: `wtgram_transport_stats_init` for a struct of `size` bytes.
///
/// # Safety
/// `stats` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_transport_stats_init_sized(stats: *mut wtgram_transport_stats, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(stats, size) };
}

/// Stores the statistics of the transport and of its connection.
///
/// @param transport The transport.
/// @param stats Gets the statistics; prepared by `wtgram_transport_stats_init`.
///
/// # Safety
/// `stats` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_stats(
    transport: wtgram_transport,
    stats: *mut wtgram_transport_stats,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_sized(stats, || Ok((&transport.get()?.transport.snapshot()).into())) }
}
