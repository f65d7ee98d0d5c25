//! Options of transports and of datagrams.

use std::time::Duration;

use super::message::{Limits, Priority};

/// Places for outcomes where the program does not say how many.
pub const DEFAULT_OUTCOME_CAPACITY: usize = 1024;

/// How a transport behaves; each can be changed while it runs, except for the places for outcomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportOptions {
    /// What may wait for sending. Default 100 datagrams and 4 MiB.
    pub outgoing_limits: Limits,
    /// Age at which a datagram is dropped instead of sent.
    pub outgoing_max_age: Option<Duration>,
    /// What happens when the outgoing queue is full.
    pub outgoing_policy: FullPolicy,
    /// High and low water of the outgoing queue; by default at its limit and at half of it.
    pub outgoing_marks: Option<Marks>,
    /// Places for outcomes, fetched or to come. Default 1024.
    pub outcome_capacity: usize,
    /// What may wait for being received. Default 4096 datagrams and 1 MiB.
    pub incoming_limits: Limits,
    /// Age at which a datagram is dropped instead of delivered.
    pub incoming_max_age: Option<Duration>,
    /// Which datagram goes when the incoming queue is full.
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

/// What happens to a newcomer when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FullPolicy {
    /// The oldest of the lowest priority not above the newcomer's make room; the newcomer is rejected only if what
    /// outranks it fills the queue.
    #[default]
    Evict,
    /// The newcomer is rejected.
    Reject,
    /// The newcomer goes back to the caller, who waits for room and tries again.
    Wait,
}

/// Which datagram goes when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DropPolicy {
    /// The one that waited longest: what arrives later is worth more.
    #[default]
    Oldest,
    /// The one that just arrived.
    Newest,
}

/// Where the edges are. Bytes at `usize::MAX` (both marks) means that only datagrams matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// At this many datagrams or more the queue is above.
    pub high_datagrams: usize,
    /// At this many datagrams or fewer (and bytes, too) it is no longer above.
    pub low_datagrams: usize,
    /// At this many bytes or more the queue is above.
    pub high_bytes: usize,
    /// At this many bytes or fewer (and datagrams, too) it is no longer above.
    pub low_bytes: usize,
}

impl Marks {
    /// High at `high` datagrams, low at half of it.
    pub fn of_datagrams(high: usize) -> Self {
        let high = high.max(1);
        Self { high_datagrams: high, low_datagrams: high / 2, high_bytes: usize::MAX, low_bytes: usize::MAX }
    }

    /// A low mark at or above its high one would flip on every look; it is lowered to just below, and a high mark of
    /// 0 (above when empty) is raised to 1.
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

/// How one datagram is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// Urgency.
    pub priority: Priority,
    /// From this age on it is not worth sending.
    pub ttl: Option<Duration>,
    /// Report what becomes of it under this number.
    pub report_id: Option<u64>,
}
