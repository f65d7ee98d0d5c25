//! The diagnosis of a transport: rules over one snapshot, each with a code that programs can
//! compare.
//!
//! The first seven rules and their thresholds are those of pywebtransport 0.6.1's
//! `diagnose_issues`. The others report losses that it does not see.

use std::time::Duration;

use serde_json::{Number, Value, json};

use super::transport::Snapshot;
use crate::link::session::Phase;

/// The lowest share of successful sends that is normal.
const LOW_SUCCESS_RATE: f64 = 0.9;
/// The highest share of dropped datagrams that is normal.
const HIGH_DROP_RATE: f64 = 0.1;
/// A queue is nearly full above this share of its limit.
const HIGH_USAGE: f64 = 0.9;
/// The highest average time in a send call that is normal.
const HIGH_SEND_TIME: Duration = Duration::from_millis(100);

/// One problem that a rule has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Stable name of the rule.
    pub code: &'static str,
    /// A sentence in English that contains the figure.
    pub message: String,
    /// The figure that the rule compared.
    pub figure: f64,
}

/// All problems, in the order of the rules.
pub fn diagnose(seen: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |holds: bool, code: &'static str, figure: f64, message: String| {
        if holds {
            findings.push(Finding { code, message, figure });
        }
    };
    let stats = &seen.stats;

    let rate = stats.send_success_rate();
    find(
        rate < LOW_SUCCESS_RATE,
        "low_send_success_rate",
        rate,
        format!("Low send success rate: {:.2}%", rate * 100.0),
    );
    let drops = stats.send_drops().saturating_add(stats.receive_drops());
    let total = stats.datagrams_sent().saturating_add(stats.datagrams_received());
    let rate = drops as f64 / total.max(1) as f64;
    find(rate > HIGH_DROP_RATE, "high_drop_rate", rate, format!("High drop rate: {drops}/{total}"));
    let usage = share(seen.waiting.total_outgoing().datagrams, seen.outgoing.limits.datagrams);
    let message = format!("Outgoing queue nearly full: {:.1}%", usage * 100.0);
    find(usage > HIGH_USAGE, "outgoing_queue_nearly_full", usage, message);
    let usage = share(seen.waiting.incoming.datagrams, seen.incoming.limits.datagrams);
    let message = format!("Incoming queue nearly full: {:.1}%", usage * 100.0);
    find(usage > HIGH_USAGE, "incoming_queue_nearly_full", usage, message);
    let time = stats.avg_send_time();
    let ms = time.as_secs_f64() * 1000.0;
    find(time > HIGH_SEND_TIME, "high_send_latency", ms, format!("High send latency: {ms:.1}ms"));
    find(seen.is_closed, "transport_closed", 1.0, "Datagram transport is closed".into());
    let ready = matches!(seen.phase, Phase::Connected | Phase::Draining);
    find(
        !ready && seen.phase != Phase::Closed,
        "session_not_ready",
        1.0,
        "Session not available or not ready".into(),
    );
    find(seen.phase == Phase::Closed, "session_closed", 1.0, "Session is closed".into());

    let mut count = |count: u64, code: &'static str, what: &str| {
        find(count > 0, code, count as f64, format!("{count} {what}"));
    };
    count(stats.outbound.evicted.datagrams, "evictions", "outgoing datagrams were evicted by newer ones");
    count(
        stats.outbound.expired.datagrams,
        "outgoing_expired",
        "outgoing datagrams expired before they were sent",
    );
    count(
        stats.inbound.expired.datagrams,
        "incoming_expired",
        "incoming datagrams expired before they were received",
    );
    count(
        stats.inbound.dropped_full.datagrams,
        "inbound_drops",
        "incoming datagrams were dropped: the queue was full",
    );
    count(
        stats.outside.dropped_in_quic,
        "inbound_drops_in_quic",
        "incoming datagrams were dropped before they reached the queue",
    );
    count(
        stats.outside.over_rate,
        "inbound_over_rate",
        "incoming datagrams were dropped: the peer sends faster than the server lets it",
    );
    let (now, largest) = (seen.max_payload, seen.largest_payload);
    let message = format!("The path carries datagrams of {now} bytes only; it was {largest}");
    find(now < largest && !seen.is_closed, "shrunken_mtu", now as f64, message);
    let silence = seen.silence.as_secs_f64();
    find(seen.is_peer_silent, "silent_peer", silence, format!("The peer has been silent for {silence:.1}s"));
    findings
}

/// Findings as a JSON array of `{"code", "message", "figure"}`.
pub fn to_json(findings: &[Finding]) -> String {
    let of = |finding: &Finding| json!({ "code": finding.code, "message": finding.message, "figure": number(finding.figure) });
    Value::from(findings.iter().map(of).collect::<Vec<_>>()).to_string()
}

/// Prints integral figures without a fraction, because they are counts.
fn number(figure: f64) -> Option<Number> {
    if figure.fract() == 0.0 && figure.abs() < 9e15 {
        Some((figure as i64).into())
    } else {
        Number::from_f64(figure)
    }
}

fn share(part: u64, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datagram::receive::ReceiveConfig;
    use crate::datagram::send::SendConfig;
    use crate::datagram::stats::{Stats, Tally};
    use crate::datagram::transport::WaitingSizes;
    use crate::link::session::SessionStats;

    fn healthy() -> Snapshot {
        Snapshot {
            stats: Stats::default(),
            waiting: WaitingSizes::default(),
            outgoing: SendConfig::default(),
            incoming: ReceiveConfig::default(),
            outcomes: 0,
            phase: Phase::Connected,
            session: SessionStats::default(),
            is_closed: false,
            is_readable: true,
            max_payload: 1200,
            largest_payload: 1200,
            silence: Duration::from_secs(90),
            is_peer_silent: false,
        }
    }

    fn datagrams(datagrams: u64) -> Tally {
        Tally { datagrams, bytes: 0 }
    }

    /// The one finding that `change` causes.
    fn finding(change: impl FnOnce(&mut Snapshot)) -> (&'static str, String, f64) {
        let mut snapshot = healthy();
        change(&mut snapshot);
        match &diagnose(&snapshot)[..] {
            [Finding { code, message, figure }] => (code, message.clone(), *figure),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_healthy_transport_has_no_findings() {
        assert_eq!(diagnose(&healthy()), []);
        assert_eq!(to_json(&[]), "[]");
    }

    #[test]
    fn each_rule_finds_what_it_is_about_with_its_figure() {
        let cases = [
            finding(|seen| {
                seen.stats.outbound.sent = datagrams(89);
                seen.stats.outbound.failed = datagrams(11);
            }),
            finding(|seen| {
                seen.stats.outbound.sent = datagrams(100);
                seen.stats.outbound.cleared = datagrams(11);
            }),
            finding(|seen| seen.waiting.outgoing[2] = datagrams(91)),
            finding(|seen| seen.waiting.incoming = datagrams(4000)),
            finding(|seen| {
                seen.stats.outbound.sent = datagrams(1);
                seen.stats.send_time.record(Duration::from_millis(150));
            }),
            finding(|seen| seen.is_closed = true),
            finding(|seen| seen.phase = Phase::Connecting),
            finding(|seen| seen.phase = Phase::Closed),
            finding(|seen| {
                seen.stats.outbound.sent = datagrams(100);
                seen.stats.outbound.evicted = datagrams(2);
            }),
            finding(|seen| {
                seen.stats.outbound.sent = datagrams(100);
                seen.stats.outbound.expired = datagrams(3);
            }),
            finding(|seen| {
                seen.stats.outbound.sent = datagrams(100);
                seen.stats.inbound.expired = datagrams(4);
            }),
            finding(|seen| {
                seen.stats.outbound.sent = datagrams(100);
                seen.stats.inbound.dropped_full = datagrams(5);
            }),
            finding(|seen| {
                seen.stats.outbound.sent = datagrams(100);
                seen.stats.outside.dropped_in_quic = 6;
            }),
            finding(|seen| {
                seen.stats.outbound.sent = datagrams(100);
                seen.stats.outside.over_rate = 7;
            }),
            finding(|seen| seen.max_payload = 1100),
            finding(|seen| seen.is_peer_silent = true),
        ];
        let found: Vec<_> = cases.iter().map(|(code, _, figure)| (*code, *figure)).collect();
        assert_eq!(
            found,
            [
                ("low_send_success_rate", 0.89),
                ("high_drop_rate", 0.11),
                ("outgoing_queue_nearly_full", 0.91),
                ("incoming_queue_nearly_full", 4000.0 / 4096.0),
                ("high_send_latency", 150.0),
                ("transport_closed", 1.0),
                ("session_not_ready", 1.0),
                ("session_closed", 1.0),
                ("evictions", 2.0),
                ("outgoing_expired", 3.0),
                ("incoming_expired", 4.0),
                ("inbound_drops", 5.0),
                ("inbound_drops_in_quic", 6.0),
                ("inbound_over_rate", 7.0),
                ("shrunken_mtu", 1100.0),
                ("silent_peer", 90.0),
            ]
        );
        assert_eq!(cases[0].1, "Low send success rate: 89.00%");
        assert_eq!(cases[1].1, "High drop rate: 11/100");
        assert_eq!(cases[2].1, "Outgoing queue nearly full: 91.0%");
        assert_eq!(cases[4].1, "High send latency: 150.0ms");
    }

    #[test]
    fn a_figure_at_its_threshold_is_no_finding() {
        let mut seen = healthy();
        seen.stats.outbound.sent = datagrams(90);
        seen.stats.outbound.failed = datagrams(10);
        seen.stats.outbound.cleared = datagrams(9);
        seen.waiting.outgoing[0] = datagrams(90);
        seen.stats.send_time.record(Duration::from_millis(100) * 90);
        assert_eq!(diagnose(&seen), []);
    }

    #[test]
    fn findings_read_as_json_objects_with_whole_figures_for_counts() {
        let mut seen = healthy();
        seen.stats.outbound.sent = datagrams(100);
        seen.stats.outbound.evicted = datagrams(20);
        assert_eq!(
            to_json(&diagnose(&seen)),
            "[{\"code\":\"high_drop_rate\",\"message\":\"High drop rate: 20/100\",\"figure\":0.2},\
             {\"code\":\"evictions\",\"message\":\"20 outgoing datagrams were evicted by newer ones\",\"figure\":20}]"
        );
    }
}
