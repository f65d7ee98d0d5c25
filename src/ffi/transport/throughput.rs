//! Throughput test
//!
//! Measures how many datagrams the path to the peer carries.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::datagram::throughput;
use crate::datagram::throughput::{ThroughputOptions, ThroughputReport};
use crate::error::Error;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{
    Versioned, give_sized, init, init_sized, invalid, micros, optional_duration, read_options,
};
use crate::ffi::connection::narrow;
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;
use crate::ffi::transport::send::{send_options, wtgram_send_options};
use crate::runtime;

/// Result of a throughput test. The figures are the transport's during the test, so they include
/// what others sent on it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_throughput_report {
    /// Size of this struct, set by `wtgram_throughput_report_init`.
    pub struct_size: usize,
    /// How long the test took, in microseconds.
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
    /// `errors` divided by `errors` + `datagrams_sent`; 0 if both are 0.
    pub error_rate: f64,
    /// 1 if the callback ended the test early, else 0.
    pub cancelled: u32,
    /// Reserved; 0.
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

/// Fills `*report` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `report` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_throughput_report_init(report: *mut wtgram_throughput_report) {
    // SAFETY: the caller's promise.
    unsafe { init(report) };
}

/// For bindings: `wtgram_throughput_report_init` for a struct of `size` bytes.
///
/// # Safety
/// `report` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_throughput_report_init_sized(
    report: *mut wtgram_throughput_report,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(report, size) };
}

/// Reports the progress of a throughput test. `report` is valid until the callback returns. Return
/// false to end the test. The library calls it on its callback thread, and never after the test has
/// returned.
pub type wtgram_throughput_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, report: *const wtgram_throughput_report) -> bool>;

/// Options of a throughput test.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_throughput_options {
    /// Size of this struct, set by `wtgram_throughput_options_init`.
    pub struct_size: usize,
    /// How long to send, in microseconds; at most a day. Default 10 s.
    pub duration_us: i64,
    /// Payload bytes of each datagram. Default 1000.
    pub datagram_size: u64,
    /// Options of each datagram; NULL for the defaults. Its timeout and `report_id` are ignored.
    pub send: *const wtgram_send_options,
    /// Time between two calls of `progress`, in microseconds. Default 1 s.
    pub progress_interval_us: i64,
    /// Callback for the progress; NULL, the default, for none.
    pub progress: wtgram_throughput_callback,
    /// Passed to `progress`.
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

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_throughput_options_init(options: *mut wtgram_throughput_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_throughput_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_throughput_options_init_sized(
    options: *mut wtgram_throughput_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

/// Sends as many datagrams as the path carries for a while. The peer receives them like any others.
/// The test waits for space whatever the transport's policy is, so it evicts nothing.
///
/// @param transport The transport.
/// @param options Options; NULL for the defaults.
/// @param report Gets the result; prepared by `wtgram_throughput_report_init`.
///
/// @return
/// - `WTGRAM_OK`: also if the callback ended the test.
/// - `WTGRAM_ERROR_TOO_LARGE`: such datagrams cannot be sent.
/// - `WTGRAM_ERROR_UNSUPPORTED`: the peer does not accept datagrams.
/// - `WTGRAM_ERROR_INVALID_STATE`: the call comes from a callback.
/// - `WTGRAM_ERROR_CLOSED`: the transport is closed, or closed during the test.
///
/// # Safety
/// `options` is NULL or points to a struct of its `struct_size`, `report` to another.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_throughput_test(
    transport: wtgram_transport,
    options: *const wtgram_throughput_options,
    report: *mut wtgram_throughput_report,
) -> wtgram_status {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        give_sized(report, || {
            let transport = transport.get()?;
            let raw = read_options(options)?;
            let options = throughput_options(&raw)?;
            let progress = Progress::new(raw.progress, raw.context)?;
            let tell = |so_far: &ThroughputReport| progress.tell(so_far);
            let result = throughput::run(&transport.transport, &options, tell, || progress.is_cancelled())?;
            Ok((&result).into())
        })
    }
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
unsafe fn throughput_options(raw: &wtgram_throughput_options) -> Result<ThroughputOptions, Failure> {
    // SAFETY: the caller's promise.
    let (send, _) = unsafe { send_options(raw.send) }?;
    let duration = |us: i64| optional_duration(us)?.ok_or_else(|| invalid("a throughput test takes time"));
    Ok(ThroughputOptions {
        duration: duration(raw.duration_us)?,
        datagram_size: narrow(raw.datagram_size),
        send: crate::datagram::options::SendOptions { report_id: None, ..send },
        progress_interval: duration(raw.progress_interval_us)?,
    })
}

/// A progress callback: called on the dispatcher thread, waited for in the end.
struct Progress {
    callback: wtgram_throughput_callback,
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
    fn new(callback: wtgram_throughput_callback, context: *mut c_void) -> Result<Self, Failure> {
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
            // SAFETY: the caller of `wtgram_transport_throughput_test` vouches for both, and is still in it.
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
