//! How long to wait, once later messages have been acknowledged, before an earlier one counts as lost.
//!
//! RFC 8985 §6.2.4 starts with a quarter of the least round-trip time and widens by further quarters each time a
//! retransmission was for nothing. Here the lateness itself is measured, on every message that was overtaken and
//! on every unnecessary retransmission, and the window is the greatest of the last ten to twenty seconds; it
//! fits after one such event, and closes again when the network stops reordering.

use std::time::{Duration, Instant};

use super::rtt::WindowedExtreme;

/// The least window: below this, acknowledgements that were merely batched differently would look like loss.
const MIN_WINDOW: Duration = Duration::from_millis(2);
/// A lateness of more than this, or than the smoothed round-trip time if that is more, is not waited for.
const MAX_WINDOW: Duration = Duration::from_millis(200);

/// The adaptive window.
#[derive(Debug, Default)]
pub struct ReorderingWindow {
    lateness: WindowedExtreme,
}

impl ReorderingWindow {
    /// A message arrived although later ones had been acknowledged, `lateness` after it could have.
    pub fn observe(&mut self, now: Instant, lateness: Duration) {
        self.lateness.add(now, lateness, Duration::max);
    }

    /// Lets old observations go.
    pub fn turn(&mut self, now: Instant) {
        self.lateness.turn(now);
    }

    /// The greatest lateness observed of late, with an eighth to spare.
    pub fn learned(&self) -> Duration {
        let greatest = self.lateness.get(Duration::max).unwrap_or_default();
        (greatest + greatest / 8).min(Duration::from_secs(10))
    }

    /// The window.
    pub fn get(&self, min_rtt: Duration, srtt: Duration) -> Duration {
        (min_rtt / 4).max(MIN_WINDOW).max(self.learned()).min(srtt.max(MAX_WINDOW))
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
    fn it_widens_at_once_and_closes_after_a_while() {
        let (mut window, now) = (ReorderingWindow::default(), Instant::now());
        window.observe(now, ms(40));
        assert_eq!(window.get(ms(20), ms(30)), ms(45));
        window.turn(now + Duration::from_secs(12));
        assert_eq!(window.get(ms(20), ms(30)), ms(45));
        window.turn(now + Duration::from_secs(24));
        assert_eq!(window.get(ms(20), ms(30)), ms(5));
    }

    #[test]
    fn it_is_bounded() {
        let (mut window, now) = (ReorderingWindow::default(), Instant::now());
        window.observe(now, Duration::from_secs(3));
        assert_eq!(window.get(ms(20), ms(30)), ms(200));
        assert_eq!(window.get(ms(600), ms(700)), ms(700));
    }
}
