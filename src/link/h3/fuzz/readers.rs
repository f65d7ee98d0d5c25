//! Readers of bytes without a state of their own, or with little: frames, SETTINGS, capsules,
//! datagram prefixes.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{WHOLE, pieces, plain_varint};
use crate::fuzz::Input;
use crate::link::h3::capsule::{Capsule, CapsuleReader};
use crate::link::h3::datagram::is_session_id;
use crate::link::h3::error::{Fault, H3_FRAME_ERROR, H3_SETTINGS_ERROR};
use crate::link::h3::frame::{Frame, FrameReader, MAX_HEADERS_BYTES, Place, put_frame};
use crate::link::h3::types::{
    DATA, GOAWAY, HEADERS, MAX_CAPSULE_BYTES, MAX_PUSH_ID, MAX_REASON_BYTES, SETTINGS,
};
use crate::link::h3::wire::put_varint;
use crate::link::h3::{DatagramVerdict, PeerSettings, QuarterStreamId, Role, close_bytes, drain_bytes};

/// Any bytes of a stream: the same frames come out however the bytes are cut, and they are the same
/// frames after they are written again.
pub fn h3_frame(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (place, size) = (input.byte(), usize::from(input.byte()) + 1);
    let tunnel = place & 4 != 0;
    let place = [Place::Control, Place::Request, Place::Response, Place::Tunnel][usize::from(place & 3)];
    let stream = input.rest();
    let (frames, end) = read_frames(place, tunnel, stream, WHOLE);
    for size in [1, size] {
        assert_eq!(
            read_frames(place, tunnel, stream, size),
            (frames.clone(), end.clone()),
            "pieces of {size}"
        );
    }
    let mut again = Vec::new();
    for (kind, payload) in &frames {
        put_frame(&mut again, *kind, payload);
    }
    assert_eq!(read_frames(place, tunnel, &again, WHOLE), (frames, Ok(true)));
}

/// Type and payload of each frame, with neighboring DATA as one, and how the stream ends: with a
/// fault, or at the end of a frame or not.
type Frames = (Vec<(u64, Vec<u8>)>, Result<bool, Fault>);

fn read_frames(place: Place, tunnel: bool, bytes: &[u8], size: usize) -> Frames {
    let mut reader = FrameReader::new(place);
    let mut frames: Vec<(u64, Vec<u8>)> = Vec::new();
    for (mut piece, _) in pieces(bytes, size, false) {
        loop {
            let (kind, payload) = match reader.read(&mut piece) {
                Err(fault) => return (frames, Err(fault)),
                Ok(None) => break,
                Ok(Some(Frame::Data(payload))) => match frames.last_mut() {
                    Some((DATA, before)) => {
                        before.extend_from_slice(payload);
                        continue;
                    }
                    _ => (DATA, payload.to_vec()),
                },
                Ok(Some(Frame::Headers(block))) => {
                    if tunnel {
                        reader.enter_tunnel();
                    }
                    (HEADERS, block)
                }
                Ok(Some(Frame::Settings(payload))) => (SETTINGS, payload),
                Ok(Some(Frame::Goaway(id))) => (GOAWAY, encoded(id)),
                Ok(Some(Frame::MaxPushId(id))) => (MAX_PUSH_ID, encoded(id)),
                Ok(Some(Frame::Capsule(capsule))) => frame_parts(&capsule),
            };
            frames.push((kind, payload));
        }
        assert!(piece.is_empty(), "all that is not used is awaited");
        assert!(reader.buffered_bytes() <= MAX_HEADERS_BYTES);
        assert!(!reader.at_boundary() || reader.buffered_bytes() == 0);
    }
    (frames, Ok(reader.at_boundary()))
}

fn encoded(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, value);
    out
}

/// Type and payload of something in the form of a frame, which a capsule has, too.
fn frame_parts(mut bytes: &[u8]) -> (u64, Vec<u8>) {
    let kind = plain_varint(&mut bytes).expect("a type");
    let length = plain_varint(&mut bytes).expect("a length");
    assert_eq!(length, bytes.len() as u64);
    (kind, bytes.to_vec())
}

/// Any SETTINGS payload: it means what a plain reading of it means, or is refused with it.
pub fn h3_settings(payload: &[u8]) {
    let settings = PeerSettings::parse(payload);
    let plain = plain_settings(payload);
    if let Err(error) = &settings {
        assert!(matches!(error.code, H3_FRAME_ERROR | H3_SETTINGS_ERROR));
    }
    assert_eq!(settings.ok(), plain);
    let Some(settings) = plain else { return };
    assert_eq!(settings.problem(Role::Server).is_none(), settings.datagrams);
    if settings.problem(Role::Client).is_none() {
        assert!(settings.datagrams && settings.protocol().is_some());
    }
}

/// RFC 9114 section 7.2.4 with the identifiers of WebTransport's drafts.
fn plain_settings(mut payload: &[u8]) -> Option<PeerSettings> {
    let mut all = BTreeMap::new();
    while !payload.is_empty() {
        let (id, value) = (plain_varint(&mut payload)?, plain_varint(&mut payload)?);
        if all.insert(id, value).is_some() {
            return None;
        }
    }
    if [0, 2, 3, 4, 5].iter().any(|id| all.contains_key(id)) {
        return None;
    }
    let boolean = |id: u64| match all.get(&id) {
        None | Some(0) => Some(false),
        Some(1) => Some(true),
        Some(_) => None,
    };
    let number = |id: u64| all.get(&id).copied();
    Some(PeerSettings {
        connect_protocol: boolean(0x08)?,
        datagrams: boolean(0x33)? | boolean(0x00ff_d277)?,
        webtransport_draft02: boolean(0x2b60_3742)?,
        max_sessions_draft07: number(0xc671_706a).unwrap_or(0),
        max_sessions_draft13: number(0x14e9_cd29).unwrap_or(0),
        wt_enabled: boolean(0x2c7c_f000)?,
        max_field_section_bytes: number(0x06),
    })
}

/// Any capsules: the same ones come out however the bytes are cut, and they are the same after they
/// are written again.
pub fn h3_capsule(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let size = usize::from(input.byte()) + 1;
    let stream = input.rest();
    let (capsules, end) = read_capsules(stream, WHOLE);
    for size in [1, size] {
        assert_eq!(read_capsules(stream, size), (capsules.clone(), end), "pieces of {size}");
    }
    let mut again = Vec::new();
    for capsule in &capsules {
        let frame = match capsule {
            Capsule::Close { code, reason } => {
                assert!(reason.len() <= MAX_REASON_BYTES);
                close_bytes(*code, reason)
            }
            Capsule::Drain => drain_bytes(),
        };
        let (DATA, payload) = frame_parts(&frame) else { panic!("capsules travel in DATA") };
        again.extend(payload);
    }
    assert_eq!(read_capsules(&again, WHOLE), (capsules, Ok(true)));
}

fn read_capsules(bytes: &[u8], size: usize) -> (Vec<Capsule>, Result<bool, &'static str>) {
    let mut reader = CapsuleReader::new();
    let mut capsules = Vec::new();
    for (mut piece, _) in pieces(bytes, size, false) {
        loop {
            match reader.read(&mut piece) {
                Err(reason) => return (capsules, Err(reason)),
                Ok(None) => break,
                Ok(Some(capsule)) => capsules.push(capsule),
            }
        }
        assert!(piece.is_empty(), "all that is not used is awaited");
        assert!(reader.buffered_bytes() <= MAX_CAPSULE_BYTES);
        assert!(!reader.at_boundary() || reader.buffered_bytes() == 0);
    }
    (capsules, Ok(reader.at_boundary()))
}

/// Any datagram, for any session: it is sorted as a plain reading of its prefix sorts it.
pub fn h3_datagram(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let stream_id = input.u64() >> (input.byte() & 63);
    let datagram = Bytes::copy_from_slice(input.rest());
    let Some(session) = QuarterStreamId::of(stream_id) else {
        assert!(!is_session_id(stream_id));
        return;
    };
    assert_eq!(session.session_id(), stream_id);
    let mut payload = &datagram[..];
    let plain = match plain_varint(&mut payload) {
        None => DatagramVerdict::Malformed,
        // RFC 9297 section 2.1.
        Some(quarter) if quarter > (1 << 60) - 1 => DatagramVerdict::Malformed,
        Some(quarter) if quarter * 4 == stream_id => DatagramVerdict::Ours(payload.to_vec().into()),
        Some(_) => DatagramVerdict::Foreign,
    };
    assert_eq!(session.strip(datagram.clone()), plain);
    let sent = [session.prefix(), &datagram[..]].concat();
    assert_eq!(session.strip(sent.into()), DatagramVerdict::Ours(datagram));
}
