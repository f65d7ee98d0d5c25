//! The session prefix of HTTP datagrams (RFC 9297 section 2.1): the quarter stream id.

use bytes::{Buf, Bytes};

use super::wire::{VARINT_MAX, put_varint, take_varint};

/// The largest quarter stream id. A larger one names no stream.
const MAX_QUARTER: u64 = VARINT_MAX / 4;

/// A session's datagram prefix, encoded once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarterStreamId {
    value: u64,
    bytes: [u8; 8],
    len: u8,
}

impl QuarterStreamId {
    /// The prefix of the session whose CONNECT stream is `stream_id`; `None` if no client can have
    /// opened that stream for a request.
    pub fn of(stream_id: u64) -> Option<Self> {
        if !is_session_id(stream_id) {
            return None;
        }
        let value = stream_id / 4;
        let mut encoded = Vec::with_capacity(8);
        put_varint(&mut encoded, value);
        let mut bytes = [0; 8];
        bytes[..encoded.len()].copy_from_slice(&encoded);
        Some(Self { value, bytes, len: encoded.len() as u8 })
    }

    /// The id of the session to which the datagrams belong.
    pub fn session_id(&self) -> u64 {
        self.value * 4
    }

    /// The bytes with which every datagram of this session starts.
    pub fn prefix(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Removes the prefix from a datagram that arrived, without copying.
    pub(crate) fn strip(&self, mut datagram: Bytes) -> DatagramVerdict {
        if datagram.starts_with(self.prefix()) {
            datagram.advance(usize::from(self.len));
            return DatagramVerdict::Ours(datagram);
        }
        // This is not the shortest form of our id, or not our id.
        let mut rest = &datagram[..];
        match take_varint(&mut rest) {
            None => DatagramVerdict::Malformed,
            Some(quarter) if quarter > MAX_QUARTER => DatagramVerdict::Malformed,
            Some(quarter) if quarter == self.value => {
                let prefix = datagram.len() - rest.len();
                datagram.advance(prefix);
                DatagramVerdict::Ours(datagram)
            }
            Some(_) => DatagramVerdict::Foreign,
        }
    }
}

/// What a datagram is, by its prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatagramVerdict {
    /// A datagram of this session; the payload.
    Ours(Bytes),
    /// A datagram of another stream, which is counted and dropped.
    Foreign,
    /// Not an HTTP datagram: the connection ends with `H3_DATAGRAM_ERROR`.
    Malformed,
}

/// Whether `id` is that of a client-initiated bidirectional stream (RFC 9000 section 2.1).
pub(crate) fn is_session_id(id: u64) -> bool {
    id.is_multiple_of(4) && id <= VARINT_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(stream_id: u64, datagram: &'static [u8]) -> DatagramVerdict {
        QuarterStreamId::of(stream_id).unwrap().strip(Bytes::from_static(datagram))
    }

    #[test]
    fn the_prefix_is_a_quarter_of_the_stream_id() {
        assert_eq!(QuarterStreamId::of(0).unwrap().prefix(), [0]);
        assert_eq!(QuarterStreamId::of(4 * 63).unwrap().prefix(), [63]);
        assert_eq!(QuarterStreamId::of(4 * 64).unwrap().prefix(), [0x40, 64]);
        assert_eq!(QuarterStreamId::of(VARINT_MAX - 3).unwrap().prefix().len(), 8);
    }

    #[test]
    fn only_a_client_initiated_bidirectional_stream_has_one() {
        for stream_id in [1, 2, 3, 5, VARINT_MAX, VARINT_MAX + 1] {
            assert_eq!(QuarterStreamId::of(stream_id), None);
        }
    }

    #[test]
    fn our_datagrams_lose_their_prefix_in_any_encoding() {
        let expected = DatagramVerdict::Ours(Bytes::from_static(b"hi"));
        assert_eq!(strip(4, &[1, b'h', b'i']), expected);
        assert_eq!(strip(4, &[0x40, 1, b'h', b'i']), expected);
        assert_eq!(strip(4, &[0xc0, 0, 0, 0, 0, 0, 0, 1, b'h', b'i']), expected);
        assert_eq!(strip(0, &[0]), DatagramVerdict::Ours(Bytes::new()));
    }

    #[test]
    fn other_streams_are_foreign() {
        assert_eq!(strip(0, &[1, 2, 3]), DatagramVerdict::Foreign);
        assert_eq!(strip(4 * 64, &[0x40, 65]), DatagramVerdict::Foreign);
        assert_eq!(strip(0, &[0xcf, 255, 255, 255, 255, 255, 255, 255]), DatagramVerdict::Foreign);
    }

    #[test]
    fn a_datagram_without_a_possible_stream_is_malformed() {
        assert_eq!(strip(0, &[]), DatagramVerdict::Malformed);
        assert_eq!(strip(0, &[0x40]), DatagramVerdict::Malformed);
        assert_eq!(strip(0, &[0xd0, 0, 0, 0, 0, 0, 0, 0]), DatagramVerdict::Malformed);
    }
}
