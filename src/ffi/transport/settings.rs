//! Settings of a transport
//!
//! What can be changed while a transport runs. Changes apply at once, also to datagrams in the
//! queue.

use crate::datagram::message::Limits;
use crate::datagram::receive::DropPolicy;
use crate::datagram::send::FullPolicy;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{clear, give, micros, optional_duration, output};
use crate::ffi::connection::{drop_policy, full_policy, limits, wtgram_drop_policy, wtgram_full_policy};
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;

/// Stores the age at which outgoing datagrams are dropped.
///
/// @param transport The transport.
/// @param max_age_us Gets the age in microseconds; 0 for no limit.
///
/// # Safety
/// `max_age_us` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_outgoing_max_age(
    transport: wtgram_transport,
    max_age_us: *mut i64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(max_age_us, || Ok(transport.get()?.transport.outgoing.config().max_age.map_or(0, micros))) }
}

/// Sets the age at which outgoing datagrams are dropped. Queued datagrams that are older are
/// dropped at once.
///
/// @param transport The transport.
/// @param max_age_us Age in microseconds; 0 for no limit.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_transport_set_outgoing_max_age(
    transport: wtgram_transport,
    max_age_us: i64,
) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.outgoing.set_max_age(optional_duration(max_age_us)?);
        Ok(())
    })
}

/// Stores the age at which incoming datagrams are dropped.
///
/// @param transport The transport.
/// @param max_age_us Gets the age in microseconds; 0 for no limit.
///
/// # Safety
/// `max_age_us` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_incoming_max_age(
    transport: wtgram_transport,
    max_age_us: *mut i64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(max_age_us, || Ok(transport.get()?.transport.incoming.config().max_age.map_or(0, micros))) }
}

/// Sets the age at which incoming datagrams are dropped. Queued datagrams that are older are
/// dropped at once.
///
/// @param transport The transport.
/// @param max_age_us Age in microseconds; 0 for no limit.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_transport_set_incoming_max_age(
    transport: wtgram_transport,
    max_age_us: i64,
) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.incoming.set_max_age(optional_duration(max_age_us)?);
        Ok(())
    })
}

/// Stores the limits of the outgoing queue.
///
/// @param transport The transport.
/// @param max_datagrams Gets the limit in datagrams.
/// @param max_bytes Gets the limit in payload bytes.
///
/// # Safety
/// `max_datagrams` and `max_bytes` are NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_outgoing_limits(
    transport: wtgram_transport,
    max_datagrams: *mut u64,
    max_bytes: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_limits(max_datagrams, max_bytes, || Ok(transport.get()?.transport.outgoing.config().limits))
    }
}

/// Sets the limits of the outgoing queue. Under `WTGRAM_FULL_EVICT` datagrams beyond the new limits
/// are evicted at once; under the other policies they stay. A high-water mark at or above the old
/// or the new limit moves to the new limit.
///
/// @param transport The transport.
/// @param max_datagrams Limit in datagrams, at least 1.
/// @param max_bytes Limit in payload bytes.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_transport_set_outgoing_limits(
    transport: wtgram_transport,
    max_datagrams: u64,
    max_bytes: u64,
) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.outgoing.set_limits(limits(max_datagrams, max_bytes)?);
        Ok(())
    })
}

/// Stores the limits of the incoming queue.
///
/// @param transport The transport.
/// @param max_datagrams Gets the limit in datagrams.
/// @param max_bytes Gets the limit in payload bytes.
///
/// # Safety
/// `max_datagrams` and `max_bytes` are NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_incoming_limits(
    transport: wtgram_transport,
    max_datagrams: *mut u64,
    max_bytes: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_limits(max_datagrams, max_bytes, || Ok(transport.get()?.transport.incoming.config().limits))
    }
}

/// Sets the limits of the incoming queue. Under `WTGRAM_DROP_OLDEST` datagrams beyond the new
/// limits are dropped at once; under `WTGRAM_DROP_NEWEST` they stay.
///
/// @param transport The transport.
/// @param max_datagrams Limit in datagrams, at least 1.
/// @param max_bytes Limit in payload bytes.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_transport_set_incoming_limits(
    transport: wtgram_transport,
    max_datagrams: u64,
    max_bytes: u64,
) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.incoming.set_limits(limits(max_datagrams, max_bytes)?);
        Ok(())
    })
}

/// Stores what happens to a datagram when the outgoing queue is full.
///
/// @param transport The transport.
/// @param policy Gets a `wtgram_full_policy`.
///
/// # Safety
/// `policy` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_outgoing_full_policy(
    transport: wtgram_transport,
    policy: *mut u32,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(policy, || {
            Ok(match transport.get()?.transport.outgoing.config().policy {
                FullPolicy::Evict => wtgram_full_policy::WTGRAM_FULL_EVICT,
                FullPolicy::Reject => wtgram_full_policy::WTGRAM_FULL_REJECT,
                FullPolicy::Wait => wtgram_full_policy::WTGRAM_FULL_WAIT,
            } as u32)
        })
    }
}

/// Sets what happens to a datagram when the outgoing queue is full. It also applies to calls that
/// already wait for space.
///
/// @param transport The transport.
/// @param policy A `wtgram_full_policy`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_transport_set_outgoing_full_policy(
    transport: wtgram_transport,
    policy: u32,
) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.outgoing.set_policy(full_policy(policy)?);
        Ok(())
    })
}

/// Stores which datagram is dropped when the incoming queue is full.
///
/// @param transport The transport.
/// @param policy Gets a `wtgram_drop_policy`.
///
/// # Safety
/// `policy` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_incoming_drop_policy(
    transport: wtgram_transport,
    policy: *mut u32,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(policy, || {
            Ok(match transport.get()?.transport.incoming.config().policy {
                DropPolicy::Oldest => wtgram_drop_policy::WTGRAM_DROP_OLDEST,
                DropPolicy::Newest => wtgram_drop_policy::WTGRAM_DROP_NEWEST,
            } as u32)
        })
    }
}

/// Sets which datagram is dropped when the incoming queue is full. It applies to datagrams that
/// arrive from now on.
///
/// @param transport The transport.
/// @param policy A `wtgram_drop_policy`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_transport_set_incoming_drop_policy(
    transport: wtgram_transport,
    policy: u32,
) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.incoming.set_policy(drop_policy(policy)?);
        Ok(())
    })
}

/// Stores the limits of a queue. If `body` fails, both outputs get 0.
///
/// # Safety
/// `max_datagrams` and `max_bytes` are NULL or writable.
unsafe fn give_limits(
    max_datagrams: *mut u64,
    max_bytes: *mut u64,
    body: impl FnOnce() -> Result<Limits, Failure>,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        clear(max_datagrams);
        clear(max_bytes);
        guard(|| {
            let (max_datagrams, max_bytes) = (output(max_datagrams)?, output(max_bytes)?);
            let limits = body()?;
            (*max_datagrams, *max_bytes) = (limits.datagrams as u64, limits.bytes as u64);
            Ok(())
        })
    }
}
