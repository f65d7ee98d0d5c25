//! Statistics of a structured transport
//!
//! What became of objects and datagrams.

use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{Versioned, give_sized, init, init_sized};
use crate::ffi::handles::wtgram_structured;
use crate::ffi::status::wtgram_status;
use crate::structured::objects::Statistics;

/// Statistics of a structured transport.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_structured_stats {
    /// Size of this struct, set by `wtgram_structured_stats_init`.
    pub struct_size: usize,
    /// Objects queued for sending.
    pub sent: u64,
    /// Not sent: `UNKNOWN_TYPE`.
    pub send_unknown_type: u64,
    /// Not sent: `SERIALIZATION`.
    pub send_not_serialized: u64,
    /// Not sent: `TOO_LARGE`.
    pub send_too_large: u64,
    /// Not sent because the object below refused the datagram.
    pub send_failed: u64,
    /// Objects received by the program.
    pub received: u64,
    /// Dropped: `UNKNOWN_TYPE`.
    pub receive_unknown_type: u64,
    /// Dropped: `TRUNCATED`.
    pub receive_truncated: u64,
    /// Dropped: `DESERIALIZATION`.
    pub receive_not_deserialized: u64,
    /// Dropped: `TOO_LARGE`.
    pub receive_too_large: u64,
    /// Over a session: datagrams dropped because the queue was full.
    pub receive_dropped_full: u64,
    /// Over a session: datagrams in the queue.
    pub receive_queued: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_structured_stats {
    const FIRST_SIZE: usize = 104;
    fn initial() -> Self {
        Self::from(Statistics::default())
    }
}

impl From<Statistics> for wtgram_structured_stats {
    fn from(stats: Statistics) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            sent: stats.sent,
            send_unknown_type: stats.send_unknown_type,
            send_not_serialized: stats.send_not_serialized,
            send_too_large: stats.send_too_large,
            send_failed: stats.send_failed,
            received: stats.received,
            receive_unknown_type: stats.receive_unknown_type,
            receive_truncated: stats.receive_truncated,
            receive_not_deserialized: stats.receive_not_deserialized,
            receive_too_large: stats.receive_too_large,
            receive_dropped_full: stats.dropped_full,
            receive_queued: stats.queued,
        }
    }
}

/// Fills `*stats` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `stats` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_structured_stats_init(stats: *mut wtgram_structured_stats) {
    // SAFETY: the caller's promise.
    unsafe { init(stats) };
}

/// For bindings: `wtgram_structured_stats_init` for a struct of `size` bytes.
///
/// # Safety
/// `stats` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_structured_stats_init_sized(
    stats: *mut wtgram_structured_stats,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(stats, size) };
}

/// Stores the statistics of the structured transport.
///
/// @param structured The structured transport.
/// @param stats Gets the statistics; prepared by `wtgram_structured_stats_init`.
///
/// # Safety
/// `stats` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_get_stats(
    structured: wtgram_structured,
    stats: *mut wtgram_structured_stats,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_sized(stats, || Ok(structured.get()?.statistics().into())) }
}
