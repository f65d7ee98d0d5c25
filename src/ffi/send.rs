//! `wtgram_transport_send*`.

use std::ffi::c_char;
use std::slice::IterMut;

use super::guard::{Failure, guard};
use super::handle::Handle;
use super::library::init;
use super::pointer::{
    Versioned, WTGRAM_FOREVER, bytes, deadline, detailed, elements, elements_mut, give, optional_duration,
    read_options,
};
use super::status::wtgram_status;
use super::transport::wtgram_transport;
use crate::datagram::message::Priority;
use crate::datagram::send::SendOptions;
use crate::error::Error;
use crate::runtime::wait::Deadline;

/// How a datagram is sent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_send_options {
    /// Size of this struct, filled by `wtgram_send_options_init`.
    pub struct_size: usize,
    /// Age from which the datagram is dropped instead of sent, in microseconds; 0, the default, for none.
    pub ttl_us: i64,
    /// How long to wait for room under `WTGRAM_FULL_WAIT`, in microseconds; `WTGRAM_FOREVER`, the default; or 0. A batch
    /// has one timeout for all of it.
    pub timeout_us: i64,
    /// Report what becomes of the datagram under this number; 0, the default, reports nothing.
    pub report_id: u64,
    /// Urgency, clamped to 0 to 2; 2 leaves first. Default 0.
    pub priority: i32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_send_options {
    const FIRST_SIZE: usize = 40;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            ttl_us: 0,
            timeout_us: WTGRAM_FOREVER,
            report_id: 0,
            priority: 0,
            reserved: 0,
        }
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_send_options_init(options: *mut wtgram_send_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// # Safety
/// `raw` is NULL or points to a struct of its `struct_size`.
pub(super) unsafe fn send_options(
    raw: *const wtgram_send_options,
) -> Result<(SendOptions, Deadline), Failure> {
    // SAFETY: the caller's promise.
    let raw = unsafe { read_options(raw) }?;
    let options = SendOptions {
        priority: Priority::from(i64::from(raw.priority)),
        ttl: optional_duration(raw.ttl_us)?,
        report_id: (raw.report_id != 0).then_some(raw.report_id),
    };
    Ok((options, deadline(raw.timeout_us)?))
}

/// A datagram to send.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_slice {
    /// Its first byte; ignored if `length` is 0.
    pub data: *const u8,
    /// Its bytes.
    pub length: usize,
}

/// Sends one datagram: it is copied and queued. An empty one is valid.
///
/// `data`, `length`: the payload. `options`: NULL for the defaults.
///
/// Statuses: `WTGRAM_OK`: queued; `TOO_LARGE`: more than `wtgram_transport_max_datagram_size`, nothing is queued;
/// `QUEUE_FULL`: the policy is to reject, or everything queued is of higher priority; `TIMED_OUT`, `WOULD_BLOCK`: no
/// room in time under `WTGRAM_FULL_WAIT`, or its TTL passed first (`TIMED_OUT`), nothing is queued; `UNSUPPORTED`: the
/// peer takes no datagrams; `LIMIT_REACHED`: too many outcomes are unfetched; `CLOSED`; `INVALID_HANDLE`;
/// `INVALID_ARGUMENT`; `FORKED`. Any thread.
///
/// With a `report_id` there is exactly one outcome after `WTGRAM_OK`, `TOO_LARGE`, `QUEUE_FULL` and `TIMED_OUT`, and none
/// after any other status: the datagram was not taken and counts nowhere.
///
/// # Safety
/// `data` points to `length` bytes; `options` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_send(
    transport: wtgram_transport,
    data: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let transport = transport.get()?;
        // SAFETY: the caller's promise.
        let (data, (options, deadline)) = unsafe { (bytes(data, length)?, send_options(options)?) };
        Ok(transport.transport.outgoing.send(data, &options, deadline)?)
    })
}

/// `wtgram_transport_send` that never waits: under `WTGRAM_FULL_WAIT` a full queue is `WOULD_BLOCK`.
///
/// # Safety
/// As for `wtgram_transport_send`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_try_send(
    transport: wtgram_transport,
    data: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let transport = transport.get()?;
        // SAFETY: the caller's promise.
        let (data, (options, _)) = unsafe { (bytes(data, length)?, send_options(options)?) };
        Ok(transport.transport.outgoing.send(data, &options, Deadline::Now)?)
    })
}

/// Sends many datagrams in one crossing. One that fails does not keep the others from going.
///
/// `datagrams`, `count`: the payloads; 0 is fine. `options`: for each of them; NULL for the defaults. `results`: NULL, or
/// `count` elements that get the status of each. `accepted`: how many were queued, on every status.
///
/// Statuses: that of the first datagram that failed, else `WTGRAM_OK`; `INVALID_HANDLE` and `INVALID_ARGUMENT` before
/// any is sent.
///
/// # Safety
/// `datagrams` points to `count` elements, each to its bytes; `results` is NULL or points to `count` writable elements;
/// `accepted` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_send_batch(
    transport: wtgram_transport,
    datagrams: *const wtgram_slice,
    count: usize,
    options: *const wtgram_send_options,
    results: *mut wtgram_status,
    accepted: *mut usize,
) -> wtgram_status {
    let mut batch = BatchResults::default();
    // SAFETY: the caller's promise.
    let status = unsafe {
        give(accepted, || {
            let transport = transport.get()?;
            let datagrams = elements(datagrams, count)?;
            let (options, deadline) = send_options(options)?;
            batch.go_to(results, count)?;
            let payloads = datagrams.iter().map(|one| {
                // The only way a pointer of the caller's can be refused.
                bytes(one.data, one.length)
                    .map_err(|_| Error::InvalidArgument("a slice is NULL or too long".into()))
            });
            transport.transport.outgoing.send_batch(payloads, &options, deadline, |result| {
                batch.record(result.map_or_else(|error| (&error).into(), |()| wtgram_status::WTGRAM_OK));
            });
            Ok(batch.accepted)
        })
    };
    batch.status(status)
}

/// Sends JSON text as one datagram, without its insignificant white space. Strict: UTF-8, no NaN or Infinity, no lone
/// surrogates, nothing after the value, at most 127 levels deep. Digits and the order of members stay as they are.
///
/// `text`, `length`: the JSON, at most 1 MiB, no NUL needed. `options`: NULL for the defaults. `detail`,
/// `detail_capacity`: a buffer that gets, NUL-terminated and shortened to fit, what is wrong and at which line and
/// column; may be NULL with 0.
///
/// Statuses: `SERIALIZATION`: not acceptable JSON; `TOO_LARGE`: even without white space; all others as for
/// `wtgram_transport_send`.
///
/// # Safety
/// `text` points to `length` bytes, `detail` to `detail_capacity` writable bytes; `options` is NULL or points to a struct
/// of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_send_json(
    transport: wtgram_transport,
    text: *const c_char,
    length: usize,
    options: *const wtgram_send_options,
    detail: *mut c_char,
    detail_capacity: usize,
) -> wtgram_status {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        detailed(detail, detail_capacity, || {
            let transport = transport.get()?;
            let text = bytes(text.cast(), length)?;
            let (options, deadline) = send_options(options)?;
            Ok(transport.transport.outgoing.send_json(text, &options, deadline)?)
        })
    }
}

/// What became of each of a batch, for callers who ask, and of all of them.
#[derive(Default)]
pub(super) struct BatchResults<'a> {
    places: IterMut<'a, i32>,
    pub(super) accepted: usize,
    first_failure: Option<wtgram_status>,
}

impl BatchResults<'_> {
    /// The statuses go to `results`, unless it is NULL.
    ///
    /// # Safety
    /// `results` is NULL or points to `count` elements that are writable for as long as this is used.
    pub(super) unsafe fn go_to(&mut self, results: *mut wtgram_status, count: usize) -> Result<(), Failure> {
        let wanted = if results.is_null() { 0 } else { count };
        // SAFETY: the caller's promise.
        self.places = unsafe { elements_mut(results.cast::<i32>(), wanted)? }.iter_mut();
        Ok(())
    }

    /// The next one's.
    pub(super) fn record(&mut self, status: wtgram_status) {
        if status == wtgram_status::WTGRAM_OK {
            self.accepted += 1;
        } else {
            self.first_failure.get_or_insert(status);
        }
        if let Some(place) = self.places.next() {
            *place = status as i32;
        }
    }

    /// The status of the whole call, if `call` is that of the batch being possible at all.
    pub(super) fn status(self, call: wtgram_status) -> wtgram_status {
        if call == wtgram_status::WTGRAM_OK { self.first_failure.unwrap_or(call) } else { call }
    }
}
