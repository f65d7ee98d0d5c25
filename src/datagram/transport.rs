//! The datagram transport of a session: a send half and a receive half, which callers' threads use at one end and the
//! session's lane, in its turns, at the other. Each half has its own lock, held for one batch at a time; nobody waits for
//! QUIC but the lane.

mod observe;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::census;
use super::channel::Channel;
use super::heartbeat::Beating;
use super::message::{Limits, Metadata};
use super::receive::{DropPolicy, ReceiveConfig, ReceiveHalf};
use super::send::watermark::Marks;
use super::send::{FullPolicy, SendConfig, SendHalf, SendOptions};
use super::unix_us;
use crate::error::Result;
use crate::link::{Datagrams, Feeder, Left, Session};
use crate::runtime::clock;
use crate::runtime::readiness::{Pollable, Ready, Watcher, Watchers};
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::Lead;
pub use observe::{Snapshot, WaitingSizes};

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
            outcome_capacity: SendConfig::default().outcome_capacity,
            incoming_limits: Limits { datagrams: 4096, bytes: 1024 * 1024 },
            incoming_max_age: None,
            incoming_policy: DropPolicy::default(),
        }
    }
}

/// The datagrams of one session.
pub struct Transport {
    /// What goes out.
    pub outgoing: SendHalf,
    /// What comes in.
    pub incoming: ReceiveHalf,
    session: Arc<Session>,
    pub(super) watchers: Arc<Watchers>,
    created_at: Instant,
    created_at_us: u64,
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

impl Transport {
    /// The transport of an established session.
    pub fn open(session: Arc<Session>, options: &TransportOptions) -> Result<Arc<Self>> {
        let path = session.datagram_path()?;
        let marks =
            options.outgoing_marks.unwrap_or_else(|| Marks::of_datagrams(options.outgoing_limits.datagrams));
        let outgoing = SendConfig {
            limits: options.outgoing_limits,
            max_age: options.outgoing_max_age,
            policy: options.outgoing_policy,
            marks,
            outcome_capacity: options.outcome_capacity,
        };
        let incoming = ReceiveConfig {
            limits: options.incoming_limits,
            max_age: options.incoming_max_age,
            policy: options.incoming_policy,
        };
        let watchers = Arc::new(Watchers::default());
        let lead = path.lane_to_lead();
        let transport = Arc::new(Self {
            incoming: ReceiveHalf::new(incoming, path.lane(), lead, Arc::clone(&watchers)),
            outgoing: SendHalf::new(path, Arc::clone(&watchers), outgoing),
            session,
            watchers,
            created_at: clock::now(),
            created_at_us: unix_us(),
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

    /// The session it belongs to.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The id of its session, the same for most transports: that of the first stream of a connection.
    pub fn session_id(&self) -> u64 {
        self.outgoing.path().session_id()
    }

    /// Whether it, or its session, is closed. What has arrived can still be received.
    pub fn is_closed(&self) -> bool {
        self.outgoing.is_closed()
    }

    /// Closes the datagram path; the session lives on. What has arrived can still be received.
    pub fn close(&self) {
        self.outgoing.close();
        if let Some(beating) = self.heartbeat.lock().take() {
            beating.stop();
        }
    }

    fn follow_session(&self) {
        if self.session.is_closed() {
            self.close();
        }
    }
}

impl Datagrams for Transport {
    fn feed(&self, feeder: &mut Feeder<'_>) -> Left {
        self.outgoing.feed(feeder)
    }

    fn deliver(&self, now: Instant, payloads: &[Bytes]) {
        self.peer_spoke();
        self.incoming.deliver(now, payloads);
    }

    fn reader_is_behind(&self) -> bool {
        self.incoming.reader_is_behind()
    }

    fn size_changed(&self) {
        self.outgoing.refresh_size();
    }

    fn is_closed(&self) -> bool {
        self.outgoing.is_ending()
    }

    fn ended(&self) {
        self.close();
        self.incoming.end();
    }
}

impl Channel for Transport {
    fn send(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        self.outgoing.send_later(payload, options, deadline)
    }

    fn receive(&self, buffer: &mut Vec<u8>, deadline: Deadline) -> Result<Metadata> {
        self.incoming.receive_to(buffer, deadline)
    }

    fn record_waited(&self, waited: Duration) {
        self.incoming.record_waited(waited);
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn max_datagram_size(&self) -> Result<usize> {
        self.outgoing.max_datagram_size()
    }

    fn close(&self) {
        Self::close(self);
    }
}

impl Pollable for Transport {
    fn ready(&self) -> Ready {
        self.outgoing.ready() | self.incoming.ready() | Ready::PEER_SILENT.when(self.is_peer_silent())
    }

    fn size_changes(&self) -> u64 {
        self.outgoing.size_changes()
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

    fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.outgoing.path().lane_to_lead()
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
