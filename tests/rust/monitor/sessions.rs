//! Monitors of real sessions: samples, and each condition from its beginning to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use support::blocked::blocked;
use support::pair::{Pair, after, eventually, receive, soon};
use support::simulator::Conditions;
use support::simulator::session::LossyPair;
use wtgram::datagram::message::{Limits, Priority};
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::send::FullPolicy;
use wtgram::datagram::transport::Transport;
use wtgram::error::Error;
use wtgram::monitor::rules::{Alert, Kind, Thresholds};
use wtgram::monitor::trend::{Series, Trend};
use wtgram::monitor::{MAX_KEPT, MIN_INTERVAL, Monitor, MonitorOptions};
use wtgram::poller::{Event, Interest, Poller};
use wtgram::runtime::readiness::Ready;
use wtgram::runtime::wait::Deadline;

const SHORT: Duration = Duration::from_millis(10);

/// Without trends, which occur by chance on a busy machine.
fn every(interval: Duration) -> MonitorOptions {
    let thresholds = Thresholds { trend_window: usize::MAX, ..Thresholds::default() };
    MonitorOptions { interval, thresholds, ..MonitorOptions::default() }
}

fn open(transport: &Arc<Transport>, options: MonitorOptions) -> Arc<Monitor> {
    Monitor::open(Arc::clone(transport), options).expect("a monitor")
}

fn send(transport: &Transport, payload: &[u8]) {
    transport.outgoing.send(payload, &SendOptions::default(), Deadline::Now).unwrap();
}

fn limits(datagrams: usize) -> Limits {
    Limits { datagrams, bytes: 1 << 20 }
}

/// Waits for the next alert about `kind`. Ignores others, which depend on the test's timing.
fn next_about(monitor: &Monitor, kind: Kind) -> Alert {
    loop {
        let (alert, missed) = monitor.next_alert(soon()).expect("an alert comes");
        assert_eq!(missed, 0);
        if alert.kind == kind {
            return alert;
        }
    }
}

/// Waits until `kind` begins, and returns the alert's text.
fn begins(monitor: &Monitor, kind: Kind) -> Alert {
    let alert = next_about(monitor, kind);
    assert!(alert.began, "{alert:?}");
    assert!(!alert.message.is_empty() && alert.timestamp_us > 0);
    alert
}

/// Waits until `kind` ends.
fn ends(monitor: &Monitor, kind: Kind) {
    let alert = next_about(monitor, kind);
    assert!(!alert.began, "{alert:?}");
    assert_eq!(alert.message, format!("over: {}", kind.name()));
}

/// Waits for this number of further samples.
fn samples_pass(monitor: &Monitor, count: usize) {
    for _ in 0..count {
        let newest = || monitor.samples(1).last().map(|sample| sample.timestamp_us);
        let before = newest();
        eventually("another sample", || newest() != before);
    }
}

#[test]
fn the_defaults_are_those_of_the_reference_and_for_the_rest_documented() {
    let MonitorOptions { interval, samples, alerts, thresholds } = MonitorOptions::default();
    assert_eq!((interval, samples, alerts), (Duration::from_secs(5), 100, 50));
    assert_eq!((thresholds.queue_size, thresholds.success_rate, thresholds.trend_window), (0.9, 0.8, 10));
    assert_eq!((thresholds.rtt_rise, thresholds.loss_rise), (Duration::from_millis(10), 0.01));
    assert_eq!(thresholds.silence, Duration::from_secs(15));
    let names = [Kind::HighQueueSize, Kind::LowSuccessRate, Kind::IncreasingSendTime].map(Kind::name);
    assert_eq!(names, ["high_queue_size", "low_success_rate", "increasing_send_time"]);
    let distinct: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(distinct.len(), 9);
}

#[test]
fn options_that_make_no_sense_are_refused_and_so_is_a_closed_transport() {
    let pair = Pair::open(&TransportOptions::default());
    let bad = [
        every(Duration::ZERO),
        every(MIN_INTERVAL - Duration::from_nanos(1)),
        MonitorOptions { samples: 0, ..MonitorOptions::default() },
        MonitorOptions { alerts: 0, ..MonitorOptions::default() },
        MonitorOptions { samples: MAX_KEPT + 1, ..MonitorOptions::default() },
        MonitorOptions { alerts: MAX_KEPT + 1, ..MonitorOptions::default() },
    ];
    for options in bad {
        let refused = Monitor::open(Arc::clone(pair.from()), options).err();
        assert!(matches!(refused, Some(Error::InvalidArgument(_))), "{options:?}");
    }
    // An interval beyond the range of the clock: the monitor takes no sample, and nothing breaks.
    assert!(open(pair.from(), every(Duration::MAX)).is_monitoring());
    pair.from().close();
    let refused = Monitor::open(Arc::clone(pair.from()), MonitorOptions::default()).err();
    assert_eq!(refused, Some(Error::Closed));
}

#[test]
fn samples_say_what_the_statistics_say() {
    let pair = Pair::open(&TransportOptions::default());
    for size in [3, 0, 500] {
        send(pair.from(), &vec![1; size]);
        receive(pair.to());
    }
    send(pair.to(), b"answer");
    receive(pair.from());
    send(pair.to(), b"unread");
    eventually("it has arrived", || pair.from().waiting().incoming.datagrams == 1);
    assert!(pair.from().outgoing.send(&[0; 70_000], &SendOptions::default(), Deadline::Now).is_err());
    let monitor = open(pair.from(), every(SHORT));
    assert!(monitor.is_monitoring());
    samples_pass(&monitor, 2);
    let sample = monitor.samples(1)[0];
    let stats = pair.from().stats();
    let path = pair.client.link.stats().unwrap();
    assert_eq!((sample.datagrams_sent, sample.bytes_sent), (3, 503));
    assert_eq!((sample.datagrams_received, sample.bytes_received), (1, 6));
    assert_eq!((sample.incoming_queue_size, sample.outgoing_queue_size), (1, 0));
    assert_eq!(sample.outgoing_high_water, 100);
    assert_eq!(sample.send_success_rate, 0.75);
    assert_eq!(sample.avg_send_time, stats.avg_send_time());
    assert_eq!((sample.evicted, sample.expired, sample.inbound_dropped), (0, 0, 0));
    assert!(
        sample.rtt > Duration::ZERO && sample.packets_sent >= 4 && sample.packets_sent <= path.packets_sent
    );
    assert!(sample.loss >= 0.0 && sample.loss <= 1.0);
}

#[test]
fn the_newest_samples_are_kept_oldest_first_and_a_limit_gives_the_newest_of_them() {
    let pair = Pair::open(&TransportOptions::default());
    let monitor = open(pair.from(), MonitorOptions { samples: 4, ..every(SHORT) });
    let hourly = open(pair.from(), every(Duration::from_secs(3600)));
    eventually("the first sample", || !monitor.samples(9).is_empty());
    assert_eq!(hourly.samples(9), [], "the first comes after one interval");
    let first = monitor.samples(1)[0].timestamp_us;
    eventually("the first is gone", || {
        monitor.samples(9).first().is_some_and(|one| one.timestamp_us > first)
    });
    monitor.close();
    let kept = monitor.samples(usize::MAX);
    assert_eq!(kept.len(), 4);
    assert!(kept.is_sorted_by(|one, next| one.timestamp_us < next.timestamp_us));
    for limit in 0..=4 {
        assert_eq!(monitor.samples(limit), kept[4 - limit..]);
        assert_eq!(monitor.newest_samples(limit).1, 4, "how many there are does not depend on the limit");
    }
}

#[test]
fn a_high_queue_is_told_once_when_it_begins_and_once_when_it_ends() {
    let (pair, _link) = blocked(&TransportOptions::default());
    let from = pair.from();
    let monitor = open(from, every(SHORT));
    (0..90).for_each(|_| send(from, b"x"));
    samples_pass(&monitor, 2);
    assert_eq!(monitor.next_alert(Deadline::Now), Err(Error::WouldBlock), "90 of 100 is not above 0.9");
    send(from, b"x");
    let alert = begins(&monitor, Kind::HighQueueSize);
    assert_eq!((alert.value, alert.threshold), (91.0, 90.0));
    assert_eq!(alert.message, "outgoing queue size high: 91");
    send(from, b"x");
    samples_pass(&monitor, 3);
    assert_eq!(monitor.next_alert(Deadline::Now), Err(Error::WouldBlock), "told once while it stands");
    from.outgoing.clear();
    ends(&monitor, Kind::HighQueueSize);
    // The high-water mark counts, wherever it is.
    from.outgoing.set_limits(limits(10));
    (0..10).for_each(|_| send(from, b"x"));
    assert_eq!(begins(&monitor, Kind::HighQueueSize).threshold, 9.0);
}

#[test]
fn evictions_and_expiries_are_told_while_they_go_on() {
    let (pair, _link) =
        blocked(&TransportOptions { outgoing_limits: limits(2), ..TransportOptions::default() });
    let from = pair.from();
    let monitor = open(from, every(SHORT));
    (0..7).for_each(|_| send(from, b"x"));
    let alert = begins(&monitor, Kind::Evictions);
    assert!(
        alert.value >= 1.0 && alert.value <= 5.0,
        "what was evicted before it was opened is not its business"
    );
    ends(&monitor, Kind::Evictions);
    from.outgoing.clear();
    let options = SendOptions { ttl: Some(SHORT), priority: Priority::HIGHEST, report_id: None };
    from.outgoing.send(b"x", &options, Deadline::Now).unwrap();
    from.outgoing.send(b"x", &options, Deadline::Now).unwrap();
    let alert = begins(&monitor, Kind::Expiries);
    assert!((1.0..=2.0).contains(&alert.value));
    ends(&monitor, Kind::Expiries);
}

#[test]
fn incoming_datagrams_that_are_dropped_are_told_while_it_goes_on() {
    let pair = Pair::open(&TransportOptions { incoming_limits: limits(2), ..TransportOptions::default() });
    let monitor = open(pair.to(), every(SHORT));
    (0..5).for_each(|_| send(pair.from(), b"x"));
    let alert = begins(&monitor, Kind::InboundDrops);
    assert!((1.0..=3.0).contains(&alert.value), "{alert:?}");
    ends(&monitor, Kind::InboundDrops);
    pair.to().incoming.set_max_age(Some(Duration::from_nanos(1)));
    begins(&monitor, Kind::InboundDrops);
    ends(&monitor, Kind::InboundDrops);
}

#[test]
fn a_low_success_rate_is_told_until_enough_succeeds() {
    let pair = Pair::open(&TransportOptions::default());
    let monitor = open(pair.from(), every(SHORT));
    send(pair.from(), b"x");
    receive(pair.to());
    assert!(pair.from().outgoing.send(&[0; 70_000], &SendOptions::default(), Deadline::Now).is_err());
    let alert = begins(&monitor, Kind::LowSuccessRate);
    assert_eq!((alert.value, alert.threshold), (0.5, 0.8));
    assert_eq!(alert.message, "low send success rate: 50.00%");
    (0..3).for_each(|_| send(pair.from(), b"x"));
    ends(&monitor, Kind::LowSuccessRate);
}

#[test]
fn sending_that_takes_longer_and_longer_is_told_until_it_is_steady() {
    let policy = FullPolicy::Wait;
    let options = TransportOptions {
        outgoing_limits: limits(1),
        outgoing_policy: policy,
        ..TransportOptions::default()
    };
    let (pair, _link) = blocked(&options);
    let from = pair.from();
    send(from, b"x");
    let thresholds = Thresholds { trend_window: 4, ..Thresholds::default() };
    let monitor = open(from, MonitorOptions { samples: 8, thresholds, ..every(SHORT) });
    samples_pass(&monitor, 4);
    // No more datagrams leave, so each wait raises the mean of those that did.
    let mut wait = Duration::from_millis(1);
    let send_in_vain = || {
        let waited = from.outgoing.send(b"x", &SendOptions::default(), after(wait));
        assert_eq!(waited, Err(Error::TimedOut));
        wait = (2 * wait).min(Duration::from_millis(200));
    };
    meanwhile(send_in_vain, || {
        let alert = begins(&monitor, Kind::IncreasingSendTime);
        assert!(alert.value > alert.threshold && alert.value > 0.0, "{alert:?}");
    });
    ends(&monitor, Kind::IncreasingSendTime);
}

/// A monitor of the client of a lossy pair that reports trends soon.
fn of_path(pair: &LossyPair, thresholds: Thresholds) -> Arc<Monitor> {
    let thresholds = Thresholds { trend_window: 6, ..thresholds };
    open(&pair.client.datagrams, MonitorOptions { samples: 6, thresholds, ..every(4 * SHORT) })
}

/// Repeats `work` while `body` runs.
fn meanwhile(work: impl FnMut() + Send, body: impl FnOnce()) {
    let over = AtomicBool::new(false);
    let mut work = work;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                work();
            }
        });
        // Also on failure: the scope waits for the thread.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        over.store(true, Ordering::SeqCst);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Sends all the time while `body` runs, so that there are packets to measure.
fn busily(pair: &LossyPair, body: impl FnOnce()) {
    let send = || {
        let _ = pair.client.datagrams.outgoing.send(&[0; 1000], &SendOptions::default(), Deadline::Now);
        std::thread::sleep(Duration::from_micros(500));
    };
    meanwhile(send, body);
}

#[test]
fn a_rise_of_the_round_trip_time_is_told_until_it_is_steady() {
    let pair = LossyPair::new(31);
    let monitor = of_path(&pair, Thresholds::default());
    busily(&pair, || {
        samples_pass(&monitor, 8);
        pair.link.set(Conditions::latency(Duration::from_millis(60)));
        // The text has the last sample's figure, which need not be above the mean that rose.
        let alert = begins(&monitor, Kind::RttRise);
        assert!(alert.value > 0.0 && alert.threshold > 0.0, "{alert:?}");
        ends(&monitor, Kind::RttRise);
        eventually("it is seen", || monitor.samples(1)[0].rtt >= Duration::from_millis(60));
    });
}

#[test]
fn a_rise_of_the_loss_is_told_until_it_is_steady() {
    let pair = LossyPair::new(32);
    let monitor = of_path(&pair, Thresholds { loss_rise: 0.05, ..Thresholds::default() });
    busily(&pair, || {
        samples_pass(&monitor, 8);
        pair.link.set(Conditions { loss: 0.4, ..Conditions::default() });
        let alert = begins(&monitor, Kind::LossRise);
        assert!((0.0..=1.0).contains(&alert.threshold), "{alert:?}");
        pair.link.set(Conditions::default());
        ends(&monitor, Kind::LossRise);
    });
    let newest = monitor.samples(1)[0];
    assert!(newest.packets_lost > 0 && newest.packets_lost < newest.packets_sent);
}

#[test]
fn a_silent_peer_is_told_until_anything_at_all_comes() {
    let pair = LossyPair::new(33);
    let silence = Duration::from_secs(4);
    let monitor = of_path(&pair, Thresholds { silence, ..Thresholds::default() });
    // A monitor without this rule never reports it.
    let incurious = of_path(&pair, Thresholds { silence: Duration::ZERO, ..Thresholds::default() });
    busily(&pair, || {
        // Acknowledgements are enough to show that the peer is alive.
        samples_pass(&monitor, 110);
        assert!(!monitor.alerts(100).iter().any(|alert| alert.kind == Kind::SilentPeer));
        pair.link.set(Conditions { black_hole: true, ..Conditions::default() });
        let alert = begins(&monitor, Kind::SilentPeer);
        assert!(
            alert.value >= silence.as_secs_f64() && alert.threshold == silence.as_secs_f64(),
            "{alert:?}"
        );
        pair.link.set(Conditions::default());
        ends(&monitor, Kind::SilentPeer);
    });
    assert!(!incurious.alerts(100).iter().any(|alert| alert.kind == Kind::SilentPeer));
}

/// Makes the low success rate begin (`true`) or end, again and again, with one alert each time.
fn flip(pair: &Pair, monitor: &Monitor, began: bool) {
    let from = pair.from();
    while (from.stats().send_success_rate() < 0.8) != began {
        match began {
            true => {
                assert!(from.outgoing.send(&[0; 70_000], &SendOptions::default(), Deadline::Now).is_err())
            }
            false => {
                send(from, b"x");
                receive(pair.to());
            }
        }
    }
    eventually("it is told", || monitor.alerts(1).last().is_some_and(|alert| alert.began == began));
}

#[test]
fn alerts_are_kept_and_queued_and_those_that_nobody_fetched_in_time_are_counted() {
    let pair = Pair::open(&TransportOptions::default());
    let monitor = open(pair.from(), MonitorOptions { alerts: 3, ..every(SHORT) });
    send(pair.from(), b"x");
    for flips in 0..5 {
        flip(&pair, &monitor, flips % 2 == 0);
    }
    let began = |alerts: &[Alert]| alerts.iter().map(|alert| alert.began).collect::<Vec<_>>();
    let kept = monitor.alerts(usize::MAX);
    assert_eq!(began(&kept), [true, false, true]);
    assert!(kept.is_sorted_by_key(|alert| alert.timestamp_us));
    assert_eq!(monitor.alerts(1), kept[2..]);
    assert_eq!(monitor.alerts(0), []);
    let fetched: Vec<_> = (0..3).map(|_| monitor.next_alert(Deadline::Now).unwrap()).collect();
    assert_eq!(fetched.iter().map(|(_, missed)| *missed).collect::<Vec<_>>(), [2, 0, 0]);
    assert_eq!(fetched.into_iter().map(|(alert, _)| alert).collect::<Vec<_>>(), kept);
    assert_eq!(monitor.next_alert(Deadline::Now), Err(Error::WouldBlock));
    assert_eq!(monitor.next_alert(after(SHORT)), Err(Error::TimedOut));
    assert_eq!(monitor.alerts(usize::MAX), kept, "fetching takes nothing from what is kept");
    flip(&pair, &monitor, false);
    let (alert, missed) = monitor.next_alert(Deadline::Now).unwrap();
    assert_eq!((alert.began, missed), (false, 0));
}

#[test]
fn a_poller_is_told_of_alerts_until_they_are_fetched_and_of_the_end() {
    let pair = Pair::open(&TransportOptions::default());
    let monitor = open(pair.from(), every(SHORT));
    let poller = Poller::new().unwrap();
    let interest = Interest { ready: Ready::ALERT, one_shot: false };
    poller.add(1, Arc::clone(&monitor) as _, interest, 2).unwrap();
    let poll = |deadline| {
        let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }; 2];
        poller.wait(&mut events, deadline).map(|count| (count, events[0].ready))
    };
    assert_eq!(poll(Deadline::Now), Err(Error::WouldBlock));
    send(pair.from(), b"x");
    flip(&pair, &monitor, true);
    for _ in 0..2 {
        assert_eq!(poll(soon()), Ok((1, Ready::ALERT)));
    }
    monitor.next_alert(Deadline::Now).unwrap();
    assert_eq!(poll(Deadline::Now), Err(Error::WouldBlock));
    pair.accepted.link.close(0, "").unwrap();
    assert_eq!(poll(soon()), Ok((1, Ready::CLOSED)));
}

#[test]
fn each_alert_goes_to_one_of_those_who_wait() {
    let pair = Pair::open(&TransportOptions::default());
    let monitor = open(pair.from(), every(SHORT));
    send(pair.from(), b"x");
    let fetched: Vec<Alert> = std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let next = || monitor.next_alert(Deadline::Never);
                    std::iter::from_fn(|| next().ok()).map(|(alert, _)| alert).collect::<Vec<_>>()
                })
            })
            .collect();
        for flips in 0..6 {
            flip(&pair, &monitor, flips % 2 == 0);
        }
        monitor.close();
        waiting.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut times: Vec<_> = fetched.iter().map(|alert| alert.timestamp_us).collect();
    times.sort_unstable();
    assert_eq!(times, monitor.alerts(100).iter().map(|alert| alert.timestamp_us).collect::<Vec<_>>());
    assert_eq!(times.len(), 6);
}

#[test]
fn close_or_the_end_of_the_transport_ends_it_and_what_it_has_can_be_read() {
    for end in 0..4 {
        let pair = Pair::open(&TransportOptions::default());
        let monitor = open(pair.from(), every(SHORT));
        let never = open(pair.from(), every(Duration::from_secs(3600)));
        send(pair.from(), b"x");
        flip(&pair, &monitor, true);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| never.next_alert(Deadline::Never));
            std::thread::sleep(SHORT);
            match end {
                0 => [&monitor, &never].map(|monitor| monitor.close()).into_iter().collect(),
                1 => pair.from().close(),
                2 => pair.client.link.close(0, "").unwrap(),
                _ => pair.accepted.link.close(0, "").unwrap(),
            }
            assert_eq!(waiting.join().unwrap(), Err(Error::Closed));
        });
        eventually("it has ended", || !monitor.is_monitoring());
        let samples = monitor.samples(usize::MAX);
        assert!(!samples.is_empty());
        assert_eq!(monitor.alerts(9).len(), 1);
        assert!(monitor.next_alert(soon()).unwrap().0.began, "what was not fetched is still there");
        assert_eq!(monitor.next_alert(Deadline::Never), Err(Error::Closed));
        std::thread::sleep(3 * SHORT);
        assert_eq!(monitor.samples(usize::MAX), samples, "nothing is added");
    }
}

#[test]
fn a_monitor_that_is_dropped_lets_its_transport_go() {
    let pair = Pair::open(&TransportOptions::default());
    let before = Arc::strong_count(pair.from());
    let monitors: Vec<_> = (0..10).map(|_| open(pair.from(), every(SHORT))).collect();
    samples_pass(&monitors[9], 2);
    drop(monitors);
    // One may be at its last sample.
    eventually("all are let go", || Arc::strong_count(pair.from()) == before);
}

/// The reference's rule, exactly: whether the mean of the second half is more than a quarter above or below that of the
/// first. `None` where rounding may decide.
fn exact_trend(values: &[i64], window: usize) -> Option<Trend> {
    let (first, second) = values.split_at(values.len() / 2);
    if values.len() < window || first.is_empty() {
        return Some(Trend::Stable);
    }
    let sums = [first, second].map(|half| half.iter().sum::<i64>());
    let [first_mean, second_mean] = [sums[0] * second.len() as i64, sums[1] * first.len() as i64];
    let change = 4 * (second_mean - first_mean);
    match first_mean {
        0 if second_mean > 0 => Some(Trend::Increasing),
        mean if mean > 0 && change.abs() == mean => None,
        mean if mean > 0 && change > mean => Some(Trend::Increasing),
        mean if mean > 0 && -change > mean => Some(Trend::Decreasing),
        _ => Some(Trend::Stable),
    }
}

proptest! {
    #[test]
    fn trends_are_what_the_reference_says_of_any_series(
        values in prop::collection::vec(-3_i64..12, 0..40),
        window in 0_usize..20,
    ) {
        if let Some(expected) = exact_trend(&values, window) {
            let mut series = Series::new(usize::MAX);
            values.iter().for_each(|value| series.push(*value));
            prop_assert_eq!(series.trend(window), expected);
        }
    }
}
