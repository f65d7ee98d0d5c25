//! Diagnosis
//!
//! Reports about a transport as JSON: findings for programs, all figures for people.

use std::ffi::c_char;

use crate::datagram::{debug_state, diagnosis};
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::give_text;
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;

/// Writes what looks wrong, as a JSON array of objects with `code` (stable), `message` (English)
/// and `figure` (a number). The array is empty if nothing looks wrong.
///
/// Codes: `low_send_success_rate` (below 0.9), `high_drop_rate` (above 0.1),
/// `outgoing_queue_nearly_full`, `incoming_queue_nearly_full` (above 0.9 of the limit),
/// `high_send_latency` (above 100 ms on average), `transport_closed`, `session_not_ready`,
/// `session_closed`, `evictions`, `outgoing_expired`, `incoming_expired`, `inbound_drops`,
/// `inbound_drops_in_quic` (any), `inbound_over_rate` (any), `shrunken_mtu`, `silent_peer`.
///
/// @param transport The transport.
/// @param text Buffer for the text and its final NUL; 4096 bytes are enough for all findings.
/// @param capacity Size of `text`, in bytes.
/// @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
///
/// # Safety
/// `text` points to `capacity` writable bytes, `length` to a `size_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_diagnose(
    transport: wtgram_transport,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || {
            let findings = diagnosis::diagnose(&transport.get()?.transport.snapshot());
            Ok(diagnosis::to_json(&findings))
        })
    }
}

/// Writes all figures of the transport as a JSON object for people, with the groups `transport`,
/// `statistics`, `queues`, `configuration`, `sequences` and `session`. Programs use
/// `wtgram_transport_get_stats` instead.
///
/// @param transport The transport.
/// @param text Buffer for the text and its final NUL; 8192 bytes are enough.
/// @param capacity Size of `text`, in bytes.
/// @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
///
/// # Safety
/// `text` points to `capacity` writable bytes, `length` to a `size_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_debug_state(
    transport: wtgram_transport,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || Ok(debug_state::to_json(&transport.get()?.transport.snapshot())))
    }
}
