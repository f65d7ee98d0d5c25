//! Certificates of the peer
//!
//! A client has the certificates of the server. A server has those of a client if it asks for them:
//! `client_certificates` of `wtgram_listen_options`.

use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{give, give_elements};
use crate::ffi::handles::wtgram_session;
use crate::ffi::status::wtgram_status;

/// Stores how many certificates the peer has shown; 0 for a client that showed none. Works also
/// after the end of the session.
///
/// # Safety
/// `count` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_peer_certificate_count(
    session: wtgram_session,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(count, || Ok(session.get()?.session.link.established()?.peer_certificates.len())) }
}

/// Writes a certificate of the peer as DER. Works also after the end of the session.
///
/// @param session The session.
/// @param index 0 for the certificate of the peer itself; those of the authorities above it follow
///   in the order in which the peer sent them.
/// @param buffer Buffer for the certificate.
/// @param capacity Size of `buffer`, in bytes.
/// @param length Gets the length of the certificate, in bytes, also if the buffer is too small.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the peer has shown no certificate with this index.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes, `length` to a `size_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_peer_certificate(
    session: wtgram_session,
    index: usize,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_elements(buffer, capacity, length, || {
            Ok(session.get()?.session.link.established()?.peer_certificate(index)?.to_vec())
        })
    }
}
