//! Settings of a transport
//!
//! What can be changed while a transport runs. Changes apply at once, also to datagrams in the
//! queue.

use crate::datagram::receive::DropPolicy;
use crate::datagram::send::FullPolicy;
use crate::datagram::send::watermark::Marks;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{
    Versioned, clear, fill, give, init, init_sized, invalid, micros, optional_duration, output, read_options,
    sized_output,
};
use crate::ffi::connection::{
    drop_policy, full_policy, limits, narrow, wtgram_drop_policy, wtgram_full_policy,
};
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
        clear(max_datagrams);
        clear(max_bytes);
        guard(|| {
            let (max_datagrams, max_bytes) = (output(max_datagrams)?, output(max_bytes)?);
            let limits = transport.get()?.transport.outgoing.config().limits;
            (*max_datagrams, *max_bytes) = (limits.datagrams as u64, limits.bytes as u64);
            Ok(())
        })
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
        clear(max_datagrams);
        clear(max_bytes);
        guard(|| {
            let (max_datagrams, max_bytes) = (output(max_datagrams)?, output(max_bytes)?);
            let limits = transport.get()?.transport.incoming.config().limits;
            (*max_datagrams, *max_bytes) = (limits.datagrams as u64, limits.bytes as u64);
            Ok(())
        })
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

/// Water marks of the outgoing queue. The queue is high from the moment it reaches a high-water
/// mark until it is at or below both low-water marks. A poller reports `WTGRAM_READY_LOW_WATER`
/// while it is not high.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_water_marks {
    /// Size of this struct, set by `wtgram_water_marks_init`.
    pub struct_size: usize,
    /// High-water mark in datagrams. Default 100.
    pub high_datagrams: u64,
    /// Low-water mark in datagrams, below the high one. Default 50.
    pub low_datagrams: u64,
    /// High-water mark in payload bytes; `UINT64_MAX`, the default, for none.
    pub high_bytes: u64,
    /// Low-water mark in payload bytes; `UINT64_MAX`, the default, for none.
    pub low_bytes: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_water_marks {
    const FIRST_SIZE: usize = 40;
    fn initial() -> Self {
        Self::from(Marks::of_datagrams(100))
    }
}

impl From<Marks> for wtgram_water_marks {
    fn from(marks: Marks) -> Self {
        let wide = |value: usize| if value == usize::MAX { u64::MAX } else { value as u64 };
        Self {
            struct_size: size_of::<Self>(),
            high_datagrams: wide(marks.high_datagrams),
            low_datagrams: wide(marks.low_datagrams),
            high_bytes: wide(marks.high_bytes),
            low_bytes: wide(marks.low_bytes),
        }
    }
}

/// Fills `*marks` with the defaults. NULL is ignored.
///
/// # Safety
/// `marks` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_water_marks_init(marks: *mut wtgram_water_marks) {
    // SAFETY: the caller's promise.
    unsafe { init(marks) };
}

/// For bindings: `wtgram_water_marks_init` for a struct of `size` bytes.
///
/// # Safety
/// `marks` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_water_marks_init_sized(marks: *mut wtgram_water_marks, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(marks, size) };
}

/// Stores the water marks of the outgoing queue.
///
/// @param transport The transport.
/// @param marks Gets the marks; prepared by `wtgram_water_marks_init`.
///
/// # Safety
/// `marks` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_outgoing_water_marks(
    transport: wtgram_transport,
    marks: *mut wtgram_water_marks,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe {
            sized_output(marks)?;
            fill(marks, transport.get()?.transport.outgoing.config().marks.into())
        }
    })
}

/// Sets the water marks of the outgoing queue. They apply at once.
///
/// @param transport The transport.
/// @param marks The marks; NULL for the defaults, which do not depend on the queue's limits.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: a high-water mark is 0.
///
/// # Safety
/// `options` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_set_outgoing_water_marks(
    transport: wtgram_transport,
    marks: *const wtgram_water_marks,
) -> wtgram_status {
    guard(|| {
        let transport = transport.get()?;
        // SAFETY: the caller's promise.
        transport.transport.outgoing.set_marks(unsafe { read_marks(read_options(marks)?) }?);
        Ok(())
    })
}

fn read_marks(raw: wtgram_water_marks) -> Result<Marks, Failure> {
    if raw.high_datagrams == 0 || raw.high_bytes == 0 {
        return Err(invalid("a high-water mark is at least 1"));
    }
    Ok(Marks {
        high_datagrams: narrow(raw.high_datagrams),
        low_datagrams: narrow(raw.low_datagrams),
        high_bytes: narrow(raw.high_bytes),
        low_bytes: narrow(raw.low_bytes),
    })
}

/// Stores the high-water mark of the outgoing queue.
///
/// @param transport The transport.
/// @param datagrams Gets the mark in datagrams.
///
/// # Safety
/// `datagrams` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_outgoing_high_water_mark(
    transport: wtgram_transport,
    datagrams: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(datagrams, || Ok(transport.get()?.transport.outgoing.config().marks.high_datagrams as u64))
    }
}

/// Sets the high-water mark of the outgoing queue in datagrams. The low-water mark becomes half of
/// it, and there are no marks in bytes.
///
/// @param transport The transport.
/// @param datagrams The mark, at least 1.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_transport_set_outgoing_high_water_mark(
    transport: wtgram_transport,
    datagrams: u64,
) -> wtgram_status {
    guard(|| {
        let transport = transport.get()?;
        transport.transport.outgoing.set_marks(Marks::of_datagrams(limits(datagrams, 0)?.datagrams));
        Ok(())
    })
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
