//! Timeouts and deadlines of callers.

use std::time::{Duration, Instant};

use super::sync::{Condvar, MutexGuard};
use crate::error::{Error, Result};

/// How long a caller wants to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// Do not wait; fails with [`Error::WouldBlock`].
    Now,
    /// Wait at most this long; fails with [`Error::TimedOut`].
    After(Duration),
    /// Wait until the event happens or the object is closed.
    Forever,
}

impl Timeout {
    /// The deadline of a wait that begins now.
    pub fn deadline(self) -> Deadline {
        match self {
            Self::Now => Deadline::Now,
            // A duration beyond the range of the clock means forever.
            Self::After(duration) => {
                Instant::now().checked_add(duration).map_or(Deadline::Never, Deadline::At)
            }
            Self::Forever => Deadline::Never,
        }
    }
}

/// A [`Timeout`] as a point in time, so that several waits can share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// Has passed; does not allow any wait.
    Now,
    /// Passes at this instant.
    At(Instant),
    /// Never passes.
    Never,
}

impl Deadline {
    /// The earlier of this and `moment`. A deadline that allows no wait does not change.
    pub fn at_most(self, moment: Option<Instant>) -> Self {
        match (self, moment) {
            (Self::Never, Some(moment)) => Self::At(moment),
            (Self::At(at), Some(moment)) => Self::At(at.min(moment)),
            (deadline, _) => deadline,
        }
    }

    /// Sleeps until `condvar` is notified or the deadline passes. Returns whether it has passed.
    pub fn sleep<T>(self, guard: &mut MutexGuard<'_, T>, condvar: &Condvar) -> bool {
        match self {
            Self::Now => true,
            Self::At(instant) => condvar.wait_until(guard, instant).timed_out(),
            Self::Never => {
                condvar.wait(guard);
                false
            }
        }
    }

    /// Whether it has passed.
    pub fn is_over(self) -> bool {
        match self {
            Self::Now => true,
            Self::At(instant) => Instant::now() >= instant,
            Self::Never => false,
        }
    }

    /// The error of a wait without a result.
    pub fn missed(self) -> Error {
        if self == Self::Now { Error::WouldBlock } else { Error::TimedOut }
    }
}

/// Waits on `condvar` until `attempt` returns something. It runs with the lock held.
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
        if deadline.sleep(guard, condvar) {
            let late = if deadline == Deadline::Now { None } else { attempt(guard) };
            return late.unwrap_or_else(|| Err(deadline.missed()));
        }
    }
}
