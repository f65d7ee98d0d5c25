//! Timeouts and deadlines of callers.

use std::time::{Duration, Instant};

use super::sync::{Condvar, MutexGuard};
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

impl Deadline {
    /// The earlier of this one and `moment`; one that allows no waiting stays that.
    pub fn at_most(self, moment: Option<Instant>) -> Self {
        match (self, moment) {
            (Self::Never, Some(moment)) => Self::At(moment),
            (Self::At(at), Some(moment)) => Self::At(at.min(moment)),
            (deadline, _) => deadline,
        }
    }

    /// Sleeps until `condvar` is notified or the deadline is over; says whether it is over.
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

    /// Whether it is over.
    pub fn is_over(self) -> bool {
        match self {
            Self::Now => true,
            Self::At(instant) => Instant::now() >= instant,
            Self::Never => false,
        }
    }

    /// The error of a wait that ended without a result.
    pub fn missed(self) -> Error {
        if self == Self::Now { Error::WouldBlock } else { Error::TimedOut }
    }
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
        if deadline.sleep(guard, condvar) {
            let late = if deadline == Deadline::Now { None } else { attempt(guard) };
            return late.unwrap_or_else(|| Err(deadline.missed()));
        }
    }
}
