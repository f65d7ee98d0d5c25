//! What became of a message: exactly one of these for each message that was accepted.

use std::time::Duration;

/// The end of a message's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageOutcome {
    /// The peer's layer has it.
    Acknowledged,
    /// Retransmitted long enough without an acknowledgement, or no layer of the peer answered for
    /// as long. Whether it was delivered is unknown if it was ever transmitted.
    GaveUp,
    /// It did not fit the path when it was to be transmitted.
    TooLarge,
    /// The layer closed first. Whether it was delivered is unknown if it was ever transmitted.
    Closed,
    /// Its TTL passed first. Whether it was delivered is unknown if it was ever transmitted.
    Expired,
}

/// One message's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The number that the caller gave the message.
    pub id: u64,
    /// What became of it.
    pub outcome: MessageOutcome,
    /// How often it was transmitted, 0 if never.
    pub transmissions: u32,
    /// From acceptance to this outcome.
    pub elapsed: Duration,
}
