//! Counters of one layer. They only grow, except where a field says that it is a momentary value.

use std::time::Duration;

/// What the sending half counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SenderStats {
    /// Messages accepted.
    pub submitted: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages given up; their delivery is unknown.
    pub gave_up: u64,
    /// Messages that no longer fit the path.
    pub too_large: u64,
    /// Messages that closing the layer cut off.
    pub closed: u64,
    /// Messages whose TTL passed first.
    pub expired: u64,
    /// DATA frames transmitted, including retransmissions.
    pub transmissions: u64,
    /// Retransmissions because later messages were acknowledged.
    pub early_retransmits: u64,
    /// Retransmissions because the timer ran out.
    pub timer_retransmits: u64,
    /// Retransmissions that were unnecessary, as far as acknowledgements show it.
    pub spurious_retransmits: u64,
    /// Acknowledgements of messages that do not, or no longer, wait for one.
    pub unexpected_acks: u64,
    /// Bytes of DATA frames transmitted.
    pub bytes_transmitted: u64,
}

/// What the receiving half counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiverStats {
    /// Messages taken into the inbound queue.
    pub accepted: u64,
    /// Messages handed to the reader.
    pub delivered: u64,
    /// Copies of messages already accepted.
    pub duplicates: u64,
    /// Messages refused, and not acknowledged, because the inbound queue was full.
    pub refused_full: u64,
    /// Messages older than the receiver remembers; dropped and not acknowledged.
    pub too_old: u64,
    /// Acknowledgements of copies withheld to limit their rate, or dropped because a list was full.
    pub acks_withheld: u64,
    /// Plain ACK frames sent.
    pub plain_acks_sent: u64,
    /// Range ACK frames sent.
    pub range_acks_sent: u64,
    /// How often the peer's layer was opened again.
    pub peer_restarts: u64,
}

/// One layer's statistics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// The sending half.
    pub sender: SenderStats,
    /// The receiving half.
    pub receiver: ReceiverStats,
    /// Malformed frames, which were not taken.
    pub malformed: u64,
    /// Frames bound to an earlier opening of this or the peer's layer.
    pub stale: u64,
    /// Plain frames taken as frames of the peer's layer.
    pub plain_taken: u64,
    /// Datagrams that look like plain frames and were left to the transport's reader.
    pub plain_left: u64,
    /// Smoothed round-trip time, momentary; `None` before the first sample or seed.
    pub srtt: Option<Duration>,
    /// Least round-trip time of the last seconds, momentary.
    pub min_rtt: Option<Duration>,
    /// Retransmission timeout before backoff, momentary.
    pub rto: Duration,
    /// The present reordering window, momentary.
    pub reordering_window: Duration,
    /// Messages without an outcome, momentary.
    pub unresolved: usize,
    /// Payload bytes of those, momentary.
    pub unresolved_bytes: usize,
    /// Messages waiting for the reader, momentary.
    pub inbound: usize,
    /// Payload bytes of those, momentary.
    pub inbound_bytes: usize,
    /// Whether both ends know that they speak more than the reference's protocol.
    pub negotiated: bool,
    /// Whether plain frames are taken now.
    pub takes_plain: bool,
    /// Whether the peer reports that its inbound queue is full.
    pub peer_full: bool,
}
