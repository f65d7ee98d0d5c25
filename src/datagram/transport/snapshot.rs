//! Snapshots of a transport for statistics and tools.

use std::time::Duration;

use super::Transport;
use crate::datagram::message::Priority;
use crate::datagram::receive::{self, ReceiveConfig};
use crate::datagram::send::{self, SendConfig};
use crate::datagram::stats::{ArrivalsAndLosses, Stats, Tally};
use crate::link::session::{Phase, SessionStats};
use crate::runtime::clock;

/// What waits in both queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaitingSizes {
    /// In the outgoing queue, by priority.
    pub outgoing: [Tally; Priority::COUNT],
    /// In the incoming queue.
    pub incoming: Tally,
}

/// The whole state of a transport at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The counters.
    pub stats: Stats,
    /// What waits.
    pub waiting: WaitingSizes,
    /// Settings of the send half.
    pub outgoing: SendConfig,
    /// Settings of the receive half.
    pub incoming: ReceiveConfig,
    /// The number of outcomes that were not fetched.
    pub outcomes: usize,
    /// The state of the session.
    pub phase: Phase,
    /// Figures of the connection.
    pub session: SessionStats,
    /// Whether the transport or its session is closed.
    pub is_closed: bool,
    /// Whether a datagram can be received, now or later.
    pub is_readable: bool,
    /// The largest payload that can be sent now; 0 when none can.
    pub max_payload: usize,
    /// The largest payload that was ever possible.
    pub largest_payload: usize,
    /// Time since the last datagram arrived, or since the transport was made if none has.
    pub silence: Duration,
    /// Whether the watch reports a silent peer.
    pub is_peer_silent: bool,
}

impl WaitingSizes {
    /// What waits in the outgoing queue, in all priorities.
    pub fn total_outgoing(&self) -> Tally {
        self.outgoing.iter().copied().sum()
    }
}

impl Transport {
    /// A snapshot of the counters. Both halves are locked together.
    pub fn stats(&self) -> Stats {
        self.look(|_, _, stats| stats)
    }

    /// What waits in both queues.
    pub fn waiting(&self) -> WaitingSizes {
        self.look(|outgoing, incoming, _| waiting(outgoing, incoming))
    }

    /// The whole state.
    pub fn snapshot(&self) -> Snapshot {
        let session = self.session.stats().unwrap_or_default();
        let phase = self.session.phase();
        let max_payload = self.outgoing.path().max_payload().unwrap_or(0);
        self.look(|outgoing, incoming, stats| Snapshot {
            stats,
            waiting: waiting(outgoing, incoming),
            outgoing: outgoing.queue.config(),
            incoming: incoming.queue.config(),
            outcomes: outgoing.queue.outcomes_len(),
            phase,
            session,
            is_closed: outgoing.queue.is_closed(),
            is_readable: !incoming.ended || incoming.queue.queued().datagrams > 0,
            max_payload,
            largest_payload: self.outgoing.largest_payload().max(max_payload),
            silence: clock::now().saturating_duration_since(incoming.last_arrival.unwrap_or(self.created_at)),
            is_peer_silent: self.is_peer_silent(),
        })
    }

    /// Locks both halves, after both have dropped expired datagrams.
    fn look<R>(&self, look: impl FnOnce(&send::State, &receive::State, Stats) -> R) -> R {
        let now = clock::now();
        let below = self.outgoing.path().counts();
        let mut outgoing = self.outgoing.lock();
        outgoing.queue.expire(now);
        // The other lock is released first: a watcher that is notified when this one is released
        // looks at both.
        self.incoming.look(now, |incoming| {
            let stats = Stats {
                session_id: self.session_id(),
                created_at_us: self.created_at_us,
                outbound: outgoing.queue.counters(),
                inbound: incoming.queue.counters(),
                outside: ArrivalsAndLosses {
                    routed: incoming.routed,
                    foreign: Tally { datagrams: below.foreign, bytes: 0 },
                    dropped_in_quic: below.receive_dropped_by_quic,
                    over_rate: below.receive_over_rate,
                    dropped_after_sent: below.send_dropped_by_quic,
                    ..ArrivalsAndLosses::default()
                },
                send_time: outgoing.time,
                receive_time: incoming.time,
                sizes: outgoing
                    .queue
                    .sent_sizes()
                    .merged(incoming.queue.delivered_sizes())
                    .merged(incoming.routed_sizes),
            };
            look(&outgoing, incoming, stats)
        })
    }
}

fn waiting(outgoing: &send::State, incoming: &receive::State) -> WaitingSizes {
    WaitingSizes { outgoing: outgoing.queue.waiting(), incoming: incoming.queue.queued() }
}
