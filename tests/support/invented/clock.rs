//! The clock of invented time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// The date at which every run begins: within the validity of its certificates.
const BEGINS: Duration = Duration::from_secs(1_780_000_000);

/// A clock that stands still until it is moved. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    /// The start of the invented time in the system's time. Only differences matter.
    start: Instant,
    elapsed_ns: Arc<AtomicU64>,
}

impl Clock {
    /// A clock that this thread uses from now on.
    pub fn new() -> Self {
        let start = Instant::now();
        wtgram::runtime::clock::invent(Some(start));
        Self { start, elapsed_ns: Arc::default() }
    }

    pub fn now(&self) -> Instant {
        self.start + self.elapsed()
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed_ns.load(Ordering::Relaxed))
    }

    /// How long after the beginning `instant` is.
    pub fn since_start(&self, instant: Instant) -> Duration {
        instant.duration_since(self.start)
    }

    /// The instant this long after the beginning.
    pub fn at(&self, elapsed: Duration) -> Instant {
        self.start + elapsed
    }

    /// Moves the time on to `instant`; it never goes back.
    pub fn advance_to(&self, instant: Instant) {
        let elapsed = instant.saturating_duration_since(self.start).as_nanos() as u64;
        self.elapsed_ns.fetch_max(elapsed, Ordering::Relaxed);
        wtgram::runtime::clock::invent(Some(self.now()));
    }
}

impl quinn_proto::TimeSource for Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + BEGINS + self.elapsed()
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(BEGINS + self.elapsed()))
    }
}
