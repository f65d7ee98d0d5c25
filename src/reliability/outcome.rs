//! The outcome of a message: exactly one for each accepted message.

use std::time::Duration;

/// How the life of a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageOutcome {
    /// The peer's layer has it.
    Acknowledged,
    /// It was retransmitted long enough without an acknowledgement, or no layer of the peer
    /// answered for as long. If it was ever transmitted, its delivery is unknown.
    GaveUp,
    /// It did not fit the path when it was to be transmitted.
    TooLarge,
    /// The layer closed first. If it was ever transmitted, its delivery is unknown.
    Closed,
    /// Its TTL passed first. If it was ever transmitted, its delivery is unknown.
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
