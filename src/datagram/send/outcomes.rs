//! The outcomes of datagrams that were sent with a report id: exactly one for each.
//!
//! The buffer is bounded, and nothing in it is overwritten. A datagram with a report id reserves a
//! place when it is accepted, so its outcome always fits. When all places are taken, the next such
//! datagram is refused.

use std::collections::VecDeque;

/// The fate of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutcomeKind {
    /// Handed to QUIC.
    Handed,
    /// Its TTL or the maximum age passed first.
    Expired,
    /// The queue evicted it for a newer one.
    Evicted,
    /// The queue had no space.
    Rejected,
    /// It was larger than the path carries.
    TooLarge,
    /// QUIC refused it.
    Failed,
    /// The caller cleared the send buffer.
    Cleared,
    /// The transport closed first.
    Closed,
}

/// The outcome of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The report id that its sender chose.
    pub report_id: u64,
    /// Its fate.
    pub kind: OutcomeKind,
}

/// All places for outcomes are taken, by outcomes that were not fetched and by datagrams on their
/// way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no room for another outcome: fetch those that wait first")]
pub struct OutcomesFull;

/// Outcomes that were not fetched, and places for those to come.
#[derive(Debug)]
pub(super) struct Outcomes {
    ready: VecDeque<Outcome>,
    reserved: usize,
    capacity: usize,
    /// The number of all outcomes so far.
    told: u64,
}

impl Outcomes {
    pub(super) fn new(capacity: usize) -> Self {
        Self { ready: VecDeque::new(), reserved: 0, capacity, told: 0 }
    }

    pub(super) fn has_room(&self) -> bool {
        self.ready.len() + self.reserved < self.capacity
    }

    /// Reserves a place. Call it only after [`Self::has_room`].
    pub(super) fn reserve(&mut self, report_id: Option<u64>) {
        if report_id.is_some() {
            debug_assert!(self.has_room());
            self.reserved += 1;
        }
    }

    /// Adds the outcome of a datagram with a reserved place.
    pub(super) fn fulfil(&mut self, report_id: Option<u64>, kind: OutcomeKind) {
        if let Some(report_id) = report_id {
            debug_assert!(self.reserved > 0);
            self.reserved = self.reserved.saturating_sub(1);
            self.ready.push_back(Outcome { report_id, kind });
            self.told += 1;
        }
    }

    /// Adds the outcome of a datagram that was not queued.
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
