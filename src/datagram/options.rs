//! Options of transports and of datagrams.

use std::time::Duration;

use super::message::{Limits, Priority};

/// The default of [`TransportOptions::outcome_capacity`].
pub const DEFAULT_OUTCOME_CAPACITY: usize = 1024;

/// Settings of a transport. Each can be changed at any time, except for the places for outcomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportOptions {
    /// The limits of the outgoing queue. Default 100 datagrams and 4 MiB.
    pub outgoing_limits: Limits,
    /// Age at which a datagram is dropped instead of sent.
    pub outgoing_max_age: Option<Duration>,
    /// What happens when the outgoing queue is full.
    pub outgoing_policy: FullPolicy,
    /// High-water and low-water marks of the outgoing queue. Default: its limit and half of it.
    pub outgoing_marks: Option<Marks>,
    /// The most outcomes that can be waiting or still to come. Default 1024.
    pub outcome_capacity: usize,
    /// The limits of the incoming queue. Default 4096 datagrams and 1 MiB.
    pub incoming_limits: Limits,
    /// Age at which a datagram is dropped instead of delivered.
    pub incoming_max_age: Option<Duration>,
    /// Which datagram is dropped when the incoming queue is full.
    pub incoming_policy: DropPolicy,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            outgoing_limits: Limits { datagrams: 100, bytes: 4 * 1024 * 1024 },
            outgoing_max_age: None,
            outgoing_policy: FullPolicy::default(),
            outgoing_marks: None,
            outcome_capacity: DEFAULT_OUTCOME_CAPACITY,
            incoming_limits: Limits { datagrams: 4096, bytes: 1024 * 1024 },
            incoming_max_age: None,
            incoming_policy: DropPolicy::default(),
        }
    }
}

/// What happens to a new datagram when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FullPolicy {
    /// The queue evicts its oldest datagrams of the lowest priority that is not above the new
    /// one's. It rejects the new one only if datagrams of higher priority fill the queue.
    #[default]
    Evict,
    /// The queue rejects the new datagram.
    Reject,
    /// The caller waits for space and tries again.
    Wait,
}

/// Which datagram is dropped when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DropPolicy {
    /// The one that waited longest: newer data is worth more.
    #[default]
    Oldest,
    /// The one that has just arrived.
    Newest,
}

/// The marks of a queue. With both byte marks at `usize::MAX`, only the number of datagrams
/// matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The queue is above its mark with this many datagrams or more.
    pub high_datagrams: usize,
    /// The queue is below its mark again with this many datagrams or fewer, if its bytes are low,
    /// too.
    pub low_datagrams: usize,
    /// The queue is above its mark with this many bytes or more.
    pub high_bytes: usize,
    /// The queue is below its mark again with this many bytes or fewer, if its datagrams are few,
    /// too.
    pub low_bytes: usize,
}

impl Marks {
    /// A high mark of `high` datagrams and a low mark of half of it.
    pub fn of_datagrams(high: usize) -> Self {
        let high = high.max(1);
        Self { high_datagrams: high, low_datagrams: high / 2, high_bytes: usize::MAX, low_bytes: usize::MAX }
    }

    /// A low mark that is not below its high mark would change the level on every look. It is
    /// lowered to just below. A high mark of 0 (above even when empty) is raised to 1.
    pub(super) fn sane(self) -> Self {
        let high_datagrams = self.high_datagrams.max(1);
        let high_bytes = self.high_bytes.max(1);
        Self {
            high_datagrams,
            low_datagrams: self.low_datagrams.min(high_datagrams - 1),
            high_bytes,
            low_bytes: self.low_bytes.min(high_bytes - 1),
        }
    }
}

/// Options of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// Urgency.
    pub priority: Priority,
    /// The age at which it expires.
    pub ttl: Option<Duration>,
    /// Report its outcome under this number.
    pub report_id: Option<u64>,
}
