//! Work of upper layers in a lane's turns: heartbeats, and sending and timers of reliability
//! layers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::ConnectionKey;
use super::mailbox::Command;
use crate::link::core::lane::Lane;

/// What a job wants after it has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// To run again when it is woken, or at that instant.
    Wait(Option<Instant>),
    /// Never to run again.
    Ended,
}

/// A piece of work of a lane. It must not wait, and must not ask the lane for its core.
pub trait Job: Send + Sync {
    /// Does the work that there is at `now`.
    fn run(&self, now: Instant) -> After;
    /// The job has ended, or the lane ends: the job will not run again.
    fn stopped(&self);
}

/// Wakes a job.
pub struct JobHandle {
    lane: Arc<Lane>,
    key: usize,
    woken: AtomicBool,
}

impl JobHandle {
    pub(crate) fn new(lane: Arc<Lane>, key: usize) -> Self {
        Self { lane, key, woken: AtomicBool::new(false) }
    }

    /// Makes the job run in the next turn.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.lane.post(Command::Job(self.key));
        }
    }
}

/// A job in its lane.
pub(super) struct Entry {
    pub(super) job: Arc<dyn Job>,
    /// The session that ends if the job panics.
    pub(super) owner: ConnectionKey,
    pub(super) handle: Arc<JobHandle>,
    pub(super) armed: Option<Instant>,
}

impl Entry {
    /// Runs the job. Work that is added from now on wakes it again.
    pub(super) fn run(&self, now: Instant) -> After {
        self.handle.woken.store(false, Ordering::Release);
        // This comes before the look at the work. A thread that adds work after that look finds the
        // job not woken, and wakes it.
        std::sync::atomic::fence(Ordering::SeqCst);
        self.job.run(now)
    }
}
