//! Receiving objects
//!
//! A datagram that is not an object is reported by a status and does not stop the others.

use crate::error::Error;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{clear, deadline, elements_mut, give, output};
use crate::ffi::handles::wtgram_structured;
use crate::ffi::status::wtgram_status;
use crate::ffi::structured::send::status_of;
use crate::structured::objects::Slot;

/// Waits for the next object and copies it into `buffer`, which holds `capacity` bytes. JSON text
/// gets no NUL. Several threads may wait; each object goes to one of them.
///
/// A datagram that is not an object is dropped, counted and reported by its status. The next call
/// goes on with the next datagram.
///
/// @param structured The structured transport.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param buffer Buffer for the payload.
/// @param capacity Size of `buffer`, in bytes.
/// @param type_id Gets the type id.
/// @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the size needed. The object stays in the queue.
/// - `WTGRAM_ERROR_TRUNCATED`: a datagram was too short for a type id.
/// - `WTGRAM_ERROR_UNKNOWN_TYPE`: a type id was not registered.
/// - `WTGRAM_ERROR_TOO_LARGE`: an encoding was larger than its type allows.
/// - `WTGRAM_ERROR_DESERIALIZATION`: an object could not be decoded.
/// - `WTGRAM_ERROR_CLOSED`: the structured transport is closed and everything that arrived has been
///   received.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes; `type_id` and `length` are writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_receive(
    structured: wtgram_structured,
    timeout_us: i64,
    buffer: *mut u8,
    capacity: usize,
    type_id: *mut u32,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { (clear(type_id), clear(length)) };
    guard(|| {
        // SAFETY: the caller's promise.
        let (buffer, type_id, length) =
            unsafe { (elements_mut(buffer, capacity)?, output(type_id)?, output(length)?) };
        let received = structured.get()?.receive(buffer, deadline(timeout_us)?);
        if let Err(Error::BufferTooSmall { needed }) = received {
            *length = needed;
        }
        let received = received?;
        (*type_id, *length) = (received.type_id.into(), received.size);
        Ok(())
    })
}

/// Receives like `wtgram_structured_receive`, but never waits.
///
/// @param structured The structured transport.
/// @param buffer Buffer for the payload.
/// @param capacity Size of `buffer`, in bytes.
/// @param type_id Gets the type id.
/// @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
///
/// @return As `wtgram_structured_receive`; `WTGRAM_ERROR_WOULD_BLOCK` if no object is there.
///
/// # Safety
/// As for `wtgram_structured_receive`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_try_receive(
    structured: wtgram_structured,
    buffer: *mut u8,
    capacity: usize,
    type_id: *mut u32,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { wtgram_structured_receive(structured, 0, buffer, capacity, type_id, length) }
}

/// An object in the arena of `wtgram_structured_receive_batch`, or a datagram that is not an
/// object.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_received_object {
    /// Position of its first byte in the arena.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// Position of its datagram in the order of arrival.
    pub sequence: u64,
    /// Time of arrival, Unix time in microseconds.
    pub timestamp_us: i64,
    /// Type id.
    pub type_id: u32,
    /// `WTGRAM_OK`, or why the datagram is not an object; then all other fields are zero.
    pub status: i32,
    /// Reserved; 0.
    pub reserved: [u64; 2],
}

/// Most objects that one crossing takes.
const MAX_BATCH: usize = 1024;

/// Waits for an object, then takes all that are there and fit.
///
/// @param structured The structured transport.
/// @param timeout_us Longest wait for the first object in microseconds, `WTGRAM_FOREVER`, or 0 to
///   not wait.
/// @param arena Buffer for the objects, which are stored one after the other.
/// @param arena_capacity Size of `arena`, in bytes.
/// @param received Array that gets the position of each object. Datagrams that are not objects take
///   an element with their status.
/// @param capacity Number of elements in `received`, at least 1; one call takes at most 1024.
/// @param count Gets the number of elements filled.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: not even the first object fits. `received[0].length` is the
///   size needed; nothing is lost.
/// - `WTGRAM_ERROR_CLOSED`: the structured transport is closed and everything that arrived has been
///   received.
///
/// # Safety
/// `arena` points to `arena_capacity` writable bytes, `received` to `capacity` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_receive_batch(
    structured: wtgram_structured,
    timeout_us: i64,
    arena: *mut u8,
    arena_capacity: usize,
    received: *mut wtgram_received_object,
    capacity: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(count, || {
            let structured = structured.get()?;
            let (arena, received) = (elements_mut(arena, arena_capacity)?, elements_mut(received, capacity)?);
            let mut slots = Vec::new();
            let most = received.len().min(MAX_BATCH);
            let taken = structured.receive_batch(arena, &mut slots, most, deadline(timeout_us)?);
            if let (Err(Error::BufferTooSmall { needed }), Some(first)) = (&taken, received.first_mut()) {
                *first = wtgram_received_object { length: *needed as u64, ..NOTHING_RECEIVED };
            }
            taken?;
            for (to, from) in received.iter_mut().zip(&slots) {
                *to = from.into();
            }
            Ok(slots.len())
        })
    }
}

const NOTHING_RECEIVED: wtgram_received_object = wtgram_received_object {
    offset: 0,
    length: 0,
    sequence: 0,
    timestamp_us: 0,
    type_id: 0,
    status: 0,
    reserved: [0; 2],
};

impl From<&Slot> for wtgram_received_object {
    fn from(slot: &Slot) -> Self {
        let status = status_of(&slot.result) as i32;
        slot.result.as_ref().map_or(Self { status, ..NOTHING_RECEIVED }, |received| Self {
            offset: slot.offset as u64,
            length: received.size as u64,
            sequence: received.metadata.sequence,
            timestamp_us: i64::try_from(received.metadata.timestamp_us).unwrap_or(i64::MAX),
            type_id: received.type_id.into(),
            status,
            reserved: [0; 2],
        })
    }
}
