//! Capsules (RFC 9297 section 3.2) on the CONNECT stream, read from DATA payloads that are split
//! anywhere.
//!
//! Two of them have a meaning here, CLOSE and DRAIN of draft-ietf-webtrans-http3. The others are
//! skipped as they arrive, including DATAGRAM (type 0): datagrams travel in QUIC datagrams only, as
//! the draft says.

use super::frame::put_frame;
use super::types::*;
use super::wire::{VarIntReader, put_varint};

/// `WT_MAX_STREAM_DATA` and `WT_STREAM_DATA_BLOCKED` of WebTransport over HTTP/2: "a session error"
/// (section 5.4).
const PROHIBITED: [u64; 2] = [0x190b_4d3e, 0x190b_4d42];
/// A DATA frame with the capsule that closes the session. The CONNECT stream must be finished right
/// after it. `reason` is cut at a character boundary to the 1024 bytes that the capsule may hold.
pub(crate) fn close_bytes(code: u32, reason: &str) -> Vec<u8> {
    let reason = &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)];
    in_data_frame(WT_CLOSE_SESSION, &[&code.to_be_bytes()[..], reason.as_bytes()].concat())
}

/// A DATA frame with the capsule that asks the peer to end the session soon.
pub fn drain_bytes() -> Vec<u8> {
    in_data_frame(WT_DRAIN_SESSION, &[])
}

fn in_data_frame(kind: u64, value: &[u8]) -> Vec<u8> {
    let (mut capsule, mut out) = (Vec::new(), Vec::new());
    put_varint(&mut capsule, kind);
    put_varint(&mut capsule, value.len() as u64);
    capsule.extend_from_slice(value);
    put_frame(&mut out, DATA, &capsule);
    out
}

/// A capsule that has a meaning here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Capsule {
    Close { code: u32, reason: String },
    Drain,
}

#[derive(Debug)]
enum State {
    Type,
    Length { kind: u64 },
    Value { kind: u64, left: u64 },
}

/// Reads the capsules of one CONNECT stream.
#[derive(Debug)]
pub(crate) struct CapsuleReader {
    state: State,
    varint: VarIntReader,
    close: Vec<u8>,
}

impl CapsuleReader {
    pub(crate) fn new() -> Self {
        Self { state: State::Type, varint: VarIntReader::default(), close: Vec::new() }
    }

    /// Advances `input` to the end of the next capsule that has a meaning here. `None` means that
    /// more bytes are needed. An error says what makes the message malformed.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Capsule>, &'static str> {
        loop {
            match self.state {
                State::Type => {
                    let Some(kind) = self.varint.read(input) else { return Ok(None) };
                    if PROHIBITED.contains(&kind) {
                        return Err("a stream flow control capsule, which HTTP/3 does not have");
                    }
                    self.state = State::Length { kind };
                }
                State::Length { kind } => {
                    let Some(left) = self.varint.read(input) else { return Ok(None) };
                    match kind {
                        WT_CLOSE_SESSION if left < CODE_BYTES as u64 => {
                            return Err("a CLOSE capsule without its code");
                        }
                        WT_CLOSE_SESSION if left > MAX_CAPSULE_BYTES as u64 => {
                            return Err("a close reason of more than 1024 bytes");
                        }
                        WT_DRAIN_SESSION if left != 0 => return Err("a DRAIN capsule that is not empty"),
                        _ => {}
                    }
                    self.state = State::Value { kind, left };
                }
                State::Value { kind, left } => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let (piece, rest) = input.split_at(take);
                    *input = rest;
                    let left = left - take as u64;
                    if kind == WT_CLOSE_SESSION {
                        self.close.extend_from_slice(piece);
                    }
                    if left > 0 {
                        self.state = State::Value { kind, left };
                        return Ok(None);
                    }
                    self.state = State::Type;
                    match kind {
                        WT_CLOSE_SESSION => return close(std::mem::take(&mut self.close)).map(Some),
                        WT_DRAIN_SESSION => return Ok(Some(Capsule::Drain)),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Whether the stream may end here. A truncated capsule makes the message malformed (RFC 9297
    /// section 3.3).
    pub(crate) fn at_boundary(&self) -> bool {
        matches!(self.state, State::Type) && self.varint.buffered_bytes() == 0
    }

    /// Bytes of the peer that are held for an unfinished capsule.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.close.len() + self.varint.buffered_bytes()
    }
}

fn close(mut value: Vec<u8>) -> Result<Capsule, &'static str> {
    let reason = value.split_off(CODE_BYTES.min(value.len()));
    let code = value.try_into().map(u32::from_be_bytes).map_err(|_| "a CLOSE capsule without its code")?;
    let reason = String::from_utf8(reason).map_err(|_| "a close reason that is not UTF-8")?;
    Ok(Capsule::Close { code, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capsule(kind: u64, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, kind);
        put_varint(&mut out, value.len() as u64);
        out.extend_from_slice(value);
        out
    }

    fn read(mut input: &[u8]) -> Result<Option<Capsule>, &'static str> {
        CapsuleReader::new().read(&mut input)
    }

    #[test]
    fn what_is_written_is_what_the_draft_shows() {
        assert_eq!(close_bytes(7, "bye"), [0x00, 10, 0x68, 0x43, 7, 0, 0, 0, 7, b'b', b'y', b'e']);
        assert_eq!(drain_bytes(), [0x00, 5, 0x80, 0, 0x78, 0xae, 0]);
    }

    #[test]
    fn close_carries_code_and_reason_after_any_unknown_capsules() {
        let mut input = capsule(0x00, b"a datagram");
        input.extend(capsule(crate::link::h3::types::GREASE, &[0; 5000]));
        input.extend(capsule(WT_CLOSE_SESSION, b"\xde\xad\xbe\xefgone"));
        let expected = Capsule::Close { code: 0xdead_beef, reason: "gone".into() };
        assert_eq!(read(&input), Ok(Some(expected)));
        assert_eq!(read(&capsule(WT_DRAIN_SESSION, b"")), Ok(Some(Capsule::Drain)));
    }

    #[test]
    fn a_reason_is_cut_at_a_character_boundary() {
        let frame = close_bytes(0, &"ä".repeat(600));
        assert_eq!(frame.len(), 3 + 2 + 2 + 4 + 1024);
        let frame = close_bytes(0, &format!("x{}", "ä".repeat(600)));
        assert_eq!(frame.len(), 3 + 2 + 2 + 4 + 1023);
        let Ok(Some(Capsule::Close { reason, .. })) = read(&frame[3..]) else { panic!() };
        assert_eq!(reason.chars().count(), 512);
    }

    #[test]
    fn malformed_capsules_are_refused() {
        assert!(read(&capsule(WT_CLOSE_SESSION, &[0; 3])).is_err());
        assert!(read(&capsule(WT_CLOSE_SESSION, &[b'a'; 4 + 1025])).is_err());
        assert!(read(&capsule(WT_CLOSE_SESSION, b"\0\0\0\0\xff")).is_err());
        assert!(read(&capsule(WT_DRAIN_SESSION, b"x")).is_err());
        for kind in PROHIBITED {
            assert!(read(&capsule(kind, b"")).is_err());
        }
        assert!(read(&capsule(WT_CLOSE_SESSION, &[b'a'; 4 + 1024])).is_ok());
    }

    #[test]
    fn flow_control_capsules_are_ignored_as_it_is_off() {
        for kind in [0x190b_4d3d, 0x190b_4d3f, 0x190b_4d40, 0x190b_4d41, 0x190b_4d43, 0x190b_4d44] {
            assert_eq!(read(&capsule(kind, &[1])), Ok(None));
        }
    }

    #[test]
    fn an_unknown_capsule_of_any_length_is_never_buffered() {
        let mut reader = CapsuleReader::new();
        let mut head = capsule(crate::link::h3::types::GREASE, b"");
        head.pop();
        put_varint(&mut head, 1 << 61);
        assert_eq!(reader.read(&mut &head[..]), Ok(None));
        assert_eq!(reader.read(&mut &[0; 100_000][..]), Ok(None));
        assert_eq!(reader.buffered_bytes(), 0);
        assert!(!reader.at_boundary());
    }
}
