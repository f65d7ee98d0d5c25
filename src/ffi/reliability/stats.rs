//! Statistics of a reliability layer
//!
//! Counters and current values of a layer.

use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{Versioned, give_sized, init, init_sized, micros};
use crate::ffi::handles::wtgram_reliability;
use crate::ffi::status::wtgram_status;
use crate::reliability::Stats;

/// Statistics of a reliability layer, as one consistent snapshot.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_reliability_stats {
    /// Size of this struct, set by `wtgram_reliability_stats_init`.
    pub struct_size: usize,
    /// Messages accepted: the sum of `acknowledged`, `gave_up`, `too_large`, `closed`, `expired`
    /// and `unresolved`.
    pub submitted: u64,
    /// Messages that the peer acknowledged.
    pub acknowledged: u64,
    /// Messages given up. They may have been delivered.
    pub gave_up: u64,
    /// Messages that no longer fitted the path.
    pub too_large: u64,
    /// Messages without an outcome when the layer closed.
    pub closed: u64,
    /// Messages without an outcome now.
    pub unresolved: u64,
    /// Payload bytes of those.
    pub unresolved_bytes: u64,
    /// DATA frames transmitted.
    pub transmissions: u64,
    /// Bytes of those.
    pub bytes_transmitted: u64,
    /// Retransmissions because later messages were acknowledged.
    pub early_retransmits: u64,
    /// Retransmissions by timer.
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
    /// Messages in the inbound queue now.
    pub receive_queued: u64,
    /// Malformed frames received.
    pub malformed: u64,
    /// How often the peer's layer was opened again.
    pub peer_restarts: u64,
    /// Smoothed round-trip time, in microseconds; 0 before the first measurement.
    pub rtt_us: i64,
    /// Retransmission timeout before backoff, in microseconds.
    pub rto_us: i64,
    /// 1 if both ends speak more than the plain protocol.
    pub negotiated: u32,
    /// 1 while the peer says that its inbound queue is full.
    pub peer_full: u32,
    /// Messages whose TTL passed.
    pub expired: u64,
    /// Plain frames that the layer took, including datagrams of the peer's program that look like
    /// them.
    pub plain_taken: u64,
    /// Datagrams that look like plain frames and went to the transport's reader.
    pub plain_left: u64,
    /// 1 while this layer takes plain frames.
    pub takes_plain: u32,
    /// Reserved; 0.
    pub reserved: u32,
}

impl From<Stats> for wtgram_reliability_stats {
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
unsafe impl Versioned for wtgram_reliability_stats {
    const FIRST_SIZE: usize = 184;
    fn initial() -> Self {
        Self::from(Stats::default())
    }
}

/// Fills `*stats` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `stats` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_reliability_stats_init(stats: *mut wtgram_reliability_stats) {
    // SAFETY: the caller's promise.
    unsafe { init(stats) };
}

/// For bindings: `wtgram_reliability_stats_init` for a struct of `size` bytes.
///
/// # Safety
/// `stats` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_reliability_stats_init_sized(
    stats: *mut wtgram_reliability_stats,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(stats, size) };
}

/// Stores the statistics of the layer.
///
/// @param reliability The layer.
/// @param stats Gets the statistics; prepared by `wtgram_reliability_stats_init`.
///
/// # Safety
/// `stats` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_get_stats(
    reliability: wtgram_reliability,
    stats: *mut wtgram_reliability_stats,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_sized(stats, || Ok(reliability.get()?.stats().into())) }
}
