//! The send half of a transport: from the program's threads to QUIC.
//!
//! - `calls`, `prefixed`, `settings`: calls of the program; `feed`: the lane's turns.
//! - `state`: the queue behind its lock, and the threads that wait for it.
//! - [`queue`]: policies and counters; `ring`: memory; [`outcomes`], [`watermark`]: what they
//!   report. All without clock and threads.

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
/// What a datagram touches that does not have to wait comes first, in the order written: a broadcast to a thousand
/// transports finds none of this in a cache, and pays for each line.
#[repr(C)]
pub struct SendHalf {
    path: DatagramPath,
    /// Largest payload when the lane last looked; [`Self::check_size`] asks again before it refuses.
    max_payload: AtomicUsize,
    watchers: Arc<Watchers>,
    state: Mutex<State>,
    /// There may be room.
    writable: Condvar,
    /// There may be outcomes.
    reported: Condvar,
    /// No more datagrams are sent.
    is_ending: AtomicBool,
    /// The largest payload that there ever was.
    largest_payload: AtomicUsize,
    size_changes: AtomicU64,
}

impl SendHalf {
    /// An open half, whose datagrams take this path; `watchers` are those of the transport.
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

    /// The way its datagrams take.
    pub fn path(&self) -> &DatagramPath {
        &self.path
    }

    /// Whether it accepts nothing more.
    pub fn is_closed(&self) -> bool {
        self.look(|state| state.queue.is_closed())
    }

    /// Whether it is closed, or about to be.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::SeqCst)
    }

    /// Accepts nothing from now on; what waits is over.
    pub(super) fn close(&self) {
        // Before those who watch hear of it: the lane delivers what has arrived before a layer above takes its leave.
        self.is_ending.store(true, Ordering::SeqCst);
        self.path.wake();
        self.lock().queue.close();
    }

    /// The largest payload that can be sent now, in bytes; it follows the path's MTU.
    ///
    /// [`Error::Unsupported`] when the peer takes no datagrams.
    pub fn max_datagram_size(&self) -> Result<usize> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        self.path.max_payload()
    }

    /// The same as of when the lane last looked, at least 1, and without a lock.
    pub(crate) fn recent_max_payload(&self) -> usize {
        self.max_payload.load(Ordering::Relaxed).max(1)
    }

    /// The largest payload that there ever was.
    pub(super) fn largest_payload(&self) -> usize {
        self.largest_payload.load(Ordering::Relaxed)
    }

    /// How often the largest payload has changed.
    pub(super) fn size_changes(&self) -> u64 {
        self.size_changes.load(Ordering::Relaxed)
    }

    /// The largest payload may be another.
    pub(super) fn refresh_size(&self) {
        let now = self.path.max_payload().unwrap_or(0);
        self.largest_payload.fetch_max(now, Ordering::Relaxed);
        if self.max_payload.swap(now, Ordering::Relaxed) != now {
            self.size_changes.fetch_add(1, Ordering::Relaxed);
            self.watchers.notify();
        }
    }

    /// What a poller reports of it.
    pub(super) fn ready(&self) -> Ready {
        // What has expired still counts here: the lane drops it in time, and tells.
        self.look(|state| {
            let queue = &state.queue;
            let closed = queue.is_closed();
            // For any datagram: who is told of room for one byte, and has more to send, asks again and again.
            let most = self.recent_max_payload().min(queue.config().limits.bytes);
            Ready::CLOSED.when(closed)
                | Ready::WRITABLE.when(!closed && queue.has_room(most))
                | Ready::LOW_WATER.when(!closed && !queue.is_above_high_water())
                | Ready::OUTCOME.when(queue.outcomes_len() > 0)
        })
    }

    /// To change it. When the guard is dropped and the lock is free, those who wait hear of what has changed.
    pub(super) fn lock(&self) -> Guard<'_> {
        Guard::new(self)
    }

    /// To look at it. A poller does that with its own lock held, so nobody is told of anything, and nothing may change.
    fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.lock())
    }

    fn check_size(&self, size: usize) -> Result<()> {
        // An empty one is looked at in any case: 0 also stands for a peer that takes none at all.
        if size > 0 && size <= self.max_payload.load(Ordering::Relaxed) {
            return Ok(());
        }
        let limit = self.path.max_payload()?;
        if size <= limit { Ok(()) } else { Err(Error::TooLarge { size, limit }) }
    }

    /// The last send call of a lone datagram has ended.
    fn note_sent(&self, now: Instant) {
        self.state.lock().note_sent(now);
    }
}
