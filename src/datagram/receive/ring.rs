//! The memory of the receive queue: the bytes of all datagrams in one ring, and an entry for each.
//!
//! An empty ring holds no memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::datagram::message::Limits;
use crate::datagram::pool::{Pool, Reusable};
use crate::link::memory::MemoryBudget;

/// Memory for bytes that a ring begins with.
pub(super) const FIRST_BYTES: usize = 16 * 1024;
/// Memory for datagrams that a ring begins with.
const LEAST_ENTRIES: usize = 16;
/// Memory for datagrams that a ring may always have, whatever the limits are.
pub(super) const FIRST_ENTRIES: usize = 256;

static MEMORY: Pool<Memory> = Pool::new();

/// A datagram that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub arrived_at: Instant,
    pub timestamp_us: u64,
    pub sequence: u64,
    pub len: usize,
}

#[derive(Debug, Default)]
struct Memory {
    bytes: VecDeque<u8>,
    entries: VecDeque<Entry>,
}

impl Reusable for Memory {
    fn capacity_bytes(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }
}

/// Datagrams, first in, first out.
#[derive(Debug)]
pub(super) struct Ring {
    memory: Memory,
    lane: usize,
    /// Where its memory counts.
    budget: Option<Arc<MemoryBudget>>,
}

impl Ring {
    /// An empty ring of a transport of this lane.
    pub fn new(lane: usize) -> Self {
        Self { memory: Memory::default(), lane, budget: None }
    }

    /// From now on, its memory counts in `budget`.
    pub fn set_budget(&mut self, budget: Option<Arc<MemoryBudget>>) {
        self.budget = budget;
        self.count_memory(0);
    }

    /// Whether the budget allows the memory for a datagram of this size.
    pub fn may_grow(&self, len: usize, limits: Limits) -> bool {
        let Some(budget) = &self.budget else { return true };
        let Memory { bytes, entries } = &self.memory;
        let (most_bytes, most_entries) = most(limits);
        let more_bytes = growth(bytes, len, most_bytes, FIRST_BYTES);
        let more_entries = growth(entries, 1, most_entries, LEAST_ENTRIES);
        let more = more_bytes + more_entries * size_of::<Entry>();
        more == 0 || budget.has_room(more)
    }

    /// Counts a datagram that the budget does not allow.
    pub fn count_over_budget(&self) {
        if let Some(budget) = &self.budget {
            budget.count_dropped();
        }
    }

    /// Counts the memory in the budget if it is not `before`.
    fn count_memory(&self, before: usize) {
        if let Some(budget) = &self.budget {
            let after = self.memory.capacity_bytes();
            if after != before {
                budget.change(before, after);
            }
        }
    }

    /// The number of datagrams.
    pub fn len(&self) -> usize {
        self.memory.entries.len()
    }

    /// The number of their bytes.
    pub fn bytes(&self) -> usize {
        self.memory.bytes.len()
    }

    /// The next datagram.
    pub fn front(&self) -> Option<&Entry> {
        self.memory.entries.front()
    }

    /// All datagrams, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.memory.entries.iter()
    }

    /// Copies a datagram to the end. Memory doubles as in any vector, but never beyond the limits:
    /// these bound memory and not only contents.
    pub fn push(&mut self, entry: Entry, payload: &[u8], limits: Limits) {
        let (most_bytes, most_entries) = most(limits);
        let before = self.memory.capacity_bytes();
        if self.memory.entries.capacity() == 0 {
            let spare = MEMORY.of_lane(self.lane).take_if(|memory| {
                memory.bytes.capacity() <= most_bytes
                    && memory.entries.capacity() <= most_entries
                    && self.budget.as_ref().is_none_or(|budget| budget.has_room(memory.capacity_bytes()))
            });
            self.memory = spare.unwrap_or_default();
        }
        let Memory { bytes, entries } = &mut self.memory;
        reserve_within(bytes, payload.len(), most_bytes, FIRST_BYTES);
        reserve_within(entries, 1, most_entries, LEAST_ENTRIES);
        bytes.extend(payload);
        entries.push_back(entry);
        self.count_memory(before);
    }

    /// Copies the first bytes out. They stay in the ring.
    pub(crate) fn copy_front(&self, target: &mut [u8]) {
        let (head, tail) = self.memory.bytes.as_slices();
        let (from_head, from_tail) = target.split_at_mut(head.len().min(target.len()));
        from_head.copy_from_slice(&head[..from_head.len()]);
        from_tail.copy_from_slice(&tail[..from_tail.len()]);
    }

    /// Removes the first `count` datagrams, which have `bytes` bytes.
    pub(crate) fn remove_front(&mut self, count: usize, bytes: usize) {
        if count == self.len() {
            return self.clear();
        }
        match count {
            1 => drop(self.memory.entries.pop_front()),
            _ => drop(self.memory.entries.drain(..count)),
        }
        self.memory.bytes.drain(..bytes);
    }

    #[cfg(test)]
    pub(crate) fn capacities(&self) -> (usize, usize) {
        (self.memory.bytes.capacity(), self.memory.entries.capacity())
    }

    /// Drops all datagrams.
    pub fn clear(&mut self) {
        let before = self.memory.capacity_bytes();
        let mut memory = std::mem::take(&mut self.memory);
        self.count_memory(before);
        memory.entries.clear();
        memory.bytes.clear();
        MEMORY.of_lane(self.lane).give(memory);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The most bytes and entries of a ring with these limits.
fn most(limits: Limits) -> (usize, usize) {
    (limits.bytes.max(FIRST_BYTES), limits.datagrams.max(FIRST_ENTRIES))
}

/// By how many items the memory of `ring` grows when `extra` items come.
fn growth<T>(ring: &VecDeque<T>, extra: usize, limit: usize, at_least: usize) -> usize {
    let (needed, capacity) = (ring.len() + extra, ring.capacity());
    if needed <= capacity {
        return 0;
    }
    capacity.saturating_mul(2).max(at_least).min(limit).max(needed) - capacity
}

fn reserve_within<T>(ring: &mut VecDeque<T>, extra: usize, limit: usize, at_least: usize) {
    let more = growth(ring, extra, limit, at_least);
    if more > 0 {
        ring.reserve_exact(ring.capacity() + more - ring.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { datagrams: 10_000, bytes: 1_000_000 };

    fn entry(len: usize) -> Entry {
        Entry { arrived_at: Instant::now(), timestamp_us: 0, sequence: 0, len }
    }

    #[test]
    fn an_empty_ring_holds_no_memory_and_another_uses_it() {
        // A lane that no other test has.
        let mut one = Ring::new(15);
        assert_eq!(one.memory.capacity_bytes(), 0);
        (0..1000).for_each(|_| one.push(entry(100), &[7; 100], LIMITS));
        let had = one.memory.capacity_bytes();
        assert!(had > 100_000);
        one.remove_front(999, 99_900);
        let mut last = [0; 100];
        one.copy_front(&mut last);
        assert_eq!(last, [7; 100]);
        one.remove_front(1, 100);
        assert_eq!(one.memory.capacity_bytes(), 0);
        let mut other = Ring::new(15);
        other.push(entry(1), b"x", LIMITS);
        assert_eq!(other.memory.capacity_bytes(), had);
    }

    #[test]
    fn its_memory_counts_in_a_budget_that_keeps_it_from_growing() {
        let budget = Arc::new(MemoryBudget::new(Some(40_000)));
        let mut ring = Ring::new(14);
        ring.set_budget(Some(Arc::clone(&budget)));
        let mut pushed = 0;
        while ring.may_grow(100, LIMITS) {
            ring.push(entry(100), &[7; 100], LIMITS);
            pushed += 1;
            assert_eq!(budget.held(), ring.memory.capacity_bytes());
        }
        assert!(pushed > 100 && budget.held() <= 40_000, "{pushed} datagrams, {} bytes", budget.held());
        ring.remove_front(1, 100);
        assert!(ring.may_grow(100, LIMITS), "there is space without new memory");
        drop(ring);
        assert_eq!(budget.held(), 0);
    }
}
