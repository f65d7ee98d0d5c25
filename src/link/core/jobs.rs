//! Work of upper layers in a lane's turns: heartbeats, and sending and timers of reliability
//! layers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::ConnectionKey;
use super::mailbox::Command;
use crate::link::core::lane::Lane;

/// What a job wants after it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// To be done again when it is woken, or at that instant.
    Wait(Option<Instant>),
    /// Never to be done again.
    Ended,
}

/// A piece of work of a lane. It may not wait, and may not ask the lane for its core.
pub trait Job: Send + Sync {
    /// Does what there is to do at `now`.
    fn run(&self, now: Instant) -> After;
    /// The lane ends: it will not be done again.
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

    /// Has the job done in the next turn.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.lane.post(Command::Job(self.key));
        }
    }
}

/// A job in its lane.
pub(super) struct Entry {
    pub(super) job: Arc<dyn Job>,
    /// The session that ends if it panics.
    pub(super) owner: ConnectionKey,
    pub(super) handle: Arc<JobHandle>,
    pub(super) armed: Option<Instant>,
}

impl Entry {
    /// Does it; what happens from now on rings again.
    pub(super) fn run(&self, now: Instant) -> After {
        self.handle.woken.store(false, Ordering::Release);
        // Ordered before the look at the work: who adds work after it finds it not woken, and wakes it.
        std::sync::atomic::fence(Ordering::SeqCst);
        self.job.run(now)
    }
}
