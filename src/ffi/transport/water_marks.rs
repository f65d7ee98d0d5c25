//! Water marks
//!
//! Marks of the outgoing queue between which a program stops and resumes sending.

use crate::datagram::send::watermark::Marks;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{Versioned, give, give_sized, init, init_sized, invalid, read_options};
use crate::ffi::connection::{limits, narrow};
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;

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
    // SAFETY: the caller's promise.
    unsafe { give_sized(marks, || Ok(transport.get()?.transport.outgoing.config().marks.into())) }
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
