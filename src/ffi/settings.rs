//! `wtgram_transport_get_*`, `_set_*` and `_clear_*`: what can be changed while a transport runs. Every change holds at once,
//! for what is queued, too.

use super::guard::guard;
use super::handle::Handle;
use super::library::init;
use super::pointer::{
    Versioned, clear, fill, give, invalid, micros, optional_duration, output, read_options, sized_output,
};
use super::status::wtgram_status;
use super::transport::{drop_policy, full_policy, limits, narrow, wtgram_transport};
use crate::datagram::receive::DropPolicy;
use crate::datagram::send::FullPolicy;
use crate::datagram::send::watermark::Marks;

/// Age at which a datagram is dropped instead of sent, in microseconds; 0 for none.
///
/// Statuses: as for `wtgram_transport_is_closed`.
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

/// Sets the age at which a datagram is dropped instead of sent. What is queued and too old is dropped at once.
///
/// `max_age_us`: microseconds; 0 for none.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: negative; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
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

/// Age at which a datagram is dropped instead of delivered, in microseconds; 0 for none.
///
/// Statuses: as for `wtgram_transport_is_closed`.
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

/// Sets the age at which a datagram is dropped instead of delivered. What is queued and too old is dropped at once.
///
/// `max_age_us`: microseconds; 0 for none.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: negative; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
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

/// How much may wait for being sent.
///
/// `max_datagrams`: datagrams. `max_bytes`: payload bytes.
///
/// Statuses: as for `wtgram_transport_is_closed`.
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

/// Sets how much may wait for being sent. Under `WTGRAM_FULL_EVICT` what is too
/// much now is evicted at once; the other policies keep what they accepted. A high-water mark at or above the old or the
/// new limit moves to the new one.
///
/// `max_datagrams`: datagrams, at least 1. `max_bytes`: payload bytes.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: no datagrams; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
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

/// How much may wait for being received.
///
/// `max_datagrams`: datagrams. `max_bytes`: payload bytes.
///
/// Statuses: as for `wtgram_transport_is_closed`.
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

/// Sets how much may wait for being received. Under `WTGRAM_DROP_OLDEST` what is
/// too much now is dropped at once; `WTGRAM_DROP_NEWEST` keeps what it took.
///
/// `max_datagrams`: datagrams, at least 1. `max_bytes`: payload bytes.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: no datagrams; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
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

/// What happens to a datagram when the outgoing queue is full: a `wtgram_full_policy`.
///
/// Statuses: as for `wtgram_transport_is_closed`.
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
                FullPolicy::Evict => 0,
                FullPolicy::Reject => 1,
                FullPolicy::Wait => 2,
            })
        })
    }
}

/// Sets what happens to a datagram when the outgoing queue is full. Calls that wait for room are judged
/// by the new one.
///
/// `policy`: a `wtgram_full_policy`.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: there is no such policy; `INVALID_HANDLE`; `CLOSED`: the library was shut
/// down; `FORKED`.
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

/// Which datagram goes when the incoming queue is full: a `wtgram_drop_policy`.
///
/// Statuses: as for `wtgram_transport_is_closed`.
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
                DropPolicy::Oldest => 0,
                DropPolicy::Newest => 1,
            })
        })
    }
}

/// Sets which datagram goes when the incoming queue is full. It holds for what
/// arrives from now on.
///
/// `policy`: a `wtgram_drop_policy`.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: there is no such policy; `INVALID_HANDLE`; `CLOSED`: the library was shut
/// down; `FORKED`.
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

/// High and low water of the outgoing queue. Above: a high mark was reached and not both have come down to their low
/// marks since. `WTGRAM_LOW_WATER` in a poller says that it is not above.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_water_marks {
    /// Size of this struct, filled by `wtgram_water_marks_init`.
    pub struct_size: usize,
    /// High mark in datagrams. Default 100.
    pub high_datagrams: u64,
    /// Low mark in datagrams; one at or above the high mark is taken as just below it. Default 50.
    pub low_datagrams: u64,
    /// High mark in payload bytes; `UINT64_MAX`, the default, for none.
    pub high_bytes: u64,
    /// Low mark in payload bytes; `UINT64_MAX`, the default, for none.
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

/// Fills `marks` with the defaults. NULL is ignored.
///
/// # Safety
/// `marks` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_water_marks_init(marks: *mut wtgram_water_marks) {
    // SAFETY: the caller's promise.
    unsafe { init(marks) };
}

/// The water marks of the outgoing queue.
///
/// Statuses: as for `wtgram_transport_is_closed`; `INVALID_ARGUMENT` also when `struct_size` is that of no version.
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

/// Sets the water marks of the outgoing queue, which is judged by them at once.
///
/// `options`: the marks; NULL for the defaults, which do not depend on the queue's limits.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: a high mark is 0, or `struct_size` is that of no version;
/// `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `options` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_set_outgoing_water_marks(
    transport: wtgram_transport,
    options: *const wtgram_water_marks,
) -> wtgram_status {
    guard(|| {
        let transport = transport.get()?;
        // SAFETY: the caller's promise.
        transport.transport.outgoing.set_marks(unsafe { marks(read_options(options)?) }?);
        Ok(())
    })
}

fn marks(raw: wtgram_water_marks) -> Result<Marks, super::guard::Failure> {
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

/// The high-water mark of the outgoing queue, in datagrams.
///
/// Statuses: as for `wtgram_transport_is_closed`.
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

/// Sets the high-water mark of the outgoing queue; the low one is half of it, and bytes have none.
///
/// `datagrams`: at least 1.
///
/// Statuses: as for `wtgram_transport_set_outgoing_water_marks`.
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

/// Drops everything that waits for being sent, and counts it as cleared. What QUIC already has is on its way.
///
/// `cleared`: how many datagrams that were.
///
/// Statuses: as for `wtgram_transport_is_closed`.
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

/// Drops everything that waits for being received, and counts it as cleared.
///
/// `cleared`: how many datagrams that were.
///
/// Statuses: as for `wtgram_transport_is_closed`.
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
