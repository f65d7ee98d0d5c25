//! The throttle: how fast a backlog may be sent again.
//!
//! Normally QUIC's congestion control is enough. But when nothing has come back for a while, all
//! messages in flight time out at about the same time. The reference then sends all of them into a
//! path that may be dead, or has just come back. Here, retransmissions by timer take tokens: a few
//! at once, then a trickle at twice the rate that gives each message one attempt per `ack_timeout`.
//! When the timers of one message have run out twice without progress between, *everything* takes
//! tokens until acknowledgements come back. Each of them pays for two transmissions: the slow start
//! of RFC 5681.

use std::time::{Duration, Instant};

/// Tokens in a full bucket: the probe that may go out at once.
const BURST: u64 = 8;
/// The least trickle, per second.
const MIN_RATE: u64 = 20;
const SCALE: u64 = 1_000_000;

/// The token bucket, and whether it is active.
#[derive(Debug)]
pub struct Throttle {
    /// In millionths of a token.
    tokens: u64,
    refilled: Instant,
    active: bool,
}

impl Throttle {
    /// A full bucket, not active.
    pub fn new(now: Instant) -> Self {
        Self { tokens: BURST * SCALE, refilled: now, active: false }
    }

    /// Whether everything takes tokens, not only retransmissions by timer.
    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// Whether a transmission that takes a token may go now.
    pub(crate) fn has_token(&self) -> bool {
        self.tokens >= SCALE
    }

    /// Takes a token.
    pub fn take(&mut self) {
        self.tokens = self.tokens.saturating_sub(SCALE);
    }

    /// Adds the tokens of the trickle for `unresolved` messages.
    pub(crate) fn refill(&mut self, now: Instant, unresolved: usize, ack_timeout: Duration) {
        let elapsed = now.saturating_duration_since(self.refilled);
        let gained = elapsed.as_micros().saturating_mul(u128::from(rate(unresolved, ack_timeout)));
        if gained > 0 {
            self.refilled = now;
            let limit = self.tokens.max(BURST * SCALE);
            self.tokens = u128::from(self.tokens).saturating_add(gained).min(u128::from(limit)) as u64;
        }
    }

    /// When the next token comes.
    pub(crate) fn next_token(&self, unresolved: usize, ack_timeout: Duration) -> Instant {
        let missing = SCALE.saturating_sub(self.tokens);
        self.refilled + Duration::from_micros(missing.div_ceil(rate(unresolved, ack_timeout)))
    }

    /// Nothing comes back: from now on every transmission takes tokens.
    pub(crate) fn activate(&mut self) {
        if !self.active {
            self.active = true;
            self.tokens = self.tokens.min(BURST * SCALE);
        }
    }

    /// The peer can take messages again after refusing them: starts as after silence, with a full
    /// bucket.
    pub(crate) fn restart(&mut self) {
        self.active = true;
        self.tokens = BURST * SCALE;
    }

    /// `acknowledged` messages got through and `unresolved` remain.
    pub(crate) fn on_progress(&mut self, acknowledged: usize, unresolved: usize) {
        self.tokens = self.tokens.saturating_add(acknowledged as u64 * 2 * SCALE);
        if self.tokens >= unresolved as u64 * SCALE {
            self.active = false;
        }
        if !self.active {
            // Tokens are not saved for the next silence.
            self.tokens = self.tokens.min(BURST * SCALE);
        }
    }
}

/// Tokens per second.
fn rate(unresolved: usize, ack_timeout: Duration) -> u64 {
    let ack_timeout_us = u64::try_from(ack_timeout.as_micros()).unwrap_or(u64::MAX).max(1000);
    (unresolved as u64 * 2_000_000 / ack_timeout_us).max(MIN_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_SECONDS: Duration = Duration::from_secs(2);

    fn drain(throttle: &mut Throttle) -> u64 {
        let mut taken = 0;
        while throttle.has_token() {
            throttle.take();
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_probe_goes_at_once_and_then_a_trickle_that_reaches_every_message() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        throttle.activate();
        assert_eq!(drain(&mut throttle), BURST);
        let mut taken = 0;
        for millisecond in 1..=2000 {
            throttle.refill(start + Duration::from_millis(millisecond), 1000, TWO_SECONDS);
            taken += drain(&mut throttle);
        }
        assert!((1990..=2000).contains(&taken), "{taken}");
    }

    #[test]
    fn it_says_when_the_next_token_comes() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        drain(&mut throttle);
        let next = throttle.next_token(1, TWO_SECONDS);
        assert_eq!(next, start + Duration::from_millis(50));
        throttle.refill(next - Duration::from_micros(1), 1, TWO_SECONDS);
        assert!(!throttle.has_token());
        throttle.refill(next, 1, TWO_SECONDS);
        assert!(throttle.has_token());
    }

    #[test]
    fn each_acknowledgement_pays_for_two_until_the_backlog_is_covered() {
        let mut throttle = Throttle::new(Instant::now());
        throttle.activate();
        drain(&mut throttle);
        let (mut unresolved, mut rounds) = (1000, 0);
        throttle.on_progress(8, unresolved);
        while throttle.is_active() {
            let sent = drain(&mut throttle) as usize;
            unresolved -= sent;
            throttle.on_progress(sent, unresolved);
            rounds += 1;
        }
        assert!((4..=6).contains(&rounds), "{rounds}");
    }

    #[test]
    fn acknowledgements_in_good_times_are_not_credit_for_bad_ones() {
        let mut throttle = Throttle::new(Instant::now());
        for _ in 0..1000 {
            throttle.on_progress(10, 1000);
        }
        throttle.activate();
        assert_eq!(drain(&mut throttle), BURST);
    }

    #[test]
    fn a_year_of_silence_does_not_fill_more_than_the_bucket() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        throttle.refill(start + Duration::from_secs(31_536_000), usize::MAX / 4_000_000, TWO_SECONDS);
        assert_eq!(drain(&mut throttle), BURST);
    }
}
