//! The bytes of a frame: `u8 n | n bytes type | payload`.
//!
//! | type | payload | from |
//! |---|---|---|
//! | `DATA` | sequence `u32`, message | the reference |
//! | `ACK` | the sequence in ASCII decimal | the reference |
//! | `WTGRAM` | version `u8` = 1, generation `u32`, epoch `u64`, peer's `u64` (0: unknown) | here |
//! | `D` | transmission `u4`, tag `u20`, sequence `u32`, message | here, once negotiated |
//! | `R` | flags `u4`, tag `u20`, ranges ([`super::ack`]) | here, once negotiated |
//!
//! All numbers are big-endian. `D` costs the same 9 bytes as `DATA`, so that the largest message
//! does not depend on the peer. The tag binds a frame to one opening of each end's layer
//! ([`super::negotiation`]); a frame with another tag belongs to another opening. A later version
//! may append to `WTGRAM`; this one ignores what is appended.

use bytes::{BufMut, Bytes, BytesMut};

use super::ack::RangeAck;

/// Bytes that a DATA frame, of either kind, adds to its message.
pub const DATA_OVERHEAD_BYTES: usize = 9;
/// The highest transmission number that a bound DATA frame can carry; later ones carry this.
pub const MAX_TRANSMISSION: u8 = 15;
/// The largest plain ACK frame: its type and ten digits.
pub const MAX_PLAIN_ACK_BYTES: usize = 4 + 10;
/// The size of a HELLO frame.
pub const HELLO_BYTES: usize = 7 + 21;

const VERSION: u8 = 1;

/// The 20 bits that bind a frame to one opening of the layer at each end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub u32);

impl Tag {
    const MASK: u32 = 0x000f_ffff;

    /// The tag of frames from the layer with epoch `from` to the layer with epoch `to`: the low
    /// bits of `mix(mix(from) + to)`, where `mix` is the finalizer of SplitMix64.
    pub fn new(from: u64, to: u64) -> Self {
        Self(mix(mix(from).wrapping_add(to)) as u32 & Self::MASK)
    }
}

const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Announces what this end understands, and which opening of its layer this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// Counts the openings of the layer at this end of the session; a higher one is newer.
    pub generation: u32,
    /// A random number for this opening, never 0.
    pub epoch: u64,
    /// The peer's epoch as this end knows it, 0 if it does not.
    pub peer_epoch: u64,
}

/// A parsed frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message in the reference's form.
    Data {
        /// Its sequence.
        sequence: u32,
        /// The message.
        payload: Bytes,
    },
    /// An acknowledgement in the reference's form.
    Ack {
        /// The sequence acknowledged.
        sequence: u32,
    },
    /// Negotiation.
    Hello(Hello),
    /// A message bound to an epoch.
    BoundData {
        /// What it is bound to.
        tag: Tag,
        /// 0 for the first transmission of the message, then 1, 2, …, [`MAX_TRANSMISSION`].
        transmission: u8,
        /// Its sequence.
        sequence: u32,
        /// The message.
        payload: Bytes,
    },
    /// Acknowledgement of ranges; [`RangeAck::decode`] reads it once the tag is known to be right.
    BoundAck {
        /// What it is bound to.
        tag: Tag,
        /// Four flags.
        flags: u8,
        /// The ranges.
        body: Bytes,
    },
}

/// Why a datagram is not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAFrame {
    /// It has no type, or one that is not this layer's.
    Unknown,
    /// Its type is this layer's, but the rest does not fit that type.
    Malformed,
}

impl Frame {
    /// Parses a datagram without copying the message.
    pub fn parse(datagram: &Bytes) -> Result<Self, NotAFrame> {
        let (&length, rest) = datagram.split_first().ok_or(NotAFrame::Unknown)?;
        let name = rest.get(..usize::from(length)).ok_or(NotAFrame::Unknown)?;
        let body = datagram.slice(1 + name.len()..);
        match name {
            b"DATA" => {
                let sequence = u32_at(&body, 0).ok_or(NotAFrame::Malformed)?;
                Ok(Self::Data { sequence, payload: body.slice(4..) })
            }
            b"ACK" => decimal(&body).map(|sequence| Self::Ack { sequence }).ok_or(NotAFrame::Malformed),
            b"D" => {
                let (transmission, tag) = nibble_and_tag(&body).ok_or(NotAFrame::Malformed)?;
                let sequence = u32_at(&body, 3).ok_or(NotAFrame::Malformed)?;
                Ok(Self::BoundData { tag, transmission, sequence, payload: body.slice(7..) })
            }
            b"R" => {
                let (flags, tag) = nibble_and_tag(&body).ok_or(NotAFrame::Malformed)?;
                Ok(Self::BoundAck { tag, flags, body: body.slice(3..) })
            }
            b"WTGRAM" => hello(&body).map(Self::Hello).ok_or(NotAFrame::Malformed),
            _ => Err(NotAFrame::Unknown),
        }
    }
}

/// A plain DATA frame.
pub fn data(sequence: u32, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(DATA_OVERHEAD_BYTES + payload.len());
    out.put_slice(b"\x04DATA");
    out.put_u32(sequence);
    out.put_slice(payload);
    out.freeze()
}

/// A plain ACK frame.
pub fn ack(sequence: u32) -> Bytes {
    let mut out = BytesMut::with_capacity(MAX_PLAIN_ACK_BYTES);
    out.put_slice(b"\x03ACK");
    out.put_slice(sequence.to_string().as_bytes());
    out.freeze()
}

/// A HELLO frame.
pub fn hello_frame(hello: Hello) -> Bytes {
    let mut out = BytesMut::with_capacity(HELLO_BYTES);
    out.put_slice(b"\x06WTGRAM");
    out.put_u8(VERSION);
    out.put_u32(hello.generation);
    out.put_u64(hello.epoch);
    out.put_u64(hello.peer_epoch);
    out.freeze()
}

/// A DATA frame bound to an epoch.
pub fn bound_data(tag: Tag, transmission: u8, sequence: u32, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(DATA_OVERHEAD_BYTES + payload.len());
    out.put_slice(b"\x01D");
    out.put_uint(nibble_with_tag(transmission.min(MAX_TRANSMISSION), tag), 3);
    out.put_u32(sequence);
    out.put_slice(payload);
    out.freeze()
}

/// A range ACK frame of at most `max_bytes`, with as many ranges as fit.
pub fn bound_ack(tag: Tag, ack: &RangeAck, max_bytes: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    out.put_slice(b"\x01R");
    out.put_uint(nibble_with_tag(ack.flags(), tag), 3);
    ack.encode(&mut out, max_bytes);
    out.freeze()
}

fn nibble_with_tag(nibble: u8, tag: Tag) -> u64 {
    (u64::from(nibble & 0x0f) << 20) | u64::from(tag.0 & Tag::MASK)
}

fn nibble_and_tag(body: &[u8]) -> Option<(u8, Tag)> {
    let &[a, b, c] = body.first_chunk::<3>()?;
    Some((a >> 4, Tag(u32::from_be_bytes([0, a, b, c]) & Tag::MASK)))
}

fn u32_at(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Reads only ASCII digits, at most ten, and at most `u32::MAX`. (The reference's `int()` also
/// takes signs, spaces, underscores and digits of other scripts, any number of them.)
fn decimal(body: &[u8]) -> Option<u32> {
    if body.is_empty() || body.len() > 10 {
        return None;
    }
    let mut value = 0u64;
    for &byte in body {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
    }
    u32::try_from(value).ok()
}

fn hello(body: &[u8]) -> Option<Hello> {
    let (&version, rest) = body.split_first()?;
    let (generation, rest) = rest.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (peer_epoch, _) = rest.split_first_chunk()?;
    let hello = Hello {
        generation: u32::from_be_bytes(*generation),
        epoch: u64::from_be_bytes(*epoch),
        peer_epoch: u64::from_be_bytes(*peer_epoch),
    };
    (version >= VERSION && hello.epoch != 0).then_some(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: &str = include_str!("../../tests/vectors/reliability/pywebtransport-0.9.1.json");

    /// From the formula, computed independently.
    const TAGS: [u32; 5] = [0x4aeeb, 0x5cc6e, 0xade49, 0xdafe8, 0x7cabf];

    fn parse(bytes: &[u8]) -> Result<Frame, NotAFrame> {
        Frame::parse(&Bytes::copy_from_slice(bytes))
    }

    fn unhex(value: &serde_json::Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn data_and_ack_frames_are_the_reference_s_byte_for_byte() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let mut seen = 0;
        for vector in vectors["data"].as_array().unwrap() {
            let sequence = u32::try_from(vector["sequence"].as_u64().unwrap()).unwrap();
            let (payload, frame) = (unhex(&vector["payload"]), unhex(&vector["frame"]));
            assert_eq!(data(sequence, &payload), frame);
            assert_eq!(parse(&frame), Ok(Frame::Data { sequence, payload: payload.into() }));
            seen += 1;
        }
        for vector in vectors["acks"].as_array().unwrap() {
            let sequence = u32::try_from(vector["sequence"].as_u64().unwrap()).unwrap();
            let frame = unhex(&vector["frame"]);
            assert_eq!(ack(sequence), frame);
            assert_eq!(parse(&frame), Ok(Frame::Ack { sequence }));
            seen += 1;
        }
        assert_eq!(seen, 84);
    }

    #[test]
    fn the_frames_of_this_library_are_among_those_the_reference_was_seen_to_ignore() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let ignored: Vec<Vec<u8>> =
            vectors["ignored"].as_array().unwrap().iter().map(|v| unhex(&v["frame"])).collect();
        let hello = Hello { generation: 0, epoch: 0x1122_3344_5566_7788, peer_epoch: 0 };
        let tag = Tag(0xabcde);
        assert_eq!(ignored[0], hello_frame(hello));
        assert_eq!(ignored[1], bound_data(tag, 0, 7, b"payload"));
        assert_eq!(parse(&ignored[0]), Ok(Frame::Hello(hello)));
        assert!(matches!(parse(&ignored[2]), Ok(Frame::BoundAck { tag: Tag(0xabcde), flags: 0, .. })));
        assert_eq!(parse(&ignored[3]), Err(NotAFrame::Unknown));
        assert_eq!(parse(&ignored[4]), Err(NotAFrame::Unknown));
        assert_eq!(parse(&ignored[5]), Err(NotAFrame::Malformed));
    }

    #[test]
    fn an_ack_is_ascii_digits_that_fit_and_nothing_else() {
        let with = |text: &[u8]| parse(&[b"\x03ACK", text].concat());
        for (text, sequence) in [("0", 0), ("7", 7), ("0000000007", 7), ("4294967295", u32::MAX)] {
            assert_eq!(with(text.as_bytes()), Ok(Frame::Ack { sequence }));
        }
        let long = "1".repeat(4300);
        let bad = [
            "",
            "+7",
            "-7",
            " 7 ",
            " 7",
            "7 ",
            "7\n",
            "1_0",
            "0x7",
            "7.0",
            "4294967296",
            "9999999999",
            "00000000007",
            "٧",
            "７",
            "7\0",
            long.as_str(),
        ];
        for text in bad {
            assert_eq!(with(text.as_bytes()), Err(NotAFrame::Malformed), "{text:?}");
        }
        assert_eq!(with(b"\xff\xfe"), Err(NotAFrame::Malformed));
    }

    #[test]
    fn a_type_longer_than_the_datagram_is_not_a_frame() {
        for bytes in [&b""[..], b"\x00", b"\x01", b"\x05DATA", b"\xffDATA", b"\x04DAT", b"\x04data\0\0\0\0"] {
            assert_eq!(parse(bytes), Err(NotAFrame::Unknown), "{bytes:?}");
        }
    }

    #[test]
    fn every_truncation_of_a_frame_is_refused_or_is_a_shorter_message() {
        let frames = [
            data(7, b""),
            bound_data(Tag(1), 3, 7, b""),
            hello_frame(Hello { generation: 1, epoch: 2, peer_epoch: 3 }),
        ];
        for frame in frames {
            assert!(Frame::parse(&frame).is_ok());
            for end in 0..frame.len() {
                assert!(Frame::parse(&frame.slice(..end)).is_err(), "{frame:?} to {end}");
            }
        }
    }

    #[test]
    fn nonsense_in_a_hello_is_refused_and_an_extension_is_not() {
        let good = hello_frame(Hello { generation: 1, epoch: 2, peer_epoch: 0 });
        assert_eq!(good.len(), HELLO_BYTES);
        let mut version_zero = good.to_vec();
        version_zero[7] = 0;
        assert_eq!(parse(&version_zero), Err(NotAFrame::Malformed));
        let no_epoch = hello_frame(Hello { generation: 1, epoch: 0, peer_epoch: 9 });
        assert_eq!(parse(&no_epoch), Err(NotAFrame::Malformed));
        let mut longer = good.to_vec();
        longer.extend_from_slice(b"from the future");
        assert_eq!(parse(&longer), parse(&good));
    }

    #[test]
    fn tags_differ_by_direction_and_by_opening() {
        let tags = [(1, 2), (2, 1), (1, 3), (3, 1), (u64::MAX, 1)].map(|(from, to)| Tag::new(from, to).0);
        assert_eq!(tags, TAGS);
        for (i, tag) in tags.iter().enumerate() {
            assert!(!tags[..i].contains(tag));
        }
    }

    #[test]
    fn a_bound_frame_carries_tag_and_transmission_in_as_many_bytes_as_a_plain_one() {
        let frame = bound_data(Tag(0xf_ffff), 200, 0xdead_beef, b"m");
        assert_eq!(frame.len(), data(0, b"m").len());
        let expected = Frame::BoundData {
            tag: Tag(0xf_ffff),
            transmission: MAX_TRANSMISSION,
            sequence: 0xdead_beef,
            payload: Bytes::from_static(b"m"),
        };
        assert_eq!(Frame::parse(&frame), Ok(expected));
    }
}
