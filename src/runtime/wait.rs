//! How long a caller is willing to wait.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, MutexGuard};

use crate::error::{Error, Result};

/// A caller's patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// Do not wait: [`Error::WouldBlock`].
    Now,
    /// Wait so long: [`Error::TimedOut`].
    After(Duration),
    /// Wait until it happens or the object closes.
    Forever,
}

impl Timeout {
    /// The moment at which patience ends.
    pub fn deadline(self) -> Deadline {
        match self {
            Self::Now => Deadline::Now,
            // A duration beyond what the clock can express is as good as forever.
            Self::After(duration) => {
                Instant::now().checked_add(duration).map_or(Deadline::Never, Deadline::At)
            }
            Self::Forever => Deadline::Never,
        }
    }
}

/// A [`Timeout`] pinned to the clock, so that several waits can share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// Already over; no waiting at all.
    Now,
    /// Over at that instant.
    At(Instant),
    /// Never over.
    Never,
}

/// Waits on `condvar` until `attempt` yields something, with the lock held whenever `attempt` runs.
pub fn wait_for<T, R>(
    guard: &mut MutexGuard<'_, T>,
    condvar: &Condvar,
    deadline: Deadline,
    mut attempt: impl FnMut(&mut T) -> Option<Result<R>>,
) -> Result<R> {
    loop {
        if let Some(result) = attempt(guard) {
            return result;
        }
        match deadline {
            Deadline::Now => return Err(Error::WouldBlock),
            Deadline::Never => condvar.wait(guard),
            Deadline::At(instant) => {
                if condvar.wait_until(guard, instant).timed_out() {
                    return attempt(guard).unwrap_or(Err(Error::TimedOut));
                }
            }
        }
    }
}
