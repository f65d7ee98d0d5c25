//! Closing a session
//!
//! Either side closes a session with a code and a reason. The other side reads them after its calls
//! return `WTGRAM_ERROR_CLOSED`. A side that wants to leave in order drains the session first: it
//! asks the other side to end it soon.

use std::ffi::c_char;

use crate::error::Error;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{Versioned, bytes, deadline, give_sized, init, init_sized, invalid};
use crate::ffi::handles::wtgram_session;
use crate::ffi::status::wtgram_status;
use crate::link::session::{CloseInfo, ClosedBy, MAX_CLOSE_REASON_BYTES};

/// Asks the peer to end the session soon (a DRAIN capsule, and from a server also GOAWAY). The
/// session goes on in both directions until one side closes it. Calling it again has no effect.
///
/// The peer sees `WTGRAM_SESSION_DRAINING`. It may ignore that, so set a time after which you close
/// the session yourself.
///
/// @param session The session.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_CLOSED`: the session is closed.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_session_drain(session: wtgram_session) -> wtgram_status {
    guard(|| Ok(session.get()?.session.link.drain()?))
}

/// Ends the session in order, and waits for it: asks the peer to end it soon
/// (`wtgram_session_drain`), lets the datagrams leave that are queued, and closes the session. Until
/// then datagrams still arrive, but sending returns `WTGRAM_ERROR_CLOSED`.
///
/// "Left" means sent, not received: no datagram is overtaken by the close, but the network may lose
/// some. Datagrams whose TTL or maximum age passes are dropped as always. For messages of a
/// reliability layer, call `wtgram_reliability_close` first.
///
/// @param session The session.
/// @param code Any number; the peer gets it.
/// @param reason UTF-8 text for the peer; NULL with length 0 for none.
/// @param reason_length Length of `reason` in bytes, at most 1024.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait. After it the
///   session is closed whatever is still queued.
///
/// @return
/// - `WTGRAM_OK`: everything has left, and the session is closed.
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed first; the session is closed all the same.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the same with timeout 0.
/// - `WTGRAM_ERROR_CLOSED`: the session was closed before by the peer, another thread or a lost
///   connection.
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the reason is too long or not UTF-8.
/// - `WTGRAM_ERROR_INVALID_STATE`: the session is being closed in this way already.
///
/// # Safety
/// `reason` is NULL or points to `reason_length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_session_drain_and_close(
    session: wtgram_session,
    code: u32,
    reason: *const c_char,
    reason_length: usize,
    timeout_us: i64,
) -> wtgram_status {
    guard(|| {
        let object = session.get()?;
        // SAFETY: the caller's promise.
        let reason = unsafe { close_reason(reason, reason_length) }?;
        Ok(object.session.established()?.drain_and_close(code, reason, deadline(timeout_us)?)?)
    })
}

/// Begins to do what `wtgram_session_drain_and_close` does, and returns at once. For event loops:
/// the poller reports `WTGRAM_READY_CLOSED` when the session is closed. It has no timeout: to give
/// up what is still queued, call `wtgram_session_close`.
///
/// @param session The session.
/// @param code Any number; the peer gets it.
/// @param reason UTF-8 text for the peer; NULL with length 0 for none.
/// @param reason_length Length of `reason` in bytes, at most 1024.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_CLOSED`: the session is closed.
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the reason is too long or not UTF-8.
/// - `WTGRAM_ERROR_INVALID_STATE`: the session is being closed in this way already.
///
/// # Safety
/// `reason` is NULL or points to `reason_length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_session_drain_and_close_start(
    session: wtgram_session,
    code: u32,
    reason: *const c_char,
    reason_length: usize,
) -> wtgram_status {
    guard(|| {
        let object = session.get()?;
        // SAFETY: the caller's promise.
        Ok(object
            .session
            .established()?
            .start_drain_and_close(code, unsafe { close_reason(reason, reason_length) }?)?)
    })
}

/// Closes the session. This side is closed at once, and what is queued is dropped. Code and reason
/// reach the peer in the background, also if you free the handle right away. You can still receive
/// what has arrived. Closing again has no effect.
///
/// @param session The session.
/// @param code Any number; the peer gets it.
/// @param reason UTF-8 text for the peer; NULL with length 0 for none.
/// @param reason_length Length of `reason` in bytes, at most 1024.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the reason is too long or not UTF-8.
///
/// # Safety
/// `reason` is NULL or points to `reason_length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_session_close(
    session: wtgram_session,
    code: u32,
    reason: *const c_char,
    reason_length: usize,
) -> wtgram_status {
    guard(|| {
        let session = session.get()?;
        // SAFETY: the caller's promise.
        Ok(session.session.link.close(code, unsafe { close_reason(reason, reason_length) }?)?)
    })
}

/// The reason of a close.
///
/// # Safety
/// `reason` is NULL or points to `length` bytes.
pub(in crate::ffi) unsafe fn close_reason<'a>(
    reason: *const c_char,
    length: usize,
) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    let reason = unsafe { bytes(reason.cast(), length) }?;
    std::str::from_utf8(reason).map_err(|_| invalid("a close reason is UTF-8"))
}

/// Who closed a session.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_closed_by {
    /// This side.
    WTGRAM_CLOSED_BY_LOCAL = 0,
    /// The peer.
    WTGRAM_CLOSED_BY_PEER = 1,
    /// The connection was lost, timed out, or broken by a protocol error.
    WTGRAM_CLOSED_BY_TRANSPORT = 2,
}

/// Size of a close reason with its NUL, in bytes.
pub const WTGRAM_CLOSE_REASON_CAPACITY: usize = 1025;

/// Why a session is closed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_close_info {
    /// Size of this struct, set by `wtgram_close_info_init`.
    pub struct_size: usize,
    /// A `wtgram_closed_by`.
    pub closed_by: u32,
    /// Code given by the side that closed the session; 0 if there is none.
    pub code: u32,
    /// QUIC or HTTP/3 error code if `closed_by` is `WTGRAM_CLOSED_BY_TRANSPORT`.
    pub transport_error: u64,
    /// Length of `reason` without its NUL, in bytes.
    pub reason_length: usize,
    /// Reason given by the side that closed the session, or what happened to the connection. UTF-8,
    /// NUL-terminated.
    pub reason: [c_char; WTGRAM_CLOSE_REASON_CAPACITY],
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_close_info {
    const FIRST_SIZE: usize = 1064;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            closed_by: 0,
            code: 0,
            transport_error: 0,
            reason_length: 0,
            reason: [0; WTGRAM_CLOSE_REASON_CAPACITY],
        }
    }
}

impl From<CloseInfo> for wtgram_close_info {
    fn from(info: CloseInfo) -> Self {
        let mut value = Self::initial();
        value.closed_by = match info.by {
            ClosedBy::Local => wtgram_closed_by::WTGRAM_CLOSED_BY_LOCAL,
            ClosedBy::Peer => wtgram_closed_by::WTGRAM_CLOSED_BY_PEER,
            ClosedBy::Transport => wtgram_closed_by::WTGRAM_CLOSED_BY_TRANSPORT,
        } as u32;
        value.code = info.code;
        value.transport_error = info.transport_error;
        value.reason_length = info.reason.len().min(MAX_CLOSE_REASON_BYTES);
        for (to, from) in value.reason.iter_mut().zip(info.reason.bytes().take(MAX_CLOSE_REASON_BYTES)) {
            *to = from as c_char;
        }
        value
    }
}

/// Fills `*info` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `info` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_close_info_init(info: *mut wtgram_close_info) {
    // SAFETY: the caller's promise.
    unsafe { init(info) };
}

/// For bindings: `wtgram_close_info_init` for a struct of `size` bytes.
///
/// # Safety
/// `info` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_close_info_init_sized(info: *mut wtgram_close_info, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(info, size) };
}

/// Waits until the session is closed. (The close message of this side may still be on its way;
/// `wtgram_shutdown` waits for it.)
///
/// @param session The session.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param info Gets the reason; prepared by `wtgram_close_info_init`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
///
/// # Safety
/// `info` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_wait_closed(
    session: wtgram_session,
    timeout_us: i64,
    info: *mut wtgram_close_info,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_sized(info, || Ok(session.get()?.session.link.wait_closed(deadline(timeout_us)?)?.into())) }
}

/// Stores why the session is closed.
///
/// @param session The session.
/// @param info Gets the reason; prepared by `wtgram_close_info_init`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the session is not closed.
///
/// # Safety
/// `info` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_close_info(
    session: wtgram_session,
    info: *mut wtgram_close_info,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_sized(info, || Ok(session.get()?.session.link.close_info().ok_or(Error::WouldBlock)?.into()))
    }
}
