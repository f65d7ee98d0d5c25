//! The datagram transport of a session: our queues, from and to which the session's lane moves datagrams.
//!
//! Callers' threads push to and pop from the queues; the lane does the same at the other end, in its turns. Each side has
//! its own lock, held for one batch at a time; nobody waits for QUIC but the lane.
//!
//! - `sending`, `receiving`: what callers do with each side; `framed`: one payload for many transports.
//! - `sending_side`: the queue behind its lock, and those who wait for it.
//! - `settings`: what they can change while it runs.
//! - `turn`: what the lane does; `observe`: snapshots.

mod observe;
mod receiving;
mod sending;
mod sending_side;
mod settings;
mod turn;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};

mod framed;
pub use framed::Framed;

use super::census;
use super::channel::{Channel, Routes};
use super::heartbeat::Beating;
use super::inbound::{DropPolicy, Inbound, InboundConfig, PopError};
use super::message::{Limits, Metadata, Priority};
use super::outbound::{FullPolicy, Outbound, OutboundConfig};
use super::stats::{SizeRange, Tally, TimeSpent};
use super::watermark::Marks;
use crate::error::{Error, Result};
use crate::link::{DatagramPath, Datagrams, Session};
use crate::runtime::clock;
use crate::runtime::readiness::{Pollable, Ready, Watcher, Watchers};
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::{Lead, Waiters};
pub use observe::{Snapshot, WaitingSizes};
use sending_side::{SendingGuard, SendingSide};

/// How a transport behaves; each can be changed while it runs, except for the places for outcomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportOptions {
    /// What may wait for sending. Default 100 datagrams and 4 MiB.
    pub outgoing_limits: Limits,
    /// Age at which a datagram is dropped instead of sent.
    pub outgoing_max_age: Option<Duration>,
    /// What happens when the outgoing queue is full.
    pub outgoing_policy: FullPolicy,
    /// High and low water of the outgoing queue; by default at its limit and at half of it.
    pub outgoing_marks: Option<Marks>,
    /// Places for outcomes, fetched or to come. Default 1024.
    pub outcome_capacity: usize,
    /// What may wait for being received. Default 4096 datagrams and 1 MiB.
    pub incoming_limits: Limits,
    /// Age at which a datagram is dropped instead of delivered.
    pub incoming_max_age: Option<Duration>,
    /// Which datagram goes when the incoming queue is full.
    pub incoming_policy: DropPolicy,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            outgoing_limits: Limits { datagrams: 100, bytes: 4 * 1024 * 1024 },
            outgoing_max_age: None,
            outgoing_policy: FullPolicy::default(),
            outgoing_marks: None,
            outcome_capacity: OutboundConfig::default().outcome_capacity,
            incoming_limits: Limits { datagrams: 4096, bytes: 1024 * 1024 },
            incoming_max_age: None,
            incoming_policy: DropPolicy::default(),
        }
    }
}

/// How one datagram is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// Urgency.
    pub priority: Priority,
    /// From this age on it is not worth sending.
    pub ttl: Option<Duration>,
    /// Report what becomes of it under this number.
    pub report_id: Option<u64>,
}

/// The datagrams of one session.
pub struct Transport {
    session: Arc<Session>,
    path: DatagramPath,
    created_at: Instant,
    created_at_us: u64,
    /// Largest payload when the lane last looked; `check_size` asks again before it refuses.
    max_payload: AtomicUsize,
    /// The largest that it ever was.
    largest_payload: AtomicUsize,
    size_changes: AtomicU64,
    sending: SendingSide,
    pub(super) receiving: Mutex<Receiving>,
    readable: Waiters,
    /// Nothing is sent or wanted any more.
    is_ending: AtomicBool,
    pub(super) watchers: Watchers,
    routes: RwLock<Routes>,
    next_route: AtomicU64,
    pub(super) heartbeat: Mutex<Option<Beating>>,
    /// The heartbeat's watch has not heard from the peer for too long.
    pub(super) peer_silent: AtomicBool,
    census: census::Ticket,
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.census.leave(&self.stats());
    }
}

pub(super) struct Receiving {
    queue: Inbound,
    time: TimeSpent,
    routed: Tally,
    routed_sizes: SizeRange,
    pub(super) last_arrival: Option<Instant>,
    closed: bool,
}

impl Receiving {
    fn count_routed(&mut self, size: usize) {
        self.routed.add(size);
        self.routed_sizes.record(size);
        self.queue.claim_sequence();
    }
}

impl Transport {
    /// The transport of an established session.
    pub fn open(session: Arc<Session>, options: &TransportOptions) -> Result<Arc<Self>> {
        let path = session.datagram_path()?;
        let max_payload = path.max_payload().unwrap_or(0);
        let marks =
            options.outgoing_marks.unwrap_or_else(|| Marks::of_datagrams(options.outgoing_limits.datagrams));
        let outgoing = OutboundConfig {
            limits: options.outgoing_limits,
            max_age: options.outgoing_max_age,
            policy: options.outgoing_policy,
            marks,
            outcome_capacity: options.outcome_capacity,
        };
        let incoming = InboundConfig {
            limits: options.incoming_limits,
            max_age: options.incoming_max_age,
            policy: options.incoming_policy,
        };
        let readable = Waiters::new(path.lane_to_lead());
        let transport = Arc::new(Self {
            session,
            path,
            created_at: clock::now(),
            created_at_us: unix_us(),
            max_payload: AtomicUsize::new(max_payload),
            largest_payload: AtomicUsize::new(max_payload),
            size_changes: AtomicU64::new(0),
            sending: SendingSide::new(Outbound::new(outgoing)),
            receiving: Mutex::new(Receiving {
                queue: Inbound::new(incoming),
                time: TimeSpent::default(),
                routed: Tally::default(),
                routed_sizes: SizeRange::default(),
                last_arrival: None,
                closed: false,
            }),
            readable,
            is_ending: AtomicBool::new(false),
            watchers: Watchers::default(),
            routes: RwLock::new(Routes::default()),
            next_route: AtomicU64::new(0),
            heartbeat: Mutex::new(None),
            peer_silent: AtomicBool::new(false),
            census: census::Ticket::new(),
        });
        transport.census.join(&transport);
        let watch = SessionWatch(Arc::downgrade(&transport));
        transport.session.watchers().add(Arc::new(watch));
        transport.session.attach(Arc::clone(&transport) as Arc<dyn Datagrams>)?;
        // The session may have ended before the watch was there.
        transport.follow_session();
        Ok(transport)
    }

    /// What a thread can lead that waits for something to come to this transport.
    pub fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.path.lane_to_lead()
    }

    /// The session it belongs to.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
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
    pub fn recent_max_payload(&self) -> usize {
        self.max_payload.load(Ordering::Relaxed).max(1)
    }

    /// Whether it, or its session, is closed. What has arrived can still be received.
    pub fn is_closed(&self) -> bool {
        self.sending.look(|sending| sending.queue.is_closed())
    }

    /// Whether the receiving side is open or still holds datagrams.
    pub fn is_readable(&self) -> bool {
        let mut receiving = self.receiving.lock();
        !receiving.closed || receiving.queue.front_len(clock::now()).is_some()
    }

    /// Whether the sending side is open.
    pub fn is_writable(&self) -> bool {
        !self.is_closed()
    }

    /// Closes the datagram path; the session lives on. What has arrived can still be received.
    pub fn close(&self) {
        self.end_sending();
    }

    /// The level of the outgoing queue, in datagrams, from which it counts as full of waiting work.
    pub fn outgoing_high_water_datagrams(&self) -> usize {
        self.sending.look(|sending| sending.queue.config().marks.high_datagrams)
    }

    /// Whether nothing will arrive any more.
    pub fn arrivals_ended(&self) -> bool {
        self.receiving.lock().closed
    }

    fn follow_session(&self) {
        if self.session.is_closed() {
            self.close();
        }
    }

    fn end_sending(&self) {
        // Before those who watch hear of it: the lane delivers what has arrived before a layer above takes its leave.
        self.is_ending.store(true, Ordering::SeqCst);
        self.path.wake();
        self.sending().queue.close();
        if let Some(beating) = self.heartbeat.lock().take() {
            beating.stop();
        }
    }

    /// The sending side, to change it; those who wait are told when the guard is dropped.
    fn sending(&self) -> SendingGuard<'_> {
        self.sending.lock(&self.path, &self.watchers)
    }

    fn end_receiving(&self) {
        self.receiving.lock().closed = true;
        self.readable.notify_all();
        self.watchers.notify();
    }

    fn refresh_size(&self) {
        let now = self.path.max_payload().unwrap_or(0);
        self.largest_payload.fetch_max(now, Ordering::Relaxed);
        if self.max_payload.swap(now, Ordering::Relaxed) != now {
            self.size_changes.fetch_add(1, Ordering::Relaxed);
            self.watchers.notify();
        }
    }
}

impl Channel for Transport {
    fn send(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        self.send_later(payload, options, deadline)
    }

    fn receive(&self, buffer: &mut Vec<u8>, deadline: Deadline) -> Result<Metadata> {
        self.receive_with(deadline, |queue, now| {
            buffer.resize(queue.front_len(now).ok_or(PopError::Empty)?, 0);
            queue.pop_into(now, buffer)
        })
        .map(|(metadata, waited)| Metadata { waited, ..metadata })
    }

    fn record_waited(&self, waited: Duration) {
        self.receiving.lock().time.record(waited);
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn max_datagram_size(&self) -> Result<usize> {
        Self::max_datagram_size(self)
    }

    fn close(&self) {
        Self::close(self);
    }
}

impl Pollable for Transport {
    fn ready(&self) -> Ready {
        let now = clock::now();
        let mut ready = Ready::PEER_SILENT.when(self.is_peer_silent());
        // What has expired still counts here: the lane drops it in time, and tells.
        self.sending.look(|sending| {
            let closed = sending.queue.is_closed();
            ready |= Ready::CLOSED.when(closed);
            // For any datagram: who is told of room for one byte, and has more to send, asks again and again.
            let most = self.recent_max_payload().min(sending.queue.config().limits.bytes);
            ready |= Ready::WRITABLE.when(!closed && sending.queue.has_room(most));
            ready |= Ready::LOW_WATER.when(!closed && !sending.queue.is_above_high_water());
            ready |= Ready::OUTCOME.when(sending.queue.outcomes_len() > 0);
        });
        let mut receiving = self.receiving.lock();
        ready | Ready::READABLE.when(receiving.queue.front_len(now).is_some())
    }

    fn size_changes(&self) -> u64 {
        self.size_changes.load(Ordering::Relaxed)
    }

    fn possible(&self) -> Ready {
        Ready::READABLE
            | Ready::WRITABLE
            | Ready::CLOSED
            | Ready::LOW_WATER
            | Ready::SIZE_CHANGED
            | Ready::OUTCOME
            | Ready::PEER_SILENT
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

struct SessionWatch(Weak<Transport>);

impl Watcher for SessionWatch {
    fn changed(&self) {
        if let Some(transport) = self.0.upgrade() {
            transport.follow_session();
        }
    }
}

pub(super) fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
