//! Session
//!
//! A session is a WebTransport connection to one peer. A client gets it from
//! `wtgram_session_connect` or `wtgram_session_connect_start`, a server from
//! `wtgram_server_accept`. Its datagrams are sent and received through its transport:
//! `wtgram_session_get_transport`. At the end call `wtgram_session_free`.
//!
//! A session that is not established yet has a state, and can be waited for, closed and freed. Other
//! functions return `WTGRAM_ERROR_INVALID_STATE`, and `WTGRAM_ERROR_CLOSED` if it will never be
//! established.

pub mod attempt;
pub mod close;
pub mod connect;
pub mod peer;
pub mod stats;

use std::ffi::c_char;
use std::sync::Arc;

use once_cell::sync::OnceCell;

use crate::datagram::session::Connecting;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::free;
use crate::ffi::boundary::handle::{Handle, names};
use crate::ffi::boundary::pointer::{give, give_text, text as field_name};
use crate::ffi::handles::{wtgram_session, wtgram_transport};
use crate::ffi::status::wtgram_status;
use crate::ffi::transport::TransportObject;
use crate::link::h3::connect::{joined, lines};
use crate::link::session::Phase;

/// A session and the handle of its transport, which lives and ends with it.
pub(in crate::ffi) struct SessionObject {
    pub(in crate::ffi) session: Connecting,
    transport: OnceCell<wtgram_transport>,
}

names!(wtgram_session => SessionObject, SESSION, polled as |object| &object.session.link);

/// Gives a session its handle. When there is none left, the session is closed.
pub(in crate::ffi) fn publish(session: impl Into<Connecting>) -> Result<wtgram_session, Failure> {
    let session = session.into();
    let link = Arc::clone(&session.link);
    let object = SessionObject { session, transport: OnceCell::new() };
    wtgram_session::new(Arc::new(object)).inspect_err(|_| drop(link.close(0, "")))
}

impl SessionObject {
    /// The handle of the transport. The first call makes it; `session` is the object's own handle.
    pub(in crate::ffi) fn transport(&self, session: wtgram_session) -> Result<wtgram_transport, Failure> {
        let publish = || TransportObject::publish(Arc::clone(self.session.datagrams()?), session);
        self.transport.get_or_try_init(publish).copied()
    }

    /// The number of that handle; 0 if nobody has it.
    pub(in crate::ffi) fn transport_id(&self) -> u64 {
        self.transport.get().map_or(0, |transport| transport.id)
    }

    fn release_transport(&self) {
        if let Some(transport) = self.transport.get() {
            drop(transport.take());
        }
    }
}

/// For a handle that was made while the session was freed.
impl Drop for SessionObject {
    fn drop(&mut self) {
        self.release_transport();
    }
}

/// State of a session.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_session_state {
    /// The handshake is in progress.
    WTGRAM_SESSION_CONNECTING = 0,
    /// The session is established.
    WTGRAM_SESSION_CONNECTED = 1,
    /// The session is established, and the peer asked to end it soon (GOAWAY or DRAIN). Datagrams
    /// still flow.
    WTGRAM_SESSION_DRAINING = 2,
    /// The session is closed.
    WTGRAM_SESSION_CLOSED = 3,
}

/// Stores the state of the session.
///
/// @param session The session.
/// @param state Gets a `wtgram_session_state`.
///
/// # Safety
/// `state` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_state(session: wtgram_session, state: *mut u32) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(state, || {
            Ok(match session.get()?.session.link.phase() {
                Phase::Connecting => wtgram_session_state::WTGRAM_SESSION_CONNECTING,
                Phase::Connected => wtgram_session_state::WTGRAM_SESSION_CONNECTED,
                Phase::Draining => wtgram_session_state::WTGRAM_SESSION_DRAINING,
                Phase::Closed => wtgram_session_state::WTGRAM_SESSION_CLOSED,
            } as u32)
        })
    }
}

/// Stores the session id, which is the id of the CONNECT stream.
///
/// # Safety
/// `id` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_id(session: wtgram_session, id: *mut u64) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(id, || Ok(session.get()?.session.link.established()?.id)) }
}

/// Writes the path of the request with its query, for example `"/room?name=a"`.
///
/// @param session The session.
/// @param text Buffer for the text and its final NUL.
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
pub unsafe extern "C" fn wtgram_session_get_path(
    session: wtgram_session,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || {
            Ok(session.get()?.session.link.established()?.request.path.clone())
        })
    }
}

/// Writes the host that the request is for, with its port if that is not 443.
///
/// @return As `wtgram_session_get_path`.
///
/// # Safety
/// As for `wtgram_session_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_authority(
    session: wtgram_session,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || {
            Ok(session.get()?.session.link.established()?.request.authority.clone())
        })
    }
}

/// Writes the origin of the request, for example `"https://example.com"`. Empty if the client sent
/// none, as programs other than browsers do.
///
/// @return As `wtgram_session_get_path`.
///
/// # Safety
/// As for `wtgram_session_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_origin(
    session: wtgram_session,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || {
            let origin = session.get()?.session.link.established()?.request.origin().unwrap_or("").to_owned();
            Ok(origin)
        })
    }
}

/// Writes the value of a header field that the peer sent: in its request on a server, in its
/// response on a client. Several fields of one name are joined with `", "`, in their order. Empty
/// if there is none.
///
/// @param session The session.
/// @param name Name of the field; case does not matter.
/// @param text Buffer for the text and its final NUL.
/// @param capacity Size of `text`, in bytes.
/// @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
///
/// @return As `wtgram_session_get_path`.
///
/// # Safety
/// `name` is NUL-terminated; otherwise as for `wtgram_session_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_header(
    session: wtgram_session,
    name: *const c_char,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || {
            Ok(joined(session.get()?.session.link.established()?.peer_headers(), field_name(name)?))
        })
    }
}

/// Writes all header fields that the peer sent, in their order, each as `name: value` and a line
/// feed. Names are in lower case, and no value contains a line feed.
///
/// @return As `wtgram_session_get_path`.
///
/// # Safety
/// As for `wtgram_session_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_headers(
    session: wtgram_session,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || {
            Ok(lines(session.get()?.session.link.established()?.peer_headers()))
        })
    }
}

/// Writes the subprotocol that the server picked (`WT-Protocol`). Empty if it picked none.
///
/// @return As `wtgram_session_get_path`.
///
/// # Safety
/// As for `wtgram_session_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_subprotocol(
    session: wtgram_session,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || {
            Ok(session.get()?.session.link.established()?.subprotocol.clone().unwrap_or_default())
        })
    }
}

/// Writes the current address of the peer, for example `"192.0.2.1:50000"`. It changes when the
/// peer changes its network.
///
/// @param session The session.
/// @param text Buffer for the text and its final NUL.
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
pub unsafe extern "C" fn wtgram_session_get_remote_address(
    session: wtgram_session,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || Ok(session.get()?.session.link.remote_address()?.to_string()))
    }
}

/// Writes the local address of the session, for example `"192.0.2.2:4433"`. The IP address is
/// `0.0.0.0` or `[::]` if the system does not report it.
///
/// @param session The session.
/// @param text Buffer for the text and its final NUL.
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
pub unsafe extern "C" fn wtgram_session_get_local_address(
    session: wtgram_session,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || Ok(session.get()?.session.link.local_address()?.to_string()))
    }
}

/// Stores the handle of the session's transport. It is always the same and is released with the
/// session.
///
/// @param session The session.
/// @param transport Gets the handle; do not free it.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_STATE`: the session is not established yet.
/// - `WTGRAM_ERROR_CLOSED`: it will never be, because the attempt failed.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many transports.
///
/// # Safety
/// `transport` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_transport(
    session: wtgram_session,
    transport: *mut wtgram_transport,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(transport, || session.get()?.transport(session)) }
}

/// Closes the session with code 0 if it is open, and releases its handle and the handle of its
/// transport. Calls that wait on them return `WTGRAM_ERROR_CLOSED`. An attempt to connect ends.
/// Handles that are zero or released are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_session_free(session: wtgram_session) {
    free(session, |object| {
        object.release_transport();
        let _ = object.session.link.close(0, "");
    });
}
