//! The share of a lane's time that new connections get.
//!
//! A handshake takes some hundred times as long as a packet of a session. While sessions have work,
//! they get at least as much time as the handshakes that begin: a new connection is admitted when as
//! much time has passed since the last one as that one took.

use std::time::Instant;

/// When the next new connection may be admitted.
#[derive(Debug, Default)]
pub(super) struct Share {
    not_before: Option<Instant>,
}

impl Share {
    /// Whether it is the turn of new connections at `now`.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }

    /// Notes that a connection was admitted from `began` to `ended`.
    pub(super) fn note(&mut self, began: Instant, ended: Instant) {
        self.not_before = ended.checked_add(ended.saturating_duration_since(began));
    }

    /// Notes that sessions have no work.
    pub(super) fn forgive(&mut self) {
        self.not_before = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sessions_that_have_work_get_half_of_the_time() {
        let (mut share, start) = (Share::default(), Instant::now());
        let at = |us| start + Duration::from_micros(us);
        assert!(share.is_due(start));
        share.note(at(0), at(300));
        assert!(!share.is_due(at(300)) && !share.is_due(at(599)) && share.is_due(at(600)));
        share.note(at(600), at(700));
        share.forgive();
        assert!(share.is_due(at(700)));
    }
}
