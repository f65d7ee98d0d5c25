//! One datagram: on its way out, and what is known about one that came in.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Urgency of an outgoing datagram: 0 (default) to 2 (first to leave).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority(u8);

impl Priority {
    /// How many priorities there are.
    pub const COUNT: usize = 3;
    /// The default, and the first to be evicted.
    pub const LOWEST: Self = Self(0);
    /// Leaves before everything else.
    pub const HIGHEST: Self = Self(2);

    /// The nearest priority there is: callers' numbers are clamped, as in the reference, not refused.
    pub fn clamped(value: i64) -> Self {
        Self(u8::try_from(value.clamp(0, 2)).unwrap_or(0))
    }

    /// 0, 1 or 2.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The same as an array index below [`Self::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl From<u32> for Priority {
    fn from(value: u32) -> Self {
        Self::clamped(i64::from(value))
    }
}

impl From<i64> for Priority {
    fn from(value: i64) -> Self {
        Self::clamped(value)
    }
}

/// How much a queue may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams; a limit of 0 is taken as 1.
    pub datagrams: usize,
    /// Payload bytes.
    pub bytes: usize,
}

/// A datagram on its way out. It is neither `Clone` nor `Copy`, so it can be settled only once.
#[derive(Debug)]
pub struct Outgoing {
    /// What QUIC gets: session prefix and payload. May be taken out once the datagram was popped.
    pub payload: Bytes,
    /// How many bytes at the start of `payload` are the session prefix.
    pub prefix_len: u8,
    /// Its urgency.
    pub priority: Priority,
    /// When the caller handed it in; its age counts from here.
    pub enqueued_at: Instant,
    /// From this instant on it is not worth sending.
    pub expires_at: Option<Instant>,
    /// The caller wants to hear, under this number, what became of it.
    pub report_id: Option<u64>,
    /// Which [`clear`](super::outbound::Outbound::clear) it has not seen yet; set by the queue.
    pub(super) generation: u32,
    /// Payload bytes without prefix, known even after `payload` was taken out.
    size: u32,
}

impl Outgoing {
    /// A datagram handed in at `now`. A TTL of none or zero means that it does not expire by itself.
    pub fn new(
        payload: Bytes,
        prefix_len: u8,
        priority: Priority,
        now: Instant,
        ttl: Option<Duration>,
        report_id: Option<u64>,
    ) -> Self {
        let size = payload.len().saturating_sub(usize::from(prefix_len));
        Self {
            prefix_len,
            priority,
            enqueued_at: now,
            // A deadline beyond what the clock can express is no deadline.
            expires_at: ttl.filter(|ttl| !ttl.is_zero()).and_then(|ttl| now.checked_add(ttl)),
            report_id,
            generation: 0,
            size: u32::try_from(size).unwrap_or(u32::MAX),
            payload,
        }
    }

    /// Payload bytes without the session prefix; this is what statistics and limits count.
    pub fn size(&self) -> usize {
        self.size as usize
    }
}

/// What is known about a datagram that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Wall-clock time of arrival, Unix microseconds.
    pub timestamp_us: u64,
    /// Payload bytes.
    pub size: usize,
    /// Its place in the order of arrival, counted from 0; gaps are datagrams that were dropped here.
    pub sequence: u64,
    /// Time between arrival and being received, on the monotonic clock.
    pub age: Duration,
    /// How long the receiving call waited. The queue does not know; the transport fills it in.
    pub waited: Duration,
}

/// The first 8 hex digits (lower case) of the payload's SHA-256.
pub fn checksum(payload: &[u8]) -> [u8; 8] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(payload);
    let mut text = [0; 8];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest.iter()) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_clamped_from_any_number() {
        for (number, expected) in [(i64::MIN, 0), (-1, 0), (0, 0), (1, 1), (2, 2), (3, 2), (i64::MAX, 2)] {
            assert_eq!(Priority::from(number).get(), expected, "{number}");
        }
        assert_eq!(Priority::from(u32::MAX), Priority::HIGHEST);
        assert_eq!(Priority::default(), Priority::LOWEST);
    }

    #[test]
    fn size_is_the_payload_without_the_prefix_even_after_the_payload_was_taken() {
        let mut item =
            Outgoing::new(Bytes::from_static(b"\x00abc"), 1, Priority::LOWEST, Instant::now(), None, None);
        assert_eq!(item.size(), 3);
        drop(std::mem::take(&mut item.payload));
        assert_eq!(item.size(), 3);
    }

    #[test]
    fn a_ttl_of_zero_or_beyond_the_clock_is_no_deadline() {
        let now = Instant::now();
        let deadline = |ttl| Outgoing::new(Bytes::new(), 0, Priority::LOWEST, now, ttl, None).expires_at;
        assert_eq!(deadline(None), None);
        assert_eq!(deadline(Some(Duration::ZERO)), None);
        assert_eq!(deadline(Some(Duration::MAX)), None);
        assert_eq!(deadline(Some(Duration::from_micros(1))), Some(now + Duration::from_micros(1)));
    }

    #[test]
    fn the_checksum_is_the_beginning_of_sha_256() {
        // FIPS 180-4 examples: the empty message and "abc".
        assert_eq!(&checksum(b""), b"e3b0c442");
        assert_eq!(&checksum(b"abc"), b"ba7816bf");
    }
}
