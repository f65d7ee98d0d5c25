//! One datagram: its contents before it is sent, and its metadata after it arrived.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Urgency of an outgoing datagram: 0 (default) to 2 (first to leave).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority(u8);

impl Priority {
    /// The number of priorities.
    pub const COUNT: usize = 3;
    /// The default; evicted first.
    pub const LOWEST: Self = Self(0);
    /// Leaves first.
    pub const HIGHEST: Self = Self(2);

    /// The nearest valid priority: numbers of callers are clamped, as in the reference, and not
    /// refused.
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

/// The limits of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams; a limit of 0 is taken as 1.
    pub datagrams: usize,
    /// Payload bytes.
    pub bytes: usize,
}

/// The bytes of an outgoing datagram.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// Bytes that the queue copies.
    Copied {
        /// The session prefix.
        prefix: &'a [u8],
        /// The payload.
        payload: &'a [u8],
    },
    /// Bytes that several queues share.
    Shared {
        /// Session prefix and payload.
        framed: &'a Bytes,
        /// The length of the prefix.
        prefix_len: usize,
    },
}

/// An outgoing datagram.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Its bytes.
    pub content: Content<'a>,
    /// Its urgency.
    pub priority: Priority,
    /// When the caller submitted it. Its age counts from here.
    pub enqueued_at: Instant,
    /// When it expires.
    pub expires_at: Option<Instant>,
    /// The number under which the caller wants its outcome.
    pub report_id: Option<u64>,
}

impl Outgoing<'_> {
    /// Payload bytes without the session prefix; this is what statistics and limits count.
    pub fn size(&self) -> usize {
        match self.content {
            Content::Copied { payload, .. } => payload.len(),
            Content::Shared { framed, prefix_len } => framed.len().saturating_sub(prefix_len),
        }
    }
}

/// When a datagram that was submitted at `now` expires. Without a TTL, with a TTL of zero or beyond
/// the range of the clock: never.
pub(crate) fn expiry(now: Instant, ttl: Option<Duration>) -> Option<Instant> {
    ttl.filter(|ttl| !ttl.is_zero()).and_then(|ttl| now.checked_add(ttl))
}

/// The metadata of a datagram that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Wall-clock time of arrival, Unix microseconds.
    pub timestamp_us: u64,
    /// Payload bytes.
    pub size: usize,
    /// Its place in the order of arrival, counted from 0. Gaps are datagrams that this transport
    /// dropped.
    pub sequence: u64,
    /// Time between arrival and being received, on the monotonic clock.
    pub age: Duration,
    /// How long the receiving call waited. The transport fills it in, because the queue does not
    /// know it.
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
    fn a_ttl_of_zero_or_beyond_the_clock_is_no_deadline() {
        let now = Instant::now();
        assert_eq!(expiry(now, None), None);
        assert_eq!(expiry(now, Some(Duration::ZERO)), None);
        assert_eq!(expiry(now, Some(Duration::MAX)), None);
        assert_eq!(expiry(now, Some(Duration::from_micros(1))), Some(now + Duration::from_micros(1)));
    }

    #[test]
    fn the_checksum_is_the_beginning_of_sha_256() {
        // FIPS 180-4 examples: the empty message and "abc".
        assert_eq!(&checksum(b""), b"e3b0c442");
        assert_eq!(&checksum(b"abc"), b"ba7816bf");
    }
}
