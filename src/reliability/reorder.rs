//! The reordering window: how long an earlier message may be late, after later ones were
//! acknowledged, before it counts as lost.
//!
//! RFC 8985 §6.2.4 starts with a quarter of the least round-trip time and adds a quarter each time
//! a retransmission was unnecessary. This module measures the lateness itself, on every message
//! that was overtaken and on every unnecessary retransmission. The window fits after one such
//! event, and each acknowledged message closes it a little again. If one message in a hundred or
//! more is late, it stays open. If fewer are late, it is cheaper to send those twice than to wait
//! longer for all that are lost.

use std::time::Duration;

/// The least window: below this, acknowledgements that were only batched differently would look
/// like loss.
const MIN_WINDOW: Duration = Duration::from_millis(2);
/// The window never waits for a lateness above this, or above the smoothed round-trip time if that
/// is more.
const MAX_WINDOW: Duration = Duration::from_millis(200);
/// Each acknowledged message takes one part in this many off the window. With a quarter to spare,
/// the window is too narrow again after 114 messages in order: about 1 % of messages can be
/// retransmitted unnecessarily.
const DECAY: u32 = 512;

/// The adaptive window.
#[derive(Debug, Default)]
pub struct ReorderingWindow {
    lateness: Duration,
}

impl ReorderingWindow {
    /// A message arrived after later ones had been acknowledged, `lateness` after it could have.
    pub(crate) fn observe(&mut self, lateness: Duration) {
        self.lateness = self.lateness.max((lateness + lateness / 4).min(Duration::from_secs(10)));
    }

    /// A message was acknowledged.
    pub fn settle(&mut self) {
        self.lateness -= self.lateness / DECAY;
    }

    /// The window.
    pub fn get(&self, min_rtt: Duration, srtt: Duration) -> Duration {
        (min_rtt / 4).max(MIN_WINDOW).max(self.lateness).min(srtt.max(MAX_WINDOW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_starts_at_a_quarter_of_the_least_round_trip() {
        let window = ReorderingWindow::default();
        assert_eq!(window.get(ms(40), ms(50)), ms(10));
        assert_eq!(window.get(Duration::ZERO, ms(1)), MIN_WINDOW);
    }

    #[test]
    fn it_widens_at_once_and_closes_as_messages_arrive_in_order() {
        let mut window = ReorderingWindow::default();
        window.observe(ms(40));
        assert_eq!(window.get(ms(20), ms(30)), ms(50));
        for _ in 0..110 {
            window.settle();
        }
        assert!(window.get(ms(20), ms(30)) >= ms(40));
        for _ in 0..2000 {
            window.settle();
        }
        assert_eq!(window.get(ms(20), ms(30)), ms(5));
    }

    #[test]
    fn it_is_bounded() {
        let mut window = ReorderingWindow::default();
        window.observe(Duration::from_secs(3));
        assert_eq!(window.get(ms(20), ms(30)), ms(200));
        assert_eq!(window.get(ms(600), ms(700)), ms(700));
    }
}
