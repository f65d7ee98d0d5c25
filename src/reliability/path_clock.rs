//! The time for which the path took nothing.
//!
//! In a black hole QUIC's window fills. Then QUIC transmits only when its probe timer runs out,
//! which doubles each time (RFC 9002 §6.2.1): after 8 s of silence nothing leaves for 8 s. A
//! message that waits behind that was not left unanswered by the peer, so this time does not count
//! towards giving it up. QUIC's idle timeout finds paths that are dead for good, and closes the
//! session.

use std::time::{Duration, Instant};

/// If frames wait for this long and none leaves, they are stuck; a slow path is faster than that.
const BLOCKED_AFTER: Duration = Duration::from_millis(100);

/// Adds up the times in which frames waited and none left.
#[derive(Debug, Default)]
pub struct PathClock {
    blocked: Duration,
    left: u64,
    /// While frames wait: when one left last, or when the first began to wait.
    moved: Option<Instant>,
}

impl PathClock {
    /// `left` frames have left in total; `waiting` says whether others wait.
    pub(crate) fn observe(&mut self, now: Instant, left: u64, waiting: bool) {
        if left != self.left || !waiting {
            self.blocked = self.blocked(now);
            self.left = left;
            self.moved = None;
        }
        if waiting && self.moved.is_none() {
            self.moved = Some(now);
        }
    }

    /// How long the path has been blocked in all.
    pub fn blocked(&self, now: Instant) -> Duration {
        self.blocked.saturating_add(self.present(now))
    }

    /// Whether the path is blocked now.
    pub(crate) fn is_blocked(&self, now: Instant) -> bool {
        !self.present(now).is_zero()
    }

    fn present(&self, now: Instant) -> Duration {
        let standing = self.moved.map_or(Duration::ZERO, |moved| now.saturating_duration_since(moved));
        if standing < BLOCKED_AFTER { Duration::ZERO } else { standing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_in_which_frames_wait_and_none_leaves_counts() {
        let (mut clock, start) = (PathClock::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        clock.observe(at(0), 10, false);
        clock.observe(at(5_000), 10, true);
        assert_eq!(clock.blocked(at(5_099)), Duration::ZERO);
        assert!(clock.is_blocked(at(5_100)));
        clock.observe(at(7_000), 10, true);
        clock.observe(at(8_000), 11, true);
        assert!(!clock.is_blocked(at(8_000)));
        for ms in (8_000..9_000).step_by(90) {
            clock.observe(at(ms), ms, true);
        }
        clock.observe(at(9_000), 12_000, false);
        assert_eq!(clock.blocked(at(20_000)), Duration::from_secs(3));
    }
}
