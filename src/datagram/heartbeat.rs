//! Heartbeats: payload and options.
//!
//! The payload is `HEARTBEAT:` and the Unix time in seconds, as decimal ASCII. pywebtransport 0.6.1
//! sends and recognizes this form. A heartbeat is a datagram like any other: receivers get it in
//! their queue and can ask [`is_heartbeat`].

use std::time::Duration;

use bytes::Bytes;

use crate::runtime::clock;

/// The beginning of every heartbeat.
pub const PREFIX: &[u8] = b"HEARTBEAT:";

/// The length of the longest heartbeat, in bytes.
pub const MAX_LENGTH: usize = 30;

/// The shortest interval: a heartbeat is not a load generator.
pub const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// The heartbeat of the second `unix_secs`.
pub(crate) fn create_heartbeat(unix_secs: u64) -> Bytes {
    Bytes::from(format!("HEARTBEAT:{unix_secs}"))
}

/// The heartbeat of the present second.
pub(crate) fn create_heartbeat_now() -> Bytes {
    create_heartbeat(clock::unix_us() / 1_000_000)
}

/// Whether a payload is a heartbeat. As in the reference, only the beginning counts; the rest is
/// not examined.
pub fn is_heartbeat(data: &[u8]) -> bool {
    data.starts_with(PREFIX)
}

/// Options of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatOptions {
    /// Time between two heartbeats; default 30 s. The first is sent at once.
    pub interval: Duration,
    /// The peer is silent after this many intervals without a datagram of any kind; 0, the default,
    /// turns the watch off.
    pub silent_after: u32,
}

impl Default for HeartbeatOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), silent_after: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_the_prefix_and_the_seconds_in_decimal() {
        assert_eq!(&create_heartbeat(1_760_000_000)[..], b"HEARTBEAT:1760000000");
        assert_eq!(&create_heartbeat(0)[..], b"HEARTBEAT:0");
        assert_eq!(&create_heartbeat(u64::MAX)[..], b"HEARTBEAT:18446744073709551615");
        assert_eq!(create_heartbeat(u64::MAX).len(), MAX_LENGTH);
    }

    #[test]
    fn a_created_heartbeat_is_recognised() {
        assert!(is_heartbeat(&create_heartbeat(1)));
        assert!(is_heartbeat(&create_heartbeat_now()));
    }

    #[test]
    fn only_the_beginning_of_the_payload_decides() {
        assert!(is_heartbeat(b"HEARTBEAT:"));
        assert!(is_heartbeat(b"HEARTBEAT:\xff"));
        assert!(!is_heartbeat(b""));
        assert!(!is_heartbeat(b"HEARTBEAT"));
        assert!(!is_heartbeat(b"heartbeat:1"));
        assert!(!is_heartbeat(b" HEARTBEAT:1"));
    }
}
