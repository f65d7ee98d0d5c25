//! HTTP/3 frames (RFC 9114 section 7), read from bytes that are split anywhere.
//!
//! Only frames with a meaning here are kept until they are complete, each within its bound. DATA
//! passes through, and unknown types are skipped as they arrive.

use super::error::{
    ConnectionError, Fault, H3_EXCESSIVE_LOAD, H3_FRAME_ERROR, H3_FRAME_UNEXPECTED, H3_ID_ERROR,
    H3_MISSING_SETTINGS, StreamFault,
};
use super::types::*;
use super::wire::{VarIntReader, put_varint, whole_varint};

/// The longest header block that is taken.
pub(crate) const MAX_HEADERS_BYTES: usize = 64 * 1024;
/// The longest SETTINGS payload that is taken.
pub(crate) const MAX_SETTINGS_BYTES: usize = 4 * 1024;
/// The longest single integer. It is the whole payload of GOAWAY, MAX_PUSH_ID and CANCEL_PUSH.
const MAX_INTEGER_BYTES: usize = 8;

/// Appends a whole frame.
pub(crate) fn put_frame(out: &mut Vec<u8>, kind: u64, payload: &[u8]) {
    put_varint(out, kind);
    put_varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// A GOAWAY frame for our control stream. A server names the first request id that it will not
/// serve, a client names a push id.
pub fn goaway_bytes(id: u64) -> Vec<u8> {
    let (mut payload, mut out) = (Vec::new(), Vec::new());
    put_varint(&mut payload, id);
    put_frame(&mut out, GOAWAY, &payload);
    out
}

/// The kind of stream on which frames are read. It decides which frames are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The peer's control stream.
    Control,
    /// A request stream, read by a server.
    Request,
    /// A request stream, read by the client that opened it.
    Response,
    /// A request stream after the HEADERS that made it the stream of a session.
    Tunnel,
}

/// A frame, or the next piece of a DATA frame's payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Data(&'a [u8]),
    Headers(Vec<u8>),
    Settings(Vec<u8>),
    Goaway(u64),
    MaxPushId(u64),
    /// A capsule that arrived as a frame of its own.
    Capsule(Vec<u8>),
}

/// What happens to a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payload {
    Stream,
    Skip,
    /// Skipped, then refused.
    Refuse,
    Keep {
        max: usize,
    },
}

#[derive(Debug)]
enum State {
    Type,
    Length { kind: u64, payload: Payload },
    Payload { kind: u64, payload: Payload, left: u64 },
}

/// Reads the frames of one stream.
#[derive(Debug)]
pub(crate) struct FrameReader {
    place: Place,
    state: State,
    varint: VarIntReader,
    kept: Vec<u8>,
    settings_seen: bool,
}

impl FrameReader {
    /// A reader at the start of a stream.
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            state: State::Type,
            varint: VarIntReader::default(),
            kept: Vec::new(),
            settings_seen: false,
        }
    }

    /// A reader for a stream whose first frame type has been read already.
    pub(crate) fn after_type(place: Place, kind: u64) -> Result<Self, ConnectionError> {
        let mut reader = Self::new(place);
        reader.begin(kind)?;
        Ok(reader)
    }

    /// Makes this the stream of a session, from the next frame on.
    ///
    /// RFC 9114 section 4.4, which RFC 9220 leaves as it is, permits only DATA and extension frames
    /// on the stream of a CONNECT, and "receipt of any other known frame type MUST be treated as a
    /// connection error of type H3_FRAME_UNEXPECTED". So the trailers that section 4.1 has for
    /// other messages do not exist here. A second HEADERS, even an empty one, is refused by its
    /// type and never decoded.
    pub(crate) fn enter_tunnel(&mut self) {
        self.place = Place::Tunnel;
    }

    /// Advances `input` to the end of the next frame, or of the next piece of DATA. `None` means
    /// that more bytes are needed.
    pub(crate) fn read<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, Fault> {
        loop {
            match self.state {
                State::Type => {
                    let Some(kind) = self.varint.read(input) else { return Ok(None) };
                    self.begin(kind)?;
                }
                State::Length { kind, payload } => {
                    let Some(left) = self.varint.read(input) else { return Ok(None) };
                    check_length(kind, payload, left)?;
                    self.state = State::Payload { kind, payload, left };
                    if payload == Payload::Stream && left == 0 {
                        self.state = State::Type;
                        return Ok(Some(Frame::Data(&[])));
                    }
                }
                State::Payload { kind, payload, left } => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let (piece, rest) = input.split_at(take);
                    *input = rest;
                    let left = left - take as u64;
                    self.state = if left == 0 { State::Type } else { State::Payload { kind, payload, left } };
                    match payload {
                        Payload::Stream if take > 0 => return Ok(Some(Frame::Data(piece))),
                        Payload::Keep { .. } => {
                            self.kept.extend_from_slice(piece);
                            if left == 0 {
                                let whole = std::mem::take(&mut self.kept);
                                return finish(kind, whole).map(Some).map_err(Fault::from);
                            }
                        }
                        Payload::Refuse if left == 0 => {
                            let reason = format!("frame type {kind:#x} is not allowed here");
                            return Err(ConnectionError::new(H3_FRAME_UNEXPECTED, reason).into());
                        }
                        Payload::Stream | Payload::Skip | Payload::Refuse => {}
                    }
                    if left > 0 {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Whether the stream may end here. An end within a frame is `H3_FRAME_ERROR` (RFC 9114 section
    /// 7.1).
    pub(crate) fn at_boundary(&self) -> bool {
        matches!(self.state, State::Type) && self.varint.buffered_bytes() == 0
    }

    /// Bytes of the peer that are held for an unfinished frame.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.kept.len() + self.varint.buffered_bytes()
    }

    fn begin(&mut self, kind: u64) -> Result<(), ConnectionError> {
        let payload = self.admit(kind)?;
        self.state = State::Length { kind, payload };
        Ok(())
    }

    /// The rules of RFC 9114 section 7.2, table 1, with those of 6.2.1, 7.2.4 and 7.2.8.
    fn admit(&mut self, kind: u64) -> Result<Payload, ConnectionError> {
        let unexpected =
            || ConnectionError::new(H3_FRAME_UNEXPECTED, format!("frame type {kind:#x} is not allowed here"));
        if self.place == Place::Control {
            match (self.settings_seen, kind) {
                (false, SETTINGS) => {
                    self.settings_seen = true;
                    return Ok(Payload::Keep { max: MAX_SETTINGS_BYTES });
                }
                (false, _) => {
                    let reason = "the first control frame is not SETTINGS";
                    return Err(ConnectionError::new(H3_MISSING_SETTINGS, reason));
                }
                (true, SETTINGS) => return Err(unexpected()),
                (true, _) => {}
            }
        }
        match (kind, self.place) {
            (DATA, Place::Request | Place::Response | Place::Tunnel) => Ok(Payload::Stream),
            (HEADERS, Place::Request | Place::Response) => Ok(Payload::Keep { max: MAX_HEADERS_BYTES }),
            (GOAWAY | MAX_PUSH_ID, Place::Control) => Ok(Payload::Keep { max: MAX_INTEGER_BYTES }),
            // We allow no pushes, so a push id cannot be named: 7.2.3 for CANCEL_PUSH, 7.2.5 for
            // PUSH_PROMISE.
            (CANCEL_PUSH, Place::Control) | (PUSH_PROMISE, Place::Response) => {
                Err(ConnectionError::new(H3_ID_ERROR, "a push id that was never allowed"))
            }
            (DATA | HEADERS | CANCEL_PUSH | SETTINGS | PUSH_PROMISE | GOAWAY | MAX_PUSH_ID, _) => {
                Err(unexpected())
            }
            // HTTP/2's PRIORITY, PING, WINDOW_UPDATE and CONTINUATION. RFC 9114 section 7.2.8 makes
            // their receipt an error. On the control stream we refuse only a whole frame, because
            // pywebtransport 0.9 ends its control stream with two stray bytes that begin one.
            (0x02 | 0x06 | 0x08 | 0x09, Place::Control) => Ok(Payload::Refuse),
            (0x02 | 0x06 | 0x08 | 0x09, _) => Err(unexpected()),
            // pywebtransport up to 0.9 writes its capsules without DATA frames around them. These
            // two are otherwise unused as frame types, so they are taken for what they mean.
            (WT_CLOSE_SESSION | WT_DRAIN_SESSION, Place::Tunnel) => {
                Ok(Payload::Keep { max: MAX_CAPSULE_BYTES })
            }
            // draft-ietf-webtrans-http3 section 4.3: allowed only as the very first bytes of a
            // stream.
            (WT_STREAM, _) => {
                Err(ConnectionError::new(H3_FRAME_ERROR, "a WebTransport stream signal within a stream"))
            }
            _ => Ok(Payload::Skip),
        }
    }
}

fn check_length(kind: u64, payload: Payload, length: u64) -> Result<(), Fault> {
    let Payload::Keep { max } = payload else { return Ok(()) };
    if length <= max as u64 {
        return Ok(());
    }
    let reason = "a frame is longer than this endpoint takes";
    Err(match kind {
        // Only the message is too large. Its stream can end alone.
        HEADERS => StreamFault { code: H3_EXCESSIVE_LOAD, reason }.into(),
        SETTINGS => ConnectionError::new(H3_EXCESSIVE_LOAD, reason).into(),
        _ => ConnectionError::new(H3_FRAME_ERROR, "a frame is longer than its one integer").into(),
    })
}

fn finish(kind: u64, payload: Vec<u8>) -> Result<Frame<'static>, ConnectionError> {
    let integer = |payload: &[u8]| {
        whole_varint(payload)
            .ok_or_else(|| ConnectionError::new(H3_FRAME_ERROR, "a frame does not hold exactly one integer"))
    };
    match kind {
        HEADERS => Ok(Frame::Headers(payload)),
        SETTINGS => Ok(Frame::Settings(payload)),
        WT_CLOSE_SESSION | WT_DRAIN_SESSION => {
            let mut bytes = Vec::new();
            super::wire::put_varint(&mut bytes, kind);
            super::wire::put_varint(&mut bytes, payload.len() as u64);
            bytes.extend_from_slice(&payload);
            Ok(Frame::Capsule(bytes))
        }
        GOAWAY => integer(&payload).map(Frame::Goaway),
        _ => integer(&payload).map(Frame::MaxPushId),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(place: Place, mut input: &[u8]) -> Result<Vec<String>, Fault> {
        let mut reader = FrameReader::new(place);
        let mut seen = Vec::new();
        while let Some(frame) = reader.read(&mut input)? {
            seen.push(format!("{frame:?}"));
        }
        assert!(input.is_empty());
        Ok(seen)
    }

    fn connection_code(place: Place, input: &[u8]) -> u64 {
        match frames(place, input) {
            Err(Fault::Connection(error)) => error.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_are_read_and_unknown_ones_skipped() {
        let mut input = Vec::new();
        put_frame(&mut input, GREASE, b"whatever");
        put_frame(&mut input, HEADERS, b"block");
        put_frame(&mut input, GREASE, b"");
        put_frame(&mut input, DATA, b"");
        put_frame(&mut input, DATA, b"xy");
        let expected = ["Headers([98, 108, 111, 99, 107])", "Data([])", "Data([120, 121])"];
        assert_eq!(frames(Place::Request, &input).unwrap(), expected);
    }

    #[test]
    fn control_frames_that_hold_one_integer_are_read() {
        let mut input = Vec::new();
        put_frame(&mut input, SETTINGS, b"");
        input.extend(goaway_bytes(400));
        put_frame(&mut input, MAX_PUSH_ID, &[7]);
        assert_eq!(frames(Place::Control, &input).unwrap(), ["Settings([])", "Goaway(400)", "MaxPushId(7)"]);
    }

    #[test]
    fn an_unknown_frame_of_any_length_is_never_buffered() {
        let mut reader = FrameReader::new(Place::Request);
        let mut head = Vec::new();
        put_varint(&mut head, GREASE);
        put_varint(&mut head, 1 << 61);
        assert_eq!(reader.read(&mut &head[..]), Ok(None));
        for _ in 0..100 {
            assert_eq!(reader.read(&mut &[0; 4096][..]), Ok(None));
        }
        assert_eq!(reader.buffered_bytes(), 0);
        assert!(!reader.at_boundary());
    }

    #[test]
    fn http2_frame_types_are_unexpected_everywhere() {
        for kind in [2, 6, 8, 9] {
            assert_eq!(connection_code(Place::Request, &[kind]), H3_FRAME_UNEXPECTED);
            assert_eq!(connection_code(Place::Response, &[kind]), H3_FRAME_UNEXPECTED);
            assert_eq!(connection_code(Place::Control, &[4, 0, kind, 0]), H3_FRAME_UNEXPECTED);
            assert_eq!(connection_code(Place::Control, &[4, 0, kind, 2, 1, 1]), H3_FRAME_UNEXPECTED);
        }
    }

    #[test]
    fn the_stray_bytes_at_the_end_of_pywebtransports_control_stream_are_tolerated() {
        let mut reader = FrameReader::new(Place::Control);
        let mut bytes = &[4, 0, 2, 3][..];
        assert_eq!(reader.read(&mut bytes), Ok(Some(Frame::Settings(Vec::new()))));
        assert_eq!(reader.read(&mut bytes), Ok(None));
        assert!(bytes.is_empty());
    }

    #[test]
    fn control_frames_are_unexpected_on_request_streams_and_message_frames_on_control() {
        for kind in [3, 4, 7, 13] {
            assert_eq!(connection_code(Place::Request, &[kind]), H3_FRAME_UNEXPECTED);
        }
        for kind in [0, 1, 4, 5] {
            assert_eq!(connection_code(Place::Control, &[4, 0, kind]), H3_FRAME_UNEXPECTED);
        }
    }

    #[test]
    fn settings_must_come_first_even_before_an_unknown_frame() {
        for kind in [0x07, 0x00, 0x21, 0x02] {
            assert_eq!(connection_code(Place::Control, &[kind]), H3_MISSING_SETTINGS);
        }
    }

    #[test]
    fn push_ids_were_never_allowed() {
        assert_eq!(connection_code(Place::Control, &[4, 0, 3]), H3_ID_ERROR);
        assert_eq!(connection_code(Place::Response, &[5]), H3_ID_ERROR);
        assert_eq!(connection_code(Place::Request, &[5]), H3_FRAME_UNEXPECTED);
    }

    #[test]
    fn a_tunnel_has_data_and_unknown_frames_only() {
        assert_eq!(frames(Place::Tunnel, &[0x21, 0, 0, 1, 7]).unwrap(), ["Data([7])"]);
        for kind in [1, 2, 3, 4, 5, 6, 7, 8, 9, 13] {
            assert_eq!(connection_code(Place::Tunnel, &[kind]), H3_FRAME_UNEXPECTED);
        }
    }

    #[test]
    fn the_webtransport_signal_is_not_a_frame() {
        assert_eq!(connection_code(Place::Request, &[0x40, 0x41]), H3_FRAME_ERROR);
        assert_eq!(connection_code(Place::Control, &[4, 0, 0x40, 0x41]), H3_FRAME_ERROR);
    }

    #[test]
    fn frames_of_one_integer_hold_exactly_one() {
        for payload in [&[][..], &[0, 0], &[0x40], &[0; 9]] {
            let mut input = vec![4, 0];
            put_frame(&mut input, GOAWAY, payload);
            assert_eq!(connection_code(Place::Control, &input), H3_FRAME_ERROR);
        }
    }

    #[test]
    fn what_is_longer_than_its_bound_is_refused_by_its_length_alone() {
        let mut input = Vec::new();
        put_varint(&mut input, HEADERS);
        put_varint(&mut input, MAX_HEADERS_BYTES as u64 + 1);
        let fault =
            StreamFault { code: H3_EXCESSIVE_LOAD, reason: "a frame is longer than this endpoint takes" };
        assert_eq!(frames(Place::Request, &input), Err(Fault::Stream(fault)));
        let mut input = vec![4];
        put_varint(&mut input, MAX_SETTINGS_BYTES as u64 + 1);
        assert_eq!(connection_code(Place::Control, &input), H3_EXCESSIVE_LOAD);
    }

    #[test]
    fn a_boundary_is_only_between_frames() {
        let mut reader = FrameReader::new(Place::Request);
        assert!(reader.at_boundary());
        for (byte, boundary) in [(0x40, false), (0x00, false), (0x01, false), (0xff, true)] {
            reader.read(&mut &[byte][..]).unwrap();
            assert_eq!(reader.at_boundary(), boundary);
        }
    }
}
