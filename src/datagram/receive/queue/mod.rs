//! The queue of datagrams that arrived and wait for a receive call.
//!
//! Payloads are copied into one contiguous ring of bytes. So a queued datagram never keeps the
//! buffer alive in which it arrived (a peer could pin a whole UDP receive buffer with each one-byte
//! datagram), no datagram needs an allocation, and a batch leaves with one copy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ring::{Entry, Ring};
use crate::datagram::message::{Limits, Metadata};
pub use crate::datagram::options::DropPolicy;
use crate::datagram::stats::{InboundCounters, SizeRange, Tally};
use crate::link::memory::MemoryBudget;

/// The settings of a [`ReceiveQueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveConfig {
    /// Its limits.
    pub limits: Limits,
    /// Datagrams of this age are dropped instead of delivered; none or zero: never.
    pub max_age: Option<Duration>,
    /// Which datagram is dropped when the queue is full.
    pub policy: DropPolicy,
}

impl Default for ReceiveConfig {
    fn default() -> Self {
        Self {
            limits: Limits { datagrams: 4096, bytes: 1024 * 1024 },
            max_age: None,
            policy: DropPolicy::Oldest,
        }
    }
}

/// Why no datagram was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PopError {
    /// The queue is empty.
    Empty,
    /// The next datagram does not fit; it stays where it is.
    TooSmall {
        /// The length of the datagram.
        needed: usize,
    },
}

/// The place of a datagram of a batch in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slot {
    /// Offset of its first byte.
    pub offset: usize,
    /// Its length.
    pub len: usize,
    /// Its metadata.
    pub metadata: Metadata,
}

impl Entry {
    fn metadata(&self, now: Instant) -> Metadata {
        Metadata {
            timestamp_us: self.timestamp_us,
            size: self.len,
            sequence: self.sequence,
            age: now.saturating_duration_since(self.arrived_at),
            waited: Duration::ZERO,
        }
    }

    fn is_expired(&self, now: Instant, max_age: Option<Duration>) -> bool {
        max_age.is_some_and(|max_age| now.saturating_duration_since(self.arrived_at) >= max_age)
    }
}

/// The queue: first in, first out. A datagram expires when it is at the front and too old.
#[derive(Debug)]
pub struct ReceiveQueue {
    config: ReceiveConfig,
    ring: Ring,
    next_sequence: u64,
    counters: InboundCounters,
    delivered_sizes: SizeRange,
}

impl ReceiveQueue {
    /// An empty queue of a transport of this lane, which holds no memory yet.
    pub fn new(config: ReceiveConfig, lane: usize) -> Self {
        let mut inbound = Self {
            config,
            ring: Ring::new(lane),
            next_sequence: 0,
            counters: InboundCounters::default(),
            delivered_sizes: SizeRange::default(),
        };
        inbound.set_limits(config.limits);
        inbound.set_max_age(config.max_age);
        inbound
    }

    /// From now on, the queue's memory counts in `budget`. It does not grow beyond that.
    pub(crate) fn set_budget(&mut self, budget: Option<Arc<MemoryBudget>>) {
        self.ring.set_budget(budget);
    }

    /// Sets new limits. A queue above them shrinks when the next datagram arrives.
    pub fn set_limits(&mut self, limits: Limits) {
        self.config.limits = Limits { datagrams: limits.datagrams.max(1), bytes: limits.bytes };
    }

    /// Sets a new maximum age (none or zero: no limit). It also applies to datagrams in the queue.
    pub fn set_max_age(&mut self, max_age: Option<Duration>) {
        self.config.max_age = max_age.filter(|max_age| !max_age.is_zero());
    }

    /// Sets a new policy for datagrams that arrive from now on.
    pub fn set_policy(&mut self, policy: DropPolicy) {
        self.config.policy = policy;
    }

    /// Drops the oldest datagrams until the limits hold, and returns their number. Does so only
    /// under [`DropPolicy::Oldest`]: with the other policy, the queue keeps all its datagrams.
    pub(crate) fn drop_beyond_limits(&mut self, now: Instant) -> usize {
        self.expire(now);
        let before = self.ring.len();
        let Limits { datagrams, bytes } = self.config.limits;
        while self.config.policy == DropPolicy::Oldest
            && (self.ring.len() > datagrams || self.ring.bytes() > bytes)
        {
            let len = self.drop_front();
            self.counters.dropped_full.add(len);
        }
        before - self.ring.len()
    }

    /// The settings in force.
    pub fn config(&self) -> ReceiveConfig {
        self.config
    }

    /// The counters. `queued` may include datagrams that have expired since the last look
    /// ([`Self::expire`]).
    pub fn counters(&self) -> InboundCounters {
        self.counters
    }

    /// Sizes of delivered datagrams.
    pub(crate) fn delivered_sizes(&self) -> SizeRange {
        self.delivered_sizes
    }

    /// What waits in the queue.
    pub fn queued(&self) -> Tally {
        self.counters.queued
    }

    /// The sequence number of the next datagram, which is the number of those that have come.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Takes the next sequence number, also for a datagram that a route has taken.
    pub(crate) fn claim_sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        sequence
    }

    /// Counts a datagram for which a route had no space.
    pub(crate) fn count_dropped_elsewhere(&mut self, size: usize) {
        self.claim_sequence();
        self.counters.received.add(size);
        self.counters.dropped_full.add(size);
    }

    /// Takes the datagrams that arrived at `now`, in order. Returns how many of them the queue has
    /// kept. Each gets the next sequence number, kept or not.
    pub(crate) fn push_batch<'a>(
        &mut self,
        now: Instant,
        unix_us: u64,
        datagrams: impl IntoIterator<Item = &'a [u8]>,
    ) -> usize {
        let mut kept = 0;
        for payload in datagrams {
            let sequence = self.claim_sequence();
            self.counters.received.add(payload.len());
            if self.make_room(now, payload.len()) && self.has_memory(payload.len()) {
                let entry = Entry { arrived_at: now, timestamp_us: unix_us, sequence, len: payload.len() };
                self.ring.push(entry, payload, self.config.limits);
                self.counters.queued.add(payload.len());
                kept += 1;
            } else {
                self.counters.dropped_full.add(payload.len());
            }
        }
        kept
    }

    /// The length of the next datagram, if one waits.
    pub(crate) fn front_len(&mut self, now: Instant) -> Option<usize> {
        self.expire(now);
        self.ring.front().map(|entry| entry.len)
    }

    /// Copies the beginning of the next datagram, as much as fits, to `buffer`. The datagram stays.
    pub(crate) fn front_into(&self, buffer: &mut [u8]) {
        let len = self.ring.front().map_or(0, |entry| entry.len).min(buffer.len());
        self.ring.copy_front(&mut buffer[..len]);
    }

    /// Copies the next datagram to the beginning of `buffer`.
    pub(crate) fn pop_into(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Metadata, PopError> {
        self.expire(now);
        let metadata = self.ring.front().ok_or(PopError::Empty)?.metadata(now);
        self.pop_regardless_of_age(buffer)?;
        Ok(metadata)
    }

    /// Like [`Self::pop_into`], for callers that only need the length. It needs no time, so it
    /// takes nothing if there is a maximum age.
    pub(crate) fn pop_unexpiring(&mut self, buffer: &mut [u8]) -> Result<usize, PopError> {
        if self.config.max_age.is_some() { Err(PopError::Empty) } else { self.pop_regardless_of_age(buffer) }
    }

    fn pop_regardless_of_age(&mut self, buffer: &mut [u8]) -> Result<usize, PopError> {
        let &Entry { len, .. } = self.ring.front().ok_or(PopError::Empty)?;
        let target = buffer.get_mut(..len).ok_or(PopError::TooSmall { needed: len })?;
        self.ring.copy_front(target);
        self.ring.remove_front(1, len);
        self.delivered_sizes.record(len);
        self.counters.delivered.add(len);
        self.counters.queued.remove(len);
        Ok(len)
    }

    /// Copies up to `most` datagrams, as many as fit, one after the other into `arena`. Calls `put`
    /// with the place of each, in order from 0. Returns their number, 0 if the queue is empty.
    /// Fails with [`PopError::TooSmall`] only if not even the first fits.
    pub(crate) fn pop_batch(
        &mut self,
        now: Instant,
        arena: &mut [u8],
        most: usize,
        mut put: impl FnMut(usize, Slot),
    ) -> Result<usize, PopError> {
        let (mut filled, mut offset) = (0, 0);
        loop {
            self.expire(now);
            let run_start = offset;
            let mut run = 0;
            for entry in self.ring.entries().take(most - filled) {
                if entry.is_expired(now, self.config.max_age) {
                    break;
                }
                if entry.len > arena.len() - offset {
                    if filled + run == 0 {
                        return Err(PopError::TooSmall { needed: entry.len });
                    }
                    break;
                }
                put(filled + run, Slot { offset, len: entry.len, metadata: entry.metadata(now) });
                self.delivered_sizes.record(entry.len);
                offset += entry.len;
                run += 1;
            }
            if run == 0 {
                break;
            }
            self.ring.copy_front(&mut arena[run_start..offset]);
            self.ring.remove_front(run, offset - run_start);
            let taken = Tally { datagrams: run as u64, bytes: (offset - run_start) as u64 };
            self.counters.delivered = self.counters.delivered.plus(taken);
            self.counters.queued.datagrams -= taken.datagrams;
            self.counters.queued.bytes -= taken.bytes;
            filled += run;
        }
        Ok(filled)
    }

    /// Drops expired datagrams and returns their number.
    pub fn expire(&mut self, now: Instant) -> usize {
        let mut dropped = 0;
        while let Some(entry) = self.ring.front()
            && entry.is_expired(now, self.config.max_age)
        {
            let len = self.drop_front();
            self.counters.expired.add(len);
            dropped += 1;
        }
        dropped
    }

    /// Drops all datagrams and returns their number.
    pub fn clear(&mut self, now: Instant) -> usize {
        self.expire(now);
        let cleared = self.ring.len();
        self.ring.clear();
        self.counters.cleared = self.counters.cleared.plus(std::mem::take(&mut self.counters.queued));
        cleared
    }

    /// Whether there is space for `extra` bytes, if necessary after drops.
    fn make_room(&mut self, now: Instant, extra: usize) -> bool {
        if self.has_room(extra) {
            return true;
        }
        self.expire(now);
        // A datagram that can never fit must not empty the queue first.
        if self.config.policy == DropPolicy::Newest || extra > self.config.limits.bytes {
            return self.has_room(extra);
        }
        while !self.has_room(extra) {
            let len = self.drop_front();
            self.counters.dropped_full.add(len);
        }
        true
    }

    /// Whether there is memory for `extra` bytes, if necessary after drops.
    fn has_memory(&mut self, extra: usize) -> bool {
        while !self.ring.may_grow(extra, self.config.limits) {
            self.ring.count_over_budget();
            if self.config.policy == DropPolicy::Newest || self.ring.len() == 0 {
                return false;
            }
            let len = self.drop_front();
            self.counters.dropped_full.add(len);
        }
        true
    }

    fn has_room(&self, extra: usize) -> bool {
        let Limits { datagrams, bytes } = self.config.limits;
        self.ring.len() < datagrams && self.ring.bytes().saturating_add(extra) <= bytes
    }

    /// Removes the front datagram from the queue and from `queued`. The caller counts its fate.
    fn drop_front(&mut self) -> usize {
        let Some(&Entry { len, .. }) = self.ring.front() else { return 0 };
        self.ring.remove_front(1, len);
        self.counters.queued.remove(len);
        len
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
