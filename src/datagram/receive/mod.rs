//! The receive half of a transport: from QUIC to the program's threads.
//!
//! - `calls`, `settings`: calls of the program; `deliver`: the lane's turns.
//! - [`routes`]: readers that take datagrams before the transport's own queue.
//! - [`queue`]: policies and counters; `ring`: memory. Both without clock and threads.

mod calls;
mod deliver;
pub mod queue;
mod ring;
pub mod routes;
mod settings;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use super::stats::{SizeRange, Tally, TimeSpent};
use crate::link::memory::MemoryBudget;
use crate::runtime::clock;
use crate::runtime::readiness::{Ready, Watchers};
use crate::runtime::waiters::{Lead, Waiters};
use queue::ReceiveQueue;
pub use queue::{DropPolicy, ReceiveConfig, Slot};
use routes::Routes;

/// The receive half of a transport.
pub struct ReceiveHalf {
    watchers: Arc<Watchers>,
    state: Mutex<State>,
    readable: Waiters,
    routes: RwLock<Routes>,
    next_route: AtomicU64,
}

pub(super) struct State {
    pub queue: ReceiveQueue,
    pub time: TimeSpent,
    /// Counts of datagrams that never entered the queue.
    pub routed: Tally,
    pub routed_sizes: SizeRange,
    pub last_arrival: Option<Instant>,
    pub ended: bool,
}

impl ReceiveHalf {
    /// An open half of a transport on this lane. Waiting threads may lead the lane. `watchers` are
    /// those of the transport. Its memory counts in `budget`.
    pub(super) fn new(
        config: ReceiveConfig,
        lane: usize,
        lead: Option<Arc<dyn Lead>>,
        watchers: Arc<Watchers>,
        budget: Option<Arc<MemoryBudget>>,
    ) -> Self {
        let mut queue = ReceiveQueue::new(config, lane);
        queue.set_budget(budget);
        Self {
            watchers,
            state: Mutex::new(State {
                queue,
                time: TimeSpent::default(),
                routed: Tally::default(),
                routed_sizes: SizeRange::default(),
                last_arrival: None,
                ended: false,
            }),
            readable: Waiters::new(lead),
            routes: RwLock::new(Routes::default()),
            next_route: AtomicU64::new(0),
        }
    }

    /// Whether no more datagrams will arrive.
    pub fn has_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Whether a datagram can be received, now or later.
    pub fn is_readable(&self) -> bool {
        let mut state = self.state.lock();
        !state.ended || state.queue.front_len(clock::now()).is_some()
    }

    /// Counts the time that a reader waited elsewhere before it received a datagram without
    /// waiting.
    pub(super) fn record_waited(&self, waited: Duration) {
        self.state.lock().time.record(waited);
    }

    /// When the last datagram arrived.
    pub(super) fn last_arrival(&self) -> Option<Instant> {
        self.state.lock().last_arrival
    }

    /// The readiness that a poller reports.
    pub(super) fn ready(&self) -> Ready {
        Ready::READABLE.when(self.state.lock().queue.front_len(clock::now()).is_some())
    }

    /// Locks the queue for reading, after it has dropped expired datagrams.
    pub(super) fn look<R>(&self, now: Instant, look: impl FnOnce(&State) -> R) -> R {
        let mut state = self.state.lock();
        state.queue.expire(now);
        look(&state)
    }
}
