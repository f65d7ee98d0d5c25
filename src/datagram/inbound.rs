//! The queue of datagrams that came in and wait for a receive call.
//!
//! Payloads are copied into one contiguous ring of bytes. A queued datagram therefore never keeps the buffer it came
//! in alive (a peer could pin a whole UDP receive buffer with each one-byte datagram), nothing is allocated per
//! datagram, and a batch leaves with one copy.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::message::{Limits, Metadata};
use super::stats::{InboundCounters, SizeRange, Tally};

/// Room for bytes that an empty queue keeps.
const KEPT_BYTES: usize = 16 * 1024;
/// Room for datagrams that an empty queue keeps.
const KEPT_ENTRIES: usize = 256;
/// Memory is given back at most this often: a reader that empties the queue after every burst would otherwise free and
/// grow it for each.
const SHRINK_INTERVAL: Duration = Duration::from_secs(1);

/// Which datagram goes when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DropPolicy {
    /// The one that waited longest: what arrives later is worth more.
    #[default]
    Oldest,
    /// The one that just arrived.
    Newest,
}

/// How an [`Inbound`] behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboundConfig {
    /// What it may hold.
    pub limits: Limits,
    /// Datagrams this old are dropped instead of delivered; none or zero: never.
    pub max_age: Option<Duration>,
    /// Who goes when it is full.
    pub policy: DropPolicy,
}

impl Default for InboundConfig {
    fn default() -> Self {
        Self {
            limits: Limits { datagrams: 4096, bytes: 1024 * 1024 },
            max_age: None,
            policy: DropPolicy::Oldest,
        }
    }
}

/// Why nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PopError {
    /// Nothing waits.
    Empty,
    /// The next datagram does not fit; it stays where it is.
    TooSmall {
        /// Bytes it needs.
        needed: usize,
    },
}

/// Where in the arena a datagram of a batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slot {
    /// Its first byte.
    pub offset: usize,
    /// Its bytes.
    pub len: usize,
    /// What is known about it.
    pub metadata: Metadata,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    arrived_at: Instant,
    timestamp_us: u64,
    sequence: u64,
    len: usize,
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

/// The queue: first in, first out. Expiry is judged when a datagram is at the front.
#[derive(Debug)]
pub struct Inbound {
    config: InboundConfig,
    bytes: VecDeque<u8>,
    entries: VecDeque<Entry>,
    next_sequence: u64,
    counters: InboundCounters,
    delivered_sizes: SizeRange,
    shrunk_at: Option<Instant>,
}

impl Inbound {
    /// An empty queue, which holds no memory yet.
    pub fn new(config: InboundConfig) -> Self {
        let mut inbound = Self {
            config,
            bytes: VecDeque::new(),
            entries: VecDeque::new(),
            next_sequence: 0,
            counters: InboundCounters::default(),
            delivered_sizes: SizeRange::default(),
            shrunk_at: None,
        };
        inbound.set_limits(config.limits);
        inbound.set_max_age(config.max_age);
        inbound
    }

    /// New limits. What is too much now leaves when the next datagram comes.
    pub fn set_limits(&mut self, limits: Limits) {
        self.config.limits = Limits { datagrams: limits.datagrams.max(1), bytes: limits.bytes };
    }

    /// A new max age (none or zero: no limit), which holds for what is already queued, too.
    pub fn set_max_age(&mut self, max_age: Option<Duration>) {
        self.config.max_age = max_age.filter(|max_age| !max_age.is_zero());
    }

    /// A new policy for what arrives from now on.
    pub fn set_policy(&mut self, policy: DropPolicy) {
        self.config.policy = policy;
    }

    /// Drops the oldest of what the limits no longer allow, under [`DropPolicy::Oldest`] only: the other policy keeps
    /// what it took. Returns how many.
    pub fn drop_beyond_limits(&mut self, now: Instant) -> usize {
        self.expire(now);
        let before = self.entries.len();
        let Limits { datagrams, bytes } = self.config.limits;
        while self.config.policy == DropPolicy::Oldest
            && (self.entries.len() > datagrams || self.bytes.len() > bytes)
        {
            let len = self.drop_front();
            self.counters.dropped_full.add(len);
        }
        self.trim(now);
        before - self.entries.len()
    }

    /// The settings in force.
    pub fn config(&self) -> InboundConfig {
        self.config
    }

    /// The counters; `queued` may include datagrams whose age nobody has looked at since ([`Self::expire`]).
    pub fn counters(&self) -> InboundCounters {
        self.counters
    }

    /// Sizes of what was delivered.
    pub fn delivered_sizes(&self) -> SizeRange {
        self.delivered_sizes
    }

    /// What waits.
    pub fn queued(&self) -> Tally {
        self.counters.queued
    }

    /// The sequence number the next datagram will get, which is how many came so far.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The sequence number for a datagram that came in but is read by somebody else than this queue.
    pub fn claim_sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        sequence
    }

    /// Counts a datagram that somebody else than this queue reads and had no room for.
    pub fn count_dropped_elsewhere(&mut self, size: usize) {
        self.claim_sequence();
        self.counters.received.add(size);
        self.counters.dropped_full.add(size);
    }

    /// Takes in what arrived at `now`, in order; returns how many of these found room. Each gets the next sequence
    /// number, whether it is kept or not.
    pub fn push_batch<'a>(
        &mut self,
        now: Instant,
        unix_us: u64,
        datagrams: impl IntoIterator<Item = &'a [u8]>,
    ) -> usize {
        let mut kept = 0;
        for payload in datagrams {
            let sequence = self.claim_sequence();
            self.counters.received.add(payload.len());
            if self.make_room(now, payload.len()) {
                self.grow(payload.len());
                self.bytes.extend(payload);
                self.entries.push_back(Entry {
                    arrived_at: now,
                    timestamp_us: unix_us,
                    sequence,
                    len: payload.len(),
                });
                self.counters.queued.add(payload.len());
                kept += 1;
            } else {
                self.counters.dropped_full.add(payload.len());
            }
        }
        kept
    }

    /// Bytes of the next datagram, if one waits.
    pub fn front_len(&mut self, now: Instant) -> Option<usize> {
        self.expire(now);
        self.entries.front().map(|entry| entry.len)
    }

    /// Copies the beginning of the next datagram, which stays, to `buffer`: as much as both have.
    pub fn front_into(&self, buffer: &mut [u8]) {
        let len = self.entries.front().map_or(0, |entry| entry.len).min(buffer.len());
        copy_front(&self.bytes, &mut buffer[..len]);
    }

    /// Copies the next datagram to the beginning of `buffer`.
    pub fn pop_into(&mut self, now: Instant, buffer: &mut [u8]) -> Result<Metadata, PopError> {
        let mut slot = [Slot::default()];
        match self.pop_batch_into(now, buffer, &mut slot)? {
            0 => Err(PopError::Empty),
            _ => Ok(slot[0].metadata),
        }
    }

    /// Copies as many datagrams as there are slots and room for, back to back, into `arena`; returns how many slots
    /// were filled (0 when nothing waits). Only when not even the first fits this is [`PopError::TooSmall`].
    pub fn pop_batch_into(
        &mut self,
        now: Instant,
        arena: &mut [u8],
        slots: &mut [Slot],
    ) -> Result<usize, PopError> {
        let (mut filled, mut offset) = (0, 0);
        loop {
            self.expire(now);
            let run_start = offset;
            let mut run = 0;
            for (entry, slot) in self.entries.iter().zip(&mut slots[filled..]) {
                if entry.is_expired(now, self.config.max_age) {
                    break;
                }
                if entry.len > arena.len() - offset {
                    if filled + run == 0 {
                        return Err(PopError::TooSmall { needed: entry.len });
                    }
                    break;
                }
                *slot = Slot { offset, len: entry.len, metadata: entry.metadata(now) };
                self.delivered_sizes.record(entry.len);
                offset += entry.len;
                run += 1;
            }
            if run == 0 {
                break;
            }
            self.take_bytes(&mut arena[run_start..offset]);
            self.entries.drain(..run);
            let taken = Tally { datagrams: run as u64, bytes: (offset - run_start) as u64 };
            self.counters.delivered = self.counters.delivered.plus(taken);
            self.counters.queued.datagrams -= taken.datagrams;
            self.counters.queued.bytes -= taken.bytes;
            filled += run;
        }
        self.trim(now);
        Ok(filled)
    }

    /// Drops what is too old by now; returns how many.
    pub fn expire(&mut self, now: Instant) -> usize {
        let mut dropped = 0;
        while let Some(entry) = self.entries.front()
            && entry.is_expired(now, self.config.max_age)
        {
            let len = self.drop_front();
            self.counters.expired.add(len);
            dropped += 1;
        }
        dropped
    }

    /// Drops everything that waits; returns how many.
    pub fn clear(&mut self, now: Instant) -> usize {
        self.expire(now);
        let cleared = self.entries.len();
        self.entries.clear();
        self.bytes.clear();
        self.counters.cleared = self.counters.cleared.plus(std::mem::take(&mut self.counters.queued));
        self.trim(now);
        cleared
    }

    /// Gives memory back if the queue is empty, holds much, and this was not just done. Popping and clearing do it by
    /// themselves; a housekeeper may call it for queues that nobody touches.
    pub fn trim(&mut self, now: Instant) {
        let large = self.bytes.capacity() > KEPT_BYTES || self.entries.capacity() > KEPT_ENTRIES;
        if !large || !self.entries.is_empty() {
            return;
        }
        if self.shrunk_at.is_some_and(|at| now.saturating_duration_since(at) < SHRINK_INTERVAL) {
            return;
        }
        self.bytes.shrink_to(KEPT_BYTES);
        self.entries.shrink_to(KEPT_ENTRIES);
        self.shrunk_at = Some(now);
    }

    /// Whether `extra` bytes have, or were given, a place.
    fn make_room(&mut self, now: Instant, extra: usize) -> bool {
        if self.has_room(extra) {
            return true;
        }
        self.expire(now);
        // One that could never fit does not empty the queue first.
        if self.config.policy == DropPolicy::Newest || extra > self.config.limits.bytes {
            return self.has_room(extra);
        }
        while !self.has_room(extra) {
            let len = self.drop_front();
            self.counters.dropped_full.add(len);
        }
        true
    }

    fn has_room(&self, extra: usize) -> bool {
        let Limits { datagrams, bytes } = self.config.limits;
        self.entries.len() < datagrams && self.bytes.len().saturating_add(extra) <= bytes
    }

    /// Doubles like any vector, but never past the limits, which bound memory and not only contents.
    fn grow(&mut self, extra: usize) {
        let Limits { datagrams, bytes } = self.config.limits;
        reserve_within(&mut self.bytes, extra, bytes.max(KEPT_BYTES), KEPT_BYTES);
        reserve_within(&mut self.entries, 1, datagrams.max(KEPT_ENTRIES), 16);
    }

    /// Removes the front datagram from the queue and from `queued`; the caller counts where it went.
    fn drop_front(&mut self) -> usize {
        let Some(entry) = self.entries.pop_front() else { return 0 };
        self.bytes.drain(..entry.len);
        self.counters.queued.remove(entry.len);
        entry.len
    }

    /// Moves the first bytes of the ring out.
    fn take_bytes(&mut self, target: &mut [u8]) {
        copy_front(&self.bytes, target);
        self.bytes.drain(..target.len());
    }
}

fn copy_front(ring: &VecDeque<u8>, target: &mut [u8]) {
    let (head, tail) = ring.as_slices();
    let (from_head, from_tail) = target.split_at_mut(head.len().min(target.len()));
    from_head.copy_from_slice(&head[..from_head.len()]);
    from_tail.copy_from_slice(&tail[..from_tail.len()]);
}

fn reserve_within<T>(ring: &mut VecDeque<T>, extra: usize, limit: usize, at_least: usize) {
    let needed = ring.len() + extra;
    if needed > ring.capacity() {
        let wanted = ring.capacity().saturating_mul(2).max(at_least).min(limit).max(needed);
        ring.reserve_exact(wanted - ring.len());
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
