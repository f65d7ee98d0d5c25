//! Reliability layer
//!
//! Carries messages over the datagrams of a session: they are acknowledged and retransmitted,
//! arrive at most once in any order, and each has exactly one outcome. Open a layer at both ends:
//! `wtgram_reliability_open_over_session`, then send and receive, `wtgram_reliability_close` with a
//! drain timeout, `wtgram_reliability_free`. `docs/reliability.md` describes guarantees and wire
//! format.

pub mod options;
pub mod outcome;
pub mod stats;

use std::sync::Arc;

use crate::error::Error;
use crate::ffi::boundary::guard::{free, guard};
use crate::ffi::boundary::handle::{Handle, names};
use crate::ffi::boundary::pointer::{
    Versioned, bytes, clear, deadline, elements_mut, give, output, read_options,
};
use crate::ffi::handles::{wtgram_reliability, wtgram_session, wtgram_transport};
use crate::ffi::reliability::options::wtgram_reliability_options;
use crate::ffi::status::wtgram_status;
use crate::ffi::transport::send::{send_options, wtgram_send_options};
use crate::reliability::layer::Layer;
use crate::runtime::wait::Deadline;

names!(wtgram_reliability => Layer, RELIABILITY, polled as |layer| layer);

/// Opens a reliability layer over a transport. From now on the transport no longer delivers the
/// layer's frames. A transport carries one layer at a time; you can open another one after it is
/// closed.
///
/// @param transport The transport.
/// @param options Options; NULL for the defaults.
/// @param reliability Gets the handle. Free it with `wtgram_reliability_free`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_STATE`: the transport has an open layer.
/// - `WTGRAM_ERROR_CLOSED`: the transport is closed.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many layers.
///
/// # Safety
/// `options` is NULL or points to a struct of its `struct_size`; `reliability` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_open_over_transport(
    transport: wtgram_transport,
    options: *const wtgram_reliability_options,
    reliability: *mut wtgram_reliability,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(reliability, || {
            let options = read_options(options)?.layer_options()?;
            Handle::new(Layer::open(Arc::clone(&transport.get()?.transport), &options)?)
        })
    }
}

/// Opens a reliability layer over the transport of a session.
///
/// @param session The session.
/// @param options Options; NULL for the defaults.
/// @param reliability Gets the handle. Free it with `wtgram_reliability_free`.
///
/// @return As `wtgram_reliability_open_over_transport`.
///
/// # Safety
/// As for `wtgram_reliability_open_over_transport`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_open_over_session(
    session: wtgram_session,
    options: *const wtgram_reliability_options,
    reliability: *mut wtgram_reliability,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(reliability, || {
            let options = read_options(options)?.layer_options()?;
            Handle::new(Layer::open(Arc::clone(session.get()?.session.datagrams()?), &options)?)
        })
    }
}

/// Opens a reliability layer over a transport with the two parameters of pywebtransport's factory,
/// whose defaults are 1 s and 3 retries. All other options have their defaults.
///
/// @param transport The transport.
/// @param ack_timeout_us As in `wtgram_reliability_options`.
/// @param max_retries As in `wtgram_reliability_options`.
/// @param reliability Gets the handle. Free it with `wtgram_reliability_free`.
///
/// @return As `wtgram_reliability_open_over_transport`.
///
/// # Safety
/// `reliability` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_open_with(
    transport: wtgram_transport,
    ack_timeout_us: i64,
    max_retries: u32,
    reliability: *mut wtgram_reliability,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(reliability, || {
            let transport = Arc::clone(&transport.get()?.transport);
            let options = wtgram_reliability_options { ack_timeout_us, max_retries, ..Versioned::initial() };
            Handle::new(Layer::open(transport, &options.layer_options()?)?)
        })
    }
}

/// Accepts a message for delivery, and waits for space in the window. Each message arrives at most
/// once, in any order. It has exactly one outcome, which is counted and, with a `report_id`,
/// returned by `wtgram_reliability_next_outcome`.
///
/// @param reliability The layer.
/// @param data First byte of the payload; ignored if `length` is 0.
/// @param length Size of the message in bytes, at most `wtgram_reliability_get_max_message_size`.
/// @param options NULL for the defaults. `timeout_us` limits the wait for space. Messages of the
///   highest `priority` are transmitted and retransmitted first. A message older than `ttl_us` is
///   no longer transmitted; its outcome is `WTGRAM_RELIABILITY_EXPIRED`.
///
/// @return
/// - `WTGRAM_OK`: the message is accepted and will have exactly one outcome. After any other status
///   it has none.
/// - `WTGRAM_ERROR_TIMED_OUT`, `WTGRAM_ERROR_WOULD_BLOCK`: there was no space in time, or the TTL
///   passed first (TIMED_OUT).
/// - `WTGRAM_ERROR_TOO_LARGE`: it is larger than the path carries now.
/// - `WTGRAM_ERROR_UNSUPPORTED`: the peer does not accept datagrams.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many outcomes are not fetched.
/// - `WTGRAM_ERROR_CLOSED`: the layer is closed.
///
/// # Safety
/// `data` points to `length` bytes; `options` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_send(
    reliability: wtgram_reliability,
    data: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let layer = reliability.get()?;
        // SAFETY: the caller's promise.
        let (data, (options, deadline)) = unsafe { (bytes(data, length)?, send_options(options)?) };
        Ok(layer.send(data, &options, deadline)?)
    })
}

/// Sends a message like `wtgram_reliability_send`, but never waits.
///
/// @param reliability The layer.
/// @param data First byte of the payload; ignored if `length` is 0.
/// @param length Size of the payload, in bytes.
/// @param options Options; NULL for the defaults.
///
/// @return As `wtgram_reliability_send`; `WTGRAM_ERROR_WOULD_BLOCK` if the window is full.
///
/// # Safety
/// As for `wtgram_reliability_send`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_try_send(
    reliability: wtgram_reliability,
    data: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let layer = reliability.get()?;
        // SAFETY: the caller's promise.
        let (data, (options, _)) = unsafe { (bytes(data, length)?, send_options(options)?) };
        Ok(layer.send(data, &options, Deadline::Now)?)
    })
}

/// Waits for the next message and copies it into `buffer`, which holds `capacity` bytes; stores its
/// length in `length`. Several threads may wait; each message goes to one of them.
///
/// Receive in time: when the inbound queue is full, the layer stops acknowledging, and the peer's
/// sender waits.
///
/// @param reliability The layer.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param buffer Buffer for the payload.
/// @param capacity Size of `buffer`, in bytes.
/// @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the size needed. The message stays in the queue.
/// - `WTGRAM_ERROR_CLOSED`: the layer is closed and everything that arrived has been received.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes; `length` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_receive(
    reliability: wtgram_reliability,
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
        let received = reliability.get()?.receive(buffer, deadline(timeout_us)?);
        if let Err(Error::BufferTooSmall { needed }) = received {
            *length = needed;
        }
        *length = received?.size;
        Ok(())
    })
}

/// Receives like `wtgram_reliability_receive`, but never waits.
///
/// @param reliability The layer.
/// @param buffer Buffer for the payload.
/// @param capacity Size of `buffer`, in bytes.
/// @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
///
/// @return As `wtgram_reliability_receive`; `WTGRAM_ERROR_WOULD_BLOCK` if no message is there.
///
/// # Safety
/// As for `wtgram_reliability_receive`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_try_receive(
    reliability: wtgram_reliability,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { wtgram_reliability_receive(reliability, 0, buffer, capacity, length) }
}

/// Stores the largest message that can be sent now. It follows the path's MTU.
///
/// @param reliability The layer.
/// @param bytes Gets the size in bytes.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_UNSUPPORTED`: the peer does not accept datagrams.
/// - `WTGRAM_ERROR_CLOSED`: the layer is closed.
///
/// # Safety
/// `bytes` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_get_max_message_size(
    reliability: wtgram_reliability,
    bytes: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(bytes, || Ok(reliability.get()?.max_message_size()?)) }
}

/// Stores whether the layer or its transport is closed. You can still receive what has arrived.
///
/// # Safety
/// `closed` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_is_closed(
    reliability: wtgram_reliability,
    closed: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(closed, || Ok(reliability.get()?.is_closed())) }
}

/// Closes the layer: accepts no more messages, waits for the outcomes of those in progress, then
/// ends. Messages that are still without an outcome get `WTGRAM_RELIABILITY_CLOSED`. Calls that
/// wait on the layer return `WTGRAM_ERROR_CLOSED`. You can still receive what has arrived and fetch
/// outcomes. The transport stays open.
///
/// @param reliability The layer.
/// @param drain_timeout_us Longest wait for outcomes in microseconds, `WTGRAM_FOREVER`, or 0 to not
///   wait.
///
/// @return
/// - `WTGRAM_OK`: no message was left without an outcome of the peer.
/// - `WTGRAM_ERROR_TIMED_OUT`, `WTGRAM_ERROR_WOULD_BLOCK`: some were; the layer is closed all the
///   same.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_reliability_close(
    reliability: wtgram_reliability,
    drain_timeout_us: i64,
) -> wtgram_status {
    guard(|| Ok(reliability.get()?.close(deadline(drain_timeout_us)?)?))
}

/// Closes the layer without waiting, if it is open, and releases its handle. Handles that are zero
/// or released are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_reliability_free(reliability: wtgram_reliability) {
    free(reliability, |layer| {
        let _ = layer.close(Deadline::Now);
    });
}
