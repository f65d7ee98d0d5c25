//! The heartbeat payload: `HEARTBEAT:` and the Unix time in whole seconds, ASCII decimal.
//!
//! This is the form pywebtransport 0.6.1 sends and recognises. A heartbeat is a datagram like any other: receivers
//! get it in their queue and may ask [`is_heartbeat`].

use bytes::Bytes;

/// What every heartbeat begins with.
pub const PREFIX: &[u8] = b"HEARTBEAT:";

/// The heartbeat of the second `unix_secs`.
pub fn create_heartbeat(unix_secs: u64) -> Bytes {
    Bytes::from(format!("HEARTBEAT:{unix_secs}"))
}

/// Whether a payload is a heartbeat. As in the reference only the beginning counts: what follows is not examined.
pub fn is_heartbeat(data: &[u8]) -> bool {
    data.starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_the_prefix_and_the_seconds_in_decimal() {
        assert_eq!(&create_heartbeat(1_760_000_000)[..], b"HEARTBEAT:1760000000");
        assert_eq!(&create_heartbeat(0)[..], b"HEARTBEAT:0");
        assert_eq!(&create_heartbeat(u64::MAX)[..], b"HEARTBEAT:18446744073709551615");
    }

    #[test]
    fn a_created_heartbeat_is_recognised() {
        assert!(is_heartbeat(&create_heartbeat(1)));
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
