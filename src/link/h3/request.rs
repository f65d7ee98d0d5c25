//! A peer's bidirectional stream until its purpose is known: a session, something else, or an
//! error.

use super::connect::{ConnectRequest, Incoming};
use super::datagram::is_session_id;
use super::error::{
    ConnectionError, Fault, H3_EXCESSIVE_LOAD, H3_FRAME_ERROR, H3_FRAME_UNEXPECTED, H3_ID_ERROR,
    H3_MESSAGE_ERROR, H3_REQUEST_INCOMPLETE, H3_STREAM_CREATION_ERROR, QPACK_DECOMPRESSION_FAILED,
    StreamFault, WT_BUFFERED_STREAM_REJECTED,
};
use super::fields::{self, Fields, FieldsError};
use super::frame::{Frame, FrameReader, Place};
use super::settings::Role;
use super::types::WT_STREAM;
use super::wire::VarIntReader;

/// What a stream asks for.
#[derive(Debug)]
pub(crate) enum Wants {
    /// Not known yet.
    More,
    /// A session. The reader stands after the HEADERS of the request.
    Session(Box<ConnectRequest>, FrameReader),
    /// A response with this status.
    Status(u16),
    /// A response that says that the header fields are more than is read.
    TooLarge,
}

/// A bidirectional stream, by what is read from it next.
#[derive(Debug)]
pub(crate) enum RequestStream {
    /// Its first integer: a frame type, or the WebTransport signal.
    Signal(VarIntReader),
    /// A WebTransport stream's session id.
    SessionId(VarIntReader),
    /// A request's frames.
    Frames(FrameReader),
}

impl RequestStream {
    pub(crate) fn new() -> Self {
        Self::Signal(VarIntReader::default())
    }

    /// Advances `data` to where it is known what the stream asks for. A [`Fault::Stream`] refuses
    /// it.
    pub(crate) fn data(&mut self, us: Role, data: &mut &[u8], fin: bool) -> Result<Wants, Fault> {
        loop {
            match self {
                Self::Signal(reader) => match reader.read(data) {
                    Some(WT_STREAM) => *self = Self::SessionId(VarIntReader::default()),
                    Some(_) if us == Role::Client => {
                        // RFC 9114 section 6.1: servers open no request streams.
                        let reason = "a bidirectional stream from the server";
                        return Err(ConnectionError::new(H3_STREAM_CREATION_ERROR, reason).into());
                    }
                    Some(kind) => *self = Self::Frames(FrameReader::after_type(Place::Request, kind)?),
                    None if !fin => return Ok(Wants::More),
                    None => return Err(ended_early(reader.buffered_bytes() == 0)),
                },
                Self::SessionId(reader) => match reader.read(data) {
                    Some(id) if !is_session_id(id) => {
                        let reason = "a stream of an impossible session";
                        return Err(ConnectionError::new(H3_ID_ERROR, reason).into());
                    }
                    None if !fin => return Ok(Wants::More),
                    _ => {
                        let reason = "WebTransport streams are not served";
                        return Err(StreamFault { code: WT_BUFFERED_STREAM_REJECTED, reason }.into());
                    }
                },
                Self::Frames(reader) => match reader.read(data) {
                    Ok(Some(Frame::Headers(block))) => {
                        return match section(&block)? {
                            Section::TooLarge => Ok(Wants::TooLarge),
                            Section::Fields(fields) => self.wants(fields),
                        };
                    }
                    // By the length of the frame alone.
                    Err(Fault::Stream(fault)) if fault.code == H3_EXCESSIVE_LOAD => {
                        return Ok(Wants::TooLarge);
                    }
                    Err(fault) => return Err(fault),
                    Ok(Some(_)) => {
                        let reason = "DATA before HEADERS";
                        return Err(ConnectionError::new(H3_FRAME_UNEXPECTED, reason).into());
                    }
                    Ok(None) if !fin => return Ok(Wants::More),
                    Ok(None) => return Err(ended_early(reader.at_boundary())),
                },
            }
        }
    }

    fn wants(&mut self, fields: Fields) -> Result<Wants, Fault> {
        match Incoming::parse(fields) {
            Incoming::Other(status) => Ok(Wants::Status(status)),
            Incoming::Malformed(reason) => Err(StreamFault { code: H3_MESSAGE_ERROR, reason }.into()),
            Incoming::Session(request) => {
                let Self::Frames(reader) = std::mem::replace(self, Self::new()) else {
                    return Ok(Wants::More);
                };
                Ok(Wants::Session(Box::new(request), reader))
            }
        }
    }

    /// Bytes of the peer that are held.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn buffered_bytes(&self) -> usize {
        match self {
            Self::Signal(reader) | Self::SessionId(reader) => reader.buffered_bytes(),
            Self::Frames(reader) => reader.buffered_bytes(),
        }
    }
}

/// RFC 9114 section 4.1 is for a request without HEADERS, section 7.1 for a frame cut short.
fn ended_early(at_boundary: bool) -> Fault {
    if at_boundary {
        StreamFault { code: H3_REQUEST_INCOMPLETE, reason: "a stream without a request" }.into()
    } else {
        truncated_frame().into()
    }
}

pub(crate) fn truncated_frame() -> ConnectionError {
    ConnectionError::new(H3_FRAME_ERROR, "a stream ends within a frame")
}

/// A decoded header block.
pub(crate) enum Section {
    Fields(Fields),
    TooLarge,
}

pub(crate) fn section(block: &[u8]) -> Result<Section, Fault> {
    match fields::decode(block) {
        Ok(fields) => Ok(Section::Fields(fields)),
        Err(FieldsError::TooLarge) => Ok(Section::TooLarge),
        Err(FieldsError::NotText) => {
            Err(StreamFault { code: H3_MESSAGE_ERROR, reason: "a header field that is not UTF-8" }.into())
        }
        Err(FieldsError::Decompression(reason)) => {
            Err(ConnectionError::new(QPACK_DECOMPRESSION_FAILED, reason).into())
        }
    }
}
