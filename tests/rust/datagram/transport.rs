//! The transport over real sessions: what callers see of its queues, settings, outcomes and tools.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::blocked::blocked;
use support::pair::{PATIENCE, Pair, after, eventually, receive, soon};
use support::slow_link::SlowLink;
use wtgram::datagram::diagnosis::diagnose;
use wtgram::datagram::heartbeat::{HeartbeatOptions, is_heartbeat};
use wtgram::datagram::message::{Limits, Priority, checksum};
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::receive::DropPolicy;
use wtgram::datagram::send::watermark::Marks;
use wtgram::datagram::send::{FullPolicy, Outcome, OutcomeKind};
use wtgram::datagram::throughput::{self, ThroughputOptions};
use wtgram::datagram::transport::Transport;
use wtgram::error::Error;
use wtgram::runtime::readiness::{Pollable, Ready};
use wtgram::runtime::wait::Deadline;

const MEGABIT: u64 = 1_000_000;

fn send(transport: &Transport, payload: &[u8]) {
    transport.outgoing.send(payload, &SendOptions::default(), Deadline::Now).unwrap();
}

fn send_as(transport: &Transport, priority: i64, ttl: Option<Duration>, report_id: u64) -> Result<(), Error> {
    let options = SendOptions { priority: Priority::clamped(priority), ttl, report_id: Some(report_id) };
    transport.outgoing.send(&[7; 100], &options, Deadline::Now)
}

fn outcomes(transport: &Transport, count: usize) -> Vec<(u64, OutcomeKind)> {
    let mut all: Vec<Outcome> = Vec::new();
    while all.len() < count {
        transport.outgoing.next_outcomes(count - all.len(), &mut all, soon()).expect("an outcome comes");
    }
    all.iter().map(|one| (one.report_id, one.kind)).collect()
}

fn no_outcome(transport: &Transport) {
    assert_eq!(transport.outgoing.next_outcomes(1, &mut Vec::new(), Deadline::Now), Err(Error::WouldBlock));
}

fn codes(transport: &Transport) -> Vec<&'static str> {
    diagnose(&transport.snapshot()).iter().map(|finding| finding.code).collect()
}

fn limits(datagrams: usize) -> Limits {
    Limits { datagrams, bytes: 1 << 20 }
}

#[test]
fn the_defaults_are_those_of_the_reference_or_documented() {
    let pair = Pair::open(&TransportOptions::default());
    let outgoing = pair.from().outgoing.config();
    assert_eq!(outgoing.limits, Limits { datagrams: 100, bytes: 4 << 20 });
    assert_eq!((outgoing.max_age, outgoing.policy), (None, FullPolicy::Evict));
    assert_eq!((outgoing.marks.high_datagrams, outgoing.marks.low_datagrams), (100, 50));
    let incoming = pair.from().incoming.config();
    assert_eq!(incoming.limits, Limits { datagrams: 4096, bytes: 1 << 20 });
    assert_eq!((incoming.max_age, incoming.policy), (None, DropPolicy::Oldest));
    assert!(!pair.from().is_closed() && pair.from().incoming.is_readable());
    assert_eq!((pair.from().outgoing.sequence(), pair.from().incoming.sequence()), (0, 0));
    assert!(pair.from().outgoing.max_datagram_size().unwrap() >= 1100);
    assert_eq!(codes(pair.from()), [""; 0]);
    assert_eq!(HeartbeatOptions::default().interval, Duration::from_secs(30));
    let test = ThroughputOptions::default();
    assert_eq!((test.duration, test.datagram_size), (Duration::from_secs(10), 1000));
}

#[test]
fn a_received_datagram_comes_with_what_is_known_about_it() {
    let pair = Pair::open(&TransportOptions::default());
    send(pair.from(), b"one");
    receive(pair.to());
    send(pair.from(), b"abc");
    eventually("it has arrived", || pair.to().waiting().incoming.datagrams == 1);
    std::thread::sleep(Duration::from_millis(30));
    let mut buffer = [0; 100];
    let metadata = pair.to().incoming.receive(&mut buffer, Deadline::Now).unwrap();
    assert_eq!((metadata.size, metadata.sequence), (3, 1));
    assert!(metadata.age >= Duration::from_millis(30) && metadata.age < PATIENCE, "{:?}", metadata.age);
    assert_eq!(metadata.waited, Duration::ZERO);
    assert_eq!(&checksum(&buffer[..3]), b"ba7816bf");
    // On a busy machine the call may begin after the pause. Then the next round pauses longer.
    let waited = (0..10).map(|doublings| Duration::from_millis(50 << doublings)).find_map(|pause| {
        let sender = Arc::clone(pair.from());
        let later = std::thread::spawn(move || {
            std::thread::sleep(pause);
            send(&sender, b"late");
        });
        let metadata = pair.to().incoming.receive(&mut buffer, soon()).unwrap();
        later.join().unwrap();
        (metadata.waited >= pause / 2).then_some(metadata)
    });
    let metadata = waited.expect("the time in the call is counted");
    assert!(metadata.age < metadata.waited);
}

#[test]
fn json_travels_compactly_and_what_is_no_json_is_refused_at_both_ends() {
    let pair = Pair::open(&TransportOptions::default());
    let default = SendOptions::default();
    pair.from().outgoing.send_json(b" { \"a\" : [ 1, 2.50 ] } ", &default, soon()).unwrap();
    assert_eq!(receive(pair.to()), b"{\"a\":[1,2.50]}");
    for bad in [&b"NaN"[..], b"\"\\ud800\"", b"\xff", &[b'['; 100_000]] {
        assert!(matches!(
            pair.from().outgoing.send_json(bad, &default, soon()),
            Err(Error::Serialization(_))
        ));
        let fits = &bad[..bad.len().min(1000)];
        send(pair.from(), fits);
        assert!(
            matches!(pair.to().incoming.receive_json(1000, soon()), Err(Error::Serialization(_))),
            "{fits:?}"
        );
    }
    assert_eq!(pair.from().stats().outbound.handed_in.datagrams, 5);
    send(pair.from(), b"[ 1 ]");
    assert_eq!(pair.to().incoming.receive_json(2, soon()), Err(Error::BufferTooSmall { needed: 3 }));
    assert_eq!(pair.to().incoming.receive_json(3, Deadline::Now).as_deref(), Ok("[1]"));
    let long = format!("\"{}\"", "x".repeat(5000));
    assert!(matches!(
        pair.from().outgoing.send_json(long.as_bytes(), &default, soon()),
        Err(Error::TooLarge { .. })
    ));
    assert_eq!(pair.to().incoming.receive_json(3, after(Duration::from_millis(20))), Err(Error::TimedOut));
}

#[test]
fn what_has_been_sent_is_reported_once_as_handed() {
    let pair = Pair::open(&TransportOptions::default());
    for id in 1..=20 {
        send_as(pair.from(), 0, None, id).unwrap();
    }
    let handed: Vec<_> = (1..=20).map(|id| (id, OutcomeKind::Handed)).collect();
    assert_eq!(outcomes(pair.from(), 20), handed);
    no_outcome(pair.from());
    send(pair.from(), b"nobody asked");
    receive(pair.to());
    no_outcome(pair.from());
}

#[test]
fn every_kind_of_outcome_is_reported_when_it_happens() {
    let (pair, _link) =
        blocked(&TransportOptions { outgoing_limits: limits(3), ..TransportOptions::default() });
    let from = pair.from();
    send_as(from, 0, None, 1).unwrap();
    send_as(from, 1, None, 2).unwrap();
    send_as(from, 2, None, 3).unwrap();
    no_outcome(from);
    send_as(from, 2, None, 4).unwrap();
    assert_eq!(outcomes(from, 1), [(1, OutcomeKind::Evicted)]);
    send_as(from, 2, None, 5).unwrap();
    assert_eq!(outcomes(from, 1), [(2, OutcomeKind::Evicted)]);
    assert_eq!(send_as(from, 1, None, 6), Err(Error::QueueFull));
    assert_eq!(outcomes(from, 1), [(6, OutcomeKind::Rejected)]);
    let options = SendOptions { report_id: Some(7), ..SendOptions::default() };
    assert!(matches!(from.outgoing.send(&[0; 9000], &options, soon()), Err(Error::TooLarge { .. })));
    assert_eq!(outcomes(from, 1), [(7, OutcomeKind::TooLarge)]);
    assert_eq!(from.outgoing.clear(), 3);
    assert_eq!(
        outcomes(from, 3),
        [(3, OutcomeKind::Cleared), (4, OutcomeKind::Cleared), (5, OutcomeKind::Cleared)]
    );
    send_as(from, 0, None, 8).unwrap();
    from.close();
    assert_eq!(outcomes(from, 1), [(8, OutcomeKind::Closed)]);
    assert_eq!(from.outgoing.next_outcomes(1, &mut Vec::new(), soon()), Err(Error::Closed));
    assert_eq!(send_as(from, 0, None, 9), Err(Error::Closed));
}

#[test]
fn a_datagram_that_expires_behind_a_blocked_path_is_reported_in_time() {
    let (pair, _link) = blocked(&TransportOptions::default());
    let from = pair.from();
    send_as(from, 0, None, 1).unwrap();
    send_as(from, 2, Some(Duration::from_secs(3600)), 2).unwrap();
    // An earlier deadline that is set later must not wait for the one that the lane already knows.
    for (id, ttl) in [(3, Duration::from_millis(60)), (4, Duration::from_millis(300))] {
        let start = Instant::now();
        send_as(from, 0, Some(ttl), id).unwrap();
        assert_eq!(outcomes(from, 1), [(id, OutcomeKind::Expired)]);
        assert!(start.elapsed() >= ttl, "{:?}", start.elapsed());
    }
    no_outcome(from);
    from.outgoing.set_max_age(Some(Duration::from_millis(1)));
    let mut rest = outcomes(from, 2);
    rest.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(rest, [(1, OutcomeKind::Expired), (2, OutcomeKind::Expired)]);
    assert!(codes(from).contains(&"outgoing_expired"));
}

#[test]
fn a_poller_hears_of_an_expiry_that_nobody_asked_about() {
    /// What it hears from then on counts.
    struct Told(Instant, AtomicBool);
    impl wtgram::runtime::readiness::Watcher for Told {
        fn changed(&self) {
            self.1.fetch_or(Instant::now() >= self.0, Ordering::SeqCst);
        }
    }
    let (pair, _link) = blocked(&TransportOptions::default());
    let ttl = Duration::from_millis(50);
    let told = Arc::new(Told(Instant::now() + ttl, AtomicBool::new(false)));
    pair.from().watchers().add(Arc::clone(&told) as _);
    send_as(pair.from(), 0, Some(ttl), 1).unwrap();
    eventually("the watcher is told", || told.1.load(Ordering::SeqCst));
    assert_eq!(pair.from().ready() & Ready::OUTCOME, Ready::OUTCOME);
}

#[test]
fn writable_means_that_a_datagram_of_any_size_finds_room() {
    let bytes = 2000;
    let outgoing_limits = Limits { datagrams: 100, bytes };
    let (pair, _link) = blocked(&TransportOptions { outgoing_limits, ..TransportOptions::default() });
    let from = pair.from();
    let largest = from.outgoing.max_datagram_size().unwrap();
    let writable = || from.ready() & Ready::WRITABLE == Ready::WRITABLE;
    assert!(writable());
    from.outgoing.send(&vec![0; bytes - largest], &SendOptions::default(), soon()).unwrap();
    assert!(writable());
    from.outgoing.send(b"x", &SendOptions::default(), soon()).unwrap();
    assert!(!writable(), "there is no room for {largest} bytes");
    // A queue that cannot hold the largest is writable when it is empty.
    from.outgoing.clear();
    from.outgoing.set_limits(Limits { datagrams: 100, bytes: 10 });
    assert!(writable());
    from.outgoing.send(b"x", &SendOptions::default(), soon()).unwrap();
    assert!(!writable());
}

#[test]
fn places_for_outcomes_are_bounded_and_nothing_is_sent_unreported() {
    let pair = Pair::open(&TransportOptions { outcome_capacity: 3, ..TransportOptions::default() });
    for id in 1..=3 {
        send_as(pair.from(), 0, None, id).unwrap();
    }
    assert!(matches!(send_as(pair.from(), 0, None, 4), Err(Error::LimitReached(_))));
    assert_eq!(outcomes(pair.from(), 3).len(), 3);
    send_as(pair.from(), 0, None, 4).unwrap();
    assert_eq!(outcomes(pair.from(), 1), [(4, OutcomeKind::Handed)]);
    assert_eq!(pair.from().stats().outbound.handed_in.datagrams, 4);
}

#[test]
fn a_sender_that_waits_for_room_gets_it_or_gives_up_counted_once() {
    let policy = FullPolicy::Wait;
    let options = TransportOptions {
        outgoing_limits: limits(2),
        outgoing_policy: policy,
        ..TransportOptions::default()
    };
    let (pair, _link) = blocked(&options);
    let from = pair.from();
    send_as(from, 0, None, 1).unwrap();
    send_as(from, 0, None, 2).unwrap();
    let before = from.stats().outbound;
    assert_eq!(send_as(from, 0, None, 3), Err(Error::WouldBlock));
    assert_eq!(from.stats().outbound, before, "it was not taken, so it counts nowhere");
    no_outcome(from);
    let waiting = SendOptions { report_id: Some(4), ..SendOptions::default() };
    assert_eq!(from.outgoing.send(b"x", &waiting, after(Duration::from_millis(30))), Err(Error::TimedOut));
    assert_eq!(outcomes(from, 1), [(4, OutcomeKind::Rejected)]);
    let short = SendOptions { ttl: Some(Duration::from_millis(30)), report_id: Some(5), ..waiting };
    assert_eq!(from.outgoing.send(b"x", &short, Deadline::Never), Err(Error::TimedOut));
    assert_eq!(outcomes(from, 1), [(5, OutcomeKind::Expired)]);
    let sender = Arc::clone(from);
    let waiter = std::thread::spawn(move || sender.outgoing.send(b"room", &SendOptions::default(), soon()));
    std::thread::sleep(Duration::from_millis(30));
    from.outgoing.clear();
    assert_eq!(waiter.join().unwrap(), Ok(()));
    send_as(from, 0, None, 6).unwrap();
    let sender = Arc::clone(from);
    let waiter = std::thread::spawn(move || {
        sender.outgoing.send(b"under the new policy", &SendOptions::default(), soon())
    });
    std::thread::sleep(Duration::from_millis(30));
    from.outgoing.set_policy(FullPolicy::Reject);
    assert_eq!(waiter.join().unwrap(), Err(Error::QueueFull));
}

#[test]
fn outgoing_settings_take_effect_on_what_is_queued() {
    let (pair, _link) = blocked(&TransportOptions::default());
    let from = pair.from();
    for id in 1..=10 {
        send_as(from, i64::from(id > 5), None, id).unwrap();
    }
    let waiting = from.waiting().outgoing;
    assert_eq!((waiting[0].datagrams, waiting[1].datagrams, waiting[1].bytes), (5, 5, 500));
    from.outgoing.set_limits(limits(7));
    assert_eq!(outcomes(from, 3), [1, 2, 3].map(|id| (id, OutcomeKind::Evicted)));
    assert_eq!(from.outgoing.config().marks.high_datagrams, 7, "the mark follows its limit");
    assert!(codes(from).contains(&"evictions"));
    assert!(codes(from).contains(&"outgoing_queue_nearly_full"));
    from.outgoing.set_policy(FullPolicy::Reject);
    from.outgoing.set_limits(limits(2));
    assert_eq!(from.waiting().total_outgoing().datagrams, 7, "what was accepted stays");
    assert_eq!(send_as(from, 2, None, 11), Err(Error::QueueFull));
    assert_eq!(from.ready() & (Ready::LOW_WATER | Ready::WRITABLE), Ready::NONE);
    from.outgoing.set_marks(Marks { high_datagrams: 20, low_datagrams: 10, ..Marks::of_datagrams(20) });
    assert_eq!(from.ready() & Ready::LOW_WATER, Ready::LOW_WATER);
    from.outgoing.set_max_age(Some(Duration::from_nanos(1)));
    assert_eq!(from.waiting().total_outgoing().datagrams, 0);
    assert_eq!(from.ready() & Ready::WRITABLE, Ready::WRITABLE);
    assert!(from.stats().outbound.is_balanced());
}

#[test]
fn incoming_settings_take_effect_on_what_is_queued() {
    let pair = Pair::open(&TransportOptions::default());
    let to = pair.to();
    let bring = |count: u64| {
        let before = to.incoming.sequence();
        (0..count).for_each(|number| send(pair.from(), &[number as u8]));
        eventually("they have arrived", || to.incoming.sequence() == before + count);
    };
    bring(10);
    assert_eq!(to.waiting().incoming.datagrams, 10);
    to.incoming.set_limits(limits(4));
    assert_eq!(to.waiting().incoming.datagrams, 4);
    assert_eq!(receive(to), [6]);
    assert!(codes(to).contains(&"inbound_drops"));
    to.incoming.set_policy(DropPolicy::Newest);
    bring(3);
    assert_eq!((0..4).map(|_| receive(to)[0]).collect::<Vec<_>>(), [7, 8, 9, 0]);
    bring(4);
    to.incoming.set_limits(limits(2));
    assert_eq!(to.waiting().incoming.datagrams, 4, "what was taken stays");
    assert_eq!(to.incoming.clear(), 4);
    to.incoming.set_limits(limits(100));
    bring(3);
    to.incoming.set_max_age(Some(Duration::from_nanos(1)));
    assert_eq!(to.waiting().incoming.datagrams, 0);
    assert_eq!(to.ready() & Ready::READABLE, Ready::NONE);
    let inbound = to.stats().inbound;
    assert!(inbound.is_balanced());
    assert_eq!(
        (inbound.dropped_full.datagrams, inbound.cleared.datagrams, inbound.expired.datagrams),
        (8, 4, 3)
    );
}

#[test]
fn a_datagram_of_priority_2_overtakes_everything_of_lower_priority_that_quic_does_not_have() {
    let options = TransportOptions { outgoing_limits: limits(500), ..TransportOptions::default() };
    let (pair, link) = blocked(&options);
    let from = pair.from();
    for id in 1..=200 {
        send_as(from, i64::from(id % 2 == 0), None, id).unwrap();
    }
    send_as(from, 2, None, 1000).unwrap();
    send_as(from, 2, None, 1001).unwrap();
    link.set_bits_per_second(MEGABIT);
    link.resume();
    let order: Vec<u64> = outcomes(from, 202).iter().map(|(id, _)| *id).collect();
    assert_eq!(order[..2], [1000, 1001]);
    let even: Vec<u64> = (1..=100).map(|half| 2 * half).collect();
    let odd: Vec<u64> = even.iter().map(|id| id - 1).collect();
    assert_eq!(order[2..102], even, "then priority 1, in its order");
    assert_eq!(order[102..], odd, "then priority 0, in its order");
}

#[test]
fn on_a_saturated_megabit_an_urgent_datagram_waits_for_what_quic_has_and_nothing_else() {
    let options = TransportOptions { outgoing_limits: limits(1000), ..TransportOptions::default() };
    let mut link = None;
    let pair = Pair::open_through(&options, |server| link.insert(SlowLink::to(server, MEGABIT)).address());
    let (from, to) = (pair.from(), pair.to());
    // 1000 datagrams of 1000 bytes are eight seconds of this link.
    let fill = || {
        while from.waiting().outgoing[0].datagrams < 1000 {
            send(from, &[0; 1000]);
        }
    };
    fill();
    std::thread::sleep(Duration::from_secs(1));
    fill();
    let urgent = SendOptions { priority: Priority::HIGHEST, ..SendOptions::default() };
    from.outgoing.send(b"urgent", &urgent, soon()).unwrap();
    let handed_over = from.stats().outbound.sent.datagrams;
    let waiting = from.waiting().outgoing[0].datagrams;
    assert!(waiting > 300, "the link is not saturated: {waiting} wait");
    let mut before = 0;
    while to.incoming.receive(&mut [0; 2000], soon()).expect("it arrives").size != 6 {
        before += 1;
    }
    println!("{before} came before the urgent one, {waiting} waited for longer");
    assert!(before <= handed_over, "{before} came before the urgent one, QUIC had {handed_over}");
}

#[test]
fn nothing_is_handed_to_quic_past_its_ttl() {
    let (pair, link) = blocked(&TransportOptions::default());
    let from = pair.from();
    let sent = from.stats().outbound.sent.datagrams;
    for id in 1..=50 {
        send_as(from, (id % 3) as i64, Some(Duration::from_millis(20)), id).unwrap();
    }
    send_as(from, 0, None, 51).unwrap();
    std::thread::sleep(Duration::from_millis(40));
    link.resume();
    let mut all = outcomes(from, 51);
    all.sort_unstable_by_key(|(id, _)| *id);
    assert!(all[..50].iter().all(|(_, kind)| *kind == OutcomeKind::Expired), "{all:?}");
    assert_eq!(all[50], (51, OutcomeKind::Handed));
    assert_eq!(from.stats().outbound.sent.datagrams, sent + 1);
}

#[test]
fn heartbeats_are_sent_at_once_and_in_every_interval_until_they_are_stopped() {
    let pair = Pair::open(&TransportOptions::default());
    let (interval, hour) = (Duration::from_millis(40), Duration::from_secs(3600));
    let beat = |interval| {
        let sent = pair.from().stats().datagrams_sent();
        pair.from().start_heartbeat(HeartbeatOptions { interval, ..HeartbeatOptions::default() }).unwrap();
        eventually("the first is sent at once", || pair.from().stats().datagrams_sent() > sent);
    };
    beat(hour);
    assert!(is_heartbeat(&receive(pair.to())));
    let start = Instant::now();
    beat(interval);
    for _ in 0..5 {
        assert!(is_heartbeat(&receive(pair.to())));
    }
    assert!(start.elapsed() > interval * 3, "{:?}", start.elapsed());
    // Starting again changes the options and adds no second series of heartbeats.
    beat(hour);
    let sent = pair.from().stats().datagrams_sent();
    std::thread::sleep(interval * 4);
    assert!(pair.from().stats().datagrams_sent() <= sent + 1, "one may have been on its way");
    assert!(pair.from().stop_heartbeat());
    assert!(!pair.from().stop_heartbeat());
    pair.from().close();
    assert_eq!(pair.from().start_heartbeat(HeartbeatOptions::default()), Err(Error::Closed));
    let hasty = HeartbeatOptions { interval: Duration::ZERO, ..HeartbeatOptions::default() };
    assert!(matches!(pair.to().start_heartbeat(hasty), Err(Error::InvalidArgument(_))));
}

#[test]
fn a_peer_that_says_nothing_for_some_intervals_is_reported_until_it_speaks() {
    let pair = Pair::open(&TransportOptions::default());
    let from = pair.from();
    let start = Instant::now();
    from.start_heartbeat(HeartbeatOptions { interval: Duration::from_millis(50), silent_after: 3 }).unwrap();
    eventually("the peer is silent", || from.is_peer_silent());
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert!(codes(from).contains(&"silent_peer"));
    assert_eq!(from.ready() & Ready::PEER_SILENT, Ready::PEER_SILENT);
    eventually("the peer has spoken", || {
        send(pair.to(), b"here");
        !from.is_peer_silent() && !codes(from).contains(&"silent_peer")
    });
    eventually("and is silent again", || from.is_peer_silent());
    from.stop_heartbeat();
    assert!(!from.is_peer_silent());
}

#[test]
fn a_diagnosis_names_closed_transports_and_sessions() {
    let pair = Pair::open(&TransportOptions::default());
    pair.from().close();
    assert_eq!(codes(pair.from()), ["transport_closed"]);
    pair.client.link.close(0, "").unwrap();
    assert_eq!(codes(pair.from()), ["transport_closed", "session_closed"]);
}

#[test]
fn the_debug_state_has_the_groups_of_the_reference() {
    let pair = Pair::open(&TransportOptions::default());
    send(pair.from(), b"abc");
    receive(pair.to());
    let text = wtgram::datagram::debug_state::to_json(&pair.to().snapshot());
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    for group in ["transport", "statistics", "queues", "configuration", "sequences", "session"] {
        assert!(state[group].is_object(), "{group}: {text}");
    }
    assert_eq!(state["statistics"]["datagrams_received"], 1);
    assert_eq!(state["statistics"]["bytes_received"], 3);
    assert_eq!(state["sequences"]["receive_sequence"], 1);
    assert_eq!(state["configuration"]["outgoing_high_water_mark"], 100);
    assert_eq!(state["queues"]["outgoing"]["max_size"], 100);
    assert!(text.len() < 8192, "{}", text.len());
}

#[test]
fn a_throughput_test_reports_what_quic_took_and_can_be_cancelled() {
    let pair = Pair::open(&TransportOptions::default());
    let options = ThroughputOptions {
        duration: Duration::from_millis(400),
        progress_interval: Duration::from_millis(100),
        ..ThroughputOptions::default()
    };
    let looks = Cell::new(0);
    let look = |_: &_| looks.set(looks.get() + 1);
    let report = throughput::run(pair.from(), &options, look, || false).unwrap();
    assert!(report.datagrams_sent > 0 && !report.cancelled, "{report:?}");
    assert_eq!(report.bytes_sent, 1000 * report.datagrams_sent);
    assert_eq!(report.errors, 0);
    assert!(report.duration >= Duration::from_millis(400), "{report:?}");
    let long = ThroughputOptions { duration: Duration::from_secs(3600), ..options };
    looks.set(0);
    let report = throughput::run(pair.from(), &long, look, || looks.get() == 3).unwrap();
    assert!(report.cancelled && report.duration >= Duration::from_millis(300), "{report:?}");
    let huge = ThroughputOptions { datagram_size: 9000, ..options };
    assert!(matches!(throughput::run(pair.from(), &huge, |_| {}, || false), Err(Error::TooLarge { .. })));
    pair.from().close();
    assert_eq!(throughput::run(pair.from(), &options, |_| {}, || false), Err(Error::Closed));
}

#[test]
fn statistics_have_the_figures_of_both_queues_and_times_and_sizes() {
    let pair = Pair::open(&TransportOptions::default());
    for payload in [&b""[..], b"four", &[1; 500]] {
        send(pair.from(), payload);
        assert_eq!(receive(pair.to()), payload);
    }
    let (sent, received) = (pair.from().stats(), pair.to().stats());
    assert_eq!((sent.datagrams_sent(), sent.bytes_sent()), (3, 504));
    assert_eq!((received.datagrams_received(), received.bytes_received()), (3, 504));
    assert_eq!((received.sizes.min(), received.sizes.max()), (0, 500));
    assert_eq!(received.avg_datagram_size(), 168.0);
    assert_eq!((sent.send_success_rate(), received.receive_success_rate()), (1.0, 1.0));
    assert!(sent.send_time.max > Duration::ZERO && sent.send_time.total >= sent.send_time.max);
    assert!(received.receive_time.total >= received.receive_time.max);
    let seen = pair.from().snapshot();
    assert!(seen.session.rtt > Duration::ZERO && seen.session.congestion_window_bytes > 0);
    assert!(seen.session.packets_sent > 0);
}
