//! Requests
//!
//! A server with `WTGRAM_ADMISSION_REQUESTS` lets the program decide about each client. Call order:
//! `wtgram_server_next_request`, the getters, then `wtgram_request_accept` or
//! `wtgram_request_reject`, and `wtgram_request_free`. The client waits meanwhile, at most for the
//! server's `handshake_timeout_us`. A poller reports `WTGRAM_READY_CLOSED` for a request that is
//! over: it was answered, the client has gone, or this time is over. A server that accepts by its
//! rules needs none of this.

use std::ffi::c_char;

use crate::datagram::session::Request;
use crate::ffi::boundary::guard::{free, guard};
use crate::ffi::boundary::handle::{Handle, names};
use crate::ffi::boundary::pointer::{
    deadline, give, give_elements, give_text, invalid, optional_text, text as field_name,
};
use crate::ffi::handles::{wtgram_request, wtgram_server, wtgram_session};
use crate::ffi::session::connect::{owned_headers, wtgram_header};
use crate::ffi::session::publish;
use crate::ffi::status::wtgram_status;
use crate::link::h3::connect::{joined, lines};
use crate::link::tls::certificate_at;

names!(wtgram_request => Request, REQUEST, polled as |request| &request.link);

/// Waits for the next request. Poll for it with `WTGRAM_READY_ACCEPT`.
///
/// At most `accept_backlog` requests wait for an answer, those included that this function has
/// returned; further clients get HTTP status 503. Requests whose clients have gone are not returned.
///
/// @param server The server, with `WTGRAM_ADMISSION_REQUESTS`.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param request Gets the handle. Free it with `wtgram_request_free`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_CLOSED`: the server is closed, or it no longer listens and no request waits.
/// - `WTGRAM_ERROR_INVALID_STATE`: the server accepts by its rules.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many requests.
///
/// # Safety
/// `request` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_next_request(
    server: wtgram_server,
    timeout_us: i64,
    request: *mut wtgram_request,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(request, || wtgram_request::new(server.get()?.next_request(deadline(timeout_us)?)?.into()))
    }
}

/// Writes the path of the request with its query, for example `"/room?name=a"`.
///
/// @param request The request.
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
pub unsafe extern "C" fn wtgram_request_get_path(
    request: wtgram_request,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_text(text, capacity, length, || Ok(request.get()?.asked().path.clone())) }
}

/// Writes the query of the path, without its `?`. Empty if there is none.
///
/// @return As `wtgram_request_get_path`.
///
/// # Safety
/// As for `wtgram_request_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_query(
    request: wtgram_request,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_text(text, capacity, length, || Ok(request.get()?.asked().query().to_owned())) }
}

/// Writes the host that the request is for, with its port if that is not 443.
///
/// @return As `wtgram_request_get_path`.
///
/// # Safety
/// As for `wtgram_request_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_authority(
    request: wtgram_request,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_text(text, capacity, length, || Ok(request.get()?.asked().authority.clone())) }
}

/// Writes the origin of the web page that asks, for example `"https://example.com"`. Empty if the
/// client sent none, as programs other than browsers do.
///
/// @return As `wtgram_request_get_path`.
///
/// # Safety
/// As for `wtgram_request_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_origin(
    request: wtgram_request,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || Ok(request.get()?.asked().origin().unwrap_or("").to_owned()))
    }
}

/// Writes the value of a header field. Several fields of one name are joined with `", "`, in their
/// order. Empty if there is none.
///
/// @param request The request.
/// @param name Name of the field; case does not matter.
/// @param text Buffer for the text and its final NUL.
/// @param capacity Size of `text`, in bytes.
/// @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
///
/// @return As `wtgram_request_get_path`.
///
/// # Safety
/// `name` is NUL-terminated; otherwise as for `wtgram_request_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_header(
    request: wtgram_request,
    name: *const c_char,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || Ok(joined(&request.get()?.asked().headers, field_name(name)?)))
    }
}

/// Writes all header fields in their order, each as `name: value` and a line feed. Names are in
/// lower case, and no value contains a line feed.
///
/// @return As `wtgram_request_get_path`.
///
/// # Safety
/// As for `wtgram_request_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_headers(
    request: wtgram_request,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_text(text, capacity, length, || Ok(lines(&request.get()?.asked().headers))) }
}

/// Writes the address of the client, for example `"192.0.2.1:50000"`.
///
/// @return As `wtgram_request_get_path`.
///
/// # Safety
/// As for `wtgram_request_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_remote_address(
    request: wtgram_request,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_text(text, capacity, length, || Ok(request.get()?.remote_address().to_string())) }
}

/// Stores the number of subprotocols that the client offers.
///
/// # Safety
/// `count` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_subprotocol_count(
    request: wtgram_request,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(count, || Ok(request.get()?.subprotocols().len())) }
}

/// Writes a subprotocol that the client offers (`WT-Available-Protocols`).
///
/// @param request The request.
/// @param index From 0, in the client's order of preference.
/// @param text Buffer for the text and its final NUL.
/// @param capacity Size of `text`, in bytes.
/// @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the client offers fewer.
///
/// # Safety
/// As for `wtgram_request_get_path`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_subprotocol(
    request: wtgram_request,
    index: usize,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_text(text, capacity, length, || {
            let offered = request.get()?.subprotocols();
            offered.get(index).cloned().ok_or_else(|| invalid("the client offers fewer subprotocols"))
        })
    }
}

/// Stores the HTTP status with which the rules of the server (`allowed_origins`,
/// `allowed_authorities`, `allowed_paths`) would refuse the request; 0 if they would accept it.
///
/// # Safety
/// `status` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_refusal(
    request: wtgram_request,
    status: *mut u32,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(status, || Ok(request.get()?.refusal().map_or(0, u32::from))) }
}

/// Stores how many certificates the client has shown; 0 if it showed none. A server asks for them if
/// its `client_certificates` say so, and has checked them then.
///
/// # Safety
/// `count` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_peer_certificate_count(
    request: wtgram_request,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(count, || Ok(request.get()?.peer_certificates().len())) }
}

/// Writes a certificate of the client as DER.
///
/// @param request The request.
/// @param index 0 for the certificate of the client itself; those of the authorities above it follow
///   in the order in which the client sent them.
/// @param buffer Buffer for the certificate.
/// @param capacity Size of `buffer`, in bytes.
/// @param length Gets the length of the certificate, in bytes, also if the buffer is too small.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the client has shown no certificate with this index.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes, `length` to a `size_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_get_peer_certificate(
    request: wtgram_request,
    index: usize,
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_elements(buffer, capacity, length, || {
            Ok(certificate_at(request.get()?.peer_certificates(), index)?.to_vec())
        })
    }
}

/// Accepts the request. The session is established at once.
///
/// @param request The request. It is answered then; free it.
/// @param headers Header fields of the response; NULL with 0 for none.
/// @param headers_count Number of header fields.
/// @param subprotocol One that the client offers; NULL for none.
/// @param session Gets the handle of the session. Free it with `wtgram_session_free`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: a header field cannot be sent, or the client does not offer
///   the subprotocol. The request still waits.
/// - `WTGRAM_ERROR_CLOSED`: the client has gone, the handshake took too long, or the request was
///   answered before.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many sessions.
///
/// # Safety
/// `headers` points to `headers_count` structs with NUL-terminated texts; `subprotocol` is NULL or
/// NUL-terminated; `session` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_request_accept(
    request: wtgram_request,
    headers: *const wtgram_header,
    headers_count: usize,
    subprotocol: *const c_char,
    session: *mut wtgram_session,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(session, || {
            let (request, headers) = (request.get()?, owned_headers(headers, headers_count)?);
            publish(request.accept(&headers, optional_text(subprotocol)?)?)
        })
    }
}

/// Rejects the request.
///
/// @param request The request. It is answered then; free it.
/// @param status HTTP status, 300 to 599; for example 403, 404 or 429.
/// @param headers Header fields of the response; NULL with 0 for none.
/// @param headers_count Number of header fields.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the status does not reject, or a header field cannot be sent.
///   The request still waits.
/// - `WTGRAM_ERROR_CLOSED`: the client has gone, the handshake took too long, or the request was
///   answered before.
///
/// # Safety
/// As for `wtgram_request_accept`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_request_reject(
    request: wtgram_request,
    status: u32,
    headers: *const wtgram_header,
    headers_count: usize,
) -> wtgram_status {
    guard(|| {
        let request = request.get()?;
        let status = u16::try_from(status).map_err(|_| invalid("there is no such HTTP status"))?;
        // SAFETY: the caller's promise.
        let headers = unsafe { owned_headers(headers, headers_count) }?;
        Ok(request.reject(status, &headers)?)
    })
}

/// Rejects the request with HTTP status 503 if it is not answered, and releases its handle. Handles
/// that are zero or released are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_request_free(request: wtgram_request) {
    free(request, |_| {});
}
