//! Sending objects
//!
//! An object is one datagram, or one message over a reliability layer.

use crate::error::Result;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{bytes, elements, give};
use crate::ffi::handles::wtgram_structured;
use crate::ffi::status::wtgram_status;
use crate::ffi::transport::send::{BatchResults, send_options, wtgram_send_options};
use crate::runtime::wait::Deadline;

/// Encodes an object and sends it as one datagram: its type id in two bytes (big endian), then the
/// encoding.
///
/// With a `report_id`, fetch the outcome from what carries the datagram:
/// `wtgram_transport_next_outcome` of the session's transport, or `wtgram_reliability_next_outcome`
/// of the layer.
///
/// @param structured The structured transport.
/// @param type_id A registered type id.
/// @param object The object: JSON text without a NUL, or what the custom serializer takes.
/// @param length Length of the object in bytes.
/// @param options Options; NULL for the defaults.
///
/// @return As `wtgram_transport_send`, and
/// - `WTGRAM_ERROR_UNKNOWN_TYPE`: the type id is not registered.
/// - `WTGRAM_ERROR_SERIALIZATION`: the object cannot be encoded.
/// - `WTGRAM_ERROR_TOO_LARGE`: the encoding is larger than its type or the path allows.
///
/// # Safety
/// `object` points to `length` bytes; `options` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_send(
    structured: wtgram_structured,
    type_id: u32,
    object: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let structured = structured.get()?;
        // SAFETY: the caller's promise.
        let (object, (options, deadline)) = unsafe { (bytes(object, length)?, send_options(options)?) };
        Ok(structured.send(type_id, object, &options, deadline)?)
    })
}

/// Sends an object like `wtgram_structured_send`, but never waits.
///
/// @param structured The structured transport.
/// @param type_id A registered type id.
/// @param object The object.
/// @param length Length of the object in bytes.
/// @param options Options; NULL for the defaults.
///
/// @return As `wtgram_structured_send`.
///
/// # Safety
/// As for `wtgram_structured_send`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_try_send(
    structured: wtgram_structured,
    type_id: u32,
    object: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let structured = structured.get()?;
        // SAFETY: the caller's promise.
        let (object, (options, _)) = unsafe { (bytes(object, length)?, send_options(options)?) };
        Ok(structured.send(type_id, object, &options, Deadline::Now)?)
    })
}

/// An object to send.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_object {
    /// First byte; ignored if `length` is 0.
    pub data: *const u8,
    /// Length in bytes.
    pub length: usize,
    /// Type id.
    pub type_id: u32,
    /// Reserved; 0.
    pub reserved: [u32; 3],
}

/// Sends many objects in one call. If one fails, the others are sent all the same.
///
/// @param structured The structured transport.
/// @param objects The objects.
/// @param count Number of objects; 0 is valid.
/// @param options Options of each object; NULL for the defaults.
/// @param results NULL, or an array of `count` elements that get the status of each object.
/// @param accepted Gets the number of objects that were queued, whatever the status.
///
/// @return The status of the first object that failed, or `WTGRAM_OK`. If the handle or an argument
///   is invalid, nothing is sent.
///
/// # Safety
/// `objects` points to `count` elements, each to its bytes; `results` is NULL or points to `count` writable elements;
/// `accepted` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_send_batch(
    structured: wtgram_structured,
    objects: *const wtgram_object,
    count: usize,
    options: *const wtgram_send_options,
    results: *mut wtgram_status,
    accepted: *mut usize,
) -> wtgram_status {
    let mut batch = BatchResults::default();
    // SAFETY: the caller's promise.
    let status = unsafe {
        give(accepted, || {
            let structured = structured.get()?;
            let (objects, (options, deadline)) = (elements(objects, count)?, send_options(options)?);
            batch.go_to(results, count)?;
            for object in objects {
                let status = match bytes(object.data, object.length) {
                    Err(failure) => (&failure).into(),
                    Ok(data) => status_of(&structured.send(object.type_id, data, &options, deadline)),
                };
                batch.record(status);
            }
            Ok(batch.accepted)
        })
    };
    batch.status(status)
}

pub(in crate::ffi) fn status_of<T>(result: &Result<T>) -> wtgram_status {
    result.as_ref().map_or_else(wtgram_status::from, |_| wtgram_status::WTGRAM_OK)
}
