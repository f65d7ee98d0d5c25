//! The timers of a lane: one heap, which forgets entries lazily.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines of many owners. A small key names each owner.
///
/// An owner keeps its one armed instant in its own `Option<Instant>`. Deadlines mostly move to a
/// later time (each packet moves the idle timer). Then the armed entry stays, and when it comes,
/// the owner looks at what it is due for.
#[derive(Debug)]
pub struct Timers<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

impl<K> Default for Timers<K>
where
    K: Ord,
{
    fn default() -> Self {
        Self { heap: BinaryHeap::new() }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Makes sure that `key` comes up at `due` or before. `armed` is the owner's armed instant.
    pub(crate) fn arm(&mut self, key: K, due: Instant, armed: &mut Option<Instant>) {
        if armed.is_none_or(|armed| due < armed) {
            *armed = Some(due);
            self.heap.push(Reverse((due, key)));
        }
    }

    /// The next owner that may be due at `now`, and the instant for which its entry was armed. If
    /// the owner is not armed for that instant, the entry is stale and has to be skipped.
    pub fn pop(&mut self, now: Instant) -> Option<(K, Instant)> {
        let Reverse((due, key)) = *self.heap.peek()?;
        if due > now {
            return None;
        }
        self.heap.pop();
        Some((key, due))
    }

    /// The next instant at which to look.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// The number of entries, stale ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_deadline_that_moves_back_keeps_its_entry_and_one_that_moves_forward_gets_another() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        let mut armed = None;
        for due in [50, 60, 70, 50] {
            timers.arm(1, at(due), &mut armed);
        }
        assert_eq!(timers.len(), 1);
        timers.arm(1, at(20), &mut armed);
        assert_eq!((timers.len(), timers.next(), armed), (2, Some(at(20)), Some(at(20))));
        assert_eq!(timers.pop(at(19)), None);
        assert_eq!(timers.pop(at(55)), Some((1, at(20))));
        // The older entry is stale: its owner is not armed for it.
        armed = None;
        assert_eq!(timers.pop(at(55)), Some((1, at(50))));
        assert_ne!(armed, Some(at(50)));
        assert_eq!(timers.pop(at(55)), None);
    }

    #[test]
    fn owners_that_are_due_together_come_in_the_order_of_their_keys() {
        let now = Instant::now();
        let mut timers = Timers::default();
        for key in [3, 1, 2] {
            timers.arm(key, now, &mut None);
        }
        let order: Vec<_> = std::iter::from_fn(|| timers.pop(now)).map(|(key, _)| key).collect();
        assert_eq!(order, [1, 2, 3]);
    }
}
