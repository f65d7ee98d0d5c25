//! Library
//!
//! Version, options, shutdown and log lines. Nothing here is needed to begin: the library starts
//! its threads with the first server or session. Call `wtgram_runtime_configure` before that to
//! change its options, and `wtgram_shutdown` at the end so that peers learn that their sessions are
//! closed.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::ffi::boundary::enums::impl_read;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::pointer::{
    Versioned, WTGRAM_FOREVER, elements, init, init_sized, invalid, read_options,
};
use crate::ffi::status::wtgram_status;
use crate::runtime;
use crate::runtime::{RuntimeOptions, Scheduling, log};

/// Major version of this header.
pub const WTGRAM_VERSION_MAJOR: u32 = 0;

/// Minor version of this header. Before 1.0 the ABI may change with it, and the SONAME changes with
/// it.
pub const WTGRAM_VERSION_MINOR: u32 = 1;

/// Patch version of this header.
pub const WTGRAM_VERSION_PATCH: u32 = 0;

/// Returns the version of the loaded library, for example `"0.1.0"`.
///
/// @return A static string, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Returns the version of the loaded library as a number.
///
/// @return `major << 16 | minor << 8 | patch`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_version_number() -> u32 {
    WTGRAM_VERSION_MAJOR << 16 | WTGRAM_VERSION_MINOR << 8 | WTGRAM_VERSION_PATCH
}

/// Options of the whole library.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_runtime_options {
    /// Size of this struct, set by `wtgram_runtime_options_init`.
    pub struct_size: usize,
    /// The most lanes, the threads that run the protocol: 1 to 256. Each starts when it is first
    /// needed. A server's sessions are spread over its lanes (`wtgram_listen_options.lanes`), client
    /// sessions over all. A session stays on its lane. Default 1.
    pub lanes: u32,
    /// 1, the default: a thread that waits in a call does the work of its lane meanwhile, and a
    /// single datagram leaves on the thread that sends it. This saves a switch between threads in
    /// each direction. 0: only lanes do the work.
    pub lead: u32,
    /// How long a waiting thread polls for packets before it sleeps, in microseconds, 0 to 1000. It
    /// polls only as long as this has shortened its waits. Default 30.
    pub spin_us: i64,
    // Lane threads.
    /// CPUs for the lanes: the first lane stays on the first CPU, and so on, and then again from the
    /// first. A lane that cannot be kept there does not start: `WTGRAM_ERROR_IO` from the call that
    /// needs it.
    pub lane_cpus: *const u32,
    /// Number of CPUs; 0, the default, leaves the choice to the system.
    pub lane_cpus_count: usize,
    /// A `wtgram_scheduling`.
    pub lane_scheduling: u32,
    /// Priority for real-time scheduling, 1 to 99. Otherwise 0, the default.
    pub lane_priority: u32,
}

/// How the system schedules lanes (sched(7)). Real-time scheduling needs a privilege; without it a
/// lane does not start: `WTGRAM_ERROR_IO` from the call that needs it. A lane that has much to do
/// then keeps threads of lower priority from its CPU.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_scheduling {
    /// As the thread that starts the lane. The default.
    WTGRAM_SCHEDULING_INHERITED = 0,
    /// `SCHED_FIFO`.
    WTGRAM_SCHEDULING_FIFO = 1,
    /// `SCHED_RR`.
    WTGRAM_SCHEDULING_ROUND_ROBIN = 2,
}

impl_read!(wtgram_scheduling { WTGRAM_SCHEDULING_INHERITED, WTGRAM_SCHEDULING_FIFO, WTGRAM_SCHEDULING_ROUND_ROBIN } or "there is no such scheduling");

// SAFETY: repr(C), begins with its size, integers and a pointer that is only used where checked.
unsafe impl Versioned for wtgram_runtime_options {
    const FIRST_SIZE: usize = 24;
    fn initial() -> Self {
        let RuntimeOptions { lanes, lead, spin, .. } = RuntimeOptions::default();
        Self {
            struct_size: size_of::<Self>(),
            lanes,
            lead: u32::from(lead),
            spin_us: spin.as_micros() as i64,
            lane_cpus: std::ptr::null(),
            lane_cpus_count: 0,
            lane_scheduling: wtgram_scheduling::WTGRAM_SCHEDULING_INHERITED as u32,
            lane_priority: 0,
        }
    }
}

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_runtime_options_init(options: *mut wtgram_runtime_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_runtime_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_runtime_options_init_sized(
    options: *mut wtgram_runtime_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

/// Sets the options of the library. Call it before the first server or session.
///
/// @param options Options; NULL for the defaults.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: an option is out of range.
/// - `WTGRAM_ERROR_INVALID_STATE`: the library runs already.
///
/// # Safety
/// `options` is NULL (defaults) or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_runtime_configure(options: *const wtgram_runtime_options) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let options = unsafe { read_options(options) }?;
        let lead = match options.lead {
            0 => false,
            1 => true,
            _ => return Err(invalid("lead must be 0 or 1")),
        };
        let spin = Duration::from_micros(
            u64::try_from(options.spin_us).map_err(|_| invalid("spin_us must be 0 to 1000"))?,
        );
        // SAFETY: the caller's promise.
        let lane_cpus = unsafe { elements(options.lane_cpus, options.lane_cpus_count) }?.to_vec();
        let lane_scheduling = scheduling(&options)?;
        Ok(runtime::configure(RuntimeOptions {
            lanes: options.lanes,
            lead,
            spin,
            lane_cpus,
            lane_scheduling,
        })?)
    })
}

fn scheduling(options: &wtgram_runtime_options) -> Result<Scheduling, Failure> {
    let priority =
        u8::try_from(options.lane_priority).map_err(|_| invalid("a real-time priority is 1 to 99"))?;
    match wtgram_scheduling::read(options.lane_scheduling)? {
        wtgram_scheduling::WTGRAM_SCHEDULING_INHERITED if priority != 0 => {
            Err(invalid("a priority needs real-time scheduling"))
        }
        wtgram_scheduling::WTGRAM_SCHEDULING_INHERITED => Ok(Scheduling::Inherited),
        wtgram_scheduling::WTGRAM_SCHEDULING_FIFO => Ok(Scheduling::Fifo(priority)),
        wtgram_scheduling::WTGRAM_SCHEDULING_ROUND_ROBIN => Ok(Scheduling::RoundRobin(priority)),
    }
}

/// Closes all servers and sessions with code 0, waits until the peers were told, and ends all
/// threads.
///
/// Calls that wait return `WTGRAM_ERROR_CLOSED`, and so does every later call. `_free` functions
/// still work. Do not call it from a callback.
///
/// @param timeout_us How long to wait for the close messages to leave, in microseconds, or
///   `WTGRAM_FOREVER`.
///
/// @return
/// - `WTGRAM_OK`: also when the library was shut down before.
/// - `WTGRAM_ERROR_TIMED_OUT`: all is closed, but some close messages did not leave in time.
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the timeout is negative.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_shutdown(timeout_us: i64) -> wtgram_status {
    // No guard: shutting down twice is fine.
    let outcome = std::panic::catch_unwind(|| match timeout_us {
        WTGRAM_FOREVER => runtime::shutdown(Duration::from_secs(u64::from(u32::MAX))),
        0.. => runtime::shutdown(Duration::from_micros(timeout_us.unsigned_abs().min(1 << 50))),
        _ => Err(crate::error::Error::InvalidArgument("a timeout is negative".into())),
    });
    match outcome {
        Ok(Ok(())) => wtgram_status::WTGRAM_OK,
        Ok(Err(error)) => (&error).into(),
        Err(_) => wtgram_status::WTGRAM_ERROR_INTERNAL,
    }
}

/// Severity of a log line.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_log_level {
    /// No log lines.
    WTGRAM_LOG_OFF = 0,
    /// Something failed.
    WTGRAM_LOG_ERROR = 1,
    /// Something is suspicious.
    WTGRAM_LOG_WARN = 2,
    /// Rare events of general interest.
    WTGRAM_LOG_INFO = 3,
    /// Details for finding the cause of a problem.
    WTGRAM_LOG_DEBUG = 4,
    /// Every packet.
    WTGRAM_LOG_TRACE = 5,
}

impl_read!(wtgram_log_level { WTGRAM_LOG_OFF, WTGRAM_LOG_ERROR, WTGRAM_LOG_WARN, WTGRAM_LOG_INFO, WTGRAM_LOG_DEBUG, WTGRAM_LOG_TRACE } or "there is no such log level");

/// Receives a log line: `level` is a `wtgram_log_level`, `target` names the module. Both strings
/// are valid until the callback returns; bytes from peers are escaped in them. The library calls it
/// on its callback thread, one call at a time.
pub type wtgram_log_callback = Option<
    unsafe extern "C" fn(context: *mut c_void, level: i32, target: *const c_char, message: *const c_char),
>;

/// Sends log lines up to a level to a callback. After a change the previous callback may still get
/// lines that were already on their way.
///
/// @param level A `wtgram_log_level`; `WTGRAM_LOG_OFF` ends logging.
/// @param callback The callback; NULL ends logging.
/// @param context Passed to the callback.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: there is no such level.
/// - `WTGRAM_ERROR_IO`: the callback thread cannot be started.
///
/// # Safety
/// `callback` may be called from another thread with `context` until the process ends.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_log_configure(
    level: i32,
    callback: wtgram_log_callback,
    context: *mut c_void,
) -> wtgram_status {
    guard(|| {
        let level = u32::try_from(level).map_err(|_| invalid("there is no such log level"))?;
        let filter = match wtgram_log_level::read(level)? {
            wtgram_log_level::WTGRAM_LOG_OFF => LevelFilter::OFF,
            wtgram_log_level::WTGRAM_LOG_ERROR => LevelFilter::ERROR,
            wtgram_log_level::WTGRAM_LOG_WARN => LevelFilter::WARN,
            wtgram_log_level::WTGRAM_LOG_INFO => LevelFilter::INFO,
            wtgram_log_level::WTGRAM_LOG_DEBUG => LevelFilter::DEBUG,
            wtgram_log_level::WTGRAM_LOG_TRACE => LevelFilter::TRACE,
        };
        let context = Context(context);
        let sink = callback.map(|callback| -> log::Sink {
            Arc::new(move |level: Level, target: &str, message: &str| {
                let context = &context;
                let target = CString::new(target.replace('\0', " ")).unwrap_or_default();
                let message = CString::new(message.replace('\0', " ")).unwrap_or_default();
                // SAFETY: the caller of `wtgram_log_configure` vouches for callback and context.
                unsafe { callback(context.0, log::rank(level), target.as_ptr(), message.as_ptr()) };
            })
        });
        Ok(log::configure(filter, sink)?)
    })
}

/// A pointer that is only handed through.
struct Context(*mut c_void);

// SAFETY: the library never looks through it; `wtgram_log_configure` says that the callback gets it on another thread.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_constants_are_those_of_the_crate() {
        let constants = format!("{WTGRAM_VERSION_MAJOR}.{WTGRAM_VERSION_MINOR}.{WTGRAM_VERSION_PATCH}");
        assert_eq!(constants, env!("CARGO_PKG_VERSION"));
    }
}
