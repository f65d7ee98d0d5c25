//! Prometheus
//!
//! Figures as text for Prometheus, without a monitor.

use std::ffi::c_char;

use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::give_text;
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;
use crate::monitor::prometheus;

/// Writes the figures of a transport and its connection as OpenMetrics 1.0 text for Prometheus,
/// labelled with the peer's address. Serve it as `application/openmetrics-text; version=1.0.0;
/// charset=utf-8`.
///
/// @param transport The transport.
/// @param text Buffer for the text and its final NUL.
/// @param capacity Size of `text`, in bytes.
/// @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed. The text grows with its
///   numbers, so allocate a little more.
///
/// # Safety
/// `text` points to `capacity` writable bytes; `length` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_prometheus(
    transport: wtgram_transport,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_text(text, capacity, length, || Ok(prometheus::transport(&transport.get()?.transport)?)) }
}

/// Writes the sums over all transports that the process has and had, as OpenMetrics 1.0 text.
/// Counters never decrease.
///
/// @param text Buffer for the text and its final NUL.
/// @param capacity Size of `text`, in bytes.
/// @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
///
/// @return As `wtgram_transport_get_prometheus`.
///
/// # Safety
/// As for `wtgram_transport_get_prometheus`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_process_get_prometheus(
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_text(text, capacity, length, || Ok(prometheus::process()?)) }
}
