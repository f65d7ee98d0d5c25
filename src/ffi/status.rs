//! Status
//!
//! Every function returns a `wtgram_status`, except those that cannot fail.

use std::ffi::CStr;

use crate::error::Error;

/// The result of a function. 0 is success; errors are negative.
///
/// `docs/errors.md` says for each status when it occurs and what to do.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_status {
    /// Success.
    WTGRAM_OK = 0,
    /// The handle is zero, freed, or of another type.
    WTGRAM_ERROR_INVALID_HANDLE = -1,
    /// An argument is not one that the function accepts.
    WTGRAM_ERROR_INVALID_ARGUMENT = -2,
    /// The timeout of a wait elapsed. Nothing was lost.
    WTGRAM_ERROR_TIMED_OUT = -3,
    /// The call would have to wait, but its timeout is 0 or its name contains `_try_`.
    WTGRAM_ERROR_WOULD_BLOCK = -4,
    /// The object, the object below it, or the library is closed.
    WTGRAM_ERROR_CLOSED = -5,
    /// The datagram is larger than the path, the peer or the object allows.
    WTGRAM_ERROR_TOO_LARGE = -6,
    /// The peer does not accept datagrams.
    WTGRAM_ERROR_UNSUPPORTED = -7,
    /// The buffer is too small. The call reports the size needed and loses nothing.
    WTGRAM_ERROR_BUFFER_TOO_SMALL = -8,
    /// The queue is full and its policy is to reject.
    WTGRAM_ERROR_QUEUE_FULL = -9,
    /// There are too many objects, or too many outcomes that nobody fetched.
    WTGRAM_ERROR_LIMIT_REACHED = -10,
    /// The object is in a state that does not allow the call.
    WTGRAM_ERROR_INVALID_STATE = -11,
    /// The process was forked after the library started. The child cannot use it.
    WTGRAM_ERROR_FORKED = -12,
    /// A bug in the library. The library goes on; please report it.
    WTGRAM_ERROR_INTERNAL = -13,
    /// The operating system refused a request, or has no route to the server.
    WTGRAM_ERROR_IO = -14,
    /// The URL cannot be used.
    WTGRAM_ERROR_INVALID_URL = -20,
    /// The host name did not resolve.
    WTGRAM_ERROR_NAME_NOT_RESOLVED = -21,
    /// No session within the deadline. If no server listens on the port, you get this, too.
    WTGRAM_ERROR_CONNECT_TIMEOUT = -22,
    /// The server refused the connection, or closed it without looking at the request.
    WTGRAM_ERROR_CONNECTION_REFUSED = -23,
    /// No trusted authority signed the server's certificate.
    WTGRAM_ERROR_CERTIFICATE_UNTRUSTED = -24,
    /// The certificate is expired or not yet valid, or, if trusted by hash, valid for too long.
    WTGRAM_ERROR_CERTIFICATE_EXPIRED = -25,
    /// The certificate is for another name.
    WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH = -26,
    /// The certificate has none of the given SHA-256 hashes.
    WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH = -27,
    /// The TLS handshake failed for another reason.
    WTGRAM_ERROR_TLS = -28,
    /// The server answered with an HTTP status other than 2xx. The detail text contains it, and
    /// `wtgram_session_get_connect_failure` returns it.
    WTGRAM_ERROR_REJECTED = -29,
    /// The peer does not speak WebTransport over HTTP/3, or violates it.
    WTGRAM_ERROR_PROTOCOL = -30,
    /// A certificate, key or PEM source cannot be used.
    WTGRAM_ERROR_IDENTITY = -31,
    /// Certificate and private key do not match.
    WTGRAM_ERROR_KEY_MISMATCH = -32,
    /// The text is not acceptable JSON, or the object cannot be serialized.
    WTGRAM_ERROR_SERIALIZATION = -33,
    /// The type id is not registered.
    WTGRAM_ERROR_UNKNOWN_TYPE = -34,
    /// The object in a structured datagram cannot be decoded.
    WTGRAM_ERROR_DESERIALIZATION = -35,
    /// A structured datagram is too short for a type id.
    WTGRAM_ERROR_TRUNCATED = -36,
    /// The server requires a client certificate, or does not accept the one given. The detail text
    /// says which.
    WTGRAM_ERROR_CLIENT_CERTIFICATE = -37,
}

use wtgram_status::*;

/// Every status with its name and its message.
const TABLE: &[(wtgram_status, &CStr, &CStr)] = &[
    (WTGRAM_OK, c"WTGRAM_OK", c"success"),
    (
        WTGRAM_ERROR_INVALID_HANDLE,
        c"WTGRAM_ERROR_INVALID_HANDLE",
        c"the handle is zero, stale, freed or of another type",
    ),
    (WTGRAM_ERROR_INVALID_ARGUMENT, c"WTGRAM_ERROR_INVALID_ARGUMENT", c"an argument is not acceptable"),
    (WTGRAM_ERROR_TIMED_OUT, c"WTGRAM_ERROR_TIMED_OUT", c"the wait timed out"),
    (WTGRAM_ERROR_WOULD_BLOCK, c"WTGRAM_ERROR_WOULD_BLOCK", c"the call would have to wait"),
    (WTGRAM_ERROR_CLOSED, c"WTGRAM_ERROR_CLOSED", c"closed"),
    (WTGRAM_ERROR_TOO_LARGE, c"WTGRAM_ERROR_TOO_LARGE", c"the datagram is too large"),
    (WTGRAM_ERROR_UNSUPPORTED, c"WTGRAM_ERROR_UNSUPPORTED", c"the peer does not support datagrams"),
    (WTGRAM_ERROR_BUFFER_TOO_SMALL, c"WTGRAM_ERROR_BUFFER_TOO_SMALL", c"the buffer is too small"),
    (WTGRAM_ERROR_QUEUE_FULL, c"WTGRAM_ERROR_QUEUE_FULL", c"the queue is full"),
    (WTGRAM_ERROR_LIMIT_REACHED, c"WTGRAM_ERROR_LIMIT_REACHED", c"a limit is reached"),
    (
        WTGRAM_ERROR_INVALID_STATE,
        c"WTGRAM_ERROR_INVALID_STATE",
        c"the object is not in a state for this call",
    ),
    (WTGRAM_ERROR_FORKED, c"WTGRAM_ERROR_FORKED", c"the library cannot be used in a forked child"),
    (WTGRAM_ERROR_INTERNAL, c"WTGRAM_ERROR_INTERNAL", c"internal error of the library"),
    (WTGRAM_ERROR_IO, c"WTGRAM_ERROR_IO", c"the operating system refused"),
    (WTGRAM_ERROR_INVALID_URL, c"WTGRAM_ERROR_INVALID_URL", c"the URL cannot be used"),
    (WTGRAM_ERROR_NAME_NOT_RESOLVED, c"WTGRAM_ERROR_NAME_NOT_RESOLVED", c"the host name did not resolve"),
    (
        WTGRAM_ERROR_CONNECT_TIMEOUT,
        c"WTGRAM_ERROR_CONNECT_TIMEOUT",
        c"no session within the deadline; perhaps nobody listens there",
    ),
    (
        WTGRAM_ERROR_CONNECTION_REFUSED,
        c"WTGRAM_ERROR_CONNECTION_REFUSED",
        c"the server refused the connection",
    ),
    (
        WTGRAM_ERROR_CERTIFICATE_UNTRUSTED,
        c"WTGRAM_ERROR_CERTIFICATE_UNTRUSTED",
        c"no trusted authority vouches for the server's certificate",
    ),
    (
        WTGRAM_ERROR_CERTIFICATE_EXPIRED,
        c"WTGRAM_ERROR_CERTIFICATE_EXPIRED",
        c"the server's certificate is not valid at this time",
    ),
    (
        WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH,
        c"WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH",
        c"the server's certificate is for another name",
    ),
    (
        WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH,
        c"WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH",
        c"the server's certificate has another hash",
    ),
    (WTGRAM_ERROR_TLS, c"WTGRAM_ERROR_TLS", c"the TLS handshake failed"),
    (WTGRAM_ERROR_REJECTED, c"WTGRAM_ERROR_REJECTED", c"the server rejected the session"),
    (
        WTGRAM_ERROR_PROTOCOL,
        c"WTGRAM_ERROR_PROTOCOL",
        c"the peer does not speak, or broke, WebTransport over HTTP/3",
    ),
    (WTGRAM_ERROR_IDENTITY, c"WTGRAM_ERROR_IDENTITY", c"the certificate or key cannot be used"),
    (
        WTGRAM_ERROR_KEY_MISMATCH,
        c"WTGRAM_ERROR_KEY_MISMATCH",
        c"the private key does not match the certificate",
    ),
    (WTGRAM_ERROR_SERIALIZATION, c"WTGRAM_ERROR_SERIALIZATION", c"serialization failed"),
    (WTGRAM_ERROR_UNKNOWN_TYPE, c"WTGRAM_ERROR_UNKNOWN_TYPE", c"the type id is not registered"),
    (WTGRAM_ERROR_DESERIALIZATION, c"WTGRAM_ERROR_DESERIALIZATION", c"the object does not decode"),
    (WTGRAM_ERROR_TRUNCATED, c"WTGRAM_ERROR_TRUNCATED", c"the datagram is too short to carry a type id"),
    (
        WTGRAM_ERROR_CLIENT_CERTIFICATE,
        c"WTGRAM_ERROR_CLIENT_CERTIFICATE",
        c"the server wants a client certificate, or another one",
    ),
];

fn row(status: i32) -> Option<&'static (wtgram_status, &'static CStr, &'static CStr)> {
    TABLE.iter().find(|(known, _, _)| *known as i32 == status)
}

/// Returns the name of a status, for example `"WTGRAM_ERROR_TIMED_OUT"`.
///
/// @param status A `wtgram_status`, or any other number.
///
/// @return A static string, never NULL: `"WTGRAM_UNKNOWN_STATUS"` for a number that is not a
///   status.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_status_name(status: i32) -> *const std::ffi::c_char {
    row(status).map_or(c"WTGRAM_UNKNOWN_STATUS", |(_, name, _)| name).as_ptr()
}

/// Returns a short English sentence about a status.
///
/// @param status A `wtgram_status`, or any other number.
///
/// @return A static string, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_status_message(status: i32) -> *const std::ffi::c_char {
    row(status).map_or(c"unknown status", |(_, _, message)| message).as_ptr()
}

impl From<&Error> for wtgram_status {
    fn from(error: &Error) -> Self {
        match error {
            Error::TimedOut => WTGRAM_ERROR_TIMED_OUT,
            Error::WouldBlock => WTGRAM_ERROR_WOULD_BLOCK,
            Error::Closed | Error::ShutDown => WTGRAM_ERROR_CLOSED,
            Error::Forked => WTGRAM_ERROR_FORKED,
            Error::InvalidArgument(_) => WTGRAM_ERROR_INVALID_ARGUMENT,
            Error::InvalidState(_) => WTGRAM_ERROR_INVALID_STATE,
            Error::TooLarge { .. } => WTGRAM_ERROR_TOO_LARGE,
            Error::BufferTooSmall { .. } => WTGRAM_ERROR_BUFFER_TOO_SMALL,
            Error::QueueFull => WTGRAM_ERROR_QUEUE_FULL,
            Error::LimitReached(_) => WTGRAM_ERROR_LIMIT_REACHED,
            Error::Unsupported => WTGRAM_ERROR_UNSUPPORTED,
            Error::InvalidUrl(_) => WTGRAM_ERROR_INVALID_URL,
            Error::NameNotResolved { .. } => WTGRAM_ERROR_NAME_NOT_RESOLVED,
            Error::ConnectTimeout(_) => WTGRAM_ERROR_CONNECT_TIMEOUT,
            Error::ConnectionRefused(_) => WTGRAM_ERROR_CONNECTION_REFUSED,
            Error::CertificateUntrusted(_) => WTGRAM_ERROR_CERTIFICATE_UNTRUSTED,
            Error::CertificateExpired(_) => WTGRAM_ERROR_CERTIFICATE_EXPIRED,
            Error::CertificateNameMismatch(_) => WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH,
            Error::CertificateHashMismatch(_) => WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH,
            Error::Tls(_) => WTGRAM_ERROR_TLS,
            Error::Rejected { .. } => WTGRAM_ERROR_REJECTED,
            Error::Protocol(_) => WTGRAM_ERROR_PROTOCOL,
            Error::Identity(_) => WTGRAM_ERROR_IDENTITY,
            Error::KeyMismatch(_) => WTGRAM_ERROR_KEY_MISMATCH,
            Error::ClientCertificate(_) => WTGRAM_ERROR_CLIENT_CERTIFICATE,
            Error::Serialization(_) => WTGRAM_ERROR_SERIALIZATION,
            Error::UnknownType(_) => WTGRAM_ERROR_UNKNOWN_TYPE,
            Error::Deserialization(_) => WTGRAM_ERROR_DESERIALIZATION,
            Error::Truncated(_) => WTGRAM_ERROR_TRUNCATED,
            Error::Io { .. } => WTGRAM_ERROR_IO,
            Error::Internal(_) => WTGRAM_ERROR_INTERNAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_named_once_and_all_but_ok_are_negative() {
        for (index, (status, name, message)) in TABLE.iter().enumerate() {
            assert_eq!(name.to_str().unwrap(), format!("{status:?}"));
            assert!(!message.is_empty());
            assert_eq!(index == 0, *status == WTGRAM_OK);
            assert!(index == 0 || (*status as i32) < 0);
            assert_eq!(TABLE.iter().filter(|row| row.0 == *status).count(), 1);
        }
    }
}
