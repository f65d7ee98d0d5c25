//! The clocks: the monotonic clock and the wall clock. A test can replace both.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Whether any thread has ever replaced the clock. Programs never do, and pay one load for the
/// check.
static IS_INVENTED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static INVENTED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The time now.
#[inline]
pub fn now() -> Instant {
    if IS_INVENTED.load(Ordering::Relaxed)
        && let Some(invented) = INVENTED.get()
    {
        return invented;
    }
    Instant::now()
}

/// Sets the time that this thread sees as now, until the next call; `None` returns to the system's
/// clock. For simulations.
pub fn invent(time: Option<Instant>) {
    IS_INVENTED.store(true, Ordering::Relaxed);
    INVENTED.set(time);
}

/// The wall clock, or a clock of a test in its place.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl WallClock {
    /// A clock that shows what `now` returns.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WallClock").field(&self.now()).finish()
    }
}

/// The wall clock, in Unix microseconds.
pub fn unix_us() -> u64 {
    unix_us_before(Duration::ZERO)
}

/// The wall clock `age` ago, in Unix microseconds.
pub fn unix_us_before(age: Duration) -> u64 {
    let then = SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH);
    let since = then.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_invents_the_time_sees_it_stand_still_and_others_do_not() {
        let past = Instant::now() - Duration::from_secs(1);
        invent(Some(past));
        assert_eq!((now(), now()), (past, past));
        let elsewhere = std::thread::spawn(now).join().unwrap();
        assert!(elsewhere > past);
        invent(None);
        assert!(now() > past);
    }
}
