//! Sending datagrams
//!
//! `wtgram_transport_send` with NULL options sends at priority 0 without a TTL. Use
//! `wtgram_transport_send_batch` for many datagrams: it costs one call and one wake-up.

use std::ffi::c_char;
use std::slice::IterMut;

use crate::datagram::message::Priority;
use crate::datagram::options::SendOptions;
use crate::error::Error;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{
    Versioned, WTGRAM_FOREVER, bytes, deadline, detailed, elements, elements_mut, give, init, init_sized,
    optional_duration, read_options,
};
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;
use crate::runtime::wait::Deadline;

/// How to send a datagram.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_send_options {
    /// Size of this struct, set by `wtgram_send_options_init`.
    pub struct_size: usize,
    /// Time to live in microseconds: the datagram is dropped when it has waited this long. 0, the
    /// default, sets no limit.
    pub ttl_us: i64,
    /// How long to wait for space under `WTGRAM_FULL_WAIT`, in microseconds: `WTGRAM_FOREVER`, the
    /// default, or 0. One timeout for a whole batch.
    pub timeout_us: i64,
    /// If not 0, the outcome of the datagram is reported with this number. Default 0.
    pub report_id: u64,
    /// 0 (default), 1 or 2; other values are clamped. Higher priorities are sent first.
    pub priority: i32,
    /// Reserved; 0.
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

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_send_options_init(options: *mut wtgram_send_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_send_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_send_options_init_sized(options: *mut wtgram_send_options, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

/// # Safety
/// `raw` is NULL or points to a struct of its `struct_size`.
pub(in crate::ffi) unsafe fn send_options(
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
    /// First byte; ignored if `length` is 0.
    pub data: *const u8,
    /// Size in bytes.
    pub length: usize,
}

/// Sends one datagram: copies it into the outgoing queue. An empty datagram is valid.
///
/// When the queue is full, the transport's `wtgram_full_policy` decides: by default the oldest
/// datagram of the lowest priority is dropped. Datagrams are not retransmitted and not
/// acknowledged.
///
/// @param transport The transport.
/// @param data First byte of the payload; ignored if `length` is 0.
/// @param length Size of the payload in bytes, at most `wtgram_transport_get_max_datagram_size`.
/// @param options Options; NULL for the defaults.
///
/// @return
/// - `WTGRAM_OK`: the datagram is queued.
/// - `WTGRAM_ERROR_TOO_LARGE`: it is larger than the path carries now.
/// - `WTGRAM_ERROR_QUEUE_FULL`: the policy is to reject, or all queued datagrams have a higher
///   priority.
/// - `WTGRAM_ERROR_TIMED_OUT`, `WTGRAM_ERROR_WOULD_BLOCK`: there was no space in time under
///   `WTGRAM_FULL_WAIT`, or the TTL passed first (TIMED_OUT).
/// - `WTGRAM_ERROR_UNSUPPORTED`: the peer does not accept datagrams.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many outcomes are pending or not fetched.
/// - `WTGRAM_ERROR_CLOSED`: the transport is closed.
///
/// With a `report_id` there is exactly one outcome after `WTGRAM_OK`, `WTGRAM_ERROR_TOO_LARGE`,
/// `WTGRAM_ERROR_QUEUE_FULL` and `WTGRAM_ERROR_TIMED_OUT`. After any other status the datagram was
/// not accepted, has no outcome and is not counted.
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

/// Sends one datagram like `wtgram_transport_send`, but never waits.
///
/// @param transport The transport.
/// @param data First byte of the payload; ignored if `length` is 0.
/// @param length Size of the payload, in bytes.
/// @param options Options; NULL for the defaults.
///
/// @return As `wtgram_transport_send`; `WTGRAM_ERROR_WOULD_BLOCK` if the queue is full under
///   `WTGRAM_FULL_WAIT`.
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

/// Sends many datagrams in one call. If one fails, the others are sent all the same.
///
/// @param transport The transport.
/// @param datagrams The datagrams.
/// @param count Number of datagrams; 0 is valid.
/// @param options Options of each datagram; NULL for the defaults.
/// @param results NULL, or an array of `count` elements that get the status of each datagram.
/// @param accepted Gets the number of datagrams that were queued, whatever the status.
///
/// @return The status of the first datagram that failed, or `WTGRAM_OK`. If the handle or an
///   argument is invalid, nothing is sent.
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

/// Sends JSON text as one datagram, without insignificant white space. The text must be strict JSON
/// (RFC 8259): UTF-8, no NaN or Infinity, no lone surrogates, nothing after the value, at most 127
/// levels. Digits and the order of members are kept.
///
/// @param transport The transport.
/// @param text The text; it needs no NUL.
/// @param length Length of the text in bytes, at most 1 MiB.
/// @param options Options; NULL for the defaults.
/// @param detail Buffer for an English sentence that explains a failure, shortened to fit and
///   NUL-terminated; NULL with 0 for none.
/// @param detail_capacity Size of `detail`, in bytes.
///
/// @return As `wtgram_transport_send`, and
/// - `WTGRAM_ERROR_SERIALIZATION`: the text is not acceptable JSON. `detail` names line and column.
/// - `WTGRAM_ERROR_TOO_LARGE`: it does not fit even without white space.
///
/// # Safety
/// `text` points to `length` bytes, `detail` to `detail_capacity` writable bytes; `options` is NULL
/// or points to a struct of its `struct_size`.
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
pub(in crate::ffi) struct BatchResults<'a> {
    places: IterMut<'a, i32>,
    pub(in crate::ffi) accepted: usize,
    first_failure: Option<wtgram_status>,
}

impl BatchResults<'_> {
    /// The statuses go to `results`, unless it is NULL.
    ///
    /// # Safety
    /// `results` is NULL or points to `count` elements that are writable for as long as this is used.
    pub(in crate::ffi) unsafe fn go_to(
        &mut self,
        results: *mut wtgram_status,
        count: usize,
    ) -> Result<(), Failure> {
        let wanted = if results.is_null() { 0 } else { count };
        // SAFETY: the caller's promise.
        self.places = unsafe { elements_mut(results.cast::<i32>(), wanted)? }.iter_mut();
        Ok(())
    }

    /// The next one's.
    pub(in crate::ffi) fn record(&mut self, status: wtgram_status) {
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
    pub(in crate::ffi) fn status(self, call: wtgram_status) -> wtgram_status {
        if call == wtgram_status::WTGRAM_OK { self.first_failure.unwrap_or(call) } else { call }
    }
}
