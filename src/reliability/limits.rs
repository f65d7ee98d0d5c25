//! Bounds that both halves of a layer keep.

use std::time::Duration;

/// The most sequences between the oldest unresolved and the newest message to a peer that
/// negotiated; far fewer than its [`super::seen::WINDOW`].
pub const MAX_SPAN: usize = 8192;
/// The same for any other peer: half of the 1,024 arrivals that the reference remembers.
pub const MAX_PLAIN_SPAN: usize = 512;
/// The longest time for which a range ACK waits for more to acknowledge.
pub const MAX_ACK_DELAY: Duration = Duration::from_millis(5);
