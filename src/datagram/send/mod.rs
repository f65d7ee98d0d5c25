//! The send half of a transport: from the program's threads to QUIC.
//!
//! - `calls`, `prefixed`, `settings`: calls of the program; `feed`: the lane's turns.
//! - `state`: the queue behind its lock, and the threads that wait for it.
//! - [`queue`]: policies and counters; `ring`: memory; [`outcomes`], [`watermark`]: their reports.
//!   All without clock and threads.

mod calls;
mod feed;
pub mod outcomes;
mod prefixed;
pub mod queue;
mod ring;
mod settings;
mod state;
pub mod watermark;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};
use crate::link::DatagramPath;
use crate::runtime::readiness::{Ready, Watchers};
pub use outcomes::{Outcome, OutcomeKind, OutcomesFull};
pub use prefixed::Prefixed;
use queue::SendQueue;
pub use queue::{FullPolicy, Pushed, SendConfig};
use state::Guard;
pub(super) use state::State;

/// The send half of a transport.
///
/// The fields that are used without waiting come first, in the order written: a broadcast to a
/// thousand transports finds none of them in a cache and pays for each line.
#[repr(C)]
pub struct SendHalf {
    path: DatagramPath,
    /// The largest payload when the lane last looked. [`Self::check_size`] asks again before it
    /// refuses.
    max_payload: AtomicUsize,
    watchers: Arc<Watchers>,
    state: Mutex<State>,
    /// Threads that wait for space.
    writable: Condvar,
    /// Threads that wait for outcomes.
    reported: Condvar,
    /// No more datagrams are accepted.
    is_ending: AtomicBool,
    /// The largest payload that was ever possible.
    largest_payload: AtomicUsize,
    size_changes: AtomicU64,
}

impl SendHalf {
    /// An open half that sends on `path`. `watchers` are those of the transport.
    pub(super) fn new(path: DatagramPath, watchers: Arc<Watchers>, config: SendConfig) -> Self {
        let max_payload = path.max_payload().unwrap_or(0);
        Self {
            state: Mutex::new(State::new(SendQueue::new(config, path.lane()))),
            path,
            max_payload: AtomicUsize::new(max_payload),
            watchers,
            writable: Condvar::new(),
            reported: Condvar::new(),
            is_ending: AtomicBool::new(false),
            largest_payload: AtomicUsize::new(max_payload),
            size_changes: AtomicU64::new(0),
        }
    }

    /// The datagram path of the session.
    pub fn path(&self) -> &DatagramPath {
        &self.path
    }

    /// Whether the queue accepts nothing more.
    pub fn is_closed(&self) -> bool {
        self.look(|state| state.queue.is_closed())
    }

    /// Whether the transport is closed, or about to be.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::SeqCst)
    }

    /// Accepts nothing from now on. What waits still leaves.
    pub(super) fn end_after_this(&self) {
        self.lock().queue.end_after_this();
    }

    /// Accepts nothing from now on, and drops what waits.
    pub(super) fn close(&self) {
        // Before watchers are notified: the lane delivers what has arrived before an upper layer
        // detaches.
        self.is_ending.store(true, Ordering::SeqCst);
        self.path.wake();
        self.lock().queue.close();
    }

    /// The largest payload that can be sent now, in bytes. It follows the path's MTU.
    ///
    /// Fails with [`Error::Unsupported`] if the peer takes no datagrams.
    pub fn max_datagram_size(&self) -> Result<usize> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        self.path.max_payload()
    }

    /// The largest payload when the lane last looked, at least 1. Takes no lock.
    pub(crate) fn recent_max_payload(&self) -> usize {
        self.max_payload.load(Ordering::Relaxed).max(1)
    }

    /// The largest payload that was ever possible.
    pub(super) fn largest_payload(&self) -> usize {
        self.largest_payload.load(Ordering::Relaxed)
    }

    /// How often the largest payload has changed.
    pub(super) fn size_changes(&self) -> u64 {
        self.size_changes.load(Ordering::Relaxed)
    }

    /// Notes that the largest payload may have changed.
    pub(super) fn refresh_size(&self) {
        let now = self.path.max_payload().unwrap_or(0);
        self.largest_payload.fetch_max(now, Ordering::Relaxed);
        if self.max_payload.swap(now, Ordering::Relaxed) != now {
            self.size_changes.fetch_add(1, Ordering::Relaxed);
            self.watchers.notify();
        }
    }

    /// The readiness that a poller reports.
    pub(super) fn ready(&self) -> Ready {
        // Expired datagrams still count here. The lane drops them in time and notifies.
        self.look(|state| {
            let queue = &state.queue;
            let closed = queue.is_closed();
            // For a datagram of any size: a program that has more to send and is notified of space
            // for one byte would ask again and again.
            let most = self.recent_max_payload().min(queue.config().limits.bytes);
            Ready::CLOSED.when(closed)
                | Ready::WRITABLE.when(queue.is_open() && queue.has_room(most))
                | Ready::LOW_WATER.when(!closed && !queue.is_above_high_water())
                | Ready::OUTCOME.when(queue.outcomes_len() > 0)
        })
    }

    /// Locks the state to change it. When the guard is dropped and the lock is free, waiting
    /// threads are notified of the changes.
    pub(super) fn lock(&self) -> Guard<'_> {
        Guard::new(self)
    }

    /// Locks the state to read it. A poller does that with its own lock held, so nothing may change
    /// and no thread is notified.
    fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.lock())
    }

    fn check_size(&self, size: usize) -> Result<()> {
        // An empty datagram is always checked: 0 also stands for a peer that takes no datagrams.
        if size > 0 && size <= self.max_payload.load(Ordering::Relaxed) {
            return Ok(());
        }
        let limit = self.path.max_payload()?;
        if size <= limit { Ok(()) } else { Err(Error::TooLarge { size, limit }) }
    }

    /// The end of the last send call of a lone datagram.
    fn note_sent(&self, now: Instant) {
        self.state.lock().note_sent(now);
    }
}
