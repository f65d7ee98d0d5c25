//! Queue sizes
//!
//! What the queues hold now.

use crate::datagram::transport::{Snapshot, WaitingSizes};
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{Versioned, give, give_sized, init, init_sized};
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;

/// Current size of both queues, and their limits.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_queue_stats {
    /// Size of this struct, set by `wtgram_queue_stats_init`.
    pub struct_size: usize,
    /// In the outgoing queue.
    pub outgoing_datagrams: u64,
    /// Payload bytes of those.
    pub outgoing_bytes: u64,
    /// Limit of `outgoing_datagrams`.
    pub outgoing_max_datagrams: u64,
    /// Limit of `outgoing_bytes`.
    pub outgoing_max_bytes: u64,
    /// In the outgoing queue, by priority.
    pub outgoing_priority_datagrams: [u64; 3],
    /// Payload bytes of those.
    pub outgoing_priority_bytes: [u64; 3],
    /// In the incoming queue.
    pub incoming_datagrams: u64,
    /// Payload bytes of those.
    pub incoming_bytes: u64,
    /// Limit of `incoming_datagrams`.
    pub incoming_max_datagrams: u64,
    /// Limit of `incoming_bytes`.
    pub incoming_max_bytes: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_queue_stats {
    const FIRST_SIZE: usize = 120;
    fn initial() -> Self {
        // SAFETY: all zeroes is a value of every field.
        let zeroes: Self = unsafe { std::mem::zeroed() };
        Self { struct_size: size_of::<Self>(), ..zeroes }
    }
}

impl From<&Snapshot> for wtgram_queue_stats {
    fn from(seen: &Snapshot) -> Self {
        let WaitingSizes { outgoing, incoming } = seen.waiting;
        let total = seen.waiting.total_outgoing();
        Self {
            struct_size: size_of::<Self>(),
            outgoing_datagrams: total.datagrams,
            outgoing_bytes: total.bytes,
            outgoing_max_datagrams: seen.outgoing.limits.datagrams as u64,
            outgoing_max_bytes: seen.outgoing.limits.bytes as u64,
            outgoing_priority_datagrams: outgoing.map(|tally| tally.datagrams),
            outgoing_priority_bytes: outgoing.map(|tally| tally.bytes),
            incoming_datagrams: incoming.datagrams,
            incoming_bytes: incoming.bytes,
            incoming_max_datagrams: seen.incoming.limits.datagrams as u64,
            incoming_max_bytes: seen.incoming.limits.bytes as u64,
        }
    }
}

/// Fills `*stats` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `stats` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_queue_stats_init(stats: *mut wtgram_queue_stats) {
    // SAFETY: the caller's promise.
    unsafe { init(stats) };
}

/// For bindings: `wtgram_queue_stats_init` for a struct of `size` bytes.
///
/// # Safety
/// `stats` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_queue_stats_init_sized(stats: *mut wtgram_queue_stats, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(stats, size) };
}

/// Stores the current size of both queues, as one consistent snapshot.
///
/// @param transport The transport.
/// @param stats Gets the statistics; prepared by `wtgram_queue_stats_init`.
///
/// # Safety
/// `stats` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_queue_stats(
    transport: wtgram_transport,
    stats: *mut wtgram_queue_stats,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_sized(stats, || Ok((&transport.get()?.transport.snapshot()).into())) }
}

/// Stores the number of datagrams in the outgoing queue.
///
/// # Safety
/// `datagrams` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_send_buffer_size(
    transport: wtgram_transport,
    datagrams: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(datagrams, || Ok(transport.get()?.transport.waiting().total_outgoing().datagrams)) }
}

/// Stores the number of datagrams in the incoming queue.
///
/// # Safety
/// `datagrams` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_receive_buffer_size(
    transport: wtgram_transport,
    datagrams: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(datagrams, || Ok(transport.get()?.transport.waiting().incoming.datagrams)) }
}

/// Drops all datagrams of the outgoing queue and counts them as cleared. Datagrams that QUIC
/// already has are still sent.
///
/// @param transport The transport.
/// @param cleared Gets the number of datagrams.
///
/// # Safety
/// `cleared` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_clear_send_buffer(
    transport: wtgram_transport,
    cleared: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(cleared, || Ok(transport.get()?.transport.outgoing.clear() as u64)) }
}

/// Drops all datagrams of the incoming queue and counts them as cleared.
///
/// @param transport The transport.
/// @param cleared Gets the number of datagrams.
///
/// # Safety
/// `cleared` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_clear_receive_buffer(
    transport: wtgram_transport,
    cleared: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(cleared, || Ok(transport.get()?.transport.incoming.clear() as u64)) }
}
