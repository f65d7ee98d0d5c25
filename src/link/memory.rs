//! A limit on the memory that peers make a server hold.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How much memory is held, and how much may be.
#[derive(Debug)]
pub struct MemoryBudget {
    most: usize,
    held: AtomicUsize,
    dropped: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `most` bytes; `None` sets no limit.
    pub fn new(most: Option<usize>) -> Self {
        Self { most: most.unwrap_or(usize::MAX), held: AtomicUsize::new(0), dropped: AtomicU64::new(0) }
    }

    /// Whether `more` bytes fit.
    pub fn has_room(&self, more: usize) -> bool {
        self.held.load(Ordering::Relaxed).saturating_add(more) <= self.most
    }

    /// Notes that somebody who held `before` bytes holds `after`.
    pub fn change(&self, before: usize, after: usize) {
        match after.checked_sub(before) {
            Some(more) => self.held.fetch_add(more, Ordering::Relaxed),
            None => self.held.fetch_sub(before - after, Ordering::Relaxed),
        };
    }

    /// Counts a datagram that was dropped because there was no room.
    pub fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The bytes that are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// The datagrams that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
