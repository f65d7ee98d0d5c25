//! Work of upper layers that is done in a lane's turns: beats, and what the reliability layer sends and times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::ConnectionKey;
use super::mailbox::Letter;
use crate::link::lane::Lane;

/// What a chore wants after it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// To be done again when its bell is rung, or at that instant.
    Wait(Option<Instant>),
    /// Never to be done again.
    Ended,
}

/// A piece of work of a lane. It may not wait, and may not ask the lane for its core.
pub trait Chore: Send + Sync {
    /// Does what there is to do at `now`.
    fn run(&self, now: Instant) -> After;
    /// The lane ends: it will not be done again.
    fn stopped(&self);
}

/// Calls for a chore.
pub struct Bell {
    lane: Arc<Lane>,
    key: usize,
    rung: AtomicBool,
}

impl Bell {
    pub(crate) fn new(lane: Arc<Lane>, key: usize) -> Self {
        Self { lane, key, rung: AtomicBool::new(false) }
    }

    /// Has the chore done in the next turn.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.lane.post(Letter::Chore(self.key));
        }
    }
}

/// A chore in its lane.
pub(super) struct Entry {
    pub(super) chore: Arc<dyn Chore>,
    /// The session that ends if it panics.
    pub(super) owner: ConnectionKey,
    pub(super) bell: Arc<Bell>,
    pub(super) armed: Option<Instant>,
}

impl Entry {
    /// Does it; what happens from now on rings again.
    pub(super) fn run(&self, now: Instant) -> After {
        self.bell.rung.store(false, Ordering::Release);
        // Ordered before the look at the work: who adds work after it finds the bell silent.
        std::sync::atomic::fence(Ordering::SeqCst);
        self.chore.run(now)
    }
}
