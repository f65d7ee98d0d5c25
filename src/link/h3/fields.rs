//! Field sections as lists that keep order and repetition: QPACK (RFC 9204) without the dynamic
//! table.
//!
//! wtransport's decoder returns a map, trusts integers, and walks its table for each line: 200 ns
//! for a byte on the wire. So lines are decoded here, and only Huffman codes elsewhere.

use httlib_huffman::DecoderSpeed;
use wtransport::proto::qpack::Encoder;

use super::frame::{self, MAX_HEADERS_BYTES};
use super::{static_table, types};

/// Names and values in the order of the wire.
pub(crate) type Fields = Vec<(String, String)>;

/// The largest field section that is taken, in the measure of RFC 9114 section 4.2.2, which adds 32
/// bytes per field.
pub(crate) const MAX_FIELD_SECTION_BYTES: usize = MAX_HEADERS_BYTES;
const FIELD_OVERHEAD_BYTES: usize = 32;
/// The most fields in a section: several times what a browser sends.
pub(crate) const MAX_FIELDS: usize = 128;

/// Why a block could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldsError {
    /// The encoding is broken, or needs the dynamic table, which we announced not to have.
    Decompression(&'static str),
    /// The section is larger than we announced, or has more than [`MAX_FIELDS`] fields.
    TooLarge,
    /// A name or value is not UTF-8.
    NotText,
}

/// A HEADERS frame with these fields.
pub(crate) fn headers_frame<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put_frame(&mut out, types::HEADERS, &Encoder::encode(fields));
    out
}

/// The size of a section in the measure of `SETTINGS_MAX_FIELD_SECTION_SIZE`.
pub(crate) fn section_bytes<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> usize {
    fields.into_iter().map(|(name, value)| name.len() + value.len() + FIELD_OVERHEAD_BYTES).sum()
}

/// Decodes a header block.
pub(crate) fn decode(block: &[u8]) -> Result<Fields, FieldsError> {
    let mut rest = block;
    // RFC 9204 section 4.5.1: without a dynamic table, the required insert count is 0, and a sign
    // bit that is set would put the base below zero.
    if integer(&mut rest, 8)? != 0 {
        return Err(FieldsError::Decompression("a reference to the dynamic table"));
    }
    let negative = rest.first().is_some_and(|byte| byte & 0x80 != 0);
    integer(&mut rest, 7)?;
    if negative {
        return Err(FieldsError::Decompression("the base is negative"));
    }
    let mut fields = Vec::new();
    let mut section_bytes = 0_usize;
    while !rest.is_empty() {
        if fields.len() == MAX_FIELDS {
            return Err(FieldsError::TooLarge);
        }
        let (name, value) = take_field(&mut rest)?;
        section_bytes = section_bytes.saturating_add(name.len() + value.len() + FIELD_OVERHEAD_BYTES);
        if section_bytes > MAX_FIELD_SECTION_BYTES {
            return Err(FieldsError::TooLarge);
        }
        fields.push((name, value));
    }
    Ok(fields)
}

/// Takes one field line, RFC 9204 sections 4.5.2 to 4.5.6.
fn take_field(rest: &mut &[u8]) -> Result<(String, String), FieldsError> {
    const DYNAMIC: FieldsError = FieldsError::Decompression("a reference to the dynamic table");
    let first = *rest.first().ok_or(TRUNCATED)?;
    match first {
        // Indexed; bit 6 says static.
        0x80.. => {
            if first & 0x40 == 0 {
                return Err(DYNAMIC);
            }
            let (name, value) = static_entry(integer(rest, 6)?)?;
            Ok((name.to_owned(), value.to_owned()))
        }
        // Literal with name reference; bit 4 says static.
        0x40..=0x7f => {
            if first & 0x10 == 0 {
                return Err(DYNAMIC);
            }
            let (name, _) = static_entry(integer(rest, 4)?)?;
            Ok((name.to_owned(), take_string(rest, 7)?))
        }
        // Literal with literal name.
        0x20..=0x3f => Ok((take_string(rest, 3)?, take_string(rest, 7)?)),
        // Indexed or literal with post-base index.
        0x00..=0x1f => Err(DYNAMIC),
    }
}

const TRUNCATED: FieldsError = FieldsError::Decompression("the block ends within a field line");

fn static_entry(index: u64) -> Result<(&'static str, &'static str), FieldsError> {
    let entry = usize::try_from(index).ok().and_then(|index| static_table::ENTRIES.get(index));
    entry.copied().ok_or(FieldsError::Decompression("an index beyond the static table"))
}

/// Takes a string. Its length is a `prefix`-bit integer below the Huffman bit.
fn take_string(rest: &mut &[u8], prefix: u32) -> Result<String, FieldsError> {
    let huffman = rest.first().ok_or(TRUNCATED)? & (1 << prefix) != 0;
    let length = usize::try_from(integer(rest, prefix)?).map_err(|_| TRUNCATED)?;
    let (string, after) = rest.split_at_checked(length).ok_or(TRUNCATED)?;
    *rest = after;
    let bytes = if huffman {
        let mut decoded = Vec::with_capacity(2 * length);
        httlib_huffman::decode(string, &mut decoded, DecoderSpeed::FourBits)
            .map_err(|_| FieldsError::Decompression("a broken Huffman code"))?;
        decoded
    } else {
        string.to_vec()
    };
    String::from_utf8(bytes).map_err(|_| FieldsError::NotText)
}

/// A prefix integer (RFC 7541 section 5.1) of at most 62 bits (RFC 9204 section 4.1.1), in at most
/// nine more bytes.
fn integer(rest: &mut &[u8], prefix: u32) -> Result<u64, FieldsError> {
    const OVERFLOW: FieldsError = FieldsError::Decompression("an integer of more than 62 bits");
    let (first, mut after) = rest.split_first().ok_or(TRUNCATED)?;
    let mask = (1_u64 << prefix) - 1;
    let mut value = u64::from(*first) & mask;
    if value == mask {
        for shift in (0..).step_by(7) {
            // 9 * 7 bits are more than enough; leading zeros beyond them are useless.
            if shift > 56 {
                return Err(OVERFLOW);
            }
            let (byte, next) = after.split_first().ok_or(TRUNCATED)?;
            after = next;
            // At most 7 bits shifted by at most 56 fit; the sum is far from 2^64.
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *rest = after;
    if value >> 62 != 0 { Err(OVERFLOW) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owned(fields: &[(&str, &str)]) -> Fields {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn encode(fields: &[(&str, &str)]) -> Vec<u8> {
        Encoder::encode(fields.iter().copied()).into_vec()
    }

    fn decompression(block: &[u8]) -> bool {
        matches!(decode(block), Err(FieldsError::Decompression(_)))
    }

    #[test]
    fn order_and_repetition_survive() {
        let fields =
            [(":status", "200"), ("set-cookie", "a=1"), ("x", "y"), ("set-cookie", "b=2"), ("x", "y")];
        assert_eq!(decode(&encode(&fields)).unwrap(), owned(&fields));
    }

    #[test]
    fn an_empty_block_is_an_empty_section() {
        assert_eq!(decode(&[0, 0]).unwrap(), []);
        assert_eq!(decode(&[0, 5]).unwrap(), []);
    }

    #[test]
    fn a_block_without_its_prefix_does_not_decompress() {
        assert!(decompression(&[]));
        assert!(decompression(&[0]));
    }

    #[test]
    fn the_dynamic_table_is_refused_in_every_form() {
        for block in [
            &[1, 0][..],      // required insert count
            &[0, 0x80],       // negative base
            &[0, 0, 0x80],    // indexed
            &[0, 0, 0x10],    // indexed, post-base
            &[0, 0, 0x40, 0], // literal with name reference
            &[0, 0, 0x00, 0], // literal with post-base name reference
        ] {
            assert!(decompression(block), "{block:x?}");
        }
    }

    #[test]
    fn the_static_table_ends_at_98() {
        assert_eq!(decode(&[0, 0, 0xff, 35]).unwrap(), owned(&[("x-frame-options", "sameorigin")]));
        assert!(decompression(&[0, 0, 0xff, 36]));
        assert!(decompression(&[0, 0, 0x5f, 84, 0]));
    }

    #[test]
    fn integers_that_overflow_are_refused() {
        let mut block = vec![0, 0, 0xff];
        block.extend([0x80; 30]);
        block.push(0x01);
        assert!(decompression(&block));
        let mut block = vec![0, 0, 0xff];
        block.extend([0xff; 8]);
        block.push(0x7f);
        assert!(decompression(&block));
    }

    #[test]
    fn strings_longer_than_the_block_are_refused() {
        assert!(decompression(&[0, 0, 0x23, b'a', b'b']));
        assert!(decompression(&[0, 0, 0x5f, 0x01, 0x7f, 0xff, 0xff, 0xff, 0x7f]));
        assert!(decompression(&[0, 0, 0x21, b'a']));
    }

    #[test]
    fn text_must_be_utf8() {
        assert_eq!(decode(&[0, 0, 0x21, b'a', 0x01, 0xff]), Err(FieldsError::NotText));
    }

    #[test]
    fn a_section_that_unpacks_to_more_than_the_limit_is_refused() {
        let most = MAX_FIELD_SECTION_BYTES - FIELD_OVERHEAD_BYTES - 1;
        let section = |len: usize| encode(&[("x", &"0".repeat(len))]);
        assert!(section(most).len() < MAX_HEADERS_BYTES, "a Huffman code takes less than a byte");
        assert!(decode(&section(most)).is_ok());
        assert_eq!(decode(&section(most + 1)), Err(FieldsError::TooLarge));
    }

    #[test]
    fn more_fields_than_the_limit_are_refused() {
        // One byte each on the wire.
        let block = |fields: usize| [&[0, 0][..], &vec![0xd1; fields]].concat();
        assert_eq!(decode(&block(MAX_FIELDS)).unwrap().len(), MAX_FIELDS);
        assert_eq!(decode(&block(MAX_FIELDS + 1)), Err(FieldsError::TooLarge));
        assert_eq!(decode(&block(16_000)), Err(FieldsError::TooLarge));
    }

    #[test]
    fn huffman_codes_that_are_broken_do_not_decompress() {
        // EOS within a string, which is not text.
        assert!(decompression(&[0, 0, 0x51, 0x84, 0xff, 0xff, 0xff, 0xff]));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(block in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&block);
            let _ = decode(&[&[0, 0][..], &block].concat());
        }

        #[test]
        fn what_is_decoded_is_what_wtransport_decodes(
            block in proptest::collection::vec(prop_oneof![
                Just(0x23_u8), Just(0x2b), Just(0x51), Just(0x83), Just(0x03), 0xc0_u8..=0xff, any::<u8>()
            ], 0..20)
        ) {
            let block = [&[0, 0][..], &block].concat();
            if let Ok(fields) = decode(&block) {
                let theirs = wtransport::proto::qpack::Decoder::decode(&block).unwrap();
                prop_assert_eq!(fields.into_iter().collect::<std::collections::HashMap<_, _>>(), theirs);
            }
        }

        #[test]
        fn any_fields_come_back_as_they_were(
            fields in proptest::collection::vec(("[a-z:][a-z0-9-]{0,20}", "\\PC{0,40}"), 0..20)
        ) {
            let block = Encoder::encode(fields.iter().map(|(name, value)| (name, value)));
            prop_assert_eq!(decode(&block).unwrap(), fields);
        }
    }
}
