//! The statuses: one list, from which the enum, the names and the messages come.

use std::ffi::CStr;

use crate::error::Error;

/// What every function returns. 0 is success; every other value is negative.
///
/// On any other status than `WTGRAM_OK` all outputs are zeroed, except where a function documents otherwise.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_status {
    /// Done.
    WTGRAM_OK = 0,
    /// The handle is zero, stale, freed, or another type's.
    WTGRAM_ERROR_INVALID_HANDLE = -1,
    /// An argument is outside what the function documents.
    WTGRAM_ERROR_INVALID_ARGUMENT = -2,
    /// A wait with a finite timeout elapsed; nothing was lost.
    WTGRAM_ERROR_TIMED_OUT = -3,
    /// The call would have had to wait: its timeout was 0, or it is a `_try_` form.
    WTGRAM_ERROR_WOULD_BLOCK = -4,
    /// The object, what it stands on, or the library is closed.
    WTGRAM_ERROR_CLOSED = -5,
    /// The datagram is larger than the path, the peer or the object carries.
    WTGRAM_ERROR_TOO_LARGE = -6,
    /// The peer takes no datagrams.
    WTGRAM_ERROR_UNSUPPORTED = -7,
    /// The caller's buffer is too small; the size needed is reported, nothing is lost.
    WTGRAM_ERROR_BUFFER_TOO_SMALL = -8,
    /// The queue is full and its policy rejects.
    WTGRAM_ERROR_QUEUE_FULL = -9,
    /// A limit on a number of objects or unfetched results is reached.
    WTGRAM_ERROR_LIMIT_REACHED = -10,
    /// The object is not in a state in which this can be done.
    WTGRAM_ERROR_INVALID_STATE = -11,
    /// This process is a child of the one that started the library, made by `fork`.
    WTGRAM_ERROR_FORKED = -12,
    /// A defect of the library; it was contained.
    WTGRAM_ERROR_INTERNAL = -13,
    /// The operating system refused.
    WTGRAM_ERROR_IO = -14,
    /// The URL cannot be used.
    WTGRAM_ERROR_INVALID_URL = -20,
    /// The host name did not resolve.
    WTGRAM_ERROR_NAME_NOT_RESOLVED = -21,
    /// No session within the deadline; a port on which nobody listens looks like this.
    WTGRAM_ERROR_CONNECT_TIMEOUT = -22,
    /// The server refused the QUIC connection.
    WTGRAM_ERROR_CONNECTION_REFUSED = -23,
    /// No trusted authority vouches for the server's certificate.
    WTGRAM_ERROR_CERTIFICATE_UNTRUSTED = -24,
    /// The certificate is expired or not yet valid, or, trusted by hash, valid for too long.
    WTGRAM_ERROR_CERTIFICATE_EXPIRED = -25,
    /// The certificate is for another name.
    WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH = -26,
    /// The certificate's SHA-256 is none of those given.
    WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH = -27,
    /// The TLS handshake failed for another reason.
    WTGRAM_ERROR_TLS = -28,
    /// The server answered with an HTTP status other than 2xx; the detail says which.
    WTGRAM_ERROR_REJECTED = -29,
    /// The peer does not speak, or broke, WebTransport over HTTP/3.
    WTGRAM_ERROR_PROTOCOL = -30,
    /// A certificate, key or PEM source cannot be used.
    WTGRAM_ERROR_IDENTITY = -31,
    /// Certificate and private key do not belong together.
    WTGRAM_ERROR_KEY_MISMATCH = -32,
    /// Text that is not acceptable JSON, or bytes that do not decode.
    WTGRAM_ERROR_SERIALIZATION = -33,
    /// A type id that the registry does not know.
    WTGRAM_ERROR_UNKNOWN_TYPE = -34,
    /// A structured datagram whose object does not decode.
    WTGRAM_ERROR_DESERIALIZATION = -35,
    /// A structured datagram too short to carry a type id.
    WTGRAM_ERROR_TRUNCATED = -36,
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
];

fn row(status: i32) -> Option<&'static (wtgram_status, &'static CStr, &'static CStr)> {
    TABLE.iter().find(|(known, _, _)| *known as i32 == status)
}

/// The name of a status, for example `"WTGRAM_ERROR_TIMED_OUT"`; `"WTGRAM_UNKNOWN_STATUS"` for any other number.
///
/// Static, never NULL; any thread, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_status_name(status: i32) -> *const std::ffi::c_char {
    row(status).map_or(c"WTGRAM_UNKNOWN_STATUS", |(_, name, _)| name).as_ptr()
}

/// What a status means, in a few English words.
///
/// Static, never NULL; any thread, at any time.
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
            Error::NameNotResolved(_) => WTGRAM_ERROR_NAME_NOT_RESOLVED,
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
