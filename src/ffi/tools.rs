//! Tools of a transport: heartbeat, diagnosis, debug state, throughput test.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use super::guard::{Failure, guard};
use super::handle::Handle;
use super::library::init;
use super::pointer::{
    Versioned, bytes, clear, elements_mut, fill, give, invalid, micros, optional_duration, output,
    read_options, sized_output, write_text,
};
use super::send::{send_options, wtgram_send_options};
use super::status::wtgram_status;
use super::transport::wtgram_transport;
use crate::datagram::heartbeat::{self, HeartbeatOptions};
use crate::datagram::throughput::{self, ThroughputOptions, ThroughputReport};
use crate::datagram::{debug_state, diagnosis};
use crate::error::Error;
use crate::runtime;

/// No heartbeat is longer, in bytes.
pub const WTGRAM_HEARTBEAT_MAX_LENGTH: usize = 30;

const _: () = assert!(WTGRAM_HEARTBEAT_MAX_LENGTH == heartbeat::MAX_LENGTH);

/// How a transport beats.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_heartbeat_options {
    /// Size of this struct, filled by `wtgram_heartbeat_options_init`.
    pub struct_size: usize,
    /// Time between two heartbeats in microseconds, at least 1000. Default 30 s.
    pub interval_us: i64,
    /// After so many intervals in which no datagram of any kind arrived the peer counts as silent; 0, the default,
    /// watches nothing.
    pub silent_after_intervals: u32,
    /// Zero.
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

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_heartbeat_options_init(options: *mut wtgram_heartbeat_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// Sends a heartbeat of priority 1 now and in every interval, until `wtgram_transport_stop_heartbeat` or the transport's
/// end; watches the peer if asked to. A transport that beats already goes over to the new options. Receivers get
/// heartbeats like any datagram.
///
/// A silent peer is a finding of `wtgram_transport_diagnose`, `WTGRAM_PEER_SILENT` in a poller, and what
/// `wtgram_transport_is_peer_silent` says, until something arrives.
///
/// `options`: NULL for the defaults.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: the interval is too short; `CLOSED`; `INVALID_HANDLE`; `FORKED`.
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

/// Ends heartbeat and watch. One that does not beat is left alone.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_transport_stop_heartbeat(transport: wtgram_transport) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.stop_heartbeat();
        Ok(())
    })
}

/// Whether the heartbeat's watch has heard nothing from the peer for the number of intervals it was given.
///
/// Statuses: as for `wtgram_transport_is_closed`.
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

/// Writes a heartbeat: `HEARTBEAT:` and the Unix time in whole seconds, ASCII decimal.
///
/// `buffer`, `capacity`: where it goes; `WTGRAM_HEARTBEAT_MAX_LENGTH` always suffices. `length`: its bytes.
///
/// Statuses: `WTGRAM_OK`; `BUFFER_TOO_SMALL`: `length` says what is needed; `INVALID_ARGUMENT`; `CLOSED`: the library was shut
/// down; `FORKED`.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes; `length` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_heartbeat_create(
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

/// Whether a payload begins like a heartbeat. What follows is not examined, as in the reference.
///
/// `data`, `length`: the payload. `heartbeat`: the answer.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `data` points to `length` bytes; `heartbeat` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_is_heartbeat(
    data: *const u8,
    length: usize,
    heartbeat: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(heartbeat, || Ok(heartbeat::is_heartbeat(bytes(data, length)?))) }
}

/// What looks wrong, as a JSON array of objects with `code` (stable), `message` (English) and `figure` (a number); `[]` when
/// nothing does.
///
/// Codes: `low_send_success_rate` (below 0.9), `high_drop_rate` (above 0.1), `outgoing_queue_nearly_full`,
/// `incoming_queue_nearly_full` (above 0.9 of the limit), `high_send_latency` (above 100 ms on average),
/// `transport_closed`, `session_not_ready`, `session_closed`, `evictions`, `outgoing_expired`, `incoming_expired`,
/// `inbound_drops`, `inbound_drops_in_quic` (any), `shrunken_mtu`, `silent_peer`.
///
/// `text`, `capacity`: a buffer for it and its NUL; 4096 bytes suffice for all findings together. `length`: its bytes
/// without the NUL.
///
/// Statuses: `WTGRAM_OK`; `BUFFER_TOO_SMALL`: `length` says what is needed, without NUL; `INVALID_HANDLE`;
/// `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
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
        clear(length);
        guard(|| {
            let findings = diagnosis::diagnose(&transport.get()?.transport.snapshot());
            write_text(&diagnosis::to_json(&findings), text, capacity, length)
        })
    }
}

/// Everything there is to see of the transport, as one JSON object for people: its groups are `transport`, `statistics`,
/// `queues`, `configuration`, `sequences` and `session`. Programs read `wtgram_transport_stats` instead.
///
/// `text`, `capacity`: a buffer for it and its NUL; 8192 bytes suffice. `length`: its bytes without the NUL.
///
/// Statuses: as for `wtgram_transport_diagnose`.
///
/// # Safety
/// `text` points to `capacity` writable bytes, `length` to a `size_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_debug_state(
    transport: wtgram_transport,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        clear(length);
        guard(|| {
            let state = debug_state::to_json(&transport.get()?.transport.snapshot());
            write_text(&state, text, capacity, length)
        })
    }
}

/// What came of a throughput test. The figures are the transport's while it ran: what others sent on it is among them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_throughput_report {
    /// Size of this struct, filled by `wtgram_throughput_report_init`.
    pub struct_size: usize,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// Datagrams handed to QUIC.
    pub datagrams_sent: u64,
    /// Payload bytes of those.
    pub bytes_sent: u64,
    /// Datagrams that were refused or dropped.
    pub errors: u64,
    /// Datagrams per second.
    pub throughput_dps: f64,
    /// Payload bits per second.
    pub throughput_bps: f64,
    /// `errors` over `errors` and `datagrams_sent`; 0 with none.
    pub error_rate: f64,
    /// 1 if the progress callback ended it early, else 0.
    pub cancelled: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl Versioned for wtgram_throughput_report {
    const FIRST_SIZE: usize = 72;
    fn initial() -> Self {
        Self::from(&ThroughputReport::default())
    }
}

impl From<&ThroughputReport> for wtgram_throughput_report {
    fn from(report: &ThroughputReport) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            duration_us: micros(report.duration),
            datagrams_sent: report.datagrams_sent,
            bytes_sent: report.bytes_sent,
            errors: report.errors,
            throughput_dps: report.datagrams_per_second(),
            throughput_bps: report.bits_per_second(),
            error_rate: report.error_rate(),
            cancelled: u32::from(report.cancelled),
            reserved: 0,
        }
    }
}

/// Fills `report` with zeroes and its size. NULL is ignored.
///
/// # Safety
/// `report` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_throughput_report_init(report: *mut wtgram_throughput_report) {
    // SAFETY: the caller's promise.
    unsafe { init(report) };
}

/// Hears how a throughput test goes; `report` lives until it returns. Returns whether to go on. It runs on the library's
/// callback thread, and never after `wtgram_throughput_test` has returned.
pub type wtgram_throughput_progress =
    Option<unsafe extern "C" fn(context: *mut c_void, report: *const wtgram_throughput_report) -> bool>;

/// What a throughput test tries.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_throughput_options {
    /// Size of this struct, filled by `wtgram_throughput_options_init`.
    pub struct_size: usize,
    /// How long, in microseconds; at most a day. Default 10 s.
    pub duration_us: i64,
    /// Payload bytes of each datagram. Default 1000.
    pub datagram_size: u64,
    /// How the datagrams are sent; NULL for the defaults. Its timeout and `report_id` are ignored.
    pub send: *const wtgram_send_options,
    /// Time between two calls of `progress`, in microseconds. Default 1 s.
    pub progress_interval_us: i64,
    /// NULL, the default, or who hears how it goes and may end it.
    pub progress: wtgram_throughput_progress,
    /// Handed through to `progress`.
    pub context: *mut c_void,
}

// SAFETY: repr(C), begins with its size, integers and pointers that are only used where checked.
unsafe impl Versioned for wtgram_throughput_options {
    const FIRST_SIZE: usize = 56;
    fn initial() -> Self {
        let defaults = ThroughputOptions::default();
        Self {
            struct_size: size_of::<Self>(),
            duration_us: micros(defaults.duration),
            datagram_size: defaults.datagram_size as u64,
            send: std::ptr::null(),
            progress_interval_us: micros(defaults.progress_interval),
            progress: None,
            context: std::ptr::null_mut(),
        }
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_throughput_options_init(options: *mut wtgram_throughput_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// Sends as many datagrams as the path takes for a while, and says how many that were. The peer receives them like any
/// others. It waits for room whatever the transport's policy is, so it evicts nothing.
///
/// `options`: NULL for the defaults. `report`: what came of it.
///
/// Statuses: `WTGRAM_OK`, also when `progress` ended it; `TOO_LARGE`: such a datagram cannot be sent; `CLOSED`: the transport
/// is closed, or was meanwhile; `UNSUPPORTED`; `INVALID_STATE`: called from a callback of the library; `INVALID_HANDLE`;
/// `INVALID_ARGUMENT`; `FORKED`.
///
/// # Safety
/// `options` is NULL or points to a struct of its `struct_size`, `report` to another.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_throughput_test(
    transport: wtgram_transport,
    options: *const wtgram_throughput_options,
    report: *mut wtgram_throughput_report,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise, for every pointer below.
        unsafe {
            sized_output(report)?;
            let transport = transport.get()?;
            let raw = read_options(options)?;
            let options = throughput_options(&raw)?;
            let progress = Progress::new(raw.progress, raw.context)?;
            let tell = |so_far: &ThroughputReport| progress.tell(so_far);
            let result = throughput::run(&transport.transport, &options, tell, || progress.is_cancelled())?;
            fill(report, (&result).into())
        }
    })
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn throughput_options(raw: &wtgram_throughput_options) -> Result<ThroughputOptions, Failure> {
    // SAFETY: the caller's promise.
    let (send, _) = unsafe { send_options(raw.send) }?;
    let duration = |us: i64| optional_duration(us)?.ok_or_else(|| invalid("a throughput test takes time"));
    Ok(ThroughputOptions {
        duration: duration(raw.duration_us)?,
        datagram_size: super::transport::narrow(raw.datagram_size),
        send: crate::datagram::send::SendOptions { report_id: None, ..send },
        progress_interval: duration(raw.progress_interval_us)?,
    })
}

/// A progress callback: called on the dispatcher thread, waited for in the end.
struct Progress {
    callback: wtgram_throughput_progress,
    context: Context,
    shared: Arc<Shared>,
}

#[derive(Clone, Copy)]
struct Context(*mut c_void);

// SAFETY: the library never looks through it; the documentation says on which thread the callback gets it.
unsafe impl Send for Context {}

#[derive(Default)]
struct Shared {
    /// Calls that were dispatched and have not returned.
    pending: Mutex<u32>,
    returned: Condvar,
    cancelled: AtomicBool,
}

impl Progress {
    fn new(callback: wtgram_throughput_progress, context: *mut c_void) -> Result<Self, Failure> {
        if runtime::on_dispatcher() {
            return Err(Error::InvalidState("a callback cannot wait for callbacks".into()).into());
        }
        Ok(Self { callback, context: Context(context), shared: Arc::default() })
    }

    /// Leaves one out while the one before is still running: a slow callback hears less often, not late.
    fn tell(&self, so_far: &ThroughputReport) {
        let Some(callback) = self.callback else { return };
        let mut pending = self.shared.pending.lock();
        if *pending > 0 {
            return;
        }
        let report = wtgram_throughput_report::from(so_far);
        let (context, call) = (self.context, Call(Arc::clone(&self.shared)));
        *pending += 1;
        drop(pending);
        // A refused call is dropped, which counts as its return.
        let _ = runtime::dispatch(Box::new(move || {
            let (context, call) = (context, call);
            // SAFETY: the caller of `wtgram_throughput_test` vouches for both, and is still in it.
            let go_on = unsafe { callback(context.0, &raw const report) };
            if !go_on {
                call.0.cancelled.store(true, Ordering::Relaxed);
            }
        }));
    }

    fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Relaxed)
    }
}

impl Drop for Progress {
    /// Nobody is called after the function has returned.
    fn drop(&mut self) {
        let mut pending = self.shared.pending.lock();
        while *pending > 0 {
            self.shared.returned.wait(&mut pending);
        }
    }
}

/// One call of the callback, until it has returned, even by a panic.
struct Call(Arc<Shared>);

impl Drop for Call {
    fn drop(&mut self) {
        *self.0.pending.lock() -= 1;
        self.0.returned.notify_all();
    }
}
