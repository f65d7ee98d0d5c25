//! The peer's unidirectional streams: control, QPACK, and all others, which are refused (RFC 9114
//! section 6.2).

use super::datagram::is_session_id;
use super::error::{
    ConnectionError, Fault, H3_CLOSED_CRITICAL_STREAM, H3_EXCESSIVE_LOAD, H3_FRAME_ERROR, H3_ID_ERROR,
    H3_STREAM_CREATION_ERROR, QPACK_DECODER_STREAM_ERROR, QPACK_ENCODER_STREAM_ERROR,
    WT_BUFFERED_STREAM_REJECTED,
};
use super::frame::{self, Frame, FrameReader, Place};
use super::settings::{PeerSettings, Role};
use super::types;
use super::wire::VarIntReader;

const CONTROL: u64 = 0x00;
const PUSH: u64 = 0x01;
const QPACK_ENCODER: u64 = 0x02;
const QPACK_DECODER: u64 = 0x03;
const WEBTRANSPORT: u64 = 0x54;

/// The most streams at once whose type has not arrived in full. Each holds at most eight bytes.
pub(crate) const MAX_NAMELESS: usize = 16;

/// The first bytes of our own control stream: its type, our SETTINGS, and a frame without meaning.
pub(crate) fn control_preface() -> Vec<u8> {
    let mut out = vec![CONTROL as u8];
    out.extend(super::settings::settings_frame());
    frame::put_frame(&mut out, types::GREASE, b"");
    out
}

/// What the peer sent on the control stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Settings(PeerSettings),
    Goaway,
}

/// What happens to a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Yes,
    /// Send STOP_SENDING with this code and forget the stream.
    Refuse(u64),
}

#[derive(Debug)]
enum Nameless {
    Type(VarIntReader),
    Session(VarIntReader),
}

/// All unidirectional streams of the peer.
#[derive(Debug)]
pub(crate) struct UniStreams {
    role: Role,
    nameless: Vec<(u64, Nameless)>,
    control: Option<(u64, FrameReader)>,
    encoder: Option<u64>,
    decoder: Option<(u64, DecoderStream)>,
    goaway: Option<u64>,
    max_push_id: Option<u64>,
}

impl UniStreams {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            nameless: Vec::new(),
            control: None,
            encoder: None,
            decoder: None,
            goaway: None,
            max_push_id: None,
        }
    }

    /// Handles bytes of stream `id`. `heard` gets what the peer sent on the control stream.
    pub(crate) fn data(
        &mut self,
        id: u64,
        mut data: &[u8],
        fin: bool,
        heard: &mut impl FnMut(Control),
    ) -> Result<Keep, ConnectionError> {
        if !self.is_critical(id) {
            match self.name(id, &mut data, fin)? {
                Named::Critical => {}
                Named::NotYet => return Ok(Keep::Yes),
                Named::Refused(code) => return Ok(Keep::Refuse(code)),
            }
        }
        if self.control.as_ref().is_some_and(|control| control.0 == id) {
            self.control_data(data, heard)?;
        } else if self.encoder == Some(id) {
            encoder_data(data)?;
        } else if let Some((_, decoder)) = &mut self.decoder {
            decoder.data(data)?;
        }
        if fin { Err(closed_critical()) } else { Ok(Keep::Yes) }
    }

    /// Handles the peer's reset of stream `id`.
    pub(crate) fn reset(&mut self, id: u64) -> Result<(), ConnectionError> {
        // Before its type is known, a stream may end in any way (RFC 9114 section 6.2).
        self.nameless.retain(|stream| stream.0 != id);
        if self.is_critical(id) { Err(closed_critical()) } else { Ok(()) }
    }

    /// Bytes of the peer that are held.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn buffered_bytes(&self) -> usize {
        let nameless = self.nameless.iter().map(|(_, stream)| match stream {
            Nameless::Type(reader) | Nameless::Session(reader) => reader.buffered_bytes(),
        });
        nameless.sum::<usize>() + self.control.as_ref().map_or(0, |control| control.1.buffered_bytes())
    }

    fn is_critical(&self, id: u64) -> bool {
        self.control.as_ref().is_some_and(|control| control.0 == id)
            || self.encoder == Some(id)
            || self.decoder.as_ref().is_some_and(|decoder| decoder.0 == id)
    }

    /// Reads the type of a stream and, for a WebTransport stream, the session id.
    fn name(&mut self, id: u64, data: &mut &[u8], fin: bool) -> Result<Named, ConnectionError> {
        let position = self.nameless.iter().position(|stream| stream.0 == id);
        let mut stream = match position {
            Some(index) => self.nameless.swap_remove(index).1,
            None => Nameless::Type(VarIntReader::default()),
        };
        loop {
            let (Nameless::Type(reader) | Nameless::Session(reader)) = &mut stream;
            let Some(value) = reader.read(data) else {
                if !fin {
                    if self.nameless.len() >= MAX_NAMELESS {
                        return Err(ConnectionError::new(
                            H3_EXCESSIVE_LOAD,
                            "too many streams without a type",
                        ));
                    }
                    self.nameless.push((id, stream));
                }
                return Ok(Named::NotYet);
            };
            if matches!(stream, Nameless::Session(_)) {
                // draft-ietf-webtrans-http3 section 4.
                return if is_session_id(value) {
                    Ok(Named::Refused(WT_BUFFERED_STREAM_REJECTED))
                } else {
                    Err(ConnectionError::new(H3_ID_ERROR, "a stream of an impossible session"))
                };
            }
            match value {
                WEBTRANSPORT => stream = Nameless::Session(VarIntReader::default()),
                kind => return self.open(id, kind),
            }
        }
    }

    fn open(&mut self, id: u64, kind: u64) -> Result<Named, ConnectionError> {
        let second = || ConnectionError::new(H3_STREAM_CREATION_ERROR, "a second stream of a critical type");
        match (kind, self.role) {
            (CONTROL, _) if self.control.is_some() => return Err(second()),
            (CONTROL, _) => self.control = Some((id, FrameReader::new(Place::Control))),
            (QPACK_ENCODER, _) if self.encoder.is_some() => return Err(second()),
            (QPACK_ENCODER, _) => self.encoder = Some(id),
            (QPACK_DECODER, _) if self.decoder.is_some() => return Err(second()),
            (QPACK_DECODER, _) => self.decoder = Some((id, DecoderStream::default())),
            (PUSH, Role::Server) => {
                return Err(ConnectionError::new(H3_STREAM_CREATION_ERROR, "a client opened a push stream"));
            }
            // RFC 9114 section 4.6: no MAX_PUSH_ID of ours allows it.
            (PUSH, Role::Client) => {
                return Err(ConnectionError::new(H3_ID_ERROR, "a push that was not allowed"));
            }
            _ => return Ok(Named::Refused(H3_STREAM_CREATION_ERROR)),
        }
        Ok(Named::Critical)
    }

    fn control_data(
        &mut self,
        mut data: &[u8],
        heard: &mut impl FnMut(Control),
    ) -> Result<(), ConnectionError> {
        let Some((_, reader)) = &mut self.control else { return Ok(()) };
        let id_error = |reason| Err(ConnectionError::new(H3_ID_ERROR, reason));
        loop {
            match reader.read(&mut data) {
                Ok(None) => return Ok(()),
                Ok(Some(Frame::Settings(payload))) => {
                    heard(Control::Settings(PeerSettings::parse(&payload)?))
                }
                Ok(Some(Frame::Goaway(id))) => {
                    // RFC 9114 section 5.2: a server names one of our requests, a client names a
                    // push. Ids only go down.
                    if self.role == Role::Client && !is_session_id(id) {
                        return id_error("GOAWAY names a stream that is no request");
                    }
                    if self.goaway.is_some_and(|before| id > before) {
                        return id_error("GOAWAY goes up");
                    }
                    self.goaway = Some(id);
                    heard(Control::Goaway);
                }
                Ok(Some(Frame::MaxPushId(id))) => {
                    if self.role == Role::Client {
                        let reason = "MAX_PUSH_ID from a server";
                        return Err(ConnectionError::new(super::error::H3_FRAME_UNEXPECTED, reason));
                    }
                    if self.max_push_id.is_some_and(|before| id < before) {
                        return id_error("MAX_PUSH_ID goes down");
                    }
                    self.max_push_id = Some(id);
                }
                // The reader admits nothing else on a control stream.
                Ok(Some(Frame::Data(_) | Frame::Headers(_))) | Err(Fault::Stream(_)) => {
                    return Err(ConnectionError::new(H3_FRAME_ERROR, "a control frame that cannot be"));
                }
                Err(Fault::Connection(error)) => return Err(error),
                Ok(Some(super::frame::Frame::Capsule(_))) => {}
            }
        }
    }
}

enum Named {
    Critical,
    NotYet,
    Refused(u64),
}

fn closed_critical() -> ConnectionError {
    ConnectionError::new(H3_CLOSED_CRITICAL_STREAM, "a critical stream was closed")
}

/// RFC 9204 section 4.3: our table capacity is 0, so only "Set Dynamic Table Capacity" to 0 is
/// possible.
fn encoder_data(data: &[u8]) -> Result<(), ConnectionError> {
    if data.iter().all(|byte| *byte == 0x20) {
        return Ok(());
    }
    Err(ConnectionError::new(QPACK_ENCODER_STREAM_ERROR, "an instruction for a table of capacity 0"))
}

/// RFC 9204 section 4.4: we never use the dynamic table, so only Stream Cancellation is possible.
#[derive(Debug, Default)]
struct DecoderStream {
    /// Bytes so far of a stream id that has several bytes; 0 between instructions.
    continued: u8,
}

impl DecoderStream {
    fn data(&mut self, data: &[u8]) -> Result<(), ConnectionError> {
        for byte in data {
            self.continued = match (self.continued, byte) {
                (0, 0x7f) => 1,
                (0, 0x40..=0x7e) => 0,
                (1..=9, 0x00..=0x7f) => 0,
                (so_far @ 1..=8, _) => so_far + 1,
                _ => {
                    let reason = "an acknowledgement of a table that is not in use";
                    return Err(ConnectionError::new(QPACK_DECODER_STREAM_ERROR, reason));
                }
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::{H3_FRAME_UNEXPECTED, H3_MISSING_SETTINGS, H3_SETTINGS_ERROR};
    use super::*;

    struct Peer {
        streams: UniStreams,
        heard: Vec<Control>,
    }

    impl Peer {
        fn of(role: Role) -> Self {
            Self { streams: UniStreams::new(role), heard: Vec::new() }
        }

        fn sends(&mut self, id: u64, data: &[u8]) -> Result<Keep, u64> {
            self.ends(id, data, false)
        }

        fn ends(&mut self, id: u64, data: &[u8], fin: bool) -> Result<Keep, u64> {
            let heard = &mut self.heard;
            self.streams.data(id, data, fin, &mut |control| heard.push(control)).map_err(|error| error.code)
        }
    }

    const SERVER: Role = Role::Server;
    const CLIENT: Role = Role::Client;

    #[test]
    fn our_own_preface_is_understood_in_pieces_of_one_byte() {
        let mut peer = Peer::of(SERVER);
        for byte in control_preface() {
            assert_eq!(peer.sends(2, &[byte]), Ok(Keep::Yes));
        }
        assert!(matches!(peer.heard[..], [Control::Settings(_)]));
        assert_eq!(peer.streams.buffered_bytes(), 0);
    }

    #[test]
    fn a_second_critical_stream_is_a_stream_creation_error() {
        for kind in [0, 2, 3] {
            let mut peer = Peer::of(SERVER);
            assert_eq!(peer.sends(2, &[kind]), Ok(Keep::Yes));
            assert_eq!(peer.sends(6, &[kind]), Err(H3_STREAM_CREATION_ERROR));
        }
    }

    #[test]
    fn a_critical_stream_must_not_end() {
        for kind in [0, 2, 3] {
            assert_eq!(Peer::of(SERVER).ends(2, &[kind], true), Err(H3_CLOSED_CRITICAL_STREAM));
            let mut peer = Peer::of(SERVER);
            peer.sends(2, &[kind]).unwrap();
            assert_eq!(peer.streams.reset(2).unwrap_err().code, H3_CLOSED_CRITICAL_STREAM);
            assert_eq!(peer.ends(2, &[], true), Err(H3_CLOSED_CRITICAL_STREAM));
        }
    }

    #[test]
    fn the_first_control_frame_must_be_settings_and_only_it() {
        assert_eq!(Peer::of(SERVER).sends(2, &[0, 0x21, 0]), Err(H3_MISSING_SETTINGS));
        assert_eq!(Peer::of(SERVER).sends(2, &[0, 4, 0, 4, 0]), Err(H3_FRAME_UNEXPECTED));
        assert_eq!(Peer::of(SERVER).sends(2, &[0, 4, 0, 1, 0]), Err(H3_FRAME_UNEXPECTED));
        assert_eq!(Peer::of(SERVER).sends(2, &[0, 4, 0, 0, 0]), Err(H3_FRAME_UNEXPECTED));
        assert_eq!(Peer::of(SERVER).sends(2, &[0, 4, 2, 0x33, 2]), Err(H3_SETTINGS_ERROR));
    }

    #[test]
    fn goaway_names_a_request_and_only_goes_down() {
        let mut peer = Peer::of(CLIENT);
        peer.sends(3, &[0, 4, 0, 7, 1, 8, 7, 1, 8, 7, 1, 0]).unwrap();
        assert_eq!(peer.heard[1..], [Control::Goaway, Control::Goaway, Control::Goaway]);
        assert_eq!(peer.sends(3, &[7, 1, 4]), Err(H3_ID_ERROR));
        assert_eq!(Peer::of(CLIENT).sends(3, &[0, 4, 0, 7, 1, 3]), Err(H3_ID_ERROR));
        assert_eq!(Peer::of(SERVER).sends(2, &[0, 4, 0, 7, 1, 3]), Ok(Keep::Yes));
    }

    #[test]
    fn max_push_id_is_for_servers_and_only_goes_up() {
        assert_eq!(Peer::of(SERVER).sends(2, &[0, 4, 0, 13, 1, 3, 13, 1, 4]), Ok(Keep::Yes));
        assert_eq!(Peer::of(SERVER).sends(2, &[0, 4, 0, 13, 1, 3, 13, 1, 2]), Err(H3_ID_ERROR));
        assert_eq!(Peer::of(CLIENT).sends(3, &[0, 4, 0, 13, 1, 3]), Err(H3_FRAME_UNEXPECTED));
    }

    #[test]
    fn push_streams_are_errors() {
        assert_eq!(Peer::of(SERVER).sends(2, &[1]), Err(H3_STREAM_CREATION_ERROR));
        assert_eq!(Peer::of(CLIENT).sends(3, &[1]), Err(H3_ID_ERROR));
    }

    #[test]
    fn unknown_stream_types_are_refused_and_do_no_harm() {
        let mut peer = Peer::of(SERVER);
        assert_eq!(peer.sends(2, &[0x21]), Ok(Keep::Refuse(H3_STREAM_CREATION_ERROR)));
        assert_eq!(peer.sends(6, &[0x40]), Ok(Keep::Yes));
        assert_eq!(peer.sends(6, &[0x55]), Ok(Keep::Refuse(H3_STREAM_CREATION_ERROR)));
        assert_eq!(peer.streams.buffered_bytes(), 0);
    }

    #[test]
    fn webtransport_streams_are_refused_once_their_session_is_known() {
        let mut peer = Peer::of(SERVER);
        assert_eq!(peer.sends(2, &[0x40, 0x54]), Ok(Keep::Yes));
        assert_eq!(peer.sends(2, &[0x04]), Ok(Keep::Refuse(WT_BUFFERED_STREAM_REJECTED)));
        assert_eq!(peer.sends(6, &[0x40, 0x54, 0x01]), Err(H3_ID_ERROR));
    }

    #[test]
    fn a_stream_may_end_before_its_type_is_known() {
        let mut peer = Peer::of(SERVER);
        assert_eq!(peer.ends(2, &[], true), Ok(Keep::Yes));
        assert_eq!(peer.ends(6, &[0x40], true), Ok(Keep::Yes));
        peer.sends(10, &[0x40]).unwrap();
        peer.streams.reset(10).unwrap();
        assert_eq!(peer.streams.buffered_bytes(), 0);
    }

    #[test]
    fn streams_without_a_type_are_limited() {
        let mut peer = Peer::of(SERVER);
        for index in 0..MAX_NAMELESS as u64 {
            peer.sends(2 + 4 * index, &[0xc0]).unwrap();
        }
        assert_eq!(peer.sends(402, &[0xc0]), Err(H3_EXCESSIVE_LOAD));
        assert_eq!(peer.sends(2, &[0]), Ok(Keep::Yes));
    }

    #[test]
    fn the_encoder_stream_may_only_set_a_capacity_of_zero() {
        assert_eq!(Peer::of(SERVER).sends(2, &[2, 0x20, 0x20]), Ok(Keep::Yes));
        for instruction in [0x21, 0x3f, 0x80, 0xc0, 0x40, 0x00] {
            assert_eq!(Peer::of(SERVER).sends(2, &[2, instruction]), Err(QPACK_ENCODER_STREAM_ERROR));
        }
    }

    #[test]
    fn the_decoder_stream_may_only_cancel_streams() {
        let good = [3, 0x40, 0x7e, 0x7f, 0x00, 0x7f, 0xff, 0xff, 0x7f, 0x44];
        assert_eq!(Peer::of(SERVER).sends(2, &good), Ok(Keep::Yes));
        for instruction in [0x80, 0xff, 0x00, 0x3f] {
            assert_eq!(Peer::of(SERVER).sends(2, &[3, instruction]), Err(QPACK_DECODER_STREAM_ERROR));
        }
        let mut endless = vec![3, 0x7f];
        endless.extend([0x80; 9]);
        assert_eq!(Peer::of(SERVER).sends(2, &endless), Err(QPACK_DECODER_STREAM_ERROR));
    }
}
