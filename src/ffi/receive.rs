//! `wtgram_transport_receive*`.

use std::ffi::c_char;

use super::guard::guard;
use super::handle::Handle;
use super::library::init;
use super::pointer::{
    Versioned, clear, deadline, detailed, elements_mut, fill, give, micros, output, sized_output, write_text,
};
use super::status::wtgram_status;
use super::transport::wtgram_transport;
use crate::datagram::message::{Metadata, checksum};
use crate::error::Error;

/// Waits for the next datagram and copies it.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `buffer`, `capacity`: where it goes. `length`: its bytes.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `BUFFER_TOO_SMALL`: `length` says what is needed, the datagram stays
/// where it is; `CLOSED`: closed, and everything that had arrived was received; `INVALID_HANDLE`; `INVALID_ARGUMENT`;
/// `FORKED`. Any number of threads may wait; a datagram goes to one of them.
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

/// `wtgram_transport_receive` that never waits: `WOULD_BLOCK` when nothing is there.
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

/// A datagram in an arena.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_received {
    /// Its first byte's place in the arena.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// Its place in the order of arrival, counted from 0; gaps are datagrams that were dropped after arrival.
    pub sequence: u64,
    /// When it arrived, in Unix microseconds.
    pub timestamp_us: i64,
    /// Zero.
    pub reserved: [u64; 2],
}

/// Most datagrams that one crossing takes.
const MAX_BATCH: usize = 1024;

/// Waits for a datagram, then takes all that are there and fit, in one crossing.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0; for the first. `arena`, `arena_capacity`: where the payloads go,
/// back to back. `received`, `capacity`: what lies where; at most 1024 at once. `count`: how many were taken.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `BUFFER_TOO_SMALL`: not even the first fits; `count` is 0,
/// `received[0].length` says what it needs, nothing is lost; `CLOSED`; `INVALID_HANDLE`; `INVALID_ARGUMENT`: also when
/// `capacity` is 0; `FORKED`.
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
    received: *mut wtgram_received,
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
                received[index] = wtgram_received {
                    offset: slot.offset as u64,
                    length: slot.len as u64,
                    sequence: slot.metadata.sequence,
                    timestamp_us: i64::try_from(slot.metadata.timestamp_us).unwrap_or(i64::MAX),
                    reserved: [0; 2],
                };
            });
            if let (Err(Error::BufferTooSmall { needed }), Some(first)) = (&taken, received.first_mut()) {
                *first = wtgram_received { length: *needed as u64, ..NOTHING_RECEIVED };
            }
            Ok(taken?)
        })
    }
}

const NOTHING_RECEIVED: wtgram_received =
    wtgram_received { offset: 0, length: 0, sequence: 0, timestamp_us: 0, reserved: [0; 2] };

/// What is known about a datagram that was received.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_metadata {
    /// Size of this struct, filled by `wtgram_metadata_init`.
    pub struct_size: usize,
    /// When it arrived, in Unix microseconds.
    pub timestamp_us: i64,
    /// Its bytes.
    pub size: u64,
    /// Its place in the order of arrival, counted from 0; gaps are datagrams that were dropped after arrival.
    pub sequence: u64,
    /// Time between its arrival and being received, in microseconds, whatever happens to the wall clock.
    pub age_us: i64,
    /// How long the call waited for it, in microseconds.
    pub waited_us: i64,
    /// The first 8 hex digits of the payload's SHA-256 and a NUL, if asked for; else empty.
    pub checksum: [c_char; 16],
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_metadata {
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

/// Fills `metadata` with zeroes and its size. NULL is ignored.
///
/// # Safety
/// `metadata` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_metadata_init(metadata: *mut wtgram_metadata) {
    // SAFETY: the caller's promise.
    unsafe { init(metadata) };
}

/// Waits for the next datagram, copies it, and says what is known about it.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `with_checksum`: compute the checksum, too. `buffer`, `capacity`:
/// where the payload goes. `metadata`: its `size` is the payload's bytes.
///
/// Statuses: as for `wtgram_transport_receive`; on `BUFFER_TOO_SMALL` `metadata->size` says what is needed.
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
    metadata: *mut wtgram_metadata,
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
            unsafe { fill(metadata, wtgram_metadata { size: needed as u64, ..wtgram_metadata::initial() }) }?;
        }
        let received = received?;
        let sum = with_checksum.then(|| checksum(&buffer[..received.size]));
        // SAFETY: the caller's promise.
        unsafe { fill(metadata, described(&received, sum)) }
    })
}

fn described(received: &Metadata, sum: Option<[u8; 8]>) -> wtgram_metadata {
    let mut text = [0; 16];
    for (to, from) in text.iter_mut().zip(sum.unwrap_or_default()) {
        *to = from as c_char;
    }
    wtgram_metadata {
        struct_size: size_of::<wtgram_metadata>(),
        timestamp_us: i64::try_from(received.timestamp_us).unwrap_or(i64::MAX),
        size: received.size as u64,
        sequence: received.sequence,
        age_us: micros(received.age),
        waited_us: micros(received.waited),
        checksum: text,
    }
}

/// Waits for the next datagram and gives it as JSON text without insignificant white space. As strict as
/// `wtgram_transport_send_json`.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `text`, `capacity`: a buffer for the text and its NUL. `length`: its
/// bytes without the NUL. `detail`, `detail_capacity`: a buffer that gets, NUL-terminated and shortened to fit, what is
/// wrong and at which line and column; may be NULL with 0.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `SERIALIZATION`: the datagram is not acceptable JSON; it is taken
/// out and lost, or it would block all that follow; `BUFFER_TOO_SMALL`: `length` says what is needed, without the NUL,
/// the datagram stays where it is; `CLOSED`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `FORKED`.
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
