//! Expiry without a timer: one lower bound of all deadlines says when a search can find something.

use std::time::{Duration, Instant};

use super::{SendQueue, leave};
use crate::datagram::message::Priority;
use crate::datagram::send::OutcomeKind;
use crate::datagram::send::ring::Ring;

/// Up to this many waiting datagrams, each push searches a full queue for expired ones. A longer
/// queue is searched once per eighth of its length, so that a push is cheap however long the queue
/// is.
const ALWAYS_SEARCHED: usize = 256;
const SEARCHED_PER_PUSH: usize = 8;

impl SendQueue {
    /// Drops all expired datagrams and returns their number.
    pub fn expire(&mut self, now: Instant) -> usize {
        let dropped = self.drop_expired(now);
        self.tell_level();
        dropped
    }

    /// No datagram in the queue expires before this. The datagram that set it may have left.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    /// Computes the bound again after a change of the maximum age.
    pub(super) fn find_next_expiry(&mut self) {
        let max_age = self.config.max_age;
        let entries = self.rings.iter().flat_map(Ring::entries);
        self.next_expiry =
            entries.filter_map(|entry| deadline(entry.enqueued_at, entry.expires_at, max_age)).min();
    }

    /// Notes one more push, which pays for a search of a part of a long queue.
    pub(super) fn earn_search(&mut self) {
        self.search_credit = self.search_credit.saturating_add(SEARCHED_PER_PUSH);
    }

    /// Whether a search for expired datagrams may make enough space.
    pub(super) fn make_room_by_expiry(&mut self, now: Instant, size: usize) -> bool {
        if !is_past(self.next_expiry, now) {
            return false;
        }
        for priority in 0..Priority::COUNT {
            while let Some(front) = self.rings[priority].front()
                && is_past(self.deadline(front.enqueued_at, front.expires_at), now)
            {
                self.drop_front(priority, OutcomeKind::Expired);
            }
        }
        let waiting: usize = self.rings.iter().map(Ring::len).sum();
        if waiting <= ALWAYS_SEARCHED || self.search_credit >= waiting {
            self.search_credit = 0;
            self.drop_expired(now);
        }
        self.has_room(size)
    }

    pub(super) fn drop_expired(&mut self, now: Instant) -> usize {
        if !is_past(self.next_expiry, now) {
            return 0;
        }
        let max_age = self.config.max_age;
        let mut earliest: Option<Instant> = None;
        let mut dropped = 0;
        for ring in &mut self.rings {
            ring.retain(|entry| {
                let deadline = deadline(entry.enqueued_at, entry.expires_at, max_age);
                let expired = is_past(deadline, now);
                if expired {
                    let (size, kind) = (entry.size(), OutcomeKind::Expired);
                    leave(&mut self.counters, &mut self.outcomes, size, entry.report_id, kind);
                    dropped += 1;
                } else {
                    earliest = earliest.into_iter().chain(deadline).min();
                }
                !expired
            });
        }
        self.next_expiry = earliest;
        dropped
    }

    pub(super) fn deadline(&self, enqueued_at: Instant, expires_at: Option<Instant>) -> Option<Instant> {
        deadline(enqueued_at, expires_at, self.config.max_age)
    }

    pub(super) fn expect_expiry(&mut self, deadline: Option<Instant>) {
        if let Some(deadline) = deadline {
            self.next_expiry = Some(self.next_expiry.map_or(deadline, |next| next.min(deadline)));
        }
    }
}

/// When the TTL or the maximum age ends, whichever is first. Beyond the range of the clock: never.
fn deadline(enqueued_at: Instant, expires_at: Option<Instant>, max_age: Option<Duration>) -> Option<Instant> {
    // Called twice for each datagram; most never expire.
    let Some(max_age) = max_age else { return expires_at };
    expires_at.into_iter().chain(enqueued_at.checked_add(max_age)).min()
}

pub(super) fn is_past(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}
