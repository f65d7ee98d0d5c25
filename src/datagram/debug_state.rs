//! All figures of a transport as JSON for people: the five groups of the reference, and the
//! session's.

use serde_json::{Value, json};

use super::receive::DropPolicy;
use super::send::FullPolicy;
use super::stats::{InboundCounters, OutboundCounters, Stats, Tally};
use super::transport::Snapshot;
use crate::link::session::Phase;

/// A snapshot as one JSON object.
pub fn to_json(seen: &Snapshot) -> String {
    let Snapshot { stats, waiting, outgoing, incoming, session, .. } = seen;
    json!({
        "transport": {
            "session_id": stats.session_id,
            "is_readable": seen.is_readable,
            "is_writable": !seen.is_closed,
            "is_closed": seen.is_closed,
            "max_datagram_size": seen.max_payload,
            "largest_datagram_size": seen.largest_payload,
            "is_peer_silent": seen.is_peer_silent,
            "silence_us": micros(seen.silence),
            "outcomes": seen.outcomes,
        },
        "statistics": statistics(stats),
        "queues": {
            "outgoing": {
                "size": waiting.total_outgoing().datagrams,
                "max_size": outgoing.limits.datagrams,
                "bytes": waiting.total_outgoing().bytes,
                "max_bytes": outgoing.limits.bytes,
                "priority_0": tally(waiting.outgoing[0]),
                "priority_1": tally(waiting.outgoing[1]),
                "priority_2": tally(waiting.outgoing[2]),
            },
            "incoming": {
                "size": waiting.incoming.datagrams,
                "max_size": incoming.limits.datagrams,
                "bytes": waiting.incoming.bytes,
                "max_bytes": incoming.limits.bytes,
            },
        },
        "configuration": {
            "outgoing_high_water_mark": outgoing.marks.high_datagrams,
            "outgoing_low_water_mark": outgoing.marks.low_datagrams,
            "outgoing_max_age_us": outgoing.max_age.map(micros),
            "outgoing_full_policy": match outgoing.policy {
                FullPolicy::Evict => "evict",
                FullPolicy::Reject => "reject",
                FullPolicy::Wait => "wait",
            },
            "incoming_max_age_us": incoming.max_age.map(micros),
            "incoming_drop_policy": match incoming.policy {
                DropPolicy::Oldest => "oldest",
                DropPolicy::Newest => "newest",
            },
        },
        "sequences": {
            "send_sequence": stats.outbound.handed_in.datagrams,
            "receive_sequence": stats.inbound.received.datagrams.saturating_add(stats.outside.routed.datagrams),
        },
        "session": {
            "phase": match seen.phase {
                Phase::Connecting => "connecting",
                Phase::Connected => "connected",
                Phase::Draining => "draining",
                Phase::Closed => "closed",
            },
            "rtt_us": micros(session.rtt),
            "congestion_window_bytes": session.congestion_window_bytes,
            "packets_sent": session.packets_sent,
            "packets_lost": session.packets_lost,
            "path_mtu_bytes": session.path_mtu_bytes,
        },
    })
    .to_string()
}

fn statistics(stats: &Stats) -> Value {
    let OutboundCounters { handed_in, sent, expired, evicted, rejected, too_large, failed, cleared, queued } =
        stats.outbound;
    let InboundCounters { received, delivered, expired: old, dropped_full, cleared: emptied, queued: held } =
        stats.inbound;
    json!({
        "created_at_us": stats.created_at_us,
        "datagrams_sent": stats.datagrams_sent(),
        "bytes_sent": stats.bytes_sent(),
        "send_failures": stats.send_failures(),
        "send_drops": stats.send_drops(),
        "datagrams_received": stats.datagrams_received(),
        "bytes_received": stats.bytes_received(),
        "receive_drops": stats.receive_drops(),
        "receive_errors": stats.receive_errors(),
        "avg_send_time_us": stats.avg_send_time().as_secs_f64() * 1e6,
        "avg_receive_time_us": stats.avg_receive_time().as_secs_f64() * 1e6,
        "max_send_time_us": micros(stats.send_time.max),
        "max_receive_time_us": micros(stats.receive_time.max),
        "avg_datagram_size": stats.avg_datagram_size(),
        "min_datagram_size": stats.sizes.min(),
        "max_datagram_size": stats.sizes.max(),
        "send_success_rate": stats.send_success_rate(),
        "receive_success_rate": stats.receive_success_rate(),
        "outgoing": {
            "handed_in": tally(handed_in),
            "sent": tally(sent),
            "expired": tally(expired),
            "evicted": tally(evicted),
            "rejected": tally(rejected),
            "too_large": tally(too_large),
            "failed": tally(failed),
            "cleared": tally(cleared),
            "queued": tally(queued),
            "dropped_by_quic": stats.outside.dropped_after_sent,
        },
        "incoming": {
            "received": tally(received),
            "delivered": tally(delivered),
            "routed": tally(stats.outside.routed),
            "expired": tally(old),
            "dropped_full": tally(dropped_full),
            "cleared": tally(emptied),
            "queued": tally(held),
            "foreign": stats.outside.foreign.datagrams,
            "dropped_by_quic": stats.outside.dropped_in_quic,
            "over_rate": stats.outside.over_rate,
        },
    })
}

fn tally(tally: Tally) -> Value {
    json!({ "datagrams": tally.datagrams, "bytes": tally.bytes })
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
