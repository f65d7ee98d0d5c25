//! The close information of a session, for each way in which it can end.

use quinn_proto::ConnectionError;

use crate::error::Error;
use crate::link::core::session::{CloseInfo, ClosedBy, MAX_CLOSE_REASON_BYTES};
use crate::link::h3::error::{H3_NO_ERROR, H3_REQUEST_CANCELLED, H3_REQUEST_REJECTED};
use crate::link::tls::certificate_refused_by_server;
use crate::text::{beginning, readable};

/// The close information of a connection that ended before its session said why.
pub(crate) fn close_info(reason: &ConnectionError) -> CloseInfo {
    match reason {
        // The peer left in order.
        ConnectionError::ApplicationClosed(close) if close.error_code.into_inner() == H3_NO_ERROR => {
            CloseInfo { by: ClosedBy::Peer, code: 0, reason: String::new(), transport_error: 0 }
        }
        ConnectionError::ApplicationClosed(close) => {
            let code = close.error_code.into_inner();
            let otherwise = || format!("the peer closed the connection with code {code:#x}");
            broken(code, &reason_or(&close.reason, otherwise))
        }
        ConnectionError::ConnectionClosed(close) => {
            let otherwise = || close.error_code.to_string();
            broken(close.error_code.into(), &reason_or(&close.reason, otherwise))
        }
        error => broken(0, &error.to_string()),
    }
}

/// The close information of a connection that broke with this code of QUIC or HTTP/3.
pub(crate) fn broken(transport_error: u64, reason: &str) -> CloseInfo {
    CloseInfo { by: ClosedBy::Transport, code: 0, reason: bounded(reason), transport_error }
}

/// The error that a lost connection means for an attempt to establish a session.
pub(crate) fn lost(error: &ConnectionError) -> Error {
    // A client has completed its handshake before the server looks at its certificate.
    if let Some(refused) = certificate_refused_by_server(error) {
        return refused;
    }
    match error {
        ConnectionError::ApplicationClosed(close) => {
            let code = close.error_code.into_inner();
            let reason = bounded(&String::from_utf8_lossy(&close.reason));
            refused(code, format!("the peer closed the connection with HTTP/3 code {code:#x} {reason}"))
        }
        ConnectionError::TimedOut => Error::ConnectTimeout("the server no longer answers".into()),
        ConnectionError::Reset => Error::ConnectionRefused("the server reset the connection".into()),
        other => Error::Protocol(readable(format!("the connection was lost: {other}"))),
    }
}

/// The error of a request that the peer ended with this code of HTTP/3 instead of an answer. Some
/// codes blame nobody: the server is leaving, or has not looked at the request (RFC 9114 section
/// 8.1).
pub(crate) fn refused(code: u64, what: String) -> Error {
    let what = readable(what);
    match code {
        H3_NO_ERROR | H3_REQUEST_REJECTED | H3_REQUEST_CANCELLED => Error::ConnectionRefused(what),
        _ => Error::Protocol(what),
    }
}

/// A peer's reason, or the text that replaces an empty one.
fn reason_or(reason: &[u8], otherwise: impl FnOnce() -> String) -> String {
    if reason.is_empty() { otherwise() } else { String::from_utf8_lossy(reason).into_owned() }
}

/// The beginning of `text`, cut to the length that a close reason may have.
pub(crate) fn bounded(text: &str) -> String {
    beginning(text, MAX_CLOSE_REASON_BYTES).to_owned()
}
