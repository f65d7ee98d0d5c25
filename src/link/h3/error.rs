//! Error codes of HTTP/3, QPACK and WebTransport, and the errors that end a connection or a stream.

use quinn_proto::VarInt;

use std::borrow::Cow;

/// `H3_DATAGRAM_ERROR`, RFC 9297 section 5.2.
pub const H3_DATAGRAM_ERROR: u64 = 0x33;
/// `H3_NO_ERROR`, RFC 9114 section 8.1, like the `H3_` codes that follow it.
pub const H3_NO_ERROR: u64 = 0x100;
/// `H3_INTERNAL_ERROR`.
pub const H3_INTERNAL_ERROR: u64 = 0x102;
/// `H3_STREAM_CREATION_ERROR`.
pub const H3_STREAM_CREATION_ERROR: u64 = 0x103;
/// `H3_CLOSED_CRITICAL_STREAM`.
pub const H3_CLOSED_CRITICAL_STREAM: u64 = 0x104;
/// `H3_FRAME_UNEXPECTED`.
pub const H3_FRAME_UNEXPECTED: u64 = 0x105;
/// `H3_FRAME_ERROR`.
pub const H3_FRAME_ERROR: u64 = 0x106;
/// `H3_EXCESSIVE_LOAD`.
pub const H3_EXCESSIVE_LOAD: u64 = 0x107;
/// `H3_ID_ERROR`.
pub const H3_ID_ERROR: u64 = 0x108;
/// `H3_SETTINGS_ERROR`.
pub const H3_SETTINGS_ERROR: u64 = 0x109;
/// `H3_MISSING_SETTINGS`.
pub const H3_MISSING_SETTINGS: u64 = 0x10a;
/// `H3_REQUEST_REJECTED`.
pub const H3_REQUEST_REJECTED: u64 = 0x10b;
/// `H3_REQUEST_CANCELLED`.
pub const H3_REQUEST_CANCELLED: u64 = 0x10c;
/// `H3_REQUEST_INCOMPLETE`.
pub const H3_REQUEST_INCOMPLETE: u64 = 0x10d;
/// `H3_MESSAGE_ERROR`.
pub const H3_MESSAGE_ERROR: u64 = 0x10e;
/// `QPACK_DECOMPRESSION_FAILED`, RFC 9204 section 6, like the two that follow it.
pub const QPACK_DECOMPRESSION_FAILED: u64 = 0x200;
/// `QPACK_ENCODER_STREAM_ERROR`.
pub const QPACK_ENCODER_STREAM_ERROR: u64 = 0x201;
/// `QPACK_DECODER_STREAM_ERROR`.
pub const QPACK_DECODER_STREAM_ERROR: u64 = 0x202;
/// `WT_BUFFERED_STREAM_REJECTED`, draft-ietf-webtrans-http3 section 9.5, like all that follow it.
pub const WT_BUFFERED_STREAM_REJECTED: u64 = 0x3994_bd84;
/// `WT_SESSION_GONE`.
pub const WT_SESSION_GONE: u64 = 0x170d_7b68;
/// `WT_REQUIREMENTS_NOT_MET`: a client leaves a server with this code if the server's SETTINGS
/// cannot carry a session.
pub const WT_REQUIREMENTS_NOT_MET: u64 = 0x212c_0d48;

/// The peer broke the protocol. The connection must be closed with this code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (HTTP/3 error {code:#x})")]
pub struct ConnectionError {
    /// The QUIC application error code to close with.
    pub code: u64,
    /// What the peer did, for logs and the close frame.
    pub reason: Cow<'static, str>,
}

impl ConnectionError {
    pub(crate) fn new(code: u64, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// A fault that a layer below the session found, and how far it reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection must end.
    Connection(ConnectionError),
    /// Only the stream must end.
    Stream(StreamFault),
}

/// Why one stream must be reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamFault {
    pub(crate) code: u64,
    pub(crate) reason: &'static str,
}

impl From<ConnectionError> for Fault {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error)
    }
}

impl From<StreamFault> for Fault {
    fn from(fault: StreamFault) -> Self {
        Self::Stream(fault)
    }
}

/// A code in QUIC's form. All codes of HTTP/3 and of peers' frames fit.
pub(crate) fn varint(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wtransport::proto::error::ErrorCode;

    #[test]
    fn the_codes_are_those_of_wtransport_where_it_has_them() {
        for (ours, theirs) in [
            (H3_DATAGRAM_ERROR, ErrorCode::Datagram),
            (H3_NO_ERROR, ErrorCode::NoError),
            (H3_STREAM_CREATION_ERROR, ErrorCode::StreamCreation),
            (H3_CLOSED_CRITICAL_STREAM, ErrorCode::ClosedCriticalStream),
            (H3_FRAME_UNEXPECTED, ErrorCode::FrameUnexpected),
            (H3_FRAME_ERROR, ErrorCode::Frame),
            (H3_EXCESSIVE_LOAD, ErrorCode::ExcessiveLoad),
            (H3_ID_ERROR, ErrorCode::Id),
            (H3_SETTINGS_ERROR, ErrorCode::Settings),
            (H3_MISSING_SETTINGS, ErrorCode::MissingSettings),
            (H3_REQUEST_REJECTED, ErrorCode::RequestRejected),
            (H3_MESSAGE_ERROR, ErrorCode::Message),
            (QPACK_DECOMPRESSION_FAILED, ErrorCode::Decompression),
            (WT_BUFFERED_STREAM_REJECTED, ErrorCode::BufferedStreamRejected),
            (WT_SESSION_GONE, ErrorCode::SessionGone),
        ] {
            assert_eq!(ours, theirs.to_code().into_inner());
        }
    }
}
