//! Receiving datagrams
//!
//! `wtgram_transport_receive` waits for one datagram, `wtgram_transport_receive_batch` takes all
//! that are there. Receive in time: a full queue drops its oldest datagram by default.

use std::ffi::c_char;

use crate::datagram::message::{Metadata, checksum};
use crate::error::Error;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{
    Versioned, clear, deadline, detailed, elements_mut, fill, give, init, init_sized, micros, output,
    sized_output, write_text,
};
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;

/// Waits for the next datagram and copies it into `buffer`, which holds `capacity` bytes; stores
/// its length in `length`.
///
/// Several threads may wait; each datagram goes to one of them.
///
/// @param transport The transport.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param buffer Buffer for the payload.
/// @param capacity Size of `buffer`, in bytes.
/// @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the size needed. The datagram stays in the queue.
/// - `WTGRAM_ERROR_CLOSED`: the transport is closed and everything that arrived has been received.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes; `length` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_receive(
    transport: wtgram_transport,
    timeout_us: i64,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { clear(length) };
    guard(|| {
        // SAFETY: the caller's promise.
        let (buffer, length) = unsafe { (elements_mut(buffer, capacity)?, output(length)?) };
        let received = transport.get()?.transport.incoming.receive_bare(buffer, deadline(timeout_us)?);
        if let Err(Error::BufferTooSmall { needed }) = received {
            *length = needed;
        }
        *length = received?;
        Ok(())
    })
}

/// Receives like `wtgram_transport_receive`, but never waits.
///
/// @param transport The transport.
/// @param buffer Buffer for the payload.
/// @param capacity Size of `buffer`, in bytes.
/// @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
///
/// @return As `wtgram_transport_receive`; `WTGRAM_ERROR_WOULD_BLOCK` if no datagram is there.
///
/// # Safety
/// As for `wtgram_transport_receive`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_try_receive(
    transport: wtgram_transport,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { wtgram_transport_receive(transport, 0, buffer, capacity, length) }
}

/// A datagram in the arena of `wtgram_transport_receive_batch`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_received_datagram {
    /// Position of its first byte in the arena.
    pub offset: u64,
    /// Size in bytes.
    pub length: u64,
    /// Position in the order of arrival, counted from 0. Gaps are datagrams that were dropped after
    /// arrival.
    pub sequence: u64,
    /// Time of arrival, Unix time in microseconds.
    pub timestamp_us: i64,
    /// Reserved; 0.
    pub reserved: [u64; 2],
}

/// Most datagrams that one crossing takes.
const MAX_BATCH: usize = 1024;

/// Waits for a datagram, then takes all that are there and fit.
///
/// @param transport The transport.
/// @param timeout_us Longest wait for the first datagram in microseconds, `WTGRAM_FOREVER`, or 0 to
///   not wait.
/// @param arena Buffer for the payloads, which are stored one after the other.
/// @param arena_capacity Size of `arena`, in bytes.
/// @param received Array that gets the position of each payload.
/// @param capacity Number of elements in `received`, at least 1; one call takes at most 1024
///   datagrams.
/// @param count Gets the number of datagrams.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: not even the first datagram fits. `received[0].length` is the
///   size needed; nothing is lost.
/// - `WTGRAM_ERROR_CLOSED`: the transport is closed and everything that arrived has been received.
///
/// # Safety
/// `arena` points to `arena_capacity` writable bytes, `received` to `capacity` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_receive_batch(
    transport: wtgram_transport,
    timeout_us: i64,
    arena: *mut u8,
    arena_capacity: usize,
    received: *mut wtgram_received_datagram,
    capacity: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(count, || {
            let transport = transport.get()?;
            let arena = elements_mut(arena, arena_capacity)?;
            let received = elements_mut(received, capacity)?;
            let (most, deadline) = (received.len().min(MAX_BATCH), deadline(timeout_us)?);
            let incoming = &transport.transport.incoming;
            let taken = incoming.receive_each(arena, most, deadline, |index, slot| {
                received[index] = wtgram_received_datagram {
                    offset: slot.offset as u64,
                    length: slot.len as u64,
                    sequence: slot.metadata.sequence,
                    timestamp_us: i64::try_from(slot.metadata.timestamp_us).unwrap_or(i64::MAX),
                    reserved: [0; 2],
                };
            });
            if let (Err(Error::BufferTooSmall { needed }), Some(first)) = (&taken, received.first_mut()) {
                *first = wtgram_received_datagram { length: *needed as u64, ..NOTHING_RECEIVED };
            }
            Ok(taken?)
        })
    }
}

const NOTHING_RECEIVED: wtgram_received_datagram =
    wtgram_received_datagram { offset: 0, length: 0, sequence: 0, timestamp_us: 0, reserved: [0; 2] };

/// What is known about a received datagram.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_datagram_metadata {
    /// Size of this struct, set by `wtgram_datagram_metadata_init`.
    pub struct_size: usize,
    /// Time of arrival, Unix time in microseconds.
    pub timestamp_us: i64,
    /// Size in bytes.
    pub size: u64,
    /// Position in the order of arrival, counted from 0. Gaps are datagrams that were dropped after
    /// arrival.
    pub sequence: u64,
    /// Time from arrival to this call, in microseconds of a monotonic clock.
    pub age_us: i64,
    /// How long the call waited, in microseconds.
    pub waited_us: i64,
    /// First 8 hex digits of the payload's SHA-256 and a NUL; empty if not requested.
    pub checksum: [c_char; 16],
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_datagram_metadata {
    const FIRST_SIZE: usize = 64;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            timestamp_us: 0,
            size: 0,
            sequence: 0,
            age_us: 0,
            waited_us: 0,
            checksum: [0; 16],
        }
    }
}

/// Fills `*metadata` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `metadata` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_datagram_metadata_init(metadata: *mut wtgram_datagram_metadata) {
    // SAFETY: the caller's promise.
    unsafe { init(metadata) };
}

/// For bindings: `wtgram_datagram_metadata_init` for a struct of `size` bytes.
///
/// # Safety
/// `metadata` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_datagram_metadata_init_sized(
    metadata: *mut wtgram_datagram_metadata,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(metadata, size) };
}

/// Receives like `wtgram_transport_receive` and stores what is known about the datagram.
///
/// @param transport The transport.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param with_checksum Whether to compute the checksum.
/// @param buffer Buffer for the payload.
/// @param capacity Size of `buffer`, in bytes.
/// @param metadata Gets the metadata; prepared by `wtgram_datagram_metadata_init`. Its `size` is
///   the length of the payload.
///
/// @return As `wtgram_transport_receive`; on `WTGRAM_ERROR_BUFFER_TOO_SMALL` `metadata->size` is
///   the size needed.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes; `metadata` to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_receive_with_metadata(
    transport: wtgram_transport,
    timeout_us: i64,
    with_checksum: bool,
    buffer: *mut u8,
    capacity: usize,
    metadata: *mut wtgram_datagram_metadata,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let buffer = unsafe {
            sized_output(metadata)?;
            elements_mut(buffer, capacity)?
        };
        let received = transport.get()?.transport.incoming.receive(buffer, deadline(timeout_us)?);
        if let Err(Error::BufferTooSmall { needed }) = received {
            // SAFETY: the caller's promise.
            unsafe {
                fill(
                    metadata,
                    wtgram_datagram_metadata { size: needed as u64, ..wtgram_datagram_metadata::initial() },
                )
            }?;
        }
        let received = received?;
        let sum = with_checksum.then(|| checksum(&buffer[..received.size]));
        // SAFETY: the caller's promise.
        unsafe { fill(metadata, described(&received, sum)) }
    })
}

fn described(received: &Metadata, sum: Option<[u8; 8]>) -> wtgram_datagram_metadata {
    let mut text = [0; 16];
    for (to, from) in text.iter_mut().zip(sum.unwrap_or_default()) {
        *to = from as c_char;
    }
    wtgram_datagram_metadata {
        struct_size: size_of::<wtgram_datagram_metadata>(),
        timestamp_us: i64::try_from(received.timestamp_us).unwrap_or(i64::MAX),
        size: received.size as u64,
        sequence: received.sequence,
        age_us: micros(received.age),
        waited_us: micros(received.waited),
        checksum: text,
    }
}

/// Waits for the next datagram and writes it as JSON text without insignificant white space. It is
/// checked as in `wtgram_transport_send_json`.
///
/// @param transport The transport.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param text Buffer for the text and its final NUL.
/// @param capacity Size of `text`, in bytes.
/// @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
/// @param detail Buffer for an English sentence that explains a failure, shortened to fit and
///   NUL-terminated; NULL with 0 for none.
/// @param detail_capacity Size of `detail`, in bytes.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_SERIALIZATION`: the datagram is not acceptable JSON. It is removed and lost, so
///   that it cannot block those behind it; `detail` names line and column.
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed. The datagram stays in the
///   queue.
/// - `WTGRAM_ERROR_CLOSED`: the transport is closed and everything that arrived has been received.
///
/// # Safety
/// `text` points to `capacity` writable bytes, `detail` to `detail_capacity`; `length` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_receive_json(
    transport: wtgram_transport,
    timeout_us: i64,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
    detail: *mut c_char,
    detail_capacity: usize,
) -> wtgram_status {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        clear(length);
        detailed(detail, detail_capacity, || {
            let most = elements_mut(text, capacity)?.len().saturating_sub(1);
            let length = output(length)?;
            let received = transport.get()?.transport.incoming.receive_json(most, deadline(timeout_us)?);
            if let Err(Error::BufferTooSmall { needed }) = received {
                *length = needed;
            }
            write_text(&received?, text, capacity, length)
        })
    }
}
