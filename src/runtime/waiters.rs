//! Threads that wait for an object. One of them may lead: it does the work that it waits for.

use std::sync::Arc;

use super::hand_over;
use super::sync::{AtomicBool, Condvar, Mutex, Ordering, fence};
use super::wait::{self, Deadline};
use crate::error::{Error, Result};

/// The work that waiting threads wait for: a lane, whose turns any thread may take.
pub trait Lead: Send + Sync {
    /// Takes turns on this thread until `is_done` says so or `deadline` is over. Returns at once if
    /// another thread leads, or none may.
    ///
    /// `is_asleep` is set while this thread sleeps or is about to; a thread that changes what `is_done`
    /// looks at clears it and calls [`Self::wake_leader`]. No lock that a turn takes may be held.
    fn lead(&self, deadline: Deadline, is_asleep: &AtomicBool, is_done: &mut dyn FnMut() -> bool);

    /// Ends the sleep of the thread that leads.
    fn wake_leader(&self);
}

/// The one among the threads that wait for an object which leads a lane meanwhile.
#[derive(Default)]
pub struct Leader {
    is_asleep: AtomicBool,
}

impl Leader {
    /// Has this thread lead `lane` until `is_done` says so, `deadline` is over, or it cannot.
    pub fn lead(&self, lane: &dyn Lead, deadline: Deadline, is_done: &mut dyn FnMut() -> bool) {
        lane.lead(deadline, &self.is_asleep, is_done);
        hand_over::place();
    }

    /// Something has changed that `is_done` looks at. If the thread sleeps it is woken, in the lane that `lane` names.
    pub fn wake(&self, lane: impl FnOnce() -> Option<Arc<dyn Lead>>) {
        hand_over::place();
        // Either the leader's last look before its sleep sees the change, or this sees that it
        // sleeps: it says so, then locks.
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
    /// Nobody yet. Without a `lane` nobody leads.
    pub fn new(lane: Option<Arc<dyn Lead>>) -> Self {
        Self { condvar: Condvar::new(), lane, leader: Leader::default() }
    }

    /// Something has come that one of them can take. To be said after the change was made, under
    /// the lock that they look with.
    pub fn notify_one(&self) {
        self.condvar.notify_one();
        self.wake_leader();
    }

    /// Something has changed for all of them.
    pub fn notify_all(&self) {
        self.condvar.notify_all();
        self.wake_leader();
    }

    fn wake_leader(&self) {
        self.leader.wake(|| self.lane.clone());
    }

    /// Waits until `attempt` yields something, with the lock of `mutex` held whenever it runs. This
    /// thread leads the lane meanwhile if it can. No lock that a turn takes may be held.
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
