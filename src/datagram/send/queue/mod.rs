//! The queue of datagrams that wait to be handed to QUIC.
//!
//! It has three rings, one for each priority. The highest priority leaves first; within a priority
//! the order is first in, first out.
//!
//! Expiry is checked when a datagram is queued, when it is about to leave, before anything is
//! evicted or rejected because the queue is full, and in [`SendQueue::expire`]. There is no timer
//! here.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::outcomes::{OutcomeKind, Outcomes};
use super::ring::Ring;
use super::watermark::{Edge, Marks, Watermark};
use super::{Outcome, OutcomesFull};
use crate::datagram::message::{Limits, Outgoing, Priority};
use crate::datagram::options::DEFAULT_OUTCOME_CAPACITY;
pub use crate::datagram::options::FullPolicy;
use crate::datagram::stats::{OutboundCounters, SizeRange, Tally};

mod expiry;
use expiry::is_past;

/// The settings of a [`SendQueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendConfig {
    /// Its limits.
    pub limits: Limits,
    /// Datagrams of this age are dropped instead of sent; none or zero: never.
    pub max_age: Option<Duration>,
    /// What happens when the queue is full.
    pub policy: FullPolicy,
    /// High-water and low-water marks.
    pub marks: Marks,
    /// The most outcomes that can be waiting or still to come.
    pub outcome_capacity: usize,
}

impl Default for SendConfig {
    fn default() -> Self {
        Self {
            limits: Limits { datagrams: 100, bytes: 16 * 1024 * 1024 },
            max_age: None,
            policy: FullPolicy::Evict,
            marks: Marks::of_datagrams(100),
            outcome_capacity: DEFAULT_OUTCOME_CAPACITY,
        }
    }
}

/// The datagram was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pushed {
    /// How many datagrams were evicted for it.
    pub evicted: usize,
}

/// The datagram was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushError {
    /// The queue is full and the policy is to wait. Try again later, or call
    /// [`SendQueue::count_rejected`]. Nothing was counted.
    Full,
    /// The queue is full. Counted as rejected.
    Rejected,
    /// It had expired when it was submitted. Counted as expired.
    Expired,
    /// There is no place for its outcome. Fetch outcomes and try again. Nothing was counted.
    OutcomesFull,
    /// The queue is closed, or about to be. Nothing was counted.
    Closed,
}

/// The result of a hand-over to QUIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    /// QUIC took it.
    Sent,
    /// The path no longer carries it.
    TooLarge,
    /// QUIC refused it.
    Failed,
    /// The connection has ended.
    Closed,
}

/// Takes the datagrams that leave the queue.
pub trait Taker {
    /// Whether a datagram of this many bytes, session prefix included, may leave now.
    fn admits(&mut self, framed_len: usize) -> bool;
    /// Takes a datagram that was admitted, with its session prefix.
    fn take(&mut self, framed: Bytes) -> HandOver;
}

/// The state that threads may wait for. A comparison of two says whether waiting threads have to
/// look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    waiting: Tally,
    outcomes: u64,
    changes: u64,
}

impl Signs {
    /// Whether there is new space, a new outcome, or another new reason to look since `before`.
    pub(crate) fn invite_after(&self, before: Self) -> bool {
        let Tally { datagrams, bytes } = self.waiting;
        datagrams < before.waiting.datagrams
            || bytes < before.waiting.bytes
            || (self.outcomes, self.changes) != (before.outcomes, before.changes)
    }
}

/// The queue.
///
/// The fields that are used without waiting come first, in the order written: a broadcast to a
/// thousand transports finds none of them in a cache and pays for each line.
#[derive(Debug)]
#[repr(C)]
pub struct SendQueue {
    closed: bool,
    /// Whether new datagrams are refused although those that wait still leave.
    is_ending: bool,
    /// How often a setting changed, the level fell to the low-water mark, or the queue was closed.
    changes: u64,
    counters: OutboundCounters,
    sent_sizes: SizeRange,
    config: SendConfig,
    rings: [Ring; Priority::COUNT],
    outcomes: Outcomes,
    watermark: Watermark,
    /// No datagram in the queue expires before this.
    next_expiry: Option<Instant>,
    /// How many datagrams a search may look at. Each push adds to it.
    search_credit: usize,
}

impl SendQueue {
    /// An empty queue of a transport of this lane.
    pub fn new(config: SendConfig, lane: usize) -> Self {
        let mut outbound = Self {
            closed: false,
            is_ending: false,
            changes: 0,
            counters: OutboundCounters::default(),
            sent_sizes: SizeRange::default(),
            config,
            rings: [(); Priority::COUNT].map(|()| Ring::new(lane)),
            outcomes: Outcomes::new(config.outcome_capacity),
            watermark: Watermark::new(config.marks),
            next_expiry: None,
            search_credit: 0,
        };
        outbound.set_limits(config.limits);
        outbound.set_max_age(config.max_age);
        outbound
    }

    /// Sets new limits. A queue above them shrinks only when a new datagram needs space.
    pub fn set_limits(&mut self, limits: Limits) {
        self.config.limits = Limits { datagrams: limits.datagrams.max(1), bytes: limits.bytes };
        self.changes += 1;
    }

    /// Sets a new maximum age (none or zero: no limit). It also applies to datagrams in the queue.
    pub fn set_max_age(&mut self, max_age: Option<Duration>) {
        self.config.max_age = max_age.filter(|max_age| !max_age.is_zero());
        self.find_next_expiry();
    }

    /// Sets a new policy for new datagrams.
    pub fn set_policy(&mut self, policy: FullPolicy) {
        self.config.policy = policy;
        self.changes += 1;
    }

    /// Sets new marks and compares the level with them at once.
    pub fn set_marks(&mut self, marks: Marks) {
        self.config.marks = marks;
        self.watermark.set_marks(marks);
        self.tell_level();
    }

    /// The state that waiting threads compare.
    pub fn signs(&self) -> Signs {
        Signs { waiting: self.counters.queued, outcomes: self.outcomes.told(), changes: self.changes }
    }

    /// The settings in force.
    pub fn config(&self) -> SendConfig {
        self.config
    }

    /// The counters. `queued` may include datagrams that have expired since the last look
    /// ([`Self::expire`]).
    pub fn counters(&self) -> OutboundCounters {
        self.counters
    }

    /// Sizes of sent datagrams.
    pub(crate) fn sent_sizes(&self) -> SizeRange {
        self.sent_sizes
    }

    /// What waits in the queue, by priority.
    pub fn waiting(&self) -> [Tally; Priority::COUNT] {
        self.rings.each_ref().map(Ring::tally)
    }

    /// Whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.counters.queued.datagrams == 0
    }

    /// Whether a datagram of this size fits without an eviction.
    pub(crate) fn has_room(&self, size: usize) -> bool {
        self.fits_beside(self.counters.queued, size)
    }

    /// Whether [`Self::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether it takes new datagrams.
    pub fn is_open(&self) -> bool {
        !self.closed && !self.is_ending
    }

    /// Whether the level has reached the high-water mark and not yet fallen to the low-water mark.
    pub(crate) fn is_above_high_water(&self) -> bool {
        self.watermark.is_above()
    }

    /// Moves up to `max_count` outcomes to the end of `target`; returns how many.
    pub(crate) fn take_outcomes(&mut self, max_count: usize, target: &mut Vec<Outcome>) -> usize {
        self.outcomes.take(max_count, target)
    }

    /// The number of outcomes that were not fetched.
    pub(crate) fn outcomes_len(&self) -> usize {
        self.outcomes.ready_len()
    }

    /// The number of outcomes that were not fetched or are still to come.
    pub(crate) fn outcomes_due(&self) -> usize {
        self.outcomes.due_len()
    }

    /// Puts a datagram in the queue.
    pub fn push(&mut self, now: Instant, datagram: &Outgoing<'_>) -> Result<Pushed, PushError> {
        if !self.is_open() {
            return Err(PushError::Closed);
        }
        if datagram.report_id.is_some() && !self.outcomes.has_room() {
            return Err(PushError::OutcomesFull);
        }
        self.earn_search();
        let (size, report_id) = (datagram.size(), datagram.report_id);
        let deadline = self.deadline(datagram.enqueued_at, datagram.expires_at);
        let refusal = if is_past(deadline, now) {
            Some(OutcomeKind::Expired)
        } else if self.has_room(size) || self.make_room_by_expiry(now, size) {
            None
        } else {
            let room_possible = match self.config.policy {
                FullPolicy::Evict => {
                    let outranking = &self.rings[datagram.priority.index() + 1..];
                    self.fits_beside(outranking.iter().map(Ring::tally).sum(), size)
                }
                FullPolicy::Reject => false,
                FullPolicy::Wait if size <= self.config.limits.bytes => {
                    self.tell_level();
                    return Err(PushError::Full);
                }
                // No wait makes space for a datagram that exceeds the limit by itself.
                FullPolicy::Wait => false,
            };
            (!room_possible).then_some(OutcomeKind::Rejected)
        };

        self.counters.handed_in.add(size);
        self.counters.queued.add(size);
        self.outcomes.reserve(report_id);
        if let Some(kind) = refusal {
            self.leave(size, report_id, kind);
            self.tell_level();
            return Err(if kind == OutcomeKind::Expired { PushError::Expired } else { PushError::Rejected });
        }
        let mut evicted = 0;
        while !self.fits_with_newcomer() {
            let Some(lowest) = self.rings.iter().position(|ring| !ring.is_empty()) else { break };
            self.drop_front(lowest, OutcomeKind::Evicted);
            evicted += 1;
        }
        self.expect_expiry(deadline);
        self.rings[datagram.priority.index()].push(datagram);
        self.tell_level();
        Ok(Pushed { evicted })
    }

    /// Hands over up to `most` datagrams in their order. Stops at the first that `taker` does not
    /// admit; a smaller one behind it does not overtake. Drops expired ones that it meets. Returns
    /// how many it handed over, whatever the results.
    pub fn hand_over(&mut self, now: Instant, most: usize, taker: &mut impl Taker) -> usize {
        let mut count = 0;
        'all: for priority in (0..Priority::COUNT).rev() {
            while let Some(front) = self.rings[priority].front() {
                if count == most {
                    break 'all;
                }
                if is_past(self.deadline(front.enqueued_at, front.expires_at), now) {
                    self.drop_front(priority, OutcomeKind::Expired);
                    continue;
                }
                if !taker.admits(front.framed_len()) {
                    break 'all;
                }
                let Some((entry, framed)) = self.rings[priority].pop_front() else { break };
                let kind = match taker.take(framed) {
                    HandOver::Sent => {
                        self.sent_sizes.record(entry.size());
                        OutcomeKind::Handed
                    }
                    HandOver::TooLarge => OutcomeKind::TooLarge,
                    HandOver::Failed => OutcomeKind::Failed,
                    HandOver::Closed => OutcomeKind::Closed,
                };
                self.leave(entry.size(), entry.report_id, kind);
                count += 1;
            }
        }
        self.tell_level();
        count
    }

    /// Counts a datagram that was not queued because it is larger than the path carries.
    ///
    /// # Errors
    /// There is no place for the outcome; nothing was counted.
    pub(crate) fn count_too_large(
        &mut self,
        size: usize,
        report_id: Option<u64>,
    ) -> Result<(), OutcomesFull> {
        self.count_outside(size, report_id, OutcomeKind::TooLarge)
    }

    /// Counts a datagram whose sender stopped waiting for space ([`PushError::Full`]).
    ///
    /// # Errors
    /// There is no place for the outcome; nothing was counted.
    pub(crate) fn count_rejected(&mut self, size: usize, report_id: Option<u64>) -> Result<(), OutcomesFull> {
        self.count_outside(size, report_id, OutcomeKind::Rejected)
    }

    /// Drops all datagrams and returns their number.
    pub fn clear(&mut self, now: Instant) -> usize {
        self.drop_expired(now);
        let cleared = self.drop_all(OutcomeKind::Cleared);
        self.tell_level();
        cleared
    }

    /// Evicts datagrams until the limits hold, the oldest of the lowest priority first, and returns
    /// their number. Does so only under [`FullPolicy::Evict`]: with the other policies, the queue
    /// keeps all its datagrams.
    pub(crate) fn evict_beyond_limits(&mut self, now: Instant) -> usize {
        self.drop_expired(now);
        let Limits { datagrams, bytes } = self.config.limits;
        let mut evicted = 0;
        while self.config.policy == FullPolicy::Evict {
            let waiting = self.counters.queued;
            if waiting.datagrams <= datagrams as u64 && waiting.bytes <= bytes as u64 {
                break;
            }
            let Some(lowest) = self.rings.iter().position(|ring| !ring.is_empty()) else { break };
            self.drop_front(lowest, OutcomeKind::Evicted);
            evicted += 1;
        }
        self.tell_level();
        evicted
    }

    /// Accepts nothing from now on. What waits still leaves.
    pub fn end_after_this(&mut self) {
        self.changes += u64::from(self.is_open());
        self.is_ending = true;
    }

    /// Accepts nothing from now on. Counts all that waits as failed and returns its number.
    pub fn close(&mut self) -> usize {
        self.changes += u64::from(!self.closed);
        self.closed = true;
        let failed = self.drop_all(OutcomeKind::Closed);
        self.tell_level();
        failed
    }

    /// Whether `size` more bytes fit beside `waiting`.
    fn fits_beside(&self, waiting: Tally, size: usize) -> bool {
        let Limits { datagrams, bytes } = self.config.limits;
        waiting.datagrams < datagrams as u64 && waiting.bytes.saturating_add(size as u64) <= bytes as u64
    }

    /// Whether the queue is within its limits, with a new datagram counted.
    fn fits_with_newcomer(&self) -> bool {
        let Limits { datagrams, bytes } = self.config.limits;
        let Tally { datagrams: waiting, bytes: waiting_bytes } = self.counters.queued;
        waiting <= datagrams as u64 && waiting_bytes <= bytes as u64
    }

    fn tell_level(&mut self) {
        let Tally { datagrams, bytes } = self.counters.queued;
        let level = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        if self.watermark.update(level(datagrams), level(bytes)) == Some(Edge::Low) {
            self.changes += 1;
        }
    }

    fn drop_front(&mut self, priority: usize, kind: OutcomeKind) {
        if let Some(entry) = self.rings[priority].drop_front() {
            self.leave(entry.size(), entry.report_id, kind);
        }
    }

    fn drop_all(&mut self, kind: OutcomeKind) -> usize {
        let mut dropped = 0;
        for priority in 0..Priority::COUNT {
            while !self.rings[priority].is_empty() {
                self.drop_front(priority, kind);
                dropped += 1;
            }
        }
        self.next_expiry = None;
        dropped
    }

    fn leave(&mut self, size: usize, report_id: Option<u64>, kind: OutcomeKind) {
        leave(&mut self.counters, &mut self.outcomes, size, report_id, kind);
    }

    fn count_outside(
        &mut self,
        size: usize,
        report_id: Option<u64>,
        kind: OutcomeKind,
    ) -> Result<(), OutcomesFull> {
        self.outcomes.report(report_id, kind)?;
        self.counters.handed_in.add(size);
        tally_of(&mut self.counters, kind).add(size);
        Ok(())
    }
}

/// The only way out of `queued`: counts once, and reports the outcome if asked for.
fn leave(
    counters: &mut OutboundCounters,
    outcomes: &mut Outcomes,
    size: usize,
    report_id: Option<u64>,
    kind: OutcomeKind,
) {
    counters.queued.remove(size);
    tally_of(counters, kind).add(size);
    outcomes.fulfil(report_id, kind);
}

fn tally_of(counters: &mut OutboundCounters, kind: OutcomeKind) -> &mut Tally {
    match kind {
        OutcomeKind::Handed => &mut counters.sent,
        OutcomeKind::Expired => &mut counters.expired,
        OutcomeKind::Evicted => &mut counters.evicted,
        OutcomeKind::Rejected => &mut counters.rejected,
        OutcomeKind::TooLarge => &mut counters.too_large,
        OutcomeKind::Failed | OutcomeKind::Closed => &mut counters.failed,
        OutcomeKind::Cleared => &mut counters.cleared,
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
