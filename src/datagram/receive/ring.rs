//! The memory of the receive queue: the bytes of all datagrams in one ring, and an entry for each.
//!
//! An empty ring holds no memory.

use std::collections::VecDeque;
use std::time::Instant;

use crate::datagram::message::Limits;
use crate::datagram::pool::{Pool, Reusable};

/// Memory for bytes that a ring begins with.
pub(super) const FIRST_BYTES: usize = 16 * 1024;
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
}

impl Ring {
    /// An empty ring of a transport of this lane.
    pub fn new(lane: usize) -> Self {
        Self { memory: Memory::default(), lane }
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
        let (most_bytes, most_entries) = (limits.bytes.max(FIRST_BYTES), limits.datagrams.max(FIRST_ENTRIES));
        if self.memory.entries.capacity() == 0 {
            let spare = MEMORY.of_lane(self.lane).take_if(|memory| {
                memory.bytes.capacity() <= most_bytes && memory.entries.capacity() <= most_entries
            });
            self.memory = spare.unwrap_or_default();
        }
        let Memory { bytes, entries } = &mut self.memory;
        reserve_within(bytes, payload.len(), most_bytes, FIRST_BYTES);
        reserve_within(entries, 1, most_entries, 16);
        bytes.extend(payload);
        entries.push_back(entry);
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
        let mut memory = std::mem::take(&mut self.memory);
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

fn reserve_within<T>(ring: &mut VecDeque<T>, extra: usize, limit: usize, at_least: usize) {
    let needed = ring.len() + extra;
    if needed > ring.capacity() {
        let wanted = ring.capacity().saturating_mul(2).max(at_least).min(limit).max(needed);
        ring.reserve_exact(wanted - ring.len());
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
}
