//! The library itself: version, runtime, shutdown, log.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use tracing::Level;
use tracing::level_filters::LevelFilter;

use super::guard::{guard, quiet};
use super::pointer::{Versioned, WTGRAM_FOREVER, invalid, read_options};
use super::status::wtgram_status;
use crate::runtime::{self, RuntimeOptions, log};

/// Major version of the header.
pub const WTGRAM_VERSION_MAJOR: u32 = 0;
/// Minor version of the header. Before 1.0 it changes with every change of the ABI that is not an addition.
pub const WTGRAM_VERSION_MINOR: u32 = 1;
/// Patch version of the header.
pub const WTGRAM_VERSION_PATCH: u32 = 0;

/// The version of the library that runs, for example `"0.1.0"`. Static, never NULL; any thread, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The version of the library that runs, as `major << 16 | minor << 8 | patch`. Any thread, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_version_number() -> u32 {
    WTGRAM_VERSION_MAJOR << 16 | WTGRAM_VERSION_MINOR << 8 | WTGRAM_VERSION_PATCH
}

/// How the library runs.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_runtime_options {
    /// Size of this struct, filled by `wtgram_runtime_options_init`.
    pub struct_size: usize,
    /// Lanes: threads that run the protocol, 1 to 256. An endpoint and its sessions live in one lane. Default 1.
    pub lanes: u32,
    /// 1, the default: a thread that waits to receive, to accept, to connect or in a poller does the work of its lane meanwhile, and a
    /// datagram that is sent by itself leaves on the calling thread. A round trip then costs no switch between threads. 0: only lanes do it.
    pub lead: u32,
    /// How long such a thread looks for packets again and again before it sleeps, in microseconds, as long as that has shortened
    /// its waits lately; 0, never, to 1000. It takes the processor for so long. Default 30.
    pub spin_us: i64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_runtime_options {
    const FIRST_SIZE: usize = 24;
    fn initial() -> Self {
        let RuntimeOptions { lanes, lead, spin } = RuntimeOptions::default();
        Self {
            struct_size: size_of::<Self>(),
            lanes,
            lead: u32::from(lead),
            spin_us: spin.as_micros() as i64,
        }
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_runtime_options_init(options: *mut wtgram_runtime_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// Sets how the library runs. Only before anything listens or connects.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: something is out of range; `INVALID_STATE`: the library runs already.
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
        Ok(runtime::configure(RuntimeOptions { lanes: options.lanes, lead, spin })?)
    })
}

/// Closes every server and session (code 0), waits up to `timeout_us` for their goodbyes to leave, and ends the
/// library's threads. Every later call returns `CLOSED`; frees still work. Calls that wait meanwhile return `CLOSED`.
///
/// `timeout_us`: microseconds, or `WTGRAM_FOREVER`.
///
/// Statuses: `WTGRAM_OK`, also when it was shut down already; `TIMED_OUT`: everything is ended, but not every goodbye
/// had left; `INVALID_ARGUMENT`: negative timeout; `FORKED`.
///
/// Must not be called from a callback of the library.
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

/// How important a log line is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_log_level {
    /// No lines.
    WTGRAM_LOG_OFF = 0,
    /// Something failed that should not.
    WTGRAM_LOG_ERROR = 1,
    /// Something is dubious.
    WTGRAM_LOG_WARN = 2,
    /// Rare and notable.
    WTGRAM_LOG_INFO = 3,
    /// For those who look for a cause.
    WTGRAM_LOG_DEBUG = 4,
    /// Every packet.
    WTGRAM_LOG_TRACE = 5,
}

/// Receives a log line: `level` is a `wtgram_log_level`, `target` the module it comes from. Both texts live until it
/// returns; what a peer wrote is escaped in them. It runs on the library's callback thread, one call at a time.
pub type wtgram_log_callback = Option<
    unsafe extern "C" fn(context: *mut c_void, level: i32, target: *const c_char, message: *const c_char),
>;

/// Sends log lines up to `level` to `callback`, with `context` handed through; `WTGRAM_LOG_OFF` or a NULL callback
/// ends it. After a change the previous callback may still be called for lines that were on their way.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: unknown level; `IO`: the callback thread cannot be started.
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
        let filter = match level {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            5 => LevelFilter::TRACE,
            _ => return Err(invalid("there is no such log level")),
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

/// Writes the defaults of a versioned struct.
///
/// # Safety
/// `target` is NULL or points to a writable `T`.
pub(super) unsafe fn init<T: Versioned>(target: *mut T) {
    if !target.is_null() && target.is_aligned() {
        // SAFETY: not NULL, aligned; the caller vouches for the rest.
        quiet(|| unsafe { target.write(T::initial()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_constants_are_those_of_the_crate() {
        let constants = format!("{WTGRAM_VERSION_MAJOR}.{WTGRAM_VERSION_MINOR}.{WTGRAM_VERSION_PATCH}");
        assert_eq!(constants, env!("CARGO_PKG_VERSION"));
    }
}
