//! The Prometheus text of a transport and of the process. One test at a time, because the sums are
//! of the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use support::openmetrics::{Families, Labels, parse};
use support::pair::{Pair, eventually, receive};
use wtgram::datagram::message::Limits;
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::send::FullPolicy;
use wtgram::datagram::transport::Transport;
use wtgram::monitor::prometheus;
use wtgram::runtime::wait::Deadline;

#[test]
fn the_reader_of_these_tests_refuses_what_is_no_openmetrics() {
    let good = "# HELP a_seconds b\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total{b=\"c\\n\"} 1\n# EOF\n";
    assert_eq!(parse(good)["a_seconds"].series.len(), 1);
    let bad = [
        ("# EOF\n", ""),
        ("# EOF\n", "# EOF\n\n"),
        (" 1\n", " 1"),
        (" 1\n", " 1 2\n"),
        (" 1\n", " NaN\n"),
        (" 1\n", " 1\na_seconds_total{b=\"c\\n\"} 2\n"),
        (" 1\n", " 1\n# HELP a_seconds twice\n"),
        (" 1\n", " 1\n\n"),
        ("_total{", "{"),
        ("\\n", "\\t"),
        ("b=", "0b="),
        ("counter", "number"),
        ("seconds seconds", "seconds minutes"),
        ("a_seconds b", "a_seconds \" b"),
    ];
    for (from, to) in bad {
        let text = good.replacen(from, to, 1);
        assert!(std::panic::catch_unwind(|| parse(&text)).is_err(), "{text}");
    }
}

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock();
    // Sessions of the previous test end on their lane a little later.
    eventually("no transport is left", || figure(&of_process(), "wtgram_transports", None) == 0.0);
    guard
}

fn of_process() -> Families {
    parse(&prometheus::process().unwrap())
}

fn of_transport(transport: &Transport) -> Families {
    parse(&prometheus::transport(transport).unwrap())
}

/// The figure with this outcome, or the only one, of any peer.
fn figure(families: &Families, family: &str, outcome: Option<&str>) -> f64 {
    let found: Vec<f64> = families[family]
        .series
        .iter()
        .filter(|(labels, _)| labels.get("outcome").map(String::as_str) == outcome)
        .map(|(_, value)| *value)
        .collect();
    assert_eq!(found.len(), 1, "{family} {outcome:?}");
    found[0]
}

fn send(transport: &Transport, size: usize) {
    let _ = transport.outgoing.send(&vec![0; size], &SendOptions::default(), Deadline::Now);
}

/// Compares every figure of a transport's text with its statistics.
fn check_figures(families: &Families, transport: &Transport) {
    let stats = transport.stats();
    let (out, inbound, outside) = (stats.outbound, stats.inbound, stats.outside);
    let sent = [
        ("sent", out.sent),
        ("expired", out.expired),
        ("evicted", out.evicted),
        ("rejected", out.rejected),
        ("too_large", out.too_large),
        ("failed", out.failed),
        ("cleared", out.cleared),
    ];
    for (outcome, tally) in sent {
        let told = ["wtgram_send_datagrams", "wtgram_send_payload_bytes"]
            .map(|family| figure(families, family, Some(outcome)));
        assert_eq!(told, [tally.datagrams as f64, tally.bytes as f64], "{outcome}");
    }
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
    for (outcome, count) in received {
        assert_eq!(figure(families, "wtgram_receive_datagrams", Some(outcome)), count as f64, "{outcome}");
    }
    assert_eq!(families["wtgram_receive_datagrams"].series.len(), received.len());
    let bytes = figure(families, "wtgram_receive_payload_bytes", Some("delivered"));
    assert_eq!(bytes, inbound.delivered.bytes as f64);
    let queued = ["wtgram_send_queued_datagrams", "wtgram_receive_queued_datagrams"]
        .map(|family| figure(families, family, None));
    assert_eq!(queued, [out.queued.datagrams as f64, inbound.queued.datagrams as f64]);
    let times =
        ["wtgram_send_seconds", "wtgram_receive_wait_seconds"].map(|family| figure(families, family, None));
    assert_eq!(times, [stats.send_time.total, stats.receive_time.total].map(|time| time.as_secs_f64()));
}

fn limits(datagrams: usize) -> Limits {
    Limits { datagrams, bytes: 1 << 20 }
}

/// A pair with a different number of datagrams for each outcome.
fn used() -> Pair {
    let pair = Pair::open(&TransportOptions { outgoing_limits: limits(4), ..TransportOptions::default() });
    let batch = |count: usize, options: &SendOptions| {
        // Under one lock, so that no datagram leaves meanwhile.
        let payloads = vec![[1; 20]; count];
        pair.from().outgoing.send_batch(
            payloads.iter().map(|one| Ok(&one[..])),
            options,
            Deadline::Now,
            drop,
        );
        (0..count.min(4)).for_each(|_| drop(receive(pair.to())));
    };
    batch(10, &SendOptions::default());
    pair.from().outgoing.set_policy(FullPolicy::Reject);
    batch(7, &SendOptions::default());
    pair.from().outgoing.set_limits(limits(100));
    let late = SendOptions { ttl: Some(Duration::from_nanos(1)), ..SendOptions::default() };
    pair.from().outgoing.send(b"late", &late, Deadline::Now).unwrap();
    eventually("it has expired", || pair.from().stats().outbound.expired.datagrams == 1);
    (0..2).for_each(|_| send(pair.from(), 70_000));
    for size in [0, 10, 500] {
        send(pair.from(), size);
        receive(pair.to());
    }
    send(pair.from(), 30);
    eventually("it has arrived", || pair.to().waiting().incoming.datagrams == 1);
    assert_eq!(pair.to().incoming.clear(), 1);
    pair.to().incoming.set_limits(limits(3));
    let before = pair.to().incoming.sequence();
    (0..5).for_each(|_| send(pair.from(), 100));
    eventually("all have arrived", || pair.to().incoming.sequence() == before + 5);
    receive(pair.to());
    let out = pair.from().stats().outbound;
    let told = [out.sent, out.evicted, out.rejected, out.too_large, out.expired].map(|tally| tally.datagrams);
    assert_eq!(told, [17, 6, 3, 2, 1]);
    pair
}

#[test]
fn the_text_of_a_transport_is_strict_openmetrics_labelled_with_its_peer() {
    let _alone = alone();
    let pair = used();
    for (transport, session) in [(pair.from(), &pair.client), (pair.to(), &pair.accepted)] {
        let families = of_transport(transport);
        check_figures(&families, transport);
        let peer = session.link.remote_address().unwrap().to_string();
        for (name, family) in &families {
            for labels in family.series.keys() {
                assert_eq!(labels["peer"], peer, "{name}");
            }
        }
        assert_eq!(figure(&families, "wtgram_transports", None), 1.0);
        let path = session.link.stats().unwrap();
        assert!(figure(&families, "wtgram_rtt_seconds", None) > 0.0);
        assert!(figure(&families, "wtgram_congestion_window_bytes", None) >= 1200.0);
        let packets = ["sent", "lost"].map(|outcome| figure(&families, "wtgram_quic_packets", Some(outcome)));
        assert!(packets[0] > 0.0 && packets[0] <= path.packets_sent as f64);
        assert!(packets[1] <= path.packets_lost as f64);
    }
    let arrived = of_transport(pair.to());
    assert_eq!(figure(&arrived, "wtgram_receive_datagrams", Some("dropped_full")), 2.0);
    assert_eq!(figure(&arrived, "wtgram_receive_queued_datagrams", None), 2.0);
}

#[test]
fn a_transport_that_is_closed_still_has_its_figures() {
    let _alone = alone();
    let pair = used();
    pair.client.link.close(0, "").unwrap();
    eventually("both are closed", || pair.from().is_closed() && pair.to().is_closed());
    for transport in [pair.from(), pair.to()] {
        check_figures(&of_transport(transport), transport);
    }
}

fn sums(pairs: &[Pair], family: &str, outcome: Option<&str>) -> f64 {
    let transports = pairs.iter().flat_map(|pair| [pair.from(), pair.to()]);
    transports.map(|transport| figure(&of_transport(transport), family, outcome)).sum()
}

#[test]
fn the_text_of_the_process_has_the_sums_and_keeps_what_was_counted_when_sessions_end() {
    let _alone = alone();
    let before = of_process();
    let pairs: Vec<_> = (0..3).map(|_| used()).collect();
    let now = of_process();
    assert_eq!(figure(&now, "wtgram_transports", None), 6.0);
    let of_paths = ["wtgram_rtt_seconds", "wtgram_congestion_window_bytes", "wtgram_quic_packets"];
    assert!(of_paths.iter().all(|family| !now.contains_key(*family)));
    for (name, family) in &now {
        for (labels, value) in &family.series {
            // Not one series for each session: with every session that ever existed there would be
            // too many.
            assert!(labels.keys().all(|label| label == "outcome"), "{name}: {labels:?}");
            if family.kind == "counter" {
                let outcome = labels.get("outcome").map(String::as_str);
                let (had, added) = (before[name].series[labels], sums(&pairs, name, outcome));
                assert!(
                    (value - had - added).abs() < 1e-6,
                    "{name} {labels:?}: {value}, not {had} + {added}"
                );
            }
        }
    }
    let received = figure(&now, "wtgram_receive_queued_datagrams", None);
    assert_eq!(received, sums(&pairs, "wtgram_receive_queued_datagrams", None));
    drop(pairs);
    eventually("all are gone", || figure(&of_process(), "wtgram_transports", None) == 0.0);
    let after = of_process();
    for name in ["wtgram_send_datagrams", "wtgram_send_payload_bytes", "wtgram_receive_payload_bytes"] {
        assert_eq!(after[name].series, now[name].series, "{name}");
    }
    assert_eq!(figure(&after, "wtgram_receive_queued_datagrams", None), 0.0);
}

#[test]
fn counters_of_the_process_never_fall_while_sessions_come_and_go() {
    let _alone = alone();
    let over = AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut before: Vec<((String, Labels), f64)> = Vec::new();
            let mut looks = 0;
            while !over.load(Ordering::SeqCst) {
                let families = of_process();
                for ((name, labels), value) in &before {
                    let now = families[name].series[labels];
                    assert!(now >= *value, "{name} {labels:?} fell from {value} to {now}");
                }
                let counters = families.into_iter().filter(|(_, family)| family.kind == "counter");
                before = counters
                    .flat_map(|(name, family)| {
                        family.series.into_iter().map(move |(labels, value)| ((name.clone(), labels), value))
                    })
                    .collect();
                looks += 1;
            }
            looks
        });
        for _ in 0..20 {
            drop(used());
        }
        over.store(true, Ordering::SeqCst);
        looking.join().unwrap()
    });
    assert!(looks > 20, "only {looks} looks");
}
