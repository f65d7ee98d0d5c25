//! The transport of a session: a send half and a receive half. The program's threads use one end of
//! each half. The session's lane uses the other end in its turns. Each half has its own lock, held
//! for one batch at a time.

mod heartbeat;
mod snapshot;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::channel::Channel;
use super::message::Metadata;
use super::receive::{ReceiveConfig, ReceiveHalf};
use super::send::watermark::Marks;
use super::send::{SendConfig, SendHalf};
use super::stats::Stats;
use super::totals;
use crate::datagram::options::{SendOptions, TransportOptions};
use crate::error::Result;
use crate::link::{Datagrams, Feeder, Left, LinkSession};
use crate::runtime::clock;
use crate::runtime::readiness::{Pollable, Ready, Watcher, Watchers};
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::Lead;
use heartbeat::Beating;
pub use snapshot::{Snapshot, WaitingSizes};

/// The datagrams of one session.
pub struct Transport {
    /// The send half.
    pub outgoing: SendHalf,
    /// The receive half.
    pub incoming: ReceiveHalf,
    session: Arc<LinkSession>,
    pub(super) watchers: Arc<Watchers>,
    created_at: Instant,
    created_at_us: u64,
    heartbeat: Mutex<Option<Beating>>,
    /// Whether the watch reports a silent peer.
    peer_silent: AtomicBool,
    census: totals::Ticket,
}

impl totals::Counted for Transport {
    fn figures(&self) -> Stats {
        self.stats()
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.census.leave(&self.stats());
    }
}

impl Transport {
    /// The transport of an established session.
    pub fn open(session: Arc<LinkSession>, options: &TransportOptions) -> Result<Arc<Self>> {
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
            incoming: ReceiveHalf::new(incoming, path.lane(), lead, Arc::clone(&watchers), session.memory()),
            outgoing: SendHalf::new(path, Arc::clone(&watchers), outgoing),
            session,
            watchers,
            created_at: clock::now(),
            created_at_us: clock::unix_us(),
            heartbeat: Mutex::new(None),
            peer_silent: AtomicBool::new(false),
            census: totals::Ticket::new(),
        });
        let counted: Weak<Self> = Arc::downgrade(&transport);
        transport.census.join(counted);
        let watch = SessionWatch(Arc::downgrade(&transport));
        transport.session.watchers().add(Arc::new(watch));
        transport.session.attach(Arc::clone(&transport) as Arc<dyn Datagrams>)?;
        // The session may have ended before the watcher was added.
        transport.follow_session();
        Ok(transport)
    }

    /// Its session.
    pub fn session(&self) -> &Arc<LinkSession> {
        &self.session
    }

    /// The id of its session. Most transports have the same, that of the first stream of a
    /// connection.
    pub fn session_id(&self) -> u64 {
        self.outgoing.path().session_id()
    }

    /// Whether it, or its session, is closed. Datagrams that arrived can still be received.
    pub fn is_closed(&self) -> bool {
        self.outgoing.is_closed()
    }

    /// Closes the datagram path; the session stays open. Datagrams that arrived can still be
    /// received.
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
