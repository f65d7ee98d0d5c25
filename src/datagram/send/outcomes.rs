//! The outcomes of datagrams that were sent with a report id: exactly one for each.
//!
//! The buffer is bounded, and nothing in it is overwritten: accepting such a datagram reserves a
//! place, so its outcome always fits. When all places are taken, the next such datagram is refused.

use std::collections::VecDeque;

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutcomeKind {
    /// Handed to QUIC.
    Handed,
    /// Its TTL or the max age passed first.
    Expired,
    /// It made room for a newcomer.
    Evicted,
    /// It found no room.
    Rejected,
    /// It is larger than the path carries.
    TooLarge,
    /// QUIC refused it.
    Failed,
    /// The caller cleared the send buffer.
    Cleared,
    /// The transport closed first.
    Closed,
}

/// The news of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The number its sender gave it.
    pub report_id: u64,
    /// What became of it.
    pub kind: OutcomeKind,
}

/// All places for outcomes are taken, by outcomes nobody fetched and by datagrams on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no room for another outcome: fetch those that wait first")]
pub struct OutcomesFull;

/// Outcomes that wait to be fetched, and the places kept for those to come.
#[derive(Debug)]
pub(super) struct Outcomes {
    ready: VecDeque<Outcome>,
    reserved: usize,
    capacity: usize,
    /// Outcomes there were so far, fetched or not.
    told: u64,
}

impl Outcomes {
    pub(super) fn new(capacity: usize) -> Self {
        Self { ready: VecDeque::new(), reserved: 0, capacity, told: 0 }
    }

    pub(super) fn has_room(&self) -> bool {
        self.ready.len() + self.reserved < self.capacity
    }

    /// Keeps a place; only after [`Self::has_room`].
    pub(super) fn reserve(&mut self, report_id: Option<u64>) {
        if report_id.is_some() {
            debug_assert!(self.has_room());
            self.reserved += 1;
        }
    }

    /// The outcome of a datagram for which a place was reserved.
    pub(super) fn fulfil(&mut self, report_id: Option<u64>, kind: OutcomeKind) {
        if let Some(report_id) = report_id {
            debug_assert!(self.reserved > 0);
            self.reserved = self.reserved.saturating_sub(1);
            self.ready.push_back(Outcome { report_id, kind });
            self.told += 1;
        }
    }

    /// The outcome of a datagram that never entered.
    pub(super) fn report(&mut self, report_id: Option<u64>, kind: OutcomeKind) -> Result<(), OutcomesFull> {
        if report_id.is_some() && !self.has_room() {
            return Err(OutcomesFull);
        }
        self.reserve(report_id);
        self.fulfil(report_id, kind);
        Ok(())
    }

    pub(super) fn take(&mut self, max_count: usize, target: &mut Vec<Outcome>) -> usize {
        let count = self.ready.len().min(max_count);
        target.extend(self.ready.drain(..count));
        count
    }

    pub(super) fn told(&self) -> u64 {
        self.told
    }

    pub(super) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn due_len(&self) -> usize {
        self.ready.len() + self.reserved
    }

    #[cfg(test)]
    pub(super) fn reserved(&self) -> usize {
        self.reserved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_from_acceptance_until_the_outcome_is_fetched() {
        let mut outcomes = Outcomes::new(2);
        outcomes.reserve(Some(1));
        outcomes.reserve(None);
        assert_eq!(outcomes.report(Some(2), OutcomeKind::TooLarge), Ok(()));
        assert!(!outcomes.has_room());
        assert_eq!(outcomes.report(Some(3), OutcomeKind::Failed), Err(OutcomesFull));
        assert_eq!(outcomes.report(None, OutcomeKind::Failed), Ok(()));

        outcomes.fulfil(Some(1), OutcomeKind::Handed);
        assert!(!outcomes.has_room());
        let mut fetched = Vec::new();
        assert_eq!(outcomes.take(1, &mut fetched), 1);
        assert!(outcomes.has_room());
        assert_eq!(outcomes.take(9, &mut fetched), 1);
        assert_eq!(
            fetched,
            [
                Outcome { report_id: 2, kind: OutcomeKind::TooLarge },
                Outcome { report_id: 1, kind: OutcomeKind::Handed }
            ]
        );
    }
}
