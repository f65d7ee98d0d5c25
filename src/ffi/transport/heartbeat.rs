//! Heartbeat
//!
//! A transport can send heartbeats and notice when its peer is silent.

use crate::datagram::heartbeat;
use crate::datagram::heartbeat::HeartbeatOptions;
use crate::error::Error;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{
    Versioned, bytes, elements_mut, give, init, init_sized, micros, optional_duration, output, read_options,
};
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;

/// Length of the longest heartbeat, in bytes.
pub const WTGRAM_HEARTBEAT_MAX_LENGTH: usize = 30;

const _: () = assert!(WTGRAM_HEARTBEAT_MAX_LENGTH == heartbeat::MAX_LENGTH);

/// Options of a transport's heartbeat.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_heartbeat_options {
    /// Size of this struct, set by `wtgram_heartbeat_options_init`.
    pub struct_size: usize,
    /// Time between heartbeats in microseconds, at least 1000. Default 30 s.
    pub interval_us: i64,
    /// The peer counts as silent when no datagram of any kind arrived for this many intervals; 0,
    /// the default, disables the check.
    pub silent_after_intervals: u32,
    /// Reserved; 0.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_heartbeat_options {
    const FIRST_SIZE: usize = 24;
    fn initial() -> Self {
        let HeartbeatOptions { interval, silent_after } = HeartbeatOptions::default();
        Self {
            struct_size: size_of::<Self>(),
            interval_us: micros(interval),
            silent_after_intervals: silent_after,
            reserved: 0,
        }
    }
}

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_heartbeat_options_init(options: *mut wtgram_heartbeat_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_heartbeat_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_heartbeat_options_init_sized(
    options: *mut wtgram_heartbeat_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

/// Sends a heartbeat now and in each interval, until `wtgram_transport_stop_heartbeat` or the end
/// of the transport. Heartbeats have priority 1. The peer receives them like any datagram. If a
/// heartbeat runs already, it takes the new options.
///
/// If the peer is silent, `wtgram_transport_is_peer_silent`, `wtgram_transport_diagnose` and a
/// poller (`WTGRAM_READY_PEER_SILENT`) say so, until something arrives.
///
/// @param transport The transport.
/// @param options Options; NULL for the defaults.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the interval is too short.
/// - `WTGRAM_ERROR_CLOSED`: the transport is closed.
///
/// # Safety
/// `options` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_start_heartbeat(
    transport: wtgram_transport,
    options: *const wtgram_heartbeat_options,
) -> wtgram_status {
    guard(|| {
        let transport = transport.get()?;
        // SAFETY: the caller's promise.
        let raw = unsafe { read_options(options) }?;
        let interval = optional_duration(raw.interval_us)?.unwrap_or_default();
        let options = HeartbeatOptions { interval, silent_after: raw.silent_after_intervals };
        Ok(transport.transport.start_heartbeat(options)?)
    })
}

/// Stops the heartbeat and the check for a silent peer. Has no effect if no heartbeat runs.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_transport_stop_heartbeat(transport: wtgram_transport) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.stop_heartbeat();
        Ok(())
    })
}

/// Stores whether the peer is silent (see `wtgram_heartbeat_options`).
///
/// # Safety
/// `silent` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_is_peer_silent(
    transport: wtgram_transport,
    silent: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(silent, || Ok(transport.get()?.transport.is_peer_silent())) }
}

/// Writes the payload of a heartbeat: `HEARTBEAT:` and the Unix time in seconds, as decimal ASCII.
///
/// @param buffer Buffer for the payload; `WTGRAM_HEARTBEAT_MAX_LENGTH` bytes are always enough.
/// @param capacity Size of `buffer`, in bytes.
/// @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the size needed.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes; `length` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_datagram_write_heartbeat(
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (length, buffer) = unsafe { (output(length)?, elements_mut(buffer, capacity)?) };
        let made = heartbeat::create_heartbeat_now();
        *length = made.len();
        let target = buffer.get_mut(..made.len()).ok_or(Error::BufferTooSmall { needed: made.len() })?;
        target.copy_from_slice(&made);
        Ok(())
    })
}

/// Stores whether a payload starts like a heartbeat. The time in it is not checked.
///
/// @param data First byte of the payload; ignored if `length` is 0.
/// @param length Size of the payload, in bytes.
/// @param heartbeat Gets the answer.
///
/// # Safety
/// `data` points to `length` bytes; `heartbeat` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_datagram_is_heartbeat(
    data: *const u8,
    length: usize,
    heartbeat: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(heartbeat, || Ok(heartbeat::is_heartbeat(bytes(data, length)?))) }
}
