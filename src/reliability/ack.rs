//! The range ACK: one frame settles many sequences.
//!
//! These follow the tag:
//!
//! - if the ECHO flag is set, the sequence (`u32`), transmission (`u8`) and age in microseconds
//!   (varint) of the DATA frame that arrived last, for an unambiguous round-trip sample (RFC 7323's
//!   idea);
//! - the number of copies reported (`u8`), each with sequence and transmission (RFC 2883's idea);
//! - either nothing, or the highest sequence (`u32`), the number of further sequences below it in
//!   its range (varint), and pairs of varints downwards to the end: sequences missing less one,
//!   sequences acknowledged less one (RFC 9000 §19.3).
//!
//! Varints are those of RFC 9000 §16.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

/// Flag: the peer refused a message because its inbound queue is full.
const FULL: u8 = 1;
/// Flag: an echo is present.
const ECHO: u8 = 2;
/// The most ranges that are read from a frame, or written to it.
pub const MAX_RANGES: usize = 512;
/// The most copies that are reported in a frame.
pub const MAX_DUPLICATES: usize = 16;

/// Which DATA frame arrived last, and how long before the acknowledgement was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// The frame's sequence.
    pub sequence: u32,
    /// The frame's transmission number.
    pub transmission: u8,
    /// From its arrival to the acknowledgement.
    pub delay: Duration,
}

/// An acknowledgement of many sequences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeAck {
    /// Whether the receiver has refused messages because it had no space, and still has none.
    pub full: bool,
    /// The frame that arrived last.
    pub echo: Option<Echo>,
    /// Copies that arrived: sequence and transmission.
    pub duplicates: Vec<(u32, u8)>,
    /// First and last sequence of each range, from the highest range down. Ranges do not touch, and
    /// all are within 2³¹ of the first one's end.
    pub ranges: Vec<(u32, u32)>,
}

impl RangeAck {
    /// The four flags of the frame's header.
    pub fn flags(&self) -> u8 {
        (u8::from(self.full) * FULL) | (u8::from(self.echo.is_some()) * ECHO)
    }

    /// Appends the body to `out`, without the lowest ranges that would make it longer than
    /// `max_bytes`.
    pub(crate) fn encode(&self, out: &mut BytesMut, max_bytes: usize) {
        if let Some(echo) = self.echo {
            out.put_u32(echo.sequence);
            out.put_u8(echo.transmission);
            put_varint(out, u64::try_from(echo.delay.as_micros()).unwrap_or(MAX_VARINT));
        }
        let room = max_bytes.saturating_sub(out.len() + 1 + 4 + 8) / 5;
        let duplicates = &self.duplicates[..self.duplicates.len().min(MAX_DUPLICATES).min(room)];
        out.put_u8(duplicates.len() as u8);
        for &(sequence, transmission) in duplicates {
            out.put_u32(sequence);
            out.put_u8(transmission);
        }
        let Some(&(start, end)) = self.ranges.first() else { return };
        out.put_u32(end);
        put_varint(out, u64::from(end.wrapping_sub(start)));
        let mut below = start;
        for &(start, end) in self.ranges.iter().take(MAX_RANGES).skip(1) {
            let missing = u64::from(below.wrapping_sub(end)).saturating_sub(2);
            let further = u64::from(end.wrapping_sub(start));
            if out.len() + varint_bytes(missing) + varint_bytes(further) > max_bytes {
                break;
            }
            put_varint(out, missing);
            put_varint(out, further);
            below = start;
        }
    }

    /// Reads a body; `None` if it is not exactly one.
    pub fn decode(flags: u8, body: &[u8]) -> Option<Self> {
        let mut body = body;
        let mut ack = Self { full: flags & FULL != 0, ..Self::default() };
        if flags & ECHO != 0 {
            let (sequence, transmission) = take_copy(&mut body)?;
            let delay = Duration::from_micros(take_varint(&mut body)?);
            ack.echo = Some(Echo { sequence, transmission, delay });
        }
        for _ in 0..take_u8(&mut body)? {
            ack.duplicates.push(take_copy(&mut body)?);
        }
        if ack.duplicates.len() > MAX_DUPLICATES {
            return None;
        }
        if body.is_empty() {
            return Some(ack);
        }
        let highest = take_u32(&mut body)?;
        let mut end = highest;
        let mut covered = 0u64;
        loop {
            let further = take_varint(&mut body)?;
            covered = covered.checked_add(further)?.checked_add(1)?;
            if covered > 1 << 31 || ack.ranges.len() == MAX_RANGES {
                return None;
            }
            let start = end.wrapping_sub(further as u32);
            ack.ranges.push((start, end));
            if body.is_empty() {
                return Some(ack);
            }
            let missing = take_varint(&mut body)?.checked_add(1)?;
            covered = covered.checked_add(missing)?;
            end = start.wrapping_sub((missing as u32).wrapping_add(1));
        }
    }
}

const MAX_VARINT: u64 = (1 << 62) - 1;

fn varint_bytes(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

fn put_varint(out: &mut BytesMut, value: u64) {
    let value = value.min(MAX_VARINT);
    match varint_bytes(value) {
        1 => out.put_u8(value as u8),
        2 => out.put_u16(value as u16 | 0x4000),
        4 => out.put_u32(value as u32 | 0x8000_0000),
        _ => out.put_u64(value | 0xc000_0000_0000_0000),
    }
}

fn take_varint(body: &mut &[u8]) -> Option<u64> {
    let first = take_u8(body)?;
    let mut value = u64::from(first & 0x3f);
    for _ in 1..1usize << (first >> 6) {
        value = (value << 8) | u64::from(take_u8(body)?);
    }
    Some(value)
}

fn take_u8(body: &mut &[u8]) -> Option<u8> {
    let (&value, rest) = body.split_first()?;
    *body = rest;
    Some(value)
}

fn take_u32(body: &mut &[u8]) -> Option<u32> {
    let (value, rest) = body.split_first_chunk()?;
    *body = rest;
    Some(u32::from_be_bytes(*value))
}

fn take_copy(body: &mut &[u8]) -> Option<(u32, u8)> {
    Some((take_u32(body)?, take_u8(body)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(ack: &RangeAck, max_bytes: usize) -> BytesMut {
        let mut out = BytesMut::new();
        ack.encode(&mut out, max_bytes);
        out
    }

    #[test]
    fn an_ack_of_one_sequence_is_six_bytes() {
        let ack = RangeAck { ranges: vec![(7, 7)], ..RangeAck::default() };
        assert_eq!(&encoded(&ack, 100)[..], [0, 0, 0, 0, 7, 0]);
    }

    #[test]
    fn ranges_cross_the_wrap_of_the_sequence() {
        let ranges = vec![(u32::MAX - 1, 2), (u32::MAX - 9, u32::MAX - 3)];
        let ack = RangeAck { full: true, ranges, ..RangeAck::default() };
        assert_eq!(RangeAck::decode(ack.flags(), &encoded(&ack, 100)), Some(ack));
    }

    #[test]
    fn a_body_that_reaches_back_more_than_half_the_number_space_is_refused() {
        let mut body = BytesMut::from(&[0u8, 0, 0, 0, 7][..]);
        put_varint(&mut body, 1 << 31);
        assert_eq!(RangeAck::decode(0, &body), None);
        let mut body = BytesMut::from(&[0u8, 0, 0, 0, 7, 0][..]);
        put_varint(&mut body, MAX_VARINT);
        put_varint(&mut body, MAX_VARINT);
        assert_eq!(RangeAck::decode(0, &body), None);
    }

    #[test]
    fn more_ranges_or_copies_than_are_ever_sent_are_refused() {
        let mut body = BytesMut::from(&[0u8, 0, 0, 0, 7, 0][..]);
        body.extend_from_slice(&[0; 2 * MAX_RANGES]);
        assert_eq!(RangeAck::decode(0, &body), None);
        let mut copies = BytesMut::from(&[255u8][..]);
        copies.extend_from_slice(&[0; 5 * 255]);
        assert_eq!(RangeAck::decode(0, &copies), None);
    }

    /// Ranges from the highest down: each `(gap, length)` further below.
    fn ranges(highest: u32, steps: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let mut next = highest;
        let step = |&(gap, length): &(u32, u32)| {
            let end = next.wrapping_sub(gap);
            let start = end.wrapping_sub(length);
            next = start.wrapping_sub(2);
            (start, end)
        };
        steps.iter().map(step).collect()
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_and_stays_within_its_size(
            highest: u32,
            steps in prop::collection::vec((0u32..100_000, 0u32..100_000), 0..200),
            duplicates in prop::collection::vec(any::<(u32, u8)>(), 0..=MAX_DUPLICATES),
            echo in prop::option::of((any::<u32>(), any::<u8>(), 0u64..1 << 40)),
            full: bool,
            max_bytes in 120usize..2000,
        ) {
            let echo = echo.map(|(sequence, transmission, us)| Echo {
                sequence,
                transmission,
                delay: Duration::from_micros(us),
            });
            let ack = RangeAck { full, echo, duplicates, ranges: ranges(highest, &steps) };
            let body = encoded(&ack, max_bytes);
            prop_assert!(body.len() <= max_bytes);
            let decoded = RangeAck::decode(ack.flags(), &body).unwrap();
            prop_assert_eq!(&decoded.duplicates, &ack.duplicates);
            prop_assert_eq!(decoded.echo, ack.echo);
            prop_assert_eq!(&decoded.ranges[..], &ack.ranges[..decoded.ranges.len()]);
            prop_assert!(decoded.ranges.len() == ack.ranges.len() || body.len() + 16 > max_bytes);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused_without_a_panic(
            flags in 0u8..16,
            body in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            if let Some(ack) = RangeAck::decode(flags, &body) {
                prop_assert!(ack.ranges.len() <= MAX_RANGES && ack.duplicates.len() <= MAX_DUPLICATES);
                for pair in ack.ranges.windows(2) {
                    let gap = pair[0].0.wrapping_sub(pair[1].1);
                    prop_assert!((2..1 << 31).contains(&gap));
                }
            }
        }
    }
}
