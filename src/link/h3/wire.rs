//! QUIC variable-length integers (RFC 9000 section 16), whole or in pieces.

use wtransport::proto::bytes::{BytesReader, BytesWriter};
use wtransport::proto::varint::VarInt;

/// The largest value that a variable-length integer holds.
pub(crate) const VARINT_MAX: u64 = (1 << 62) - 1;

/// Appends `value`. A value that no integer on the wire can hold is clamped to the largest one.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    let value = VarInt::try_from_u64(value).unwrap_or(VarInt::MAX);
    // Writing to a vector cannot run out of space.
    let _ = out.put_varint(value);
}

/// Takes one integer off the front of `input`, or leaves `input` alone if the integer is not
/// complete.
pub(crate) fn take_varint(input: &mut &[u8]) -> Option<u64> {
    input.get_varint().map(VarInt::into_inner)
}

/// The integer that makes up all of `input`.
pub(crate) fn whole_varint(mut input: &[u8]) -> Option<u64> {
    let value = take_varint(&mut input)?;
    input.is_empty().then_some(value)
}

/// Collects one integer from input that is split anywhere. Keeps at most eight bytes.
#[derive(Debug, Default, Clone)]
pub(crate) struct VarIntReader {
    bytes: [u8; 8],
    len: u8,
}

impl VarIntReader {
    /// Takes what it needs from `input`. After it has returned a value, it is ready for the next
    /// integer.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Option<u64> {
        while let Some((first, rest)) = input.split_first() {
            self.bytes[usize::from(self.len)] = *first;
            self.len += 1;
            *input = rest;
            if usize::from(self.len) == VarInt::parse_size(self.bytes[0]) {
                let value = whole_varint(&self.bytes[..usize::from(self.len)]);
                self.len = 0;
                return value;
            }
        }
        None
    }

    /// Bytes of an unfinished integer.
    pub(crate) fn buffered_bytes(&self) -> usize {
        usize::from(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_split_at_every_byte_is_the_same_integer() {
        for value in [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, VARINT_MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut reader = VarIntReader::default();
            let (last, head) = bytes.split_last().unwrap();
            for byte in head {
                assert_eq!(reader.read(&mut &[*byte][..]), None);
            }
            assert_eq!(reader.buffered_bytes(), head.len());
            assert_eq!(reader.read(&mut &[*last][..]), Some(value));
            assert_eq!(reader.buffered_bytes(), 0);
        }
    }

    #[test]
    fn integers_longer_than_necessary_are_read_as_well() {
        let mut input = &[0x40, 0x08, 0xaa][..];
        assert_eq!(VarIntReader::default().read(&mut input), Some(8));
        assert_eq!(input, [0xaa]);
    }

    #[test]
    fn a_value_too_large_for_the_wire_is_clamped() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, u64::MAX);
        assert_eq!(whole_varint(&bytes), Some(VARINT_MAX));
    }
}
