//! Times, sizes and drops: each figure has the same meaning for all readers and all ways to send.

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::pair::{Pair, eventually, receive, soon};
use wtgram::broadcaster::{Broadcaster, SlowPolicy, Target};
use wtgram::datagram::channel::Channel;
use wtgram::datagram::message::Limits;
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::send::{FullPolicy, OutcomeKind};
use wtgram::datagram::stats::Stats;
use wtgram::datagram::transport::Transport;
use wtgram::error::Error;
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::runtime::wait::Deadline;
use wtgram::structured::objects::Structured;
use wtgram::structured::registry::{ObjectType, Registry};
use wtgram::structured::serializer::Json;

fn send(transport: &Transport, payload: &[u8]) {
    transport.outgoing.send(payload, &SendOptions::default(), soon()).unwrap();
}

fn over_session(transport: &Arc<Transport>, queue: usize) -> Arc<Structured> {
    let registry = Registry::new([ObjectType { id: 1, max_bytes: None }]).unwrap();
    Structured::over_session(transport, registry, Box::new(Json), queue).unwrap()
}

/// Everything that arrived. Each datagram is in exactly one of these counters.
fn arrived(stats: &Stats) -> u64 {
    assert!(stats.inbound.is_balanced());
    stats.inbound.received.datagrams + stats.outside.routed.datagrams
}

#[test]
fn the_send_time_of_a_batch_is_the_time_of_its_call_however_long_it_is() {
    let limits = Limits { datagrams: 10_000, bytes: 1 << 24 };
    let pair = Pair::open(&TransportOptions { outgoing_limits: limits, ..TransportOptions::default() });
    let payload = [7; 500];
    let started = Instant::now();
    pair.from().outgoing.send_batch(
        (0..3_000).map(|_| Ok(&payload[..])),
        &SendOptions::default(),
        soon(),
        |result| result.unwrap(),
    );
    let took = started.elapsed();
    let time = pair.from().stats().send_time;
    assert_eq!(time.total, time.max, "there was one call");
    assert!(time.total > Duration::ZERO && time.total <= took, "{time:?} in {took:?}");
}

#[test]
fn the_time_that_a_batch_waits_for_room_is_counted_once() {
    let limits = Limits { datagrams: 5, bytes: 1 << 20 };
    let pair = Pair::open(&TransportOptions {
        outgoing_limits: limits,
        outgoing_policy: FullPolicy::Wait,
        ..TransportOptions::default()
    });
    let started = Instant::now();
    for _ in 0..2 {
        let payloads = (0..300).map(|_| Ok(&b"waits"[..]));
        pair.from().outgoing.send_batch(payloads, &SendOptions::default(), soon(), |result| result.unwrap());
    }
    let (took, time) = (started.elapsed(), pair.from().stats().send_time);
    assert!(time.max < time.total && time.total <= took, "{time:?} in {took:?}");
}

#[test]
fn sizes_are_those_of_everything_received_also_of_what_a_layer_took() {
    let pair = Pair::open(&TransportOptions::default());
    let open = |transport| Layer::open(Arc::clone(transport), &LayerOptions::default()).unwrap();
    // In this order: the far end is there for the first datagram of the near one.
    let (far, near) = (open(pair.to()), open(pair.from()));
    send(pair.from(), b"small");
    assert_eq!(receive(pair.to()), b"small");
    let reported = SendOptions { report_id: Some(1), ..SendOptions::default() };
    near.send(&[1; 1000], &reported, soon()).unwrap();
    assert_eq!(far.receive(&mut [0; 2000], soon()).unwrap().size, 1000);
    near.next_outcome(soon()).unwrap();
    let stats = pair.to().stats();
    assert!(stats.outside.routed.datagrams > 0);
    assert!(stats.sizes.max() > 1000, "{:?}", stats.sizes);
    let average = stats.avg_datagram_size();
    assert!((stats.sizes.min() as f64..=stats.sizes.max() as f64).contains(&average), "{average}");
}

#[test]
fn sizes_are_also_those_of_what_a_structured_transport_took() {
    let pair = Pair::open(&TransportOptions::default());
    let far = over_session(pair.to(), 10);
    send(pair.from(), b"\x00\x01\"a long object\"");
    far.receive(&mut [0; 100], soon()).unwrap();
    eventually("it is counted", || pair.to().stats().outside.routed.datagrams == 1);
    let stats = pair.to().stats();
    assert_eq!((stats.sizes.min(), stats.sizes.max()), (17, 17));
    assert_eq!(stats.avg_datagram_size(), 17.0);
}

#[test]
fn waiting_to_receive_is_counted_whoever_reads() {
    const PAUSE: Duration = Duration::from_millis(30);
    let pair = Pair::open(&TransportOptions::default());
    let layer = Layer::open(Arc::clone(pair.to()), &LayerOptions::default()).unwrap();
    let near = Layer::open(Arc::clone(pair.from()), &LayerOptions::default()).unwrap();
    let structured = over_session(pair.to(), 10);
    let mut waited = Duration::ZERO;
    let mut waits = |who: &str, send: &(dyn Fn() + Sync), receive: &mut dyn FnMut()| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(PAUSE);
                send();
            });
            receive();
        });
        let total = pair.to().stats().receive_time.total;
        // The reader may have started to wait late, but the sender paused in any case.
        assert!(total > waited, "{who}: nothing was added to {waited:?}");
        waited = total;
    };
    waits("the transport", &|| send(pair.from(), b"plain"), &mut || drop(receive(pair.to())));
    waits("a layer", &|| near.send(b"message", &SendOptions::default(), soon()).unwrap(), &mut || {
        layer.receive(&mut [0; 100], soon()).unwrap();
    });
    waits("a structured transport", &|| send(pair.from(), b"\x00\x011"), &mut || {
        structured.receive(&mut [0; 100], soon()).unwrap();
    });
    let registry = Registry::new([ObjectType { id: 2, max_bytes: None }]).unwrap();
    let over_transport =
        Structured::over_channel(Arc::clone(pair.to()) as _, registry, Box::new(Json)).unwrap();
    waits("another one", &|| send(pair.from(), b"\x00\x022"), &mut || {
        over_transport.receive(&mut [0; 100], soon()).unwrap();
    });
    let channel: &dyn Channel = &*layer;
    waits("a channel", &|| near.send(b"message", &SendOptions::default(), soon()).unwrap(), &mut || {
        channel.receive(&mut Vec::new(), soon()).unwrap();
    });
    let stats = pair.to().stats();
    assert!(stats.receive_time.max >= stats.avg_receive_time());
}

#[test]
fn what_a_full_structured_queue_drops_is_a_drop_of_the_transport_and_not_received() {
    let pair = Pair::open(&TransportOptions::default());
    let far = over_session(pair.to(), 2);
    for number in 0..5 {
        send(pair.from(), &[0, 1, b'0' + number]);
    }
    eventually("all have arrived", || pair.to().incoming.sequence() == 5);
    let stats = pair.to().stats();
    assert_eq!(far.statistics().dropped_full, 3);
    assert_eq!(stats.outside.routed.datagrams, 2);
    assert_eq!((stats.inbound.dropped_full.datagrams, stats.inbound.dropped_full.bytes), (3, 9));
    assert_eq!((stats.receive_drops(), stats.datagrams_received()), (3, 2));
    assert_eq!(arrived(&stats), 5);
}

#[test]
fn what_a_full_layer_refuses_is_a_drop_of_the_transport() {
    let pair = Pair::open(&TransportOptions::default());
    let small = LayerOptions { inbound_messages: 1, ..LayerOptions::default() };
    let far = Layer::open(Arc::clone(pair.to()), &small).unwrap();
    let near = Layer::open(Arc::clone(pair.from()), &LayerOptions::default()).unwrap();
    for _ in 0..3 {
        near.send(b"message", &SendOptions::default(), soon()).unwrap();
    }
    eventually("one is refused", || far.stats().receiver.refused_full > 0);
    eventually("and counted", || pair.to().stats().receive_drops() > 0);
    // The datagram is tried again meanwhile.
    let before = pair.to().incoming.sequence();
    let stats = pair.to().stats();
    assert_eq!(stats.inbound.dropped_full, stats.inbound.received);
    assert!((before..=pair.to().incoming.sequence()).contains(&arrived(&stats)));
}

#[test]
fn a_broadcast_keeps_to_the_limit_of_bytes_of_an_idle_member() {
    for policy in [FullPolicy::Evict, FullPolicy::Reject, FullPolicy::Wait] {
        let pair = Pair::open(&TransportOptions {
            outgoing_limits: Limits { datagrams: 100, bytes: 50 },
            outgoing_policy: policy,
            ..TransportOptions::default()
        });
        let broadcaster = Broadcaster::new(SlowPolicy::Drop);
        broadcaster.add(1, Target::Transport(Arc::clone(pair.from()))).unwrap();
        let options = SendOptions { report_id: Some(7), ..SendOptions::default() };
        let broadcast = |size| {
            let mut result = None;
            broadcaster.broadcast(&vec![1; size], &options, |one| result = Some(one.result.clone())).unwrap();
            result.unwrap()
        };
        let outcome = || {
            let mut outcomes = Vec::new();
            pair.from().outgoing.next_outcomes(1, &mut outcomes, soon()).unwrap();
            outcomes.remove(0).kind
        };
        // It is idle once its lane has looked at its empty queue.
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(broadcast(51), Err(Error::QueueFull), "{policy:?}");
        assert_eq!(outcome(), OutcomeKind::Rejected);
        assert_eq!(pair.from().stats().outbound.rejected.bytes, 51);
        assert_eq!(broadcast(50), Ok(()));
        assert_eq!(outcome(), OutcomeKind::Handed);
        assert_eq!(pair.from().outgoing.send(&[0; 51], &options, Deadline::Now), Err(Error::QueueFull));
    }
}

#[test]
fn a_closed_side_is_not_writable_and_readable_until_it_is_empty() {
    let pair = Pair::open(&TransportOptions::default());
    send(pair.from(), b"last");
    eventually("it has arrived", || pair.to().incoming.sequence() == 1);
    assert!(!pair.to().is_closed() && pair.to().incoming.is_readable());
    pair.to().close();
    assert!(pair.to().is_closed() && pair.to().incoming.is_readable());
    assert_eq!(receive(pair.to()), b"last");
    eventually("nothing will come", || !pair.to().incoming.is_readable());
    assert!(!pair.to().snapshot().is_readable);
    assert_eq!(pair.to().incoming.receive(&mut [0; 9], Deadline::Never), Err(Error::Closed));
}
