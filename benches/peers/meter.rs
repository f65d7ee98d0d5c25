//! What one end counts, and the line of JSON it leaves. The C program counts by the same rules.

use std::time::{Duration, Instant, SystemTime};

use crate::Failure;

/// A datagram begins with its sequence number, big-endian.
pub const SEQUENCE_BYTES: usize = 8;

/// Reading the clock costs a tenth of what a datagram does, so it is read once for this many.
const DATAGRAMS_PER_STAMP: u64 = 64;

/// How long the sender is silent before it closes, so that what is on its way arrives first.
pub const QUIET: Duration = Duration::from_millis(300);

/// Nanoseconds since 1970: the clock that two processes share.
pub fn wall_clock_ns() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A line of /proc/self/status: `VmRSS:` is the process's resident memory, `VmHWM:` the most it ever had.
pub fn memory_bytes(line_name: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(line_name)).ok_or("no such line")?;
    let kib: u64 = line.split_whitespace().next().ok_or("no figure")?.parse()?;
    Ok(kib * 1024)
}

/// What arrived, from the first arrival to the last one that was stamped.
#[derive(Default)]
pub struct Arrivals {
    first: Option<Instant>,
    last_stamp: Option<Instant>,
    stamped: u64,
    delivered: u64,
    bytes: u64,
    highest_sequence: Option<u64>,
    reordered: u64,
    malformed: u64,
}

impl Arrivals {
    /// Counts one payload.
    pub fn count(&mut self, payload: &[u8]) {
        let Some(sequence) = payload.first_chunk::<SEQUENCE_BYTES>() else {
            self.malformed += 1;
            return;
        };
        let sequence = u64::from_be_bytes(*sequence);
        match self.highest_sequence {
            Some(highest) if sequence <= highest => self.reordered += 1,
            _ => self.highest_sequence = Some(sequence),
        }
        self.delivered += 1;
        self.bytes += payload.len() as u64;
        if self.delivered % DATAGRAMS_PER_STAMP == 1 {
            let now = Instant::now();
            self.first.get_or_insert(now);
            self.last_stamp = Some(now);
            self.stamped = self.delivered;
        }
    }

    /// Prints the line that the runner reads. `frames` is how many DATAGRAM frames QUIC received,
    /// `dropped_full` how many of them were dropped behind it.
    pub fn report(&self, frames: u64, dropped_full: usize) {
        let window = match (self.first, self.last_stamp) {
            (Some(first), Some(last)) => last.duration_since(first).as_secs_f64(),
            _ => 0.0,
        };
        println!(
            "{{\"delivered\": {}, \"bytes\": {}, \"window_datagrams\": {}, \"window_s\": {window:.6}, \
             \"reordered\": {}, \"malformed\": {}, \"frames\": {frames}, \"dropped_full\": {dropped_full}, \
             \"peak_memory_bytes\": {}}}",
            self.delivered,
            self.bytes,
            self.stamped.saturating_sub(1),
            self.reordered,
            self.malformed,
            memory_bytes("VmHWM:").unwrap_or(0),
        );
    }
}

/// What the sender hands over, until its time is up.
pub struct Departures {
    payload: Vec<u8>,
    sent: u64,
    until: Instant,
}

impl Departures {
    /// Starts the clock.
    pub fn start(size_bytes: usize, duration: Duration) -> Self {
        Self { payload: vec![0xa5; size_bytes], sent: 0, until: Instant::now() + duration }
    }

    /// The next payload, or `None` when the time is up.
    pub fn next(&mut self) -> Option<&[u8]> {
        if self.sent.is_multiple_of(DATAGRAMS_PER_STAMP) && Instant::now() >= self.until {
            return None;
        }
        self.payload[..SEQUENCE_BYTES].copy_from_slice(&self.sent.to_be_bytes());
        self.sent += 1;
        Some(&self.payload)
    }

    /// Prints the line that the runner reads. `frames` is how many DATAGRAM frames QUIC sent.
    pub fn report(&self, frames: u64) {
        println!(
            "{{\"sent\": {}, \"frames\": {frames}, \"peak_memory_bytes\": {}}}",
            self.sent,
            memory_bytes("VmHWM:").unwrap_or(0),
        );
    }
}

/// Round-trip times, after a warm-up of a tenth of the time.
pub struct RoundTrips {
    nanoseconds: Vec<u64>,
    lost: u64,
    asked: u64,
    warm_from: Instant,
    until: Instant,
}

impl RoundTrips {
    /// Starts the clock.
    pub fn start(duration: Duration) -> Self {
        let now = Instant::now();
        let warm_up = duration / 10;
        Self {
            nanoseconds: Vec::new(),
            lost: 0,
            asked: 0,
            warm_from: now + warm_up,
            until: now + warm_up + duration,
        }
    }

    /// The number of the next ping, or `None` when the time is up.
    pub fn next(&mut self) -> Option<u64> {
        self.asked += 1;
        (Instant::now() < self.until).then_some(self.asked)
    }

    /// Counts one answer.
    pub fn answered(&mut self, asked_at: Instant) {
        if asked_at >= self.warm_from {
            self.nanoseconds.push(u64::try_from(asked_at.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Counts one answer that did not come.
    pub fn lost(&mut self) {
        self.lost += 1;
    }

    /// Prints the line that the runner reads.
    pub fn report(mut self) {
        self.nanoseconds.sort_unstable();
        let percentile = |percent: usize| {
            let index = self.nanoseconds.len().saturating_sub(1) * percent / 100;
            self.nanoseconds.get(index).map_or(0.0, |&ns| ns as f64 / 1000.0)
        };
        println!(
            "{{\"round_trips\": {}, \"lost\": {}, \"p50_us\": {:.2}, \"p90_us\": {:.2}, \"p99_us\": {:.2}}}",
            self.nanoseconds.len(),
            self.lost,
            percentile(50),
            percentile(90),
            percentile(99),
        );
    }
}
