//! A list whose entries become useless one by one, without notice.

use std::collections::VecDeque;

/// Entries below which nothing is swept.
const FEW: usize = 16;

/// A list that forgets useless entries now and then: when it has become twice as long as it was after
/// it did so last. So a new entry costs the same on average, however many there are.
#[derive(Debug)]
pub struct Swept<T> {
    entries: VecDeque<T>,
    sweep_at: usize,
}

impl<T> Swept<T> {
    /// An empty list.
    pub const fn new() -> Self {
        Self { entries: VecDeque::new(), sweep_at: FEW }
    }

    /// Adds an entry. Entries for which `is_useful` returns false may be removed.
    pub fn push(&mut self, entry: T, is_useful: impl FnMut(&T) -> bool) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(is_useful);
            self.sweep_at = 2 * self.entries.len() + FEW;
        }
        self.entries.push_back(entry);
    }

    /// Removes the oldest entry.
    pub fn pop_front(&mut self) -> Option<T> {
        self.entries.pop_front()
    }
}

impl<T> Default for Swept<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> IntoIterator for Swept<T> {
    type Item = T;
    type IntoIter = std::collections::vec_deque::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_entry_costs_the_same_however_many_there_are() {
        // Nearly as many as a list with a power of two of places has.
        const LIVING: usize = (1 << 14) - 4;
        const NEW: usize = 10 * LIVING;
        let mut list = Swept::new();
        let mut looks = 0;
        for index in 0..NEW {
            list.push(index, |entry| {
                looks += 1;
                entry + LIVING > index
            });
            assert!(list.entries.len() <= 2 * LIVING + FEW);
        }
        assert!(looks < 3 * NEW, "{looks} entries looked at for {NEW} new ones");
        assert_eq!(list.into_iter().next_back(), Some(NEW - 1));
    }
}
