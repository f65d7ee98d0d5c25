//! Broadcasters over real sessions: what the members' peers receive, and what the program learns
//! about each member.

use std::sync::Arc;
use std::time::Duration;

use support::blocked::blocked;
use support::pair::{PATIENCE, Pair, eventually, receive, soon};
use support::raw_peer::{OLD_SETTINGS, Raw};
use wtgram::broadcaster::{Broadcaster, MemberResult, SlowPolicy, Statistics, Target};
use wtgram::datagram::message::{Limits, Priority};
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::send::{FullPolicy, Outcome, OutcomeKind};
use wtgram::datagram::transport::Transport;
use wtgram::error::{Error, Result};
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::runtime::wait::Deadline;

fn target(transport: &Arc<Transport>) -> Target {
    Target::Transport(Arc::clone(transport))
}

fn pairs<const COUNT: usize>() -> [Pair; COUNT] {
    std::array::from_fn(|_| Pair::open(&TransportOptions::default()))
}

/// A broadcaster whose members are the clients of `pairs`, numbered by position.
fn broadcaster_of(policy: SlowPolicy, pairs: &[&Pair]) -> Broadcaster {
    let broadcaster = Broadcaster::new(policy);
    for (number, pair) in pairs.iter().enumerate() {
        broadcaster.add(number as u64, target(pair.from())).unwrap();
    }
    broadcaster
}

/// How many members accepted the broadcast, and the result of each in the order of their numbers.
fn broadcast_as(
    broadcaster: &Broadcaster,
    payload: &[u8],
    options: &SendOptions,
) -> (usize, Vec<MemberResult>) {
    let mut results: Vec<MemberResult> = Vec::new();
    let accepted = broadcaster.broadcast(payload, options, |result| results.push(result.clone())).unwrap();
    results.sort_by_key(|result| result.member);
    assert_eq!(accepted, results.iter().filter(|result| result.result.is_ok()).count());
    (accepted, results)
}

fn broadcast(broadcaster: &Broadcaster, payload: &[u8]) -> Vec<MemberResult> {
    broadcast_as(broadcaster, payload, &SendOptions::default()).1
}

fn said(results: &[MemberResult]) -> Vec<(u64, Result<()>, bool)> {
    results.iter().map(|result| (result.member, result.result.clone(), result.removed)).collect()
}

fn outgoing(datagrams: usize, policy: FullPolicy) -> TransportOptions {
    TransportOptions {
        outgoing_limits: Limits { datagrams, bytes: 1 << 20 },
        outgoing_policy: policy,
        ..TransportOptions::default()
    }
}

#[test]
fn every_member_gets_a_broadcast_once_also_one_that_was_added_twice() {
    let pairs = pairs::<3>();
    let broadcaster = Broadcaster::new(SlowPolicy::Drop);
    assert_eq!(broadcast(&broadcaster, b"to nobody"), []);
    for _ in 0..2 {
        for (number, pair) in pairs.iter().enumerate() {
            broadcaster.add(number as u64, target(pair.from())).unwrap();
        }
    }
    assert_eq!(broadcaster.count(), 3);
    for payload in [&b"one"[..], b"", b"three"] {
        let (accepted, results) = broadcast_as(&broadcaster, payload, &SendOptions::default());
        assert_eq!(accepted, 3);
        assert_eq!(said(&results), [(0, Ok(()), false), (1, Ok(()), false), (2, Ok(()), false)]);
    }
    for pair in &pairs {
        assert_eq!(
            [receive(pair.to()), receive(pair.to()), receive(pair.to())],
            [&b"one"[..], b"", b"three"]
        );
        assert_eq!(pair.from().stats().outbound.handed_in.datagrams, 3);
    }
    let expected = Statistics { broadcasts: 4, accepted: 9, ..Statistics::default() };
    assert_eq!(broadcaster.statistics(), expected);
}

#[test]
fn where_nothing_waits_and_the_lane_is_free_a_broadcast_is_with_quic_when_it_returns_and_keeps_its_outcome() {
    let pair = Pair::open(&TransportOptions::default());
    let broadcaster = broadcaster_of(SlowPolicy::Drop, &[&pair]);
    for number in 0..20 {
        // When the peer has a datagram, all earlier ones have left QUIC, and the lane is between
        // two turns.
        let paused = pair.from().session().lane().pause();
        let options = SendOptions { report_id: Some(number), ..SendOptions::default() };
        assert_eq!(broadcast_as(&broadcaster, &number.to_be_bytes(), &options).0, 1);
        let outbound = pair.from().stats().outbound;
        assert_eq!(outbound.handed_in.datagrams, number + 1);
        assert_eq!(outbound.sent.datagrams, number + 1);
        drop(paused);
        assert_eq!(receive(pair.to()), number.to_be_bytes());
        let mut outcome = Vec::new();
        pair.from().outgoing.next_outcomes(9, &mut outcome, soon()).unwrap();
        assert_eq!(outcome, [Outcome { report_id: number, kind: OutcomeKind::Handed }]);
    }
}

#[test]
fn a_removed_member_gets_nothing_more_lives_on_and_can_be_added_again() {
    let pairs = pairs::<2>();
    let broadcaster = broadcaster_of(SlowPolicy::Drop, &pairs.each_ref());
    assert!(broadcaster.remove(0));
    assert!(!broadcaster.remove(0));
    assert!(!broadcaster.remove(99));
    assert_eq!(broadcaster.count(), 1);
    assert_eq!(said(&broadcast(&broadcaster, b"without it")), [(1, Ok(()), false)]);
    assert!(!pairs[0].from().is_closed());
    broadcaster.add(0, target(pairs[0].from())).unwrap();
    broadcast(&broadcaster, b"with it");
    assert_eq!(receive(pairs[0].to()), b"with it");
    assert_eq!(receive(pairs[1].to()), b"without it");
}

#[test]
fn a_member_that_is_closed_by_whomever_is_reported_once_and_is_no_member_any_more() {
    let pairs = pairs::<4>();
    let broadcaster = broadcaster_of(SlowPolicy::Drop, &pairs.each_ref());
    pairs[0].client.link.close(7, "ours").unwrap();
    pairs[1].accepted.link.close(8, "theirs").unwrap();
    pairs[2].from().close();
    eventually("all three are closed", || broadcaster.count() == 1);
    let (accepted, results) = broadcast_as(&broadcaster, b"news", &SendOptions::default());
    assert_eq!(accepted, 1);
    let closed = |member| (member, Err(Error::Closed), true);
    assert_eq!(said(&results), [closed(0), closed(1), closed(2), (3, Ok(()), false)]);
    assert_eq!(said(&broadcast(&broadcaster, b"more")), [(3, Ok(()), false)]);
    assert_eq!(receive(pairs[3].to()), b"news");
    assert_eq!(receive(pairs[3].to()), b"more");
    for pair in &pairs[..3] {
        assert_eq!(broadcaster.add(9, target(pair.from())), Err(Error::Closed));
    }
    let statistics = broadcaster.statistics();
    assert_eq!((statistics.accepted, statistics.closed, statistics.failed), (2, 3, 0));
}

#[test]
fn a_payload_that_is_too_large_for_one_member_reaches_all_others() {
    let wide = Pair::open(&TransportOptions::default());
    // A peer that takes datagram frames of at most 100 bytes.
    let narrow = Raw::client_with(wide.server.link.local_address(), |transport| {
        transport.datagram_receive_buffer_size(Some(100));
    })
    .ask("webtransport", OLD_SETTINGS);
    let accepted = wide.server.accept(soon()).unwrap();
    let limit = accepted.datagrams.outgoing.max_datagram_size().unwrap();
    assert!(limit < 100);
    let broadcaster = broadcaster_of(SlowPolicy::RemoveAfter(1), &[&wide]);
    broadcaster.add(1, target(&accepted.datagrams)).unwrap();
    for _ in 0..3 {
        let results = broadcast(&broadcaster, &[7; 300]);
        // Never removed because of this: its size says nothing about its speed.
        let too_large = Err(Error::TooLarge { size: 300, limit });
        assert_eq!(said(&results), [(0, Ok(()), false), (1, too_large, false)]);
        assert_eq!(receive(wide.to()), [7; 300]);
    }
    assert_eq!(accepted.datagrams.stats().outbound.too_large.datagrams, 3);
    let results = broadcast(&broadcaster, &[7; 70_000]);
    assert!(results.iter().all(|one| matches!(one.result, Err(Error::TooLarge { size: 70_000, .. }))));
    assert_eq!(broadcast_as(&broadcaster, b"fits", &SendOptions::default()).0, 2);
    assert_eq!(narrow.raw.read_datagram(), b"\0fits");
    assert_eq!(receive(wide.to()), b"fits");
    let statistics = broadcaster.statistics();
    assert_eq!((statistics.too_large, statistics.accepted, statistics.removed_slow), (5, 5, 0));
}

#[test]
fn a_closed_member_is_closed_to_a_payload_that_is_too_large_as_well() {
    let pairs = pairs::<2>();
    let broadcaster = broadcaster_of(SlowPolicy::Drop, &pairs.each_ref());
    pairs[0].from().close();
    let results = broadcast(&broadcaster, &[7; 70_000]);
    assert_eq!((results[0].result.clone(), results[0].removed), (Err(Error::Closed), true));
    assert!(matches!(results[1].result, Err(Error::TooLarge { size: 70_000, .. })) && !results[1].removed);
    assert_eq!(pairs[0].from().stats().outbound.too_large.datagrams, 0);
}

#[test]
fn who_waits_for_outcomes_hears_of_a_payload_that_was_too_large() {
    let pair = Pair::open(&TransportOptions::default());
    let broadcaster = broadcaster_of(SlowPolicy::Drop, &[&pair]);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut outcomes: Vec<Outcome> = Vec::new();
            let fetched = pair.from().outgoing.next_outcomes(1, &mut outcomes, Deadline::Never);
            tell.send(fetched.map(|_| outcomes[0])).unwrap();
        });
        // It probably waits by now. It is notified in any case.
        std::thread::sleep(Duration::from_millis(50));
        let options = SendOptions { report_id: Some(7), ..SendOptions::default() };
        broadcast_as(&broadcaster, &[7; 70_000], &options);
        let outcome = told.recv_timeout(PATIENCE);
        pair.from().close();
        let outcome = outcome.expect("who waits is woken").unwrap();
        assert_eq!((outcome.report_id, outcome.kind), (7, OutcomeKind::TooLarge));
    });
}

#[test]
fn a_full_queue_at_one_member_keeps_nothing_from_the_others_and_is_waited_for_by_nobody() {
    // Its policy is to wait for space, which a broadcast never does.
    let (stalled, _link) = blocked(&outgoing(2, FullPolicy::Wait));
    let before = stalled.from().stats().outbound.rejected.datagrams;
    let healthy = Pair::open(&outgoing(2, FullPolicy::Wait));
    let broadcaster = broadcaster_of(SlowPolicy::Drop, &[&stalled, &healthy]);
    for round in 0..20_u8 {
        let results = broadcast(&broadcaster, &[round]);
        let stalled = if round < 2 { Ok(()) } else { Err(Error::QueueFull) };
        assert_eq!(said(&results), [(0, stalled, false), (1, Ok(()), false)]);
        assert_eq!(receive(healthy.to()), [round]);
    }
    assert_eq!(stalled.from().stats().outbound.rejected.datagrams, before + 18);
    assert_eq!(stalled.from().waiting().total_outgoing().datagrams, 2);
    let expected = Statistics { broadcasts: 20, accepted: 22, dropped: 18, ..Statistics::default() };
    assert_eq!(broadcaster.statistics(), expected);
}

#[test]
fn what_is_evicted_for_a_broadcast_is_reported_with_it() {
    let (stalled, _link) = blocked(&outgoing(3, FullPolicy::Evict));
    let before = stalled.from().stats().outbound.evicted.datagrams;
    let broadcaster = broadcaster_of(SlowPolicy::Drop, &[&stalled]);
    let evicted: Vec<_> = (0..5).map(|_| broadcast(&broadcaster, b"news")[0].evicted).collect();
    assert_eq!(evicted, [0, 0, 0, 1, 1]);
    assert_eq!(stalled.from().stats().outbound.evicted.datagrams, before + 2);
}

#[test]
fn a_member_is_removed_after_so_many_drops_in_a_row_and_one_accepted_broadcast_forgives() {
    let (stalled, _link) = blocked(&outgoing(2, FullPolicy::Reject));
    let healthy = Pair::open(&outgoing(2, FullPolicy::Reject));
    let broadcaster = broadcaster_of(SlowPolicy::RemoveAfter(3), &[&stalled, &healthy]);
    let round = || {
        let results = broadcast(&broadcaster, b"news");
        assert_eq!(receive(healthy.to()), b"news");
        results.iter().find(|result| result.member == 0).map(|result| (result.result.clone(), result.removed))
    };
    let (taken, full) = (Some((Ok(()), false)), Some((Err(Error::QueueFull), false)));
    for expected in [&taken, &taken, &full, &full] {
        assert_eq!(round(), *expected);
    }
    stalled.from().outgoing.clear();
    for expected in [&taken, &taken, &full, &full] {
        assert_eq!(round(), *expected, "it was forgiven");
    }
    assert_eq!(round(), Some((Err(Error::QueueFull), true)));
    assert_eq!(round(), None);
    assert_eq!(broadcaster.count(), 1);
    assert_eq!(broadcaster.statistics().removed_slow, 1);
    // Removed only from the broadcaster: the session goes on, and can be added again.
    assert!(!stalled.from().is_closed());
    broadcaster.add(0, target(stalled.from())).unwrap();
    for expected in [&full, &full] {
        assert_eq!(round(), *expected);
    }
    assert_eq!(round(), Some((Err(Error::QueueFull), true)));
}

#[test]
fn evictions_count_as_drops_although_the_newcomer_is_accepted() {
    let (stalled, _link) = blocked(&outgoing(1, FullPolicy::Evict));
    let broadcaster = broadcaster_of(SlowPolicy::RemoveAfter(2), &[&stalled]);
    let removed: Vec<_> = (0..3)
        .map(|_| {
            let results = broadcast(&broadcaster, b"news");
            assert_eq!(results[0].result, Ok(()));
            results[0].removed
        })
        .collect();
    assert_eq!(removed, [false, false, true]);
    assert_eq!(broadcaster.count(), 0);
}

#[test]
fn a_slow_member_is_removed_once_however_many_broadcasts_find_it_slow() {
    let stalled = [(); 2].map(|()| blocked(&outgoing(1, FullPolicy::Reject)));
    let broadcaster = broadcaster_of(SlowPolicy::RemoveAfter(1), &[&stalled[0].0, &stalled[1].0]);
    assert_eq!(broadcast_as(&broadcaster, b"fills", &SendOptions::default()).0, 2);
    // The inner broadcast runs in the middle of the outer one, as a broadcast of another thread
    // could.
    let mut inner = Vec::new();
    broadcaster
        .broadcast(b"outer", &SendOptions::default(), |_| inner.extend(broadcast(&broadcaster, b"inner")))
        .unwrap();
    assert_eq!(broadcaster.count(), 0);
    assert_eq!(broadcaster.statistics().removed_slow, 2);
    assert_eq!(broadcaster.statistics().dropped, 2 + inner.len() as u64);
}

#[test]
fn priority_and_ttl_are_those_of_each_broadcast() {
    let (stalled, link) = blocked(&TransportOptions::default());
    let from = stalled.from();
    let broadcaster = broadcaster_of(SlowPolicy::Drop, &[&stalled]);
    let send = |number: u64, priority: i64, ttl: Option<Duration>| {
        let options = SendOptions { priority: Priority::clamped(priority), ttl, report_id: Some(number) };
        assert_eq!(broadcast_as(&broadcaster, &number.to_be_bytes(), &options).0, 1);
    };
    send(1, 0, None);
    send(2, 1, None);
    send(3, 2, None);
    send(4, 2, Some(Duration::from_millis(20)));
    send(5, 1, Some(Duration::from_secs(3600)));
    let waiting = from.waiting().outgoing;
    assert_eq!(waiting.map(|tally| tally.datagrams), [1, 2, 2]);
    let mut outcomes: Vec<Outcome> = Vec::new();
    from.outgoing.next_outcomes(1, &mut outcomes, soon()).unwrap();
    link.resume();
    while outcomes.len() < 5 {
        from.outgoing.next_outcomes(5, &mut outcomes, soon()).unwrap();
    }
    let handed = |number| (number, OutcomeKind::Handed);
    let told: Vec<_> = outcomes.iter().map(|outcome| (outcome.report_id, outcome.kind)).collect();
    assert_eq!(told, [(4, OutcomeKind::Expired), handed(3), handed(2), handed(5), handed(1)]);
    let mut arrived = Vec::new();
    while arrived.len() < 4 {
        // The datagrams that blocked the path come first.
        arrived.extend(<[u8; 8]>::try_from(receive(stalled.to())).map(u64::from_be_bytes));
    }
    assert_eq!(arrived, [3, 2, 5, 1]);
}

#[test]
fn a_broadcast_that_finds_no_place_for_its_outcome_is_a_failure_of_that_member_only() {
    let pairs = [
        Pair::open(&TransportOptions { outcome_capacity: 1, ..TransportOptions::default() }),
        Pair::open(&TransportOptions::default()),
    ];
    let broadcaster = broadcaster_of(SlowPolicy::RemoveAfter(1), &pairs.each_ref());
    let options = SendOptions { report_id: Some(1), ..SendOptions::default() };
    assert_eq!(broadcast_as(&broadcaster, b"one", &options).0, 2);
    let (accepted, results) = broadcast_as(&broadcaster, b"two", &options);
    assert_eq!(accepted, 1);
    assert!(matches!(results[0].result, Err(Error::LimitReached(_))) && !results[0].removed);
    assert_eq!(broadcaster.statistics().failed, 1);
    assert_eq!([receive(pairs[1].to()), receive(pairs[1].to())], [b"one", b"two"]);
}

#[test]
fn a_reliability_layer_is_a_member_like_any_other() {
    let pairs = pairs::<2>();
    let layer = |transport: &Arc<Transport>| {
        Layer::open(Arc::clone(transport), &LayerOptions::default()).expect("a layer")
    };
    let (near, far) = (layer(pairs[0].from()), layer(pairs[0].to()));
    let broadcaster = Broadcaster::new(SlowPolicy::Drop);
    broadcaster.add(0, Target::Channel(Arc::clone(&near) as _)).unwrap();
    broadcaster.add(1, target(pairs[1].from())).unwrap();
    assert_eq!(broadcast_as(&broadcaster, b"both", &SendOptions::default()).0, 2);
    let mut buffer = [0; 64];
    let size = far.receive(&mut buffer, soon()).unwrap().size;
    assert_eq!(&buffer[..size], b"both");
    assert_eq!(receive(pairs[1].to()), b"both");
    // The layer's header reduces the size. Compared after QUIC has discovered the MTU of both
    // paths.
    eventually("a payload is too large for the layer only", || {
        let most = pairs[1].from().outgoing.max_datagram_size().unwrap();
        let results = broadcast(&broadcaster, &vec![0; most]);
        matches!(results[0].result, Err(Error::TooLarge { .. })) && results[1].result.is_ok()
    });
    near.close(soon()).unwrap();
    let results = broadcast(&broadcaster, b"after");
    assert_eq!(said(&results), [(0, Err(Error::Closed), true), (1, Ok(()), false)]);
}

#[test]
fn after_shutdown_it_refuses_everything_and_its_members_live_on() {
    let pairs = pairs::<2>();
    let broadcaster = broadcaster_of(SlowPolicy::Drop, &pairs.each_ref());
    broadcast(&broadcaster, b"last");
    broadcaster.shutdown();
    broadcaster.shutdown();
    assert_eq!(broadcaster.count(), 0);
    assert_eq!(broadcaster.add(2, target(pairs[0].from())), Err(Error::Closed));
    let refused = broadcaster.broadcast(b"x", &SendOptions::default(), |_| panic!("there are no members"));
    assert_eq!(refused, Err(Error::Closed));
    assert!(!broadcaster.remove(0));
    assert_eq!(broadcaster.statistics().broadcasts, 1);
    for pair in &pairs {
        pair.from().outgoing.send(b"on its own", &SendOptions::default(), Deadline::Now).unwrap();
        assert_eq!([receive(pair.to()), receive(pair.to())], [&b"last"[..], b"on its own"]);
    }
}

#[test]
fn a_broadcaster_keeps_no_transport_alive_that_it_has_let_go() {
    let pairs = pairs::<3>();
    let owners = |pair: &Pair| Arc::strong_count(pair.from());
    let before = pairs.each_ref().map(owners);
    let broadcaster = broadcaster_of(SlowPolicy::Drop, &pairs.each_ref());
    broadcast(&broadcaster, b"x");
    broadcaster.remove(0);
    pairs[1].from().close();
    broadcast(&broadcaster, b"x");
    assert_eq!(owners(&pairs[0]), before[0]);
    // The lane also drops its reference to a closed transport. The pair has the others.
    eventually("nobody else owns the closed one", || owners(&pairs[1]) == 1);
    broadcaster.shutdown();
    assert_eq!(owners(&pairs[2]), before[2]);
}
