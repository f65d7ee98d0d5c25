//! A limit on how fast the datagrams of a peer are delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Datagrams and bytes in a second: two buckets, each of which holds one second's worth.
pub struct RateLimit {
    datagrams: Bucket,
    bytes: Bucket,
    filled_at: Instant,
    dropped: Arc<AtomicU64>,
}

impl RateLimit {
    /// A limit of datagrams and bytes in a second; `None` if there is none. `dropped` counts those
    /// above it.
    pub fn new(
        now: Instant,
        (datagrams, bytes): (Option<u64>, Option<u64>),
        dropped: &Arc<AtomicU64>,
    ) -> Option<Box<Self>> {
        datagrams.or(bytes)?;
        let [datagrams, bytes] = [datagrams, bytes].map(Bucket::full);
        Some(Box::new(Self { datagrams, bytes, filled_at: now, dropped: Arc::clone(dropped) }))
    }

    /// Drops the datagrams of a batch that are above the limit, and returns their number.
    pub(super) fn drop_excess(&mut self, now: Instant, batch: &mut Vec<Bytes>) -> u64 {
        let passed = now.saturating_duration_since(self.filled_at);
        self.filled_at = now;
        self.datagrams.fill(passed);
        self.bytes.fill(passed);
        let before = batch.len();
        batch.retain(|one| {
            let (datagram, bytes) = (1.0, one.len() as f64);
            let fits = self.datagrams.left >= datagram && self.bytes.has(bytes);
            if fits {
                self.datagrams.left -= datagram;
                self.bytes.left -= bytes;
            }
            fits
        });
        let dropped = (before - batch.len()) as u64;
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        dropped
    }
}

struct Bucket {
    /// Infinite without a limit.
    per_second: f64,
    left: f64,
}

impl Bucket {
    fn full(per_second: Option<u64>) -> Self {
        let per_second = per_second.map_or(f64::INFINITY, |rate| rate as f64);
        Self { per_second, left: per_second }
    }

    /// Whether it has so many. A full bucket has enough for whatever comes, and owes the rest: otherwise
    /// a datagram of more than a second's worth would never get through.
    fn has(&self, wanted: f64) -> bool {
        self.left >= wanted || self.left >= self.per_second
    }

    fn fill(&mut self, passed: Duration) {
        if self.per_second.is_finite() {
            self.left = (self.left + self.per_second * passed.as_secs_f64()).min(self.per_second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(limit: &mut RateLimit, now: Instant, count: usize, bytes: usize) -> usize {
        let mut batch = vec![Bytes::from(vec![0; bytes]); count];
        let dropped = limit.drop_excess(now, &mut batch);
        assert_eq!(dropped as usize + batch.len(), count);
        batch.len()
    }

    #[test]
    fn what_is_above_a_rate_is_dropped_and_counted() {
        let (mut now, dropped) = (Instant::now(), Arc::default());
        let mut limit = RateLimit::new(now, (Some(100), None), &dropped).unwrap();
        assert_eq!(kept(&mut limit, now, 150, 1000), 100);
        now += Duration::from_millis(500);
        assert_eq!(kept(&mut limit, now, 150, 1000), 50);
        now += Duration::from_secs(60);
        assert_eq!(kept(&mut limit, now, 150, 0), 100);
        assert_eq!(dropped.load(Ordering::Relaxed), 50 + 100 + 50);
    }

    #[test]
    fn either_limit_is_enough() {
        let (now, dropped) = (Instant::now(), Arc::default());
        let mut limit = RateLimit::new(now, (Some(100), Some(1000)), &dropped).unwrap();
        assert_eq!(kept(&mut limit, now, 20, 90), 11);
        // A smaller one still fits.
        assert_eq!(kept(&mut limit, now, 20, 10), 1);
        assert_eq!(kept(&mut limit, now, 200, 0), 88);
        assert!(RateLimit::new(now, (None, None), &dropped).is_none());
    }

    #[test]
    fn a_datagram_of_more_than_a_seconds_worth_passes_now_and_then() {
        let (mut now, dropped) = (Instant::now(), Arc::default());
        let mut limit = RateLimit::new(now, (None, Some(1000)), &dropped).unwrap();
        assert_eq!(kept(&mut limit, now, 3, 1500), 1);
        now += Duration::from_millis(1400);
        assert_eq!(kept(&mut limit, now, 1, 1500), 0);
        now += Duration::from_millis(100);
        assert_eq!(kept(&mut limit, now, 2, 1500), 1);
    }
}
