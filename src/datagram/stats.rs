//! The fate of every datagram, and the reference's `DatagramStats` derived from it.
//!
//! The counters here are complete: at every instant, every submitted datagram is in exactly one of
//! them ([`OutboundCounters::is_balanced`], [`InboundCounters::is_balanced`]). The summary figures
//! of the reference are sums of them:
//!
//! | figure | is |
//! |---|---|
//! | `datagrams_sent`, `bytes_sent` | `sent`: handed to QUIC (in the reference: enqueued) |
//! | `send_failures` | `too_large` + `failed` + `rejected`: the queue or QUIC refused it |
//! | `send_drops` | `expired` + `evicted` + `cleared`: it was queued and then dropped |
//! | `datagrams_received`, `bytes_received` | `delivered` to a call + `routed` to a reader |
//! | `receive_drops` | `expired` + `dropped_full` + `cleared` + `dropped_in_quic` + `over_rate` |
//! | `receive_errors` | `malformed` + `foreign`: it arrived, but not as one of this session |
//! | sizes | of `sent`, `delivered` and `routed` |
//! | receive time | waited in receive calls of the transport and of its readers |
//!
//! The meaning is the same for all readers. A datagram that a layer or a structured transport takes
//! is received. One for which it has no space is `dropped_full`, as in the transport's own queue.
//!
//! A datagram that waits is in none of these figures. A datagram that QUIC dropped after the
//! hand-over (`ArrivalsAndLosses::dropped_after_sent`) stays in `datagrams_sent`, as in the
//! reference.

use std::time::Duration;

/// A number of datagrams and their payload bytes, without session prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Datagrams.
    pub datagrams: u64,
    /// Payload bytes.
    pub bytes: u64,
}

impl Tally {
    /// Counts one datagram of `size` bytes.
    pub fn add(&mut self, size: usize) {
        self.datagrams = self.datagrams.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size as u64);
    }

    /// Removes one datagram of `size` bytes.
    pub fn remove(&mut self, size: usize) {
        debug_assert!(self.datagrams >= 1 && self.bytes >= size as u64, "more left than came: {self:?}");
        self.datagrams = self.datagrams.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size as u64);
    }

    /// The sum of both.
    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            datagrams: self.datagrams.saturating_add(other.datagrams),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), Self::plus)
    }
}

/// The fates of all datagrams that were submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboundCounters {
    /// All that the caller submitted, except for those that were returned for another attempt.
    pub handed_in: Tally,
    /// Handed to QUIC.
    pub sent: Tally,
    /// Waiting.
    pub queued: Tally,
    /// Its TTL or the maximum age passed first.
    pub expired: Tally,
    /// Evicted for a newer one.
    pub evicted: Tally,
    /// The queue had no space.
    pub rejected: Tally,
    /// Larger than the path carries.
    pub too_large: Tally,
    /// QUIC refused it, or the transport was closed first.
    pub failed: Tally,
    /// Removed by the caller's `clear_send_buffer`.
    pub cleared: Tally,
}

impl OutboundCounters {
    /// Whether every submitted datagram is counted exactly once.
    pub fn is_balanced(&self) -> bool {
        let Self { handed_in, sent, expired, evicted, rejected, too_large, failed, cleared, queued } = *self;
        handed_in
            == [sent, expired, evicted, rejected, too_large, failed, cleared, queued]
                .into_iter()
                .sum::<Tally>()
    }
}

/// The fates of all datagrams that arrived and that no layer or structured transport took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InboundCounters {
    /// All that came to the transport's own queue, and those for which another reader had no space.
    pub received: Tally,
    /// Given to a receive call.
    pub delivered: Tally,
    /// Older than the incoming maximum age before a call took it.
    pub expired: Tally,
    /// Dropped because the queue was full: the transport's own (oldest or newest, by policy), or
    /// that of a layer or structured transport.
    pub dropped_full: Tally,
    /// Removed by the caller's `clear_receive_buffer`.
    pub cleared: Tally,
    /// Waiting.
    pub queued: Tally,
}

impl InboundCounters {
    /// Whether every datagram that arrived is counted exactly once.
    pub fn is_balanced(&self) -> bool {
        let Self { received, delivered, expired, dropped_full, cleared, queued } = *self;
        received == [delivered, expired, dropped_full, cleared, queued].into_iter().sum::<Tally>()
    }
}

/// What happens outside of the two queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArrivalsAndLosses {
    /// Arrived, and a reliability layer or structured transport took it.
    pub routed: Tally,
    /// Arrived with another session's id.
    pub foreign: Tally,
    /// Arrived without a readable session id.
    pub malformed: Tally,
    /// Dropped below the queue: QUIC's receive buffer was full, the client had not asked for the
    /// session yet, or the transport was closed. Their sizes are not known.
    pub dropped_in_quic: u64,
    /// Arrived, and dropped because the peer sends faster than the server lets it.
    pub over_rate: u64,
    /// Datagrams that QUIC dropped after the hand-over (smaller path, close). They stay in `sent`.
    pub dropped_after_sent: u64,
}

/// The smallest and largest of many sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SizeRange {
    smallest: Option<usize>,
    largest: usize,
}

impl SizeRange {
    /// Counts one size.
    pub fn record(&mut self, size: usize) {
        self.smallest = Some(self.smallest.map_or(size, |smallest| smallest.min(size)));
        self.largest = self.largest.max(size);
    }

    /// The range of both.
    #[must_use]
    pub(crate) fn merged(self, other: Self) -> Self {
        Self {
            smallest: self.smallest.into_iter().chain(other.smallest).min(),
            largest: self.largest.max(other.largest),
        }
    }

    /// The smallest, 0 when there was none.
    pub fn min(&self) -> usize {
        self.smallest.unwrap_or(0)
    }

    /// The largest, 0 when there was none.
    pub fn max(&self) -> usize {
        self.largest
    }
}

/// Sum and maximum of many durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeSpent {
    /// Their sum.
    pub total: Duration,
    /// The longest.
    pub max: Duration,
}

impl TimeSpent {
    /// Counts one duration.
    pub fn record(&mut self, spent: Duration) {
        self.record_part(spent, spent);
    }

    /// Adds the next part of one duration, which is `so_far` long with it.
    pub(crate) fn record_part(&mut self, part: Duration, so_far: Duration) {
        self.total = self.total.saturating_add(part);
        self.max = self.max.max(so_far);
    }

    /// The mean over `count`, zero when that is zero.
    pub fn average(&self, count: u64) -> Duration {
        if count == 0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(self.total.as_secs_f64() / count as f64)
    }
}

/// A snapshot of one transport. All parts are from the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// The id of the session.
    pub session_id: u64,
    /// When the transport was created, Unix microseconds.
    pub created_at_us: u64,
    /// The send side.
    pub outbound: OutboundCounters,
    /// The receive side.
    pub inbound: InboundCounters,
    /// What happened outside of the two queues.
    pub outside: ArrivalsAndLosses,
    /// Time spent in send operations.
    pub send_time: TimeSpent,
    /// Time spent waiting in receive operations of the transport and its readers.
    pub receive_time: TimeSpent,
    /// Sizes of everything sent and received.
    pub sizes: SizeRange,
}

impl Stats {
    /// Datagrams handed to QUIC.
    pub fn datagrams_sent(&self) -> u64 {
        self.outbound.sent.datagrams
    }

    /// Payload bytes handed to QUIC.
    pub fn bytes_sent(&self) -> u64 {
        self.outbound.sent.bytes
    }

    /// Datagrams that could not be sent: too large, failed or rejected.
    pub(crate) fn send_failures(&self) -> u64 {
        let OutboundCounters { too_large, failed, rejected, .. } = self.outbound;
        too_large.plus(failed).plus(rejected).datagrams
    }

    /// Datagrams that were accepted and then dropped: expired, evicted or cleared.
    pub(crate) fn send_drops(&self) -> u64 {
        let OutboundCounters { expired, evicted, cleared, .. } = self.outbound;
        expired.plus(evicted).plus(cleared).datagrams
    }

    /// Datagrams that reached a reader.
    pub fn datagrams_received(&self) -> u64 {
        self.inbound.delivered.plus(self.outside.routed).datagrams
    }

    /// Payload bytes that reached a reader.
    pub fn bytes_received(&self) -> u64 {
        self.inbound.delivered.plus(self.outside.routed).bytes
    }

    /// Datagrams that arrived and were dropped: expired, no space here or in QUIC, cleared, or above
    /// the peer's rate.
    pub fn receive_drops(&self) -> u64 {
        let InboundCounters { expired, dropped_full, cleared, .. } = self.inbound;
        let ArrivalsAndLosses { dropped_in_quic, over_rate, .. } = self.outside;
        let here = expired.plus(dropped_full).plus(cleared).datagrams;
        here.saturating_add(dropped_in_quic).saturating_add(over_rate)
    }

    /// Datagrams that arrived but could not be read: malformed, or another session's.
    pub(crate) fn receive_errors(&self) -> u64 {
        self.outside.malformed.plus(self.outside.foreign).datagrams
    }

    /// Payload bytes sent and received.
    pub(crate) fn total_datagram_size(&self) -> u64 {
        self.bytes_sent().saturating_add(self.bytes_received())
    }

    /// Mean payload bytes of sent and received datagrams, 0 without any.
    pub fn avg_datagram_size(&self) -> f64 {
        let count = self.datagrams_sent().saturating_add(self.datagrams_received());
        self.total_datagram_size() as f64 / count.max(1) as f64
    }

    /// Mean time in a send operation, per datagram sent.
    pub fn avg_send_time(&self) -> Duration {
        self.send_time.average(self.datagrams_sent())
    }

    /// Mean time waited in a receive operation, per datagram received.
    pub fn avg_receive_time(&self) -> Duration {
        self.receive_time.average(self.datagrams_received())
    }

    /// Sent / (sent + failed); 1.0 without attempts. Drops are not failures, as in the reference.
    pub fn send_success_rate(&self) -> f64 {
        success_rate(self.datagrams_sent(), self.send_failures())
    }

    /// Received / (received + errors); 1.0 without attempts. Drops are not errors, as in the
    /// reference.
    pub fn receive_success_rate(&self) -> f64 {
        success_rate(self.datagrams_received(), self.receive_errors())
    }
}

fn success_rate(successes: u64, failures: u64) -> f64 {
    match successes.saturating_add(failures) {
        0 => 1.0,
        attempts => successes as f64 / attempts as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(datagrams: u64, bytes: u64) -> Tally {
        Tally { datagrams, bytes }
    }

    fn busy() -> Stats {
        let mut stats = Stats {
            outbound: OutboundCounters {
                handed_in: tally(255, 2550),
                sent: tally(128, 1280),
                expired: tally(64, 640),
                evicted: tally(32, 320),
                rejected: tally(16, 160),
                too_large: tally(8, 80),
                failed: tally(4, 40),
                cleared: tally(2, 20),
                queued: tally(1, 10),
            },
            inbound: InboundCounters {
                received: tally(31, 310),
                delivered: tally(16, 160),
                expired: tally(8, 80),
                dropped_full: tally(4, 40),
                cleared: tally(2, 20),
                queued: tally(1, 10),
            },
            outside: ArrivalsAndLosses {
                routed: tally(48, 96),
                foreign: tally(5, 50),
                malformed: tally(7, 70),
                dropped_in_quic: 100,
                over_rate: 200,
                dropped_after_sent: 3,
            },
            ..Stats::default()
        };
        stats.send_time.record(Duration::from_micros(128));
        stats.receive_time.record(Duration::from_micros(64));
        stats.receive_time.record(Duration::from_micros(64));
        stats
    }

    #[test]
    fn nothing_yet_reads_as_full_success_and_zeros() {
        let stats = Stats::default();
        assert_eq!(stats.send_success_rate(), 1.0);
        assert_eq!(stats.receive_success_rate(), 1.0);
        assert_eq!(stats.sizes.min(), 0);
        assert_eq!(stats.sizes.max(), 0);
        assert_eq!(stats.avg_datagram_size(), 0.0);
        assert_eq!(stats.avg_send_time(), Duration::ZERO);
        assert_eq!(stats.avg_receive_time(), Duration::ZERO);
    }

    #[test]
    fn every_summary_figure_is_the_sum_the_table_says() {
        let stats = busy();
        assert_eq!((stats.datagrams_sent(), stats.bytes_sent()), (128, 1280));
        assert_eq!(stats.send_failures(), 16 + 8 + 4);
        assert_eq!(stats.send_drops(), 64 + 32 + 2);
        assert_eq!((stats.datagrams_received(), stats.bytes_received()), (64, 256));
        assert_eq!(stats.receive_drops(), 8 + 4 + 2 + 100 + 200);
        assert_eq!(stats.receive_errors(), 12);
        assert_eq!(stats.total_datagram_size(), 1280 + 256);
    }

    #[test]
    fn averages_and_rates_divide_by_what_they_are_about() {
        let stats = busy();
        assert_eq!(stats.avg_datagram_size(), 1536.0 / 192.0);
        assert_eq!(stats.avg_send_time(), Duration::from_micros(1));
        assert_eq!(stats.avg_receive_time(), Duration::from_micros(2));
        assert_eq!(stats.receive_time.max, Duration::from_micros(64));
        assert_eq!(stats.send_success_rate(), 128.0 / 156.0);
        assert_eq!(stats.receive_success_rate(), 64.0 / 76.0);
    }

    #[test]
    fn counters_are_balanced_only_when_datagrams_and_bytes_add_up() {
        let mut stats = busy();
        assert!(stats.outbound.is_balanced());
        assert!(stats.inbound.is_balanced());
        stats.outbound.sent.bytes += 1;
        stats.inbound.queued.datagrams -= 1;
        assert!(!stats.outbound.is_balanced());
        assert!(!stats.inbound.is_balanced());
    }

    #[test]
    fn an_empty_datagram_is_the_smallest_there_is() {
        let mut sizes = SizeRange::default();
        sizes.record(7);
        sizes.record(0);
        assert_eq!((sizes.min(), sizes.max()), (0, 7));
        let mut others = SizeRange::default();
        others.record(9);
        assert_eq!((others.min(), others.max()), (9, 9));
        assert_eq!((sizes.merged(others).min(), sizes.merged(others).max()), (0, 9));
        assert_eq!(SizeRange::default().merged(others), others);
    }

    #[test]
    fn counters_saturate_instead_of_wrapping() {
        let mut full = tally(u64::MAX, u64::MAX - 1);
        full.add(5);
        assert_eq!(full, tally(u64::MAX, u64::MAX));
        let mut time = TimeSpent { total: Duration::MAX, max: Duration::ZERO };
        time.record(Duration::from_secs(1));
        assert_eq!(time.total, Duration::MAX);
    }
}
