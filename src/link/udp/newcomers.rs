//! The share of a lane's time that new connections get.
//!
//! A handshake takes some hundred times as long as a packet of a session. While sessions are in use,
//! they get at least as much time as the handshakes that begin: a new connection is admitted when as
//! much time has passed since the last one as that one took.

use std::time::{Duration, Instant};

/// How long after a session's last work sessions count as in use. Their next packets may wait in the
/// socket, behind many of new connections.
const IN_USE: Duration = Duration::from_millis(100);

/// When the next new connection may be admitted.
#[derive(Debug, Default)]
pub(super) struct Share {
    not_before: Option<Instant>,
    in_use_until: Option<Instant>,
}

impl Share {
    /// When it is the turn of new connections; `None` is at once.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|at| now < *at && self.in_use_until.is_some_and(|until| now < until))
    }

    /// Notes that a connection was admitted from `began` to `ended`.
    pub(super) fn admitted(&mut self, began: Instant, ended: Instant) {
        self.not_before = ended.checked_add(ended.saturating_duration_since(began));
    }

    /// Notes that sessions had work at `now`.
    pub(super) fn served(&mut self, now: Instant) {
        self.in_use_until = now.checked_add(IN_USE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_in_use_get_half_of_the_time() {
        let (mut share, start) = (Share::default(), Instant::now());
        let at = |us| start + Duration::from_micros(us);
        share.served(at(0));
        assert_eq!(share.next(at(0)), None);
        share.admitted(at(0), at(300));
        assert_eq!(share.next(at(300)), Some(at(600)));
        assert_eq!(share.next(at(599)), Some(at(600)));
        assert_eq!(share.next(at(600)), None);
    }

    #[test]
    fn sessions_that_are_not_in_use_keep_nobody_waiting() {
        let (mut share, start) = (Share::default(), Instant::now());
        let at = |us| start + Duration::from_micros(us);
        share.admitted(at(0), at(300));
        assert_eq!(share.next(at(300)), None);
        share.served(at(300));
        share.admitted(at(300), at(90_300));
        assert_eq!(share.next(at(100_299)), Some(at(180_300)));
        assert_eq!(share.next(at(100_300)), None, "100 ms after the last work of a session");
    }
}
