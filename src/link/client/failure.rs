//! Why an attempt at one address failed.

use std::net::SocketAddr;

use quinn_proto::ConnectionError;

use crate::error::Error;
use crate::link::tls::{CRYPTO_ERRORS, Refusal, certificate_refused_by_server};
use crate::text::readable;

/// QUIC's CONNECTION_REFUSED (RFC 9000 section 20.1).
const CONNECTION_REFUSED: u64 = 0x2;

/// Whether no other address can give a better answer than this error.
pub(super) fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::CertificateUntrusted(_)
            | Error::CertificateExpired(_)
            | Error::CertificateNameMismatch(_)
            | Error::CertificateHashMismatch(_)
            | Error::Tls(_)
    )
}

/// The error of a QUIC handshake that failed.
pub(super) fn explain(error: ConnectionError, address: SocketAddr, refusal: &Refusal) -> Error {
    if let Some(reason) = refusal.take().or_else(|| certificate_refused_by_server(&error)) {
        return reason;
    }
    match error {
        ConnectionError::TimedOut => Error::ConnectTimeout(format!("{address} does not answer")),
        ConnectionError::Reset => Error::ConnectionRefused(format!("{address} reset the connection")),
        ConnectionError::ConnectionClosed(close) => {
            let code = u64::from(close.error_code);
            let reason = readable(String::from_utf8_lossy(&close.reason));
            match code {
                CONNECTION_REFUSED => Error::ConnectionRefused(format!("{address} {reason}")),
                code if CRYPTO_ERRORS.contains(&code) => {
                    Error::Tls(format!("{address} refused with TLS alert {}: {reason}", code & 0xff))
                }
                _ => Error::Protocol(readable(format!("{address}: {close}"))),
            }
        }
        ConnectionError::TransportError(error) if CRYPTO_ERRORS.contains(&u64::from(error.code)) => {
            Error::Tls(format!("{address}: {error}"))
        }
        error => Error::Protocol(readable(format!("{address}: {error}"))),
    }
}
