//! Snapshots of a transport, for those who look at it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Transport;
use super::sending_side::Sending;
use crate::datagram::inbound::InboundConfig;
use crate::datagram::outbound::{OutboundConfig, QueueSizes};
use crate::datagram::stats::{ArrivalsAndLosses, Stats, Tally};
use crate::link::session::{Phase, SessionStats};
use crate::runtime::clock;

/// What waits in both queues now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaitingSizes {
    /// For being sent.
    pub outgoing: QueueSizes,
    /// For being received.
    pub incoming: Tally,
}

/// Everything there is to see of a transport at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What was counted.
    pub stats: Stats,
    /// What waits.
    pub waiting: WaitingSizes,
    /// Settings of the sending side.
    pub outgoing: OutboundConfig,
    /// Settings of the receiving side.
    pub incoming: InboundConfig,
    /// Outcomes that wait to be fetched.
    pub outcomes: usize,
    /// Where the session is in its life.
    pub phase: Phase,
    /// Figures of the connection.
    pub session: SessionStats,
    /// The transport, or its session, is closed.
    pub is_closed: bool,
    /// Something can be or may yet be received.
    pub is_readable: bool,
    /// The largest payload that can be sent now; 0 when none can.
    pub max_payload: usize,
    /// The largest that it ever was.
    pub largest_payload: usize,
    /// How long ago the last datagram arrived, or, before the first, the transport was made.
    pub silence: Duration,
    /// The heartbeat's watch has not heard from the peer for too long.
    pub is_peer_silent: bool,
}

impl Transport {
    /// A snapshot of everything counted; both sides are looked at together.
    pub fn stats(&self) -> Stats {
        self.look(|_, _, stats| stats)
    }

    /// What waits in both queues.
    pub fn waiting(&self) -> WaitingSizes {
        self.look(|outgoing, incoming, _| WaitingSizes {
            outgoing: outgoing.queue.sizes(),
            incoming: incoming.queue.queued(),
        })
    }

    /// Everything there is to see.
    pub fn snapshot(&self) -> Snapshot {
        let session = self.session.stats().unwrap_or_default();
        let phase = self.session.phase();
        let max_payload = self.path.max_payload().unwrap_or(0);
        self.look(|sending, receiving, stats| Snapshot {
            stats,
            waiting: WaitingSizes { outgoing: sending.queue.sizes(), incoming: receiving.queue.queued() },
            outgoing: sending.queue.config(),
            incoming: receiving.queue.config(),
            outcomes: sending.queue.outcomes_len(),
            phase,
            session,
            is_closed: sending.queue.is_closed(),
            is_readable: !receiving.closed || receiving.queue.queued().datagrams > 0,
            max_payload,
            largest_payload: self.largest_payload.load(Ordering::Relaxed).max(max_payload),
            silence: clock::now()
                .saturating_duration_since(receiving.last_arrival.unwrap_or(self.created_at)),
            is_peer_silent: self.is_peer_silent(),
        })
    }

    /// Looks at both sides with what is expired by now out of the way.
    fn look<R>(&self, look: impl FnOnce(&Sending, &super::Receiving, Stats) -> R) -> R {
        let now = clock::now();
        let below = self.path.counts();
        let mut sending = self.sending();
        let mut receiving = self.receiving.lock();
        sending.queue.expire(now);
        receiving.queue.expire(now);
        let stats = Stats {
            session_id: self.session_id(),
            created_at_us: self.created_at_us,
            outbound: sending.queue.counters(),
            inbound: receiving.queue.counters(),
            outside: ArrivalsAndLosses {
                routed: receiving.routed,
                foreign: Tally { datagrams: below.foreign, bytes: 0 },
                dropped_in_quic: below.receive_dropped_by_quic,
                dropped_after_sent: below.send_dropped_by_quic,
                ..ArrivalsAndLosses::default()
            },
            send_time: sending.time,
            receive_time: receiving.time,
            sizes: sending
                .queue
                .sent_sizes()
                .merged(receiving.queue.delivered_sizes())
                .merged(receiving.routed_sizes),
        };
        let seen = look(&sending, &receiving, stats);
        // The other lock first: who is told when the sending side is free looks at both.
        drop(receiving);
        drop(sending);
        seen
    }
}
