//! The figures of all transports of the process, including those that are gone: counters never
//! decrease.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::sync::Lazy;
use parking_lot::Mutex;

use super::stats::{ArrivalsAndLosses, InboundCounters, OutboundCounters, Stats, Tally, TimeSpent};

/// The figures of many transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Transports that live now.
    pub transports: u64,
    /// The send side.
    pub outbound: OutboundCounters,
    /// The receive side.
    pub inbound: InboundCounters,
    /// What happened outside of the queues.
    pub outside: ArrivalsAndLosses,
    /// Time spent in send operations.
    pub send_time: TimeSpent,
    /// Time spent waiting in receive operations.
    pub receive_time: TimeSpent,
}

impl Totals {
    /// Adds the figures of one transport.
    #[must_use]
    pub(crate) fn plus(self, stats: &Stats) -> Self {
        let (out, more_out) = (self.outbound, stats.outbound);
        let (inbound, more_in) = (self.inbound, stats.inbound);
        let (outside, more_outside) = (self.outside, stats.outside);
        Self {
            transports: self.transports,
            outbound: OutboundCounters {
                handed_in: out.handed_in.plus(more_out.handed_in),
                sent: out.sent.plus(more_out.sent),
                expired: out.expired.plus(more_out.expired),
                evicted: out.evicted.plus(more_out.evicted),
                rejected: out.rejected.plus(more_out.rejected),
                too_large: out.too_large.plus(more_out.too_large),
                failed: out.failed.plus(more_out.failed),
                cleared: out.cleared.plus(more_out.cleared),
                queued: out.queued.plus(more_out.queued),
            },
            inbound: InboundCounters {
                received: inbound.received.plus(more_in.received),
                delivered: inbound.delivered.plus(more_in.delivered),
                expired: inbound.expired.plus(more_in.expired),
                dropped_full: inbound.dropped_full.plus(more_in.dropped_full),
                cleared: inbound.cleared.plus(more_in.cleared),
                queued: inbound.queued.plus(more_in.queued),
            },
            outside: ArrivalsAndLosses {
                routed: outside.routed.plus(more_outside.routed),
                foreign: outside.foreign.plus(more_outside.foreign),
                malformed: outside.malformed.plus(more_outside.malformed),
                dropped_in_quic: outside.dropped_in_quic.saturating_add(more_outside.dropped_in_quic),
                over_rate: outside.over_rate.saturating_add(more_outside.over_rate),
                dropped_after_sent: outside
                    .dropped_after_sent
                    .saturating_add(more_outside.dropped_after_sent),
            },
            send_time: longer(self.send_time, stats.send_time),
            receive_time: longer(self.receive_time, stats.receive_time),
        }
    }
}

fn longer(one: TimeSpent, other: TimeSpent) -> TimeSpent {
    TimeSpent { total: one.total.saturating_add(other.total), max: one.max.max(other.max) }
}

/// A transport as the totals see it.
pub(super) trait Counted: Send + Sync {
    /// Its figures now.
    fn figures(&self) -> Stats;
}

static CENSUS: Lazy<Mutex<Census>> = Lazy::new(Mutex::default);

#[derive(Default)]
struct Census {
    living: BTreeMap<u64, Living>,
    departed: Totals,
}

struct Living {
    transport: Weak<dyn Counted>,
    /// Its last figures, for the time between its end and its removal.
    last: Stats,
}

/// A transport's place in the totals.
#[derive(Debug)]
pub(super) struct Ticket(u64);

impl Ticket {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn join(&self, transport: Weak<dyn Counted>) {
        let living = Living { transport, last: Stats::default() };
        CENSUS.lock().living.insert(self.0, living);
    }

    /// Removes the transport. The totals keep its final figures.
    pub(super) fn leave(&self, last: &Stats) {
        let mut census = CENSUS.lock();
        // The transport is gone, so its datagrams no longer count as queued.
        let mut last = *last;
        last.outbound.queued = Tally::default();
        last.inbound.queued = Tally::default();
        census.departed = census.departed.plus(&last);
        census.living.remove(&self.0);
    }
}

/// The totals of all transports of the process.
pub(crate) fn totals() -> Totals {
    let living: Vec<_> =
        CENSUS.lock().living.iter().map(|(ticket, living)| (*ticket, living.transport.clone())).collect();
    // Not under the lock of the totals: this takes the transports' own locks, and the last
    // reference to one may end here.
    let looked: Vec<_> = living
        .into_iter()
        .filter_map(|(ticket, transport)| transport.upgrade().map(|transport| (ticket, transport)))
        .map(|(ticket, transport)| (ticket, transport.figures(), transport))
        .collect();
    let mut census = CENSUS.lock();
    for (ticket, stats, _) in &looked {
        if let Some(living) = census.living.get_mut(ticket) {
            living.last = *stats;
        }
    }
    let totals = census.living.values().fold(census.departed, |totals, living| totals.plus(&living.last));
    Totals { transports: census.living.len() as u64, ..totals }
}
