//! Threads that wait for an object. One of them may lead: it does the work that it waits for.

use std::sync::Arc;

use super::hand_over;
use super::sync::{AtomicBool, Condvar, Mutex, Ordering, fence};
use super::wait::{self, Deadline};
use crate::error::{Error, Result};

/// The work that waiting threads wait for: a lane, whose turns any thread may take.
pub trait Lead: Send + Sync {
    /// Takes turns on this thread until `is_done` returns true or `deadline` passes. Returns at
    /// once if another thread leads or none may.
    ///
    /// `is_asleep` is set while this thread sleeps or is about to. A thread that changes what
    /// `is_done` reads clears it and calls [`Self::wake_leader`]. The caller must not hold a lock
    /// that a turn takes.
    fn lead(&self, deadline: Deadline, is_asleep: &AtomicBool, is_done: &mut dyn FnMut() -> bool);

    /// Ends the sleep of the thread that leads.
    fn wake_leader(&self);
}

/// The thread that leads a lane, one of those that wait for an object.
#[derive(Default)]
pub struct Leader {
    is_asleep: AtomicBool,
}

impl Leader {
    /// Leads `lane` on this thread until `is_done` returns true, `deadline` passes, or it cannot
    /// lead.
    pub fn lead(&self, lane: &dyn Lead, deadline: Deadline, is_done: &mut dyn FnMut() -> bool) {
        lane.lead(deadline, &self.is_asleep, is_done);
        hand_over::place();
    }

    /// Says that something has changed that `is_done` reads. Wakes the leading thread in `lane` if
    /// it sleeps.
    pub fn wake(&self, lane: impl FnOnce() -> Option<Arc<dyn Lead>>) {
        hand_over::place();
        // Either the leader's last look before its sleep sees the change, or this thread sees that
        // the leader sleeps: the leader sets the flag first, then locks.
        fence(Ordering::SeqCst);
        if self.is_asleep.load(Ordering::SeqCst)
            && self.is_asleep.swap(false, Ordering::SeqCst)
            && let Some(lane) = lane()
        {
            lane.wake_leader();
        }
    }
}

/// The threads that wait for one object, which one lane moves.
pub struct Waiters {
    condvar: Condvar,
    lane: Option<Arc<dyn Lead>>,
    leader: Leader,
}

impl Waiters {
    /// No threads. Without a `lane` none of them leads.
    pub fn new(lane: Option<Arc<dyn Lead>>) -> Self {
        Self { condvar: Condvar::new(), lane, leader: Leader::default() }
    }

    /// Wakes one thread, because there is something that one can take. Call it after the change,
    /// which must be made under the lock with which the threads look.
    pub fn notify_one(&self) {
        self.condvar.notify_one();
        self.wake_leader();
    }

    /// Wakes all threads, because of a change for all.
    pub fn notify_all(&self) {
        self.condvar.notify_all();
        self.wake_leader();
    }

    fn wake_leader(&self) {
        self.leader.wake(|| self.lane.clone());
    }

    /// Waits until `attempt` returns something. It runs with the lock of `mutex` held. This thread
    /// leads the lane meanwhile if it can. The caller must not hold a lock that a turn takes.
    pub fn wait_for<T, R>(
        &self,
        mutex: &Mutex<T>,
        deadline: Deadline,
        mut attempt: impl FnMut(&mut T) -> Option<Result<R>>,
    ) -> Result<R> {
        if let Some(result) = attempt(&mut mutex.lock()) {
            return result;
        }
        if deadline == Deadline::Now {
            return Err(Error::WouldBlock);
        }
        if let Some(lane) = &self.lane {
            let mut result = None;
            self.leader.lead(&**lane, deadline, &mut || {
                result = attempt(&mut mutex.lock());
                result.is_some()
            });
            if let Some(result) = result {
                return result;
            }
        }
        wait::wait_for(&mut mutex.lock(), &self.condvar, deadline, attempt)
    }
}
