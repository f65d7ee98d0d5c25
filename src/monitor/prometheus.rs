//! The figures of a transport, or of the process, as text for Prometheus (OpenMetrics 1.0).
//!
//! For the process there are sums, not a series for each session, because there would be as many
//! series as there ever were sessions. Counters never decrease, also when transports end.

use std::fmt;
use std::net::SocketAddr;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::datagram::totals::{self, Totals};
use crate::datagram::transport::Transport;
use crate::error::{Error, Result};
use crate::link::server::stats::{HandshakeFailure, Refused, ServerStats};
use crate::link::session::SessionStats;

/// The figures of one transport and its path, labeled with the peer's address.
pub fn transport(transport: &Transport) -> Result<String> {
    let totals = Totals { transports: 1, ..Totals::default().plus(&transport.stats()) };
    let session = transport.session();
    let peer = session.remote_address().map_or_else(|_| "unknown".to_owned(), |peer| peer.to_string());
    let registry = Registry::with_labels([("peer".into(), peer.into())].into_iter());
    encode(registry, Figures { totals, path: Some(session.stats()?) })
}

/// The figures of a server, labeled with the address on which it listens.
pub fn server(address: SocketAddr, stats: &ServerStats) -> Result<String> {
    let registry = Registry::with_labels([("server".into(), address.to_string().into())].into_iter());
    encode(registry, ServerFigures(*stats))
}

/// The sums over all transports that exist and existed in this process.
pub fn process() -> Result<String> {
    encode(Registry::default(), Figures { totals: totals::totals(), path: None })
}

fn encode(mut registry: Registry, figures: impl Collector) -> Result<String> {
    registry.register_collector(Box::new(figures));
    let mut text = String::new();
    text::encode(&mut text, &registry).map_err(|_| Error::Internal("metrics do not encode".into()))?;
    Ok(text)
}

#[derive(Debug)]
struct Figures {
    totals: Totals,
    path: Option<SessionStats>,
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let out = &mut encoder;
        let Totals { transports, outbound, inbound, outside, send_time, receive_time } = self.totals;
        gauge(out, "wtgram_transports", "Datagram transports that exist", transports as f64)?;
        let sent = [
            ("sent", outbound.sent),
            ("expired", outbound.expired),
            ("evicted", outbound.evicted),
            ("rejected", outbound.rejected),
            ("too_large", outbound.too_large),
            ("failed", outbound.failed),
            ("cleared", outbound.cleared),
        ];
        let datagrams = sent.map(|(outcome, tally)| (outcome, tally.datagrams));
        counters(out, "wtgram_send_datagrams", "Datagrams handed in, by what became of them", &datagrams)?;
        let bytes = sent.map(|(outcome, tally)| (outcome, tally.bytes));
        counters(
            out,
            "wtgram_send_payload_bytes",
            "Payload bytes handed in, by what became of them",
            &bytes,
        )?;
        let received = [
            ("delivered", inbound.delivered.datagrams),
            ("routed", outside.routed.datagrams),
            ("expired", inbound.expired.datagrams),
            ("dropped_full", inbound.dropped_full.datagrams),
            ("cleared", inbound.cleared.datagrams),
            ("foreign", outside.foreign.datagrams),
            ("malformed", outside.malformed.datagrams),
            ("dropped_in_quic", outside.dropped_in_quic),
            ("over_rate", outside.over_rate),
        ];
        counters(
            out,
            "wtgram_receive_datagrams",
            "Datagrams that arrived, by what became of them",
            &received,
        )?;
        let bytes = [("delivered", inbound.delivered.bytes), ("routed", outside.routed.bytes)];
        counters(out, "wtgram_receive_payload_bytes", "Payload bytes received, by their reader", &bytes)?;
        let queued = outbound.queued.datagrams as f64;
        gauge(out, "wtgram_send_queued_datagrams", "Datagrams that wait for being sent", queued)?;
        let queued = inbound.queued.datagrams as f64;
        gauge(out, "wtgram_receive_queued_datagrams", "Datagrams that wait for being received", queued)?;
        seconds(out, "wtgram_send", "Time in send operations", send_time.total.as_secs_f64())?;
        seconds(
            out,
            "wtgram_receive_wait",
            "Time waited in receive operations",
            receive_time.total.as_secs_f64(),
        )?;
        let Some(path) = &self.path else { return Ok(()) };
        gauge(out, "wtgram_rtt_seconds", "Smoothed round-trip time", path.rtt.as_secs_f64())?;
        let window = path.congestion_window_bytes as f64;
        gauge(out, "wtgram_congestion_window_bytes", "Congestion window", window)?;
        let packets = [("sent", path.packets_sent), ("lost", path.packets_lost)];
        counters(out, "wtgram_quic_packets", "QUIC packets sent, and those of them that were lost", &packets)
    }
}

#[derive(Debug)]
struct ServerFigures(ServerStats);

impl Collector for ServerFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (out, stats) = (&mut encoder, &self.0);
        let connections = stats.connections as f64;
        gauge(out, "wtgram_server_connections", "Connections, half-open ones included", connections)?;
        let half_open = stats.half_open as f64;
        gauge(out, "wtgram_server_half_open", "Connections without a session yet", half_open)?;
        let memory = stats.memory_bytes as f64;
        gauge(out, "wtgram_server_memory_bytes", "Memory that clients make the server hold", memory)?;
        let mut handshakes = vec![("established", stats.established)];
        handshakes.extend(HandshakeFailure::ALL.map(|(reason, name)| (name, stats.failed[reason as usize])));
        counters(out, "wtgram_server_handshakes", "Handshakes, by what became of them", &handshakes)?;
        seconds(
            out,
            "wtgram_server_handshake",
            "Time in handshakes that led to a session",
            stats.handshake_time.as_secs_f64(),
        )?;
        let refused = Refused::ALL.map(|(reason, name)| (name, stats.refused[reason as usize]));
        let help = "Connections and requests refused, by reason";
        labeled(out, "wtgram_server_refused", help, "reason", &refused)?;
        let others = [
            ("retry", stats.retries),
            ("ignored", stats.ignored),
            ("not_accepted", stats.not_accepted),
            ("datagram_over_rate", stats.datagrams_over_rate),
            ("datagram_over_memory", stats.datagrams_over_memory),
        ];
        counters(out, "wtgram_server_limited", "What other limits have caused", &others)
    }
}

fn gauge(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    gauge.encode(out.encode_descriptor(name, help, None, gauge.metric_type())?)
}

fn seconds(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let counter = ConstCounter::new(value);
    let unit = prometheus_client::registry::Unit::Seconds;
    counter.encode(out.encode_descriptor(name, help, Some(&unit), counter.metric_type())?)
}

/// One counter with a series for each outcome.
fn counters(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, series: &[(&str, u64)]) -> fmt::Result {
    labeled(out, name, help, "outcome", series)
}

/// One counter with a series for each value of `label`.
fn labeled(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    series: &[(&str, u64)],
) -> fmt::Result {
    let mut encoder: MetricEncoder<'_> = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (which, value) in series {
        let label = [(label, *which)];
        ConstCounter::new(*value).encode(encoder.encode_family(&label)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datagram::stats::{Stats, Tally};

    #[test]
    fn the_text_is_openmetrics_with_every_outcome_and_nothing_twice() {
        let mut stats = Stats::default();
        stats.outbound.sent = Tally { datagrams: 7, bytes: 70 };
        stats.inbound.queued.datagrams = 3;
        stats.send_time.total = std::time::Duration::from_millis(1500);
        let totals = Totals { transports: 2, ..Totals::default().plus(&stats).plus(&stats) };
        let path = Some(SessionStats { packets_lost: 5, ..SessionStats::default() });
        let text = encode(Registry::default(), Figures { totals, path }).unwrap();
        for line in [
            "# TYPE wtgram_send_datagrams counter",
            "wtgram_send_datagrams_total{outcome=\"sent\"} 14",
            "wtgram_send_payload_bytes_total{outcome=\"sent\"} 140",
            "wtgram_receive_datagrams_total{outcome=\"dropped_in_quic\"} 0",
            "# TYPE wtgram_transports gauge",
            "wtgram_transports 2.0",
            "wtgram_receive_queued_datagrams 6.0",
            "# UNIT wtgram_send_seconds seconds",
            "wtgram_send_seconds_total 3.0",
            "wtgram_quic_packets_total{outcome=\"lost\"} 5",
        ] {
            assert!(text.lines().any(|held| held == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        let mut series: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(' ').next())
            .collect();
        let all = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), all);
    }
}
