//! Round-trip time and retransmission timeout: RFC 6298, and the least round-trip time of the last
//! seconds.
//!
//! The sender decides which samples are unambiguous (Karn's rule); here every sample counts.

use std::time::{Duration, Instant};

/// The least retransmission timeout. RFC 6298 says one second, which is useless for a datagram
/// layer under an application that sends all the time. QUIC's own timer has no such floor (RFC 9002
/// §6.2.1).
pub const MIN_RTO: Duration = Duration::from_millis(25);
/// The greatest. A delay in a network that stood still says nothing about the path afterwards.
pub const MAX_RTO: Duration = Duration::from_secs(3);
/// A longer round trip counts as this long.
const MAX_SAMPLE: Duration = Duration::from_secs(10);
/// The timeout while nothing is known of the path.
pub const INITIAL_RTO: Duration = Duration::from_millis(500);
/// A smaller variance counts as this: timers and schedulers are not more exact (RFC 9002's
/// kGranularity).
const GRANULARITY: Duration = Duration::from_millis(1);

/// The estimator.
#[derive(Debug, Default)]
pub struct RttEstimator {
    srtt: Option<Duration>,
    rttvar: Duration,
    least: WindowedMinimum,
    sampled: bool,
}

impl RttEstimator {
    /// Takes the path's round-trip time from elsewhere, until there are own samples.
    pub fn seed(&mut self, rtt: Duration) {
        if !self.sampled {
            let rtt = rtt.min(MAX_SAMPLE);
            self.srtt = Some(rtt);
            self.rttvar = rtt / 2;
        }
    }

    /// Adds a measured round trip.
    pub fn sample(&mut self, now: Instant, rtt: Duration) {
        let rtt = rtt.min(MAX_SAMPLE);
        self.least.add(now, rtt);
        match self.srtt {
            Some(srtt) if self.sampled => {
                self.rttvar = (self.rttvar * 3 + srtt.abs_diff(rtt)) / 4;
                self.srtt = Some((srtt * 7 + rtt) / 8);
            }
            _ => {
                self.srtt = Some(rtt);
                self.rttvar = rtt / 2;
            }
        }
        self.sampled = true;
    }

    /// The smoothed round-trip time.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.srtt
    }

    /// The least sample of the last seconds; before the first, the seed.
    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        self.least.get().or(self.srtt)
    }

    /// The timeout before backoff, for a peer that may delay its acknowledgement by `ack_delay`.
    pub(crate) fn rto(&self, ack_delay: Duration) -> Duration {
        match self.srtt {
            Some(srtt) => (srtt + (self.rttvar * 4).max(GRANULARITY) + ack_delay).clamp(MIN_RTO, MAX_RTO),
            None => INITIAL_RTO,
        }
    }
}

/// The least value of the last ten to twenty seconds, in two buckets.
#[derive(Debug, Default)]
struct WindowedMinimum {
    present: Option<Duration>,
    past: Option<Duration>,
    since: Option<Instant>,
}

impl WindowedMinimum {
    const BUCKET: Duration = Duration::from_secs(10);

    fn add(&mut self, now: Instant, value: Duration) {
        let age = now.saturating_duration_since(*self.since.get_or_insert(now));
        if age >= Self::BUCKET {
            self.past = if age >= Self::BUCKET * 2 { None } else { self.present };
            self.present = None;
            self.since = Some(now);
        }
        self.present = Some(self.present.map_or(value, |present| present.min(value)));
    }

    fn get(&self) -> Option<Duration> {
        self.present.into_iter().chain(self.past).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_timeout_follows_rfc_6298() {
        let (mut rtt, now) = (RttEstimator::default(), Instant::now());
        assert_eq!(rtt.rto(ms(0)), INITIAL_RTO);
        rtt.sample(now, ms(100));
        assert_eq!((rtt.srtt(), rtt.rto(ms(0))), (Some(ms(100)), ms(300)));
        rtt.sample(now, ms(180));
        // SRTT = 7/8·100 + 1/8·180, RTTVAR = 3/4·50 + 1/4·80.
        assert_eq!((rtt.srtt(), rtt.rto(ms(0))), (Some(ms(110)), ms(110 + 4) + ms(226)));
    }

    #[test]
    fn a_seed_serves_until_the_first_sample_and_not_after() {
        let (mut rtt, now) = (RttEstimator::default(), Instant::now());
        rtt.seed(ms(40));
        assert_eq!((rtt.min_rtt(), rtt.rto(ms(5))), (Some(ms(40)), ms(125)));
        rtt.sample(now, ms(10));
        rtt.seed(ms(400));
        assert_eq!((rtt.srtt(), rtt.min_rtt(), rtt.rto(ms(0))), (Some(ms(10)), Some(ms(10)), ms(30)));
    }

    #[test]
    fn a_steady_fast_path_does_not_go_below_the_floor() {
        let (mut rtt, now) = (RttEstimator::default(), Instant::now());
        for _ in 0..100 {
            rtt.sample(now, Duration::from_micros(200));
        }
        assert_eq!(rtt.rto(ms(5)), MIN_RTO);
    }

    #[test]
    fn absurd_times_are_bounded() {
        let (mut rtt, now) = (RttEstimator::default(), Instant::now());
        rtt.seed(Duration::MAX);
        assert_eq!(rtt.rto(ms(5)), MAX_RTO);
        rtt.sample(now, Duration::MAX);
        rtt.sample(now, Duration::MAX);
        assert_eq!((rtt.rto(ms(5)), rtt.srtt()), (MAX_RTO, Some(MAX_SAMPLE)));
    }

    #[test]
    fn the_least_time_is_forgotten_when_the_path_has_become_longer() {
        let (mut rtt, now) = (RttEstimator::default(), Instant::now());
        for second in 0..40 {
            let value = if second < 5 { ms(20) } else { ms(80) };
            rtt.sample(now + Duration::from_secs(second), value);
        }
        assert_eq!(rtt.min_rtt(), Some(ms(80)));
    }
}
