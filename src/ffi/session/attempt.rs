//! Connecting without waiting
//!
//! `wtgram_session_connect_start` returns at once with a session in state
//! `WTGRAM_SESSION_CONNECTING`. The poller reports `WTGRAM_READY_CONNECTED` when the session is
//! established, and `WTGRAM_READY_CLOSED` when the attempt has failed. Then
//! `wtgram_session_wait_connected` returns the result without waiting, and
//! `wtgram_session_get_connect_failure` says whether to try again.

use std::ffi::c_char;
use std::time::SystemTime;

use super::connect::{begin, wtgram_connect_options};
use crate::datagram::session::Connecting;
use crate::error::Error;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{Versioned, deadline, detailed, give_sized, init, init_sized, micros};
use crate::ffi::handles::wtgram_session;
use crate::ffi::status::wtgram_status;

/// Starts to connect to the server at `url` and returns at once, with a session that is not
/// established yet. No thread waits for it: 1,000 attempts at once need no thread of yours. (Before
/// it returns, it reads the certificate authorities; those of the system once.)
///
/// To cancel the attempt, call `wtgram_session_close` or `wtgram_session_free`. It ends at once.
/// (If it is looking up a name, that goes on in the background and is ignored.)
///
/// @param url `https://host[:port][/path][?query]`.
/// @param options Options; NULL for the defaults.
/// @param session Gets the handle. Free it with `wtgram_session_free`, also if the attempt fails.
/// @param detail Buffer for an English sentence that explains a failure, shortened to fit and
///   NUL-terminated; NULL with 0 for none.
/// @param detail_capacity Size of `detail`, in bytes.
///
/// @return
/// - `WTGRAM_OK`: the attempt has started. `wtgram_session_wait_connected` says how it ended.
/// - `WTGRAM_ERROR_INVALID_URL`: the URL cannot be used.
/// - `WTGRAM_ERROR_IDENTITY`: the certificate authorities cannot be read.
/// - `WTGRAM_ERROR_CERTIFICATE_UNTRUSTED`: the system has no certificate authorities.
/// - `WTGRAM_ERROR_IO`: the operating system refused a thread or the key log file.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many sessions.
///
/// # Safety
/// Every pointer is NULL or as described.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_connect_start(
    url: *const c_char,
    options: *const wtgram_connect_options,
    session: *mut wtgram_session,
    detail: *mut c_char,
    detail_capacity: usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { begin(url, options, session, detail, detail_capacity, Connecting::start) }
}

/// Waits until the session is established or the attempt to connect has failed. With timeout 0 it
/// returns the result of an attempt that has ended. The result does not change any more when the
/// session is closed later.
///
/// A session of a server is established.
///
/// @param session The session.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait. The attempt
///   has its own deadline, `wtgram_connect_options.timeout_us`.
/// @param detail Buffer for an English sentence that explains a failure, shortened to fit and
///   NUL-terminated; NULL with 0 for none.
/// @param detail_capacity Size of `detail`, in bytes.
///
/// @return
/// - `WTGRAM_OK`: the session was established.
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed; the attempt goes on.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the attempt goes on.
/// - `WTGRAM_ERROR_CLOSED`: this side closed the session before, or the library was shut down.
/// - `WTGRAM_ERROR_NAME_NOT_RESOLVED`, `WTGRAM_ERROR_CONNECT_TIMEOUT`,
///   `WTGRAM_ERROR_CONNECTION_REFUSED`, `WTGRAM_ERROR_CERTIFICATE_UNTRUSTED`,
///   `WTGRAM_ERROR_CERTIFICATE_EXPIRED`, `WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH`,
///   `WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH`, `WTGRAM_ERROR_TLS`, `WTGRAM_ERROR_REJECTED`,
///   `WTGRAM_ERROR_PROTOCOL`, `WTGRAM_ERROR_UNSUPPORTED`, `WTGRAM_ERROR_IO`: the attempt failed, as
///   `wtgram_session_connect` describes.
///
/// # Safety
/// `detail` is NULL or points to `detail_capacity` writable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_wait_connected(
    session: wtgram_session,
    timeout_us: i64,
    detail: *mut c_char,
    detail_capacity: usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        detailed(detail, detail_capacity, || {
            Ok(session.get()?.session.link.wait_connected(deadline(timeout_us)?)?)
        })
    }
}

/// Why an attempt to connect failed, and whether to try again.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_connect_failure {
    /// Size of this struct, set by `wtgram_connect_failure_init`.
    pub struct_size: usize,
    /// The `wtgram_status` of the attempt.
    pub status: i32,
    /// HTTP status with which the server rejected the session; 0 if the attempt failed before it
    /// answered.
    pub http_status: u32,
    /// 1 if the same attempt may succeed later although nobody changes anything: the server is
    /// away, overloaded or at its limit, or the network is down. Else 0. `docs/errors.md` has a
    /// table.
    pub is_retryable: u32,
    /// Reserved; 0.
    pub reserved: u32,
    /// How long the server asks to wait until the next attempt (Retry-After), in microseconds; 0
    /// if it does not say.
    pub retry_after_us: i64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_connect_failure {
    const FIRST_SIZE: usize = 32;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            status: 0,
            http_status: 0,
            is_retryable: 0,
            reserved: 0,
            retry_after_us: 0,
        }
    }
}

impl From<Error> for wtgram_connect_failure {
    fn from(error: Error) -> Self {
        let (http_status, retry_after) = match &error {
            Error::Rejected { status, retry_after } => (*status, *retry_after),
            _ => (0, None),
        };
        Self {
            status: wtgram_status::from(&error) as i32,
            http_status: http_status.into(),
            is_retryable: error.is_retryable().into(),
            retry_after_us: retry_after.map_or(0, |after| micros(after.delay(SystemTime::now()))),
            ..Self::initial()
        }
    }
}

/// Fills `*failure` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `failure` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_connect_failure_init(failure: *mut wtgram_connect_failure) {
    // SAFETY: the caller's promise.
    unsafe { init(failure) };
}

/// For bindings: `wtgram_connect_failure_init` for a struct of `size` bytes.
///
/// # Safety
/// `failure` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_connect_failure_init_sized(
    failure: *mut wtgram_connect_failure,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(failure, size) };
}

/// Stores why the attempt to connect failed. `wtgram_session_wait_connected` with timeout 0 explains
/// it with a sentence.
///
/// @param session The session.
/// @param failure Gets the reason; prepared by `wtgram_connect_failure_init`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the attempt goes on.
/// - `WTGRAM_ERROR_INVALID_STATE`: the session was established.
///
/// # Safety
/// `failure` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_connect_failure(
    session: wtgram_session,
    failure: *mut wtgram_connect_failure,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_sized(failure, || Ok(session.get()?.session.link.connect_failure()?.into())) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::error::RetryAfter;

    #[test]
    fn a_failure_has_the_servers_status_and_the_time_it_asks_to_wait() {
        let rejected = |status, retry_after| {
            let failure = wtgram_connect_failure::from(Error::Rejected { status, retry_after });
            assert_eq!(failure.status, wtgram_status::WTGRAM_ERROR_REJECTED as i32);
            assert_eq!(failure.struct_size, size_of::<wtgram_connect_failure>());
            (failure.http_status, failure.is_retryable, failure.retry_after_us)
        };
        let seconds = |seconds| Some(RetryAfter::Delay(Duration::from_secs(seconds)));
        assert_eq!(rejected(404, None), (404, 0, 0));
        assert_eq!(rejected(503, seconds(7)), (503, 1, 7_000_000));
        assert_eq!(rejected(429, seconds(u64::MAX)), (429, 1, i64::MAX));
        assert_eq!(rejected(503, Some(RetryAfter::Date(UNIX_EPOCH))), (503, 1, 0));
        let soon = RetryAfter::Date(SystemTime::now() + Duration::from_secs(3600));
        let (_, _, wait) = rejected(503, Some(soon));
        assert!((1..=3_600_000_000).contains(&wait), "{wait}");
        let failure = wtgram_connect_failure::from(Error::ConnectTimeout(String::new()));
        assert_eq!((failure.http_status, failure.is_retryable, failure.retry_after_us), (0, 1, 0));
    }
}
