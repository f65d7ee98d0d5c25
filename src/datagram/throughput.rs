//! The throughput test: datagrams at full speed for a while, with a report.
//!
//! The reference pauses for a millisecond between datagrams, and so measures its pauses. This test
//! keeps the queue full and never drops its own datagrams: it waits for space, whatever the
//! transport's policy is.

use std::borrow::Cow;
use std::time::Duration;

use super::message::Limits;
use super::stats::Stats;
use super::transport::Transport;
use crate::datagram::options::SendOptions;
use crate::error::{Error, Result};
use crate::runtime::clock;
use crate::runtime::wait::Deadline;

/// The most datagrams that are queued under one lock.
const BATCH: usize = 64;

/// The test can be cancelled within this time, even if the path is blocked.
const CANCEL_WITHIN: Duration = Duration::from_millis(50);

/// The longest test.
pub const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);

/// Options of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThroughputOptions {
    /// How long the test lasts; default 10 s.
    pub duration: Duration,
    /// Payload bytes of each datagram; default 1000.
    pub datagram_size: usize,
    /// How they are sent.
    pub send: SendOptions,
    /// Time between two progress reports; default 1 s.
    pub progress_interval: Duration,
}

impl Default for ThroughputOptions {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(10),
            datagram_size: 1000,
            send: SendOptions::default(),
            progress_interval: Duration::from_secs(1),
        }
    }
}

/// The result. The figures are the transport's, so they include datagrams that other threads sent
/// during the test.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ThroughputReport {
    /// How long it took.
    pub duration: Duration,
    /// Datagrams handed to QUIC.
    pub datagrams_sent: u64,
    /// Payload bytes of those.
    pub bytes_sent: u64,
    /// Datagrams that failed or were dropped.
    pub errors: u64,
    /// Whether the test was cancelled.
    pub cancelled: bool,
}

impl ThroughputReport {
    fn since(before: &Stats, now: &Stats, duration: Duration) -> Self {
        let lost = |stats: &Stats| stats.send_failures().saturating_add(stats.send_drops());
        Self {
            duration,
            datagrams_sent: now.datagrams_sent().saturating_sub(before.datagrams_sent()),
            bytes_sent: now.bytes_sent().saturating_sub(before.bytes_sent()),
            errors: lost(now).saturating_sub(lost(before)),
            cancelled: false,
        }
    }

    /// Datagrams per second.
    pub(crate) fn datagrams_per_second(&self) -> f64 {
        per_second(self.datagrams_sent, self.duration)
    }

    /// Payload bits per second.
    pub fn bits_per_second(&self) -> f64 {
        per_second(self.bytes_sent.saturating_mul(8), self.duration)
    }

    /// Errors / (errors + datagrams sent); 0 without any.
    pub(crate) fn error_rate(&self) -> f64 {
        self.errors as f64 / self.errors.saturating_add(self.datagrams_sent).max(1) as f64
    }
}

fn per_second(count: u64, duration: Duration) -> f64 {
    if duration.is_zero() { 0.0 } else { count as f64 / duration.as_secs_f64() }
}

/// Sends at full speed on the calling thread. Calls `progress` in every interval, and
/// `is_cancelled` again and again.
///
/// Fails with [`Error::TooLarge`] if such a datagram cannot be sent, and with [`Error::Closed`] if
/// the transport is closed meanwhile.
pub fn run(
    transport: &Transport,
    options: &ThroughputOptions,
    mut progress: impl FnMut(&ThroughputReport),
    is_cancelled: impl Fn() -> bool,
) -> Result<ThroughputReport> {
    let ThroughputOptions { duration, datagram_size: size, send, progress_interval } = *options;
    if duration.is_zero() || duration > MAX_DURATION || progress_interval.is_zero() {
        return Err(Error::InvalidArgument(Cow::Borrowed(
            "a throughput test lasts more than 0 and at most a day, and so does its progress interval",
        )));
    }
    let limit = transport.outgoing.max_datagram_size()?;
    let Limits { bytes: queue_bytes, .. } = transport.outgoing.config().limits;
    if size > limit.min(queue_bytes) {
        return Err(Error::TooLarge { size, limit: limit.min(queue_bytes) });
    }
    let payload = vec![b'X'; size];
    let before = transport.stats();
    let started = clock::now();
    let end = started + duration;
    let mut next_look = started + progress_interval;
    loop {
        let now = clock::now();
        if now >= end || is_cancelled() {
            break;
        }
        if now >= next_look {
            progress(&ThroughputReport::since(&before, &transport.stats(), started.elapsed()));
            next_look = now + progress_interval;
        }
        match transport
            .outgoing
            .wait_writable(size, Deadline::At(end.min(next_look).min(now + CANCEL_WITHIN)))
        {
            Ok(()) => fill(transport, &payload, &send)?,
            Err(Error::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    // Datagrams that wait are neither sent nor lost until the path had time to take them.
    let report = ThroughputReport::since(&before, &transport.stats(), started.elapsed());
    Ok(ThroughputReport { cancelled: is_cancelled(), ..report })
}

/// Queues as many as fit, at most a batch. Nothing is evicted or refused for them.
fn fill(transport: &Transport, payload: &[u8], send: &SendOptions) -> Result<()> {
    let room = transport.outgoing.free_places(payload.len()).min(BATCH);
    let mut first_error = Ok(());
    let payloads = std::iter::repeat_n(payload, room).map(Ok);
    transport.outgoing.send_batch(payloads, send, Deadline::Now, |result| match result {
        // A datagram of another thread took the space: the next round tries again.
        Ok(()) | Err(Error::QueueFull | Error::WouldBlock | Error::TimedOut) => {}
        // The path's MTU shrank during the test. It is counted, and the report shows it.
        Err(Error::TooLarge { .. }) => {}
        Err(error) => first_error = Err(error),
    });
    first_error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_divides_by_the_time_it_took_even_below_a_second() {
        let report = ThroughputReport {
            duration: Duration::from_millis(500),
            datagrams_sent: 1000,
            bytes_sent: 100_000,
            errors: 250,
            cancelled: false,
        };
        assert_eq!(report.datagrams_per_second(), 2000.0);
        assert_eq!(report.bits_per_second(), 1_600_000.0);
        assert_eq!(report.error_rate(), 0.2);
    }

    #[test]
    fn a_report_of_nothing_is_zeroes() {
        let report = ThroughputReport::default();
        assert_eq!(report.datagrams_per_second(), 0.0);
        assert_eq!(report.bits_per_second(), 0.0);
        assert_eq!(report.error_rate(), 0.0);
    }
}
