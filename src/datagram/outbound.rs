//! The queue of datagrams that wait to be handed to QUIC.
//!
//! Three rings, one for each priority; the highest leaves first, first in first out within one. A datagram is *waiting*
//! while it is in a ring and *in hand* between [`Outbound::pop_batch`] and the word of what became of it
//! ([`Outbound::settle`] or [`Outbound::requeue_front`]); both are `queued` in the counters. Limits are about what is
//! waiting: what is in hand cannot be evicted any more and must not make a newcomer be refused. What is in hand may
//! come back to the front even if its place was taken meanwhile, so memory is bounded by the limits and one batch.
//!
//! Expiry is judged when a datagram comes, when it is about to leave, before anything is evicted or refused for lack of
//! room, and in [`Outbound::expire`]; there is no timer in here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::message::{Limits, Outgoing, Priority};
use super::stats::{OutboundCounters, SizeRange, Tally};
use super::watermark::{Edge, Edges, Marks, Watermark};

mod expiry;
mod outcomes;
use expiry::is_past;
use outcomes::Outcomes;
pub use outcomes::{Outcome, OutcomeKind, OutcomesFull};

/// Room for datagrams that an empty ring keeps.
const KEPT_ITEMS: usize = 256;
/// Memory is given back at most this often, because a bursty sender would need it again at once.
const SHRINK_INTERVAL: Duration = Duration::from_secs(1);

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

/// How an [`Outbound`] behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboundConfig {
    /// What may be waiting.
    pub limits: Limits,
    /// Datagrams this old are dropped instead of sent; none or zero: never.
    pub max_age: Option<Duration>,
    /// Who goes when it is full.
    pub policy: FullPolicy,
    /// High and low water of what is queued.
    pub marks: Marks,
    /// Places for outcomes, fetched or to come.
    pub outcome_capacity: usize,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            limits: Limits { datagrams: 100, bytes: 16 * 1024 * 1024 },
            max_age: None,
            policy: FullPolicy::Evict,
            marks: Marks::of_datagrams(100),
            outcome_capacity: 1024,
        }
    }
}

/// The datagram was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pushed {
    /// How many made room for it.
    pub evicted: usize,
}

/// The datagram was not accepted. Where it comes back to the caller nothing was counted.
#[derive(Debug)]
pub enum PushError {
    /// No room, and the policy is to wait for it; try again later, or [`Outbound::count_rejected`].
    Full(Outgoing),
    /// No room. Counted as rejected.
    Rejected,
    /// It had expired when it came. Counted as expired.
    Expired,
    /// There is no place for its outcome; fetch outcomes and try again.
    OutcomesFull(Outgoing),
    /// The queue is closed.
    Closed(Outgoing),
}

/// What became of a datagram in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    /// QUIC has it.
    Sent,
    /// The path does not carry it (any more).
    TooLarge,
    /// QUIC refused it.
    Failed,
    /// The connection had ended.
    Closed,
}

/// What is queued now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueSizes {
    /// Waiting, by priority.
    pub waiting: [Tally; Priority::COUNT],
    /// In hand.
    pub in_hand: Tally,
}

impl QueueSizes {
    /// Everything waiting.
    pub fn total_waiting(&self) -> Tally {
        self.waiting.iter().copied().sum()
    }
}

/// What somebody may wait for. Two of them tell whether those who wait have to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    waiting: Tally,
    outcomes: u64,
    changes: u64,
}

impl Signs {
    /// Whether there is room, an outcome, or anything else to look at that there was not `before`.
    pub fn invite_after(&self, before: Self) -> bool {
        let Tally { datagrams, bytes } = self.waiting;
        datagrams < before.waiting.datagrams
            || bytes < before.waiting.bytes
            || (self.outcomes, self.changes) != (before.outcomes, before.changes)
    }
}

#[derive(Debug, Default)]
struct Ring {
    items: VecDeque<Outgoing>,
    tally: Tally,
}

/// The queue.
///
/// What a datagram touches that does not have to wait comes first, in the order written: a broadcast to a thousand
/// transports finds none of this in a cache, and pays for each line.
#[derive(Debug)]
#[repr(C)]
pub struct Outbound {
    closed: bool,
    /// How often a setting changed, the level fell to the low-water mark, or the queue closed.
    changes: u64,
    counters: OutboundCounters,
    in_hand: Tally,
    sent_sizes: SizeRange,
    config: OutboundConfig,
    rings: [Ring; Priority::COUNT],
    outcomes: Outcomes,
    watermark: Watermark,
    /// Nothing that waits expires before this.
    next_expiry: Option<Instant>,
    /// How many items pushes have earned to have searched.
    search_credit: usize,
    /// How often the queue was cleared; tells what was in hand during a clear.
    generation: u32,
    shrunk_at: Option<Instant>,
}

impl Outbound {
    /// An empty queue.
    pub fn new(config: OutboundConfig) -> Self {
        let mut outbound = Self {
            closed: false,
            changes: 0,
            counters: OutboundCounters::default(),
            in_hand: Tally::default(),
            sent_sizes: SizeRange::default(),
            config,
            rings: Default::default(),
            outcomes: Outcomes::new(config.outcome_capacity),
            watermark: Watermark::new(config.marks),
            next_expiry: None,
            search_credit: 0,
            generation: 0,
            shrunk_at: None,
        };
        outbound.set_limits(config.limits);
        outbound.set_max_age(config.max_age);
        outbound
    }

    /// New limits. What is too much now stays until a newcomer needs room.
    pub fn set_limits(&mut self, limits: Limits) {
        self.config.limits = Limits { datagrams: limits.datagrams.max(1), bytes: limits.bytes };
        self.changes += 1;
    }

    /// A new max age (none or zero: no limit), which holds for what is already queued, too.
    pub fn set_max_age(&mut self, max_age: Option<Duration>) {
        self.config.max_age = max_age.filter(|max_age| !max_age.is_zero());
        self.find_next_expiry();
    }

    /// A new policy for newcomers.
    pub fn set_policy(&mut self, policy: FullPolicy) {
        self.config.policy = policy;
        self.changes += 1;
    }

    /// New marks, judged at once.
    pub fn set_marks(&mut self, marks: Marks) {
        self.config.marks = marks;
        self.watermark.set_marks(marks);
        self.tell_level();
    }

    /// What those who wait may have to hear of.
    pub fn signs(&self) -> Signs {
        let Tally { datagrams, bytes } = self.counters.queued;
        let waiting =
            Tally { datagrams: datagrams - self.in_hand.datagrams, bytes: bytes - self.in_hand.bytes };
        Signs { waiting, outcomes: self.outcomes.told(), changes: self.changes }
    }

    /// The settings in force.
    pub fn config(&self) -> OutboundConfig {
        self.config
    }

    /// The counters; `queued` may include datagrams that have expired since anybody looked ([`Self::expire`]).
    pub fn counters(&self) -> OutboundCounters {
        self.counters
    }

    /// Sizes of what was sent.
    pub fn sent_sizes(&self) -> SizeRange {
        self.sent_sizes
    }

    /// What is queued, by priority.
    pub fn sizes(&self) -> QueueSizes {
        QueueSizes { waiting: self.rings.each_ref().map(|ring| ring.tally), in_hand: self.in_hand }
    }

    /// Nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.rings.iter().all(|ring| ring.items.is_empty())
    }

    /// A datagram of this size would find a place without anybody leaving for it.
    pub fn has_room(&self, size: usize) -> bool {
        self.fits_beside(&self.rings, size)
    }

    /// Whether [`Self::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Between high and low water.
    pub fn is_above_high_water(&self) -> bool {
        self.watermark.is_above()
    }

    /// High- and low-water crossings since the last call.
    pub fn take_edges(&mut self) -> Edges {
        self.watermark.take_edges()
    }

    /// Moves up to `max_count` outcomes to the end of `target`; returns how many.
    pub fn take_outcomes(&mut self, max_count: usize, target: &mut Vec<Outcome>) -> usize {
        self.outcomes.take(max_count, target)
    }

    /// Outcomes that wait to be fetched.
    pub fn outcomes_len(&self) -> usize {
        self.outcomes.ready_len()
    }

    /// Outcomes that wait to be fetched, and those still to come.
    pub fn outcomes_due(&self) -> usize {
        self.outcomes.due_len()
    }

    /// Puts a datagram in the queue.
    pub fn push(&mut self, now: Instant, item: Outgoing) -> Result<Pushed, PushError> {
        let result = self.admit(now, item);
        self.tell_level();
        result
    }

    fn admit(&mut self, now: Instant, mut item: Outgoing) -> Result<Pushed, PushError> {
        if self.closed {
            return Err(PushError::Closed(item));
        }
        if !self.has_outcome_room(item.report_id) {
            return Err(PushError::OutcomesFull(item));
        }
        self.earn_search();
        let size = item.size();
        let deadline = self.deadline(&item);
        let refusal = if is_past(deadline, now) {
            Some(OutcomeKind::Expired)
        } else if self.has_room(size) || self.make_room_by_expiry(now, size) {
            None
        } else {
            let outranking = item.priority.index() + 1..;
            let room_possible = match self.config.policy {
                FullPolicy::Evict => self.fits_beside(&self.rings[outranking], size),
                FullPolicy::Reject => false,
                FullPolicy::Wait if size <= self.config.limits.bytes => return Err(PushError::Full(item)),
                // No wait makes room for what exceeds the limit by itself.
                FullPolicy::Wait => false,
            };
            (!room_possible).then_some(OutcomeKind::Rejected)
        };

        self.counters.handed_in.add(size);
        self.counters.queued.add(size);
        self.outcomes.reserve(item.report_id);
        if let Some(kind) = refusal {
            self.leave(size, item.report_id, kind);
            return Err(if kind == OutcomeKind::Expired { PushError::Expired } else { PushError::Rejected });
        }
        let mut evicted = 0;
        while !self.has_room(size) {
            let Some(lowest) = self.rings.iter().position(|ring| !ring.items.is_empty()) else { break };
            self.drop_front(lowest, OutcomeKind::Evicted);
            evicted += 1;
        }
        item.generation = self.generation;
        self.expect_expiry(deadline);
        let ring = &mut self.rings[item.priority.index()];
        ring.tally.add(size);
        ring.items.push_back(item);
        Ok(Pushed { evicted })
    }

    /// Takes in hand, appended to `batch`, what leaves next: at most `max_count` datagrams, and none from the first on
    /// whose size with prefix `admits` turns away; a smaller one behind it does not overtake. Expired ones that it meets
    /// are dropped. Returns how many it took.
    pub fn pop_batch(
        &mut self,
        now: Instant,
        max_count: usize,
        mut admits: impl FnMut(usize) -> bool,
        batch: &mut Vec<Outgoing>,
    ) -> usize {
        let mut taken = 0;
        'batch: for priority in (0..Priority::COUNT).rev() {
            while let Some(front) = self.rings[priority].items.front() {
                let framed_len = front.payload.len();
                if taken == max_count {
                    break 'batch;
                }
                if is_past(self.deadline(front), now) {
                    self.drop_front(priority, OutcomeKind::Expired);
                    continue;
                }
                if !admits(framed_len) {
                    break 'batch;
                }
                if let Some(item) = self.remove_front(priority) {
                    self.in_hand.add(item.size());
                    batch.push(item);
                    taken += 1;
                }
            }
        }
        self.trim(now);
        self.tell_level();
        taken
    }

    /// Says what became of datagrams in hand.
    pub fn settle(&mut self, results: impl IntoIterator<Item = (Outgoing, HandOver)>) {
        for (item, result) in results {
            self.in_hand.remove(item.size());
            let kind = match result {
                HandOver::Sent => {
                    self.sent_sizes.record(item.size());
                    OutcomeKind::Handed
                }
                HandOver::TooLarge => OutcomeKind::TooLarge,
                HandOver::Failed => OutcomeKind::Failed,
                HandOver::Closed => OutcomeKind::Closed,
            };
            self.leave(item.size(), item.report_id, kind);
        }
        self.tell_level();
    }

    /// Puts datagrams in hand that could not be handed over back, in the order in which they were popped, before
    /// everything of their priority. Those popped before a [`Self::clear`] are cleared now, and after
    /// [`Self::close`] nothing comes back.
    pub fn requeue_front(&mut self, items: impl DoubleEndedIterator<Item = Outgoing>) {
        for item in items.rev() {
            let size = item.size();
            self.in_hand.remove(size);
            if self.closed {
                self.leave(size, item.report_id, OutcomeKind::Closed);
            } else if item.generation != self.generation {
                self.leave(size, item.report_id, OutcomeKind::Cleared);
            } else {
                self.expect_expiry(self.deadline(&item));
                let ring = &mut self.rings[item.priority.index()];
                ring.tally.add(size);
                ring.items.push_front(item);
            }
        }
        self.tell_level();
    }

    /// Counts a datagram that never entered because it is larger than the path carries.
    ///
    /// # Errors
    /// There is no place for the outcome; nothing was counted.
    pub fn count_too_large(&mut self, size: usize, report_id: Option<u64>) -> Result<(), OutcomesFull> {
        self.count_outside(size, report_id, OutcomeKind::TooLarge)
    }

    /// Counts a datagram whose sender gave up waiting for room ([`PushError::Full`]).
    ///
    /// # Errors
    /// There is no place for the outcome; nothing was counted.
    pub fn count_rejected(&mut self, size: usize, report_id: Option<u64>) -> Result<(), OutcomesFull> {
        self.count_outside(size, report_id, OutcomeKind::Rejected)
    }

    /// Counts a datagram that failed before it entered.
    ///
    /// # Errors
    /// There is no place for the outcome; nothing was counted.
    pub fn count_failed(&mut self, size: usize, report_id: Option<u64>) -> Result<(), OutcomesFull> {
        self.count_outside(size, report_id, OutcomeKind::Failed)
    }

    /// Whether a datagram with this report id would find a place for its outcome.
    fn has_outcome_room(&self, report_id: Option<u64>) -> bool {
        report_id.is_none() || self.outcomes.has_room()
    }

    /// Drops everything that waits; returns how many. What is in hand is cleared if it comes back.
    pub fn clear(&mut self, now: Instant) -> usize {
        self.drop_expired(now);
        self.generation = self.generation.wrapping_add(1);
        let cleared = self.drop_all(OutcomeKind::Cleared);
        self.tell_level();
        self.trim(now);
        cleared
    }

    /// Evicts what the limits no longer allow, the oldest of the lowest priority first, under [`FullPolicy::Evict`] only:
    /// the other policies keep what they accepted. Returns how many.
    pub fn evict_beyond_limits(&mut self, now: Instant) -> usize {
        self.drop_expired(now);
        let Limits { datagrams, bytes } = self.config.limits;
        let mut evicted = 0;
        while self.config.policy == FullPolicy::Evict {
            let waiting = self.sizes().total_waiting();
            if waiting.datagrams <= datagrams as u64 && waiting.bytes <= bytes as u64 {
                break;
            }
            let Some(lowest) = self.rings.iter().position(|ring| !ring.items.is_empty()) else { break };
            self.drop_front(lowest, OutcomeKind::Evicted);
            evicted += 1;
        }
        self.tell_level();
        self.trim(now);
        evicted
    }

    /// Accepts nothing from now on; everything that waits is over and counted as failed. Returns how many that were.
    pub fn close(&mut self) -> usize {
        self.changes += u64::from(!self.closed);
        self.closed = true;
        let failed = self.drop_all(OutcomeKind::Closed);
        self.tell_level();
        self.rings = Default::default();
        failed
    }

    /// Gives memory back if rings are empty and hold much, and this was not just done. Popping and clearing do it by
    /// themselves.
    fn trim(&mut self, now: Instant) {
        let is_slack = |ring: &Ring| ring.items.is_empty() && ring.items.capacity() > KEPT_ITEMS;
        if !self.rings.iter().any(is_slack)
            || self.shrunk_at.is_some_and(|at| now.saturating_duration_since(at) < SHRINK_INTERVAL)
        {
            return;
        }
        for ring in self.rings.iter_mut().filter(|ring| is_slack(ring)) {
            ring.items.shrink_to(KEPT_ITEMS);
        }
        self.shrunk_at = Some(now);
    }

    /// Whether `size` more bytes fit if only these rings were there.
    fn fits_beside(&self, rings: &[Ring], size: usize) -> bool {
        let Limits { datagrams, bytes } = self.config.limits;
        let waiting: Tally = rings.iter().map(|ring| ring.tally).sum();
        waiting.datagrams < datagrams as u64 && waiting.bytes.saturating_add(size as u64) <= bytes as u64
    }

    fn tell_level(&mut self) {
        let Tally { datagrams, bytes } = self.counters.queued;
        let level = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        if self.watermark.update(level(datagrams), level(bytes)) == Some(Edge::Low) {
            self.changes += 1;
        }
    }

    fn remove_front(&mut self, priority: usize) -> Option<Outgoing> {
        let ring = &mut self.rings[priority];
        let item = ring.items.pop_front()?;
        ring.tally.remove(item.size());
        Some(item)
    }

    fn drop_front(&mut self, priority: usize, kind: OutcomeKind) {
        if let Some(item) = self.remove_front(priority) {
            self.leave(item.size(), item.report_id, kind);
        }
    }

    fn drop_all(&mut self, kind: OutcomeKind) -> usize {
        let mut dropped = 0;
        for priority in 0..Priority::COUNT {
            while !self.rings[priority].items.is_empty() {
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

/// The one way out of `queued`: one counter and, if asked for, one outcome.
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
