//! Tests of what the layer promises, on the invented network.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::frame::{self, Frame};
use super::super::limits::MAX_PLAIN_SPAN;
use super::super::negotiation::Mode;
use super::super::outstanding::Message;
use super::super::{Machine, MessageOutcome, Options, Verdict};
use super::{MAX_SIZE, Network, Random, World, ms};
use crate::datagram::message::Priority;
use crate::error::Error;

fn options(epoch: u64) -> Options {
    Options { epoch, max_retries: 30, ..Options::default() }
}

fn plain(epoch: u64) -> Options {
    Options { negotiation: Mode::Off, ..options(epoch) }
}

fn required(epoch: u64) -> Options {
    Options { negotiation: Mode::Required, ..options(epoch) }
}

fn both(make: fn(u64) -> Options) -> [Options; 2] {
    [make(0x1234_5678_9abc_def0), make(0x0fed_cba9_8765_4321)]
}

fn percentile(sorted: &[f64], of_thousand: usize) -> f64 {
    sorted[(sorted.len() * of_thousand / 1000).min(sorted.len() - 1)]
}

#[test]
fn every_message_arrives_once_at_a_fifth_lost_and_some_reordered() {
    let network =
        Network { loss_percent: 20, reorder_percent: 4, reorder_delay: ms(5), ..Network::perfect(ms(1)) };
    let mut world = World::new(1, network, both(options));
    world.transfer(100_000, Duration::from_secs(600));
    world.assert_exactly_once(100_000);
    let took = world.now.duration_since(world.start);
    println!("{} events, {took:?}, {:?}", world.events, world.ends[0].machine.stats());
}

#[test]
fn every_message_arrives_once_at_a_quarter_lost_and_a_quarter_doubled() {
    let network = Network { loss_percent: 25, duplicate_percent: 25, ..Network::perfect(ms(1)) };
    let mut world = World::new(2, network, both(options));
    world.transfer(100_000, Duration::from_secs(600));
    world.assert_exactly_once(100_000);
    let took = world.now.duration_since(world.start);
    println!("{} events, {took:?}, {:?}", world.events, world.ends[0].machine.stats());
}

#[test]
fn every_message_arrives_once_with_the_reference_s_frames_alone() {
    let network = Network {
        loss_percent: 20,
        duplicate_percent: 10,
        reorder_percent: 10,
        reorder_delay: ms(30),
        ..Network::perfect(ms(5))
    };
    let mut world = World::new(3, network, both(plain));
    world.transfer(20_000, Duration::from_secs(600));
    world.assert_exactly_once(20_000);
    assert!(!world.ends[0].machine.stats().negotiated);
    assert_eq!(world.ends[0].machine.stats().receiver.range_acks_sent, 0);
}

#[test]
fn a_negotiating_end_and_a_plain_one_understand_each_other() {
    let network = Network { loss_percent: 10, ..Network::perfect(ms(5)) };
    let mut world = World::new(4, network, [options(7), plain(8)]);
    world.transfer(5_000, Duration::from_secs(600));
    world.assert_exactly_once(5_000);
    let stats = world.ends[0].machine.stats();
    assert!(!stats.negotiated && stats.stale == 0);
}

#[test]
fn the_sequence_wraps_unnoticed_under_loss_doubling_and_reordering() {
    for make in [options, plain] {
        let network = Network {
            loss_percent: 20,
            duplicate_percent: 25,
            reorder_percent: 4,
            reorder_delay: ms(8),
            ..Network::perfect(ms(2))
        };
        let start = |epoch| Options { first_sequence: u32::MAX - 5_000, ..make(epoch) };
        let mut world = World::new(5, network, [start(1), start(2)]);
        world.transfer(10_000, Duration::from_secs(600));
        world.assert_exactly_once(10_000);
        assert_eq!(world.ends[0].machine.next_sequence(), 4_999 - 1 + 1);
    }
}

#[test]
fn with_the_default_options_nothing_is_given_up_in_a_black_hole_of_ten_seconds() {
    for make in [options, plain] {
        let default = |epoch| Options { max_retries: 5, ..make(epoch) };
        let mut world = World::new(6, Network::perfect(ms(20)), [default(1), default(2)]);
        // 200 messages a second before, during and after.
        for tick in 0..4000u64 {
            let at = world.at(ms(5 * tick));
            world.run_until(at);
            world.black_hole = (1000..3000).contains(&tick);
            world.submit(0, 100);
        }
        let end = world.at(Duration::from_secs(20));
        world.run_until(end + Duration::from_secs(5));
        let from = &world.ends[0];
        assert_eq!(from.count(MessageOutcome::Acknowledged) as u64, from.submitted);
        assert!(world.ends[1].delivered.values().all(|&(times, _)| times == 1));
        // The backlog came in slow starts, not in a burst: no more than the window's share in any
        // 10 ms.
        let start = world.start;
        let mut busiest = HashMap::new();
        for &at in &from.sent_log {
            let from_start = at.duration_since(start);
            if from_start > ms(5100) && from_start < ms(15000) {
                *busiest.entry(from_start.as_millis() / 10).or_insert(0u32) += 1;
            }
        }
        let most_in_the_hole = busiest.values().max().copied().unwrap();
        assert!(most_in_the_hole <= 30, "{most_in_the_hole}");
        let last =
            world.ends[1].delivered.iter().filter(|(id, _)| **id < 1500).map(|(_, d)| d.1).max().unwrap();
        let recovered_after = last.duration_since(start).saturating_sub(Duration::from_secs(15));
        println!("busiest 10 ms {most_in_the_hole}, recovered after {recovered_after:?}");
        assert!(recovered_after < ms(1500), "{recovered_after:?}");
    }
}

#[test]
fn a_full_window_comes_out_of_a_black_hole_as_a_slow_start_and_not_as_a_burst() {
    for make in [options, plain] {
        let mut world = World::new(21, Network::perfect(ms(20)), both(make));
        world.transfer(2_000, Duration::from_secs(30));
        world.black_hole = true;
        while world.submit(0, 100) {}
        let backlog = world.ends[0].submitted - 2_000;
        assert!(backlog >= 512);
        world.run_until(world.now + ms(100));
        let hole = world.now;
        world.run_until(hole + Duration::from_secs(9));
        world.black_hole = false;
        let over = world.now;
        world.run_until(over + Duration::from_secs(2));
        assert_eq!(world.ends[0].count(MessageOutcome::Acknowledged) as u64, 2_000 + backlog);
        let busiest = |from: Instant, until: Instant| {
            let mut tenths = HashMap::new();
            for at in world.ends[0].sent_log.iter().filter(|&&at| at >= from && at < until) {
                *tenths.entry(at.duration_since(from).as_millis() / 10).or_insert(0u64) += 1;
            }
            tenths.values().copied().max().unwrap_or(0)
        };
        let (in_hole, after) = (busiest(hole, over), busiest(over, world.now));
        let done = world.ends[1].delivered.values().map(|&(_, at)| at).max().unwrap() - over;
        println!("{backlog} messages: in 10 ms {in_hole}, {after} after the hole, through after {done:?}");
        assert!(in_hole <= 24 && after < backlog * 2 / 3, "{in_hole} {after}");
        assert!(done < ms(800), "{done:?}");
    }
}

#[test]
fn a_peer_that_never_acknowledges_gets_a_bounded_trickle_and_every_message_its_outcome() {
    for messages in [1u64, 500] {
        let defaults = |epoch| Options { epoch, ..Options::default() };
        let mut world = World::new(7, Network::perfect(ms(20)), [defaults(1), defaults(2)]);
        world.black_hole = true;
        for _ in 0..messages {
            assert!(world.submit(0, 100));
        }
        let end = world.at(ms(11_990));
        world.run_until(end);
        assert_eq!(world.ends[0].outcomes.len(), 0, "never before 2 s × (5 + 1)");
        let end = world.at(ms(16_000));
        world.run_until(end);
        assert_eq!(world.ends[0].count(MessageOutcome::GaveUp) as u64, messages);
        let stats = world.ends[0].machine.stats().sender;
        assert_eq!(stats.early_retransmits, 0);
        assert!(stats.timer_retransmits >= 5 * messages);
        assert!(stats.timer_retransmits <= 40 * messages, "{stats:?}");
        assert!(world.ends[0].machine.is_idle());
    }
}

#[test]
fn a_receiver_that_stops_reading_loses_nothing_that_it_acknowledged() {
    for make in [options, plain] {
        let small = |epoch| Options { inbound_messages: 100, max_retries: 5, ..make(epoch) };
        let mut world = World::new(8, Network::perfect(ms(10)), [small(1), small(2)]);
        world.ends[1].reads = false;
        for tick in 0..400 {
            let at = world.at(ms(20 * tick));
            world.run_until(at);
            world.submit(0, 100);
            assert!(world.ends[1].machine.stats().inbound <= 100);
        }
        assert!(world.ends[1].machine.stats().receiver.refused_full > 0);
        // From a plain peer only silence is seen, and messages to it are given up after twelve
        // seconds.
        let pause = if world.ends[0].machine.stats().negotiated { 60 } else { 9 };
        let end = world.at(Duration::from_secs(pause));
        world.run_until(end);
        assert_eq!(world.ends[0].count(MessageOutcome::Acknowledged), 100);
        assert_eq!(world.ends[0].count(MessageOutcome::GaveUp), 0);
        let transmissions = world.ends[0].machine.stats().sender.transmissions;
        println!("{transmissions} transmissions in {pause} s");
        if world.ends[0].machine.stats().negotiated {
            assert!(world.ends[0].machine.stats().peer_full);
            assert!(transmissions < 100 + 10 * pause, "{transmissions} in {pause} s");
        }
        world.ends[1].reads = true;
        world.drive(1);
        let end = world.now + Duration::from_secs(2);
        world.run_until(end);
        let from = &world.ends[0];
        assert_eq!(from.count(MessageOutcome::Acknowledged) as u64, from.submitted);
        assert_eq!(world.ends[1].delivered.len() as u64, from.submitted);
        assert!(world.ends[1].delivered.values().all(|&(times, _)| times == 1));
    }
}

#[test]
fn retransmissions_for_nothing_are_few_when_nothing_is_lost_but_much_is_late() {
    for (delay, make) in [(20, options as fn(u64) -> Options), (0, options), (5, options), (20, plain)] {
        let network = Network {
            reorder_percent: 30,
            reorder_delay: ms(40),
            ..Network::perfect(ms(delay).max(ms(1) / 4))
        };
        let mut world = World::new(9, network, both(make));
        for tick in 0..12_000 {
            let at = world.at(ms(5 * tick));
            world.run_until(at);
            assert!(world.submit(0, 100));
        }
        let end = world.now + Duration::from_secs(2);
        world.run_until(end);
        let copies = world.ends[1].machine.stats().receiver.duplicates;
        let stats = world.ends[0].machine.stats();
        println!("{delay} ms: {copies} copies of 12000, {stats:?}");
        assert!(copies * 100 < 12_000 * 2, "{copies}");
        assert_eq!(world.ends[0].count(MessageOutcome::Acknowledged), 12_000);
    }
}

#[test]
fn delivery_is_quick_at_a_tenth_lost_each_way() {
    for (make, p98, p999) in [(options as fn(u64) -> Options, 130.0, 350.0), (plain, 130.0, 350.0)] {
        let network = Network { loss_percent: 10, ..Network::perfect(ms(20)) };
        let mut all = Vec::new();
        for seed in 100..105 {
            let mut world = World::new(seed, network, both(make));
            for tick in 0..12_000 {
                let at = world.at(ms(5 * tick));
                world.run_until(at);
                assert!(world.submit(0, 100));
            }
            let end = world.now + Duration::from_secs(5);
            world.run_until(end);
            let latencies = world.latencies();
            assert_eq!(latencies.len(), 12_000);
            let delivered_bytes = 12_000.0 * 100.0;
            let sent = world.ends[0].bytes_sent as f64;
            let back = world.ends[1].bytes_sent as f64;
            println!(
                "p50 {:.1} p98 {:.1} p99.9 {:.1} max {:.1}; {:.3} bytes out and {:.3} back per byte, {} + {} datagrams; {:?}",
                percentile(&latencies, 500),
                percentile(&latencies, 980),
                percentile(&latencies, 999),
                latencies.last().unwrap(),
                sent / delivered_bytes,
                back / delivered_bytes,
                world.ends[0].datagrams_sent,
                world.ends[1].datagrams_sent,
                world.ends[0].machine.stats().sender,
            );
            all.extend(latencies);
        }
        all.sort_by(f64::total_cmp);
        assert!(percentile(&all, 980) <= p98 * 0.8, "{}", percentile(&all, 980));
        assert!(percentile(&all, 999) <= p999 * 0.8, "{}", percentile(&all, 999));
    }
}

#[test]
fn a_sparse_sender_is_quick_too() {
    let network = Network { loss_percent: 10, ..Network::perfect(ms(20)) };
    let mut world = World::new(11, network, both(options));
    for tick in 0..2_000 {
        let at = world.at(ms(500 * tick));
        world.run_until(at);
        assert!(world.submit(0, 100));
    }
    let end = world.now + Duration::from_secs(5);
    world.run_until(end);
    let latencies = world.latencies();
    println!(
        "p50 {:.1} p98 {:.1} p99.9 {:.1}, {:?}",
        percentile(&latencies, 500),
        percentile(&latencies, 980),
        percentile(&latencies, 999),
        world.ends[0].machine.stats()
    );
    assert_eq!(latencies.len(), 2_000);
    assert!(percentile(&latencies, 980) <= 250.0);
}

#[test]
fn a_layer_opened_again_is_not_mistaken_for_the_old_one() {
    for continues in [false, true] {
        let network = Network { loss_percent: 10, ..Network::perfect(ms(10)) };
        let mut world = World::new(12, network, both(options));
        world.transfer(1000, Duration::from_secs(60));
        world.assert_exactly_once(1000);
        assert!(world.ends.iter().all(|end| end.machine.stats().negotiated));
        // End 0 closes with messages in progress, and opens another layer.
        for _ in 0..50 {
            assert!(world.submit(0, 100));
        }
        world.drive(0);
        let now = world.now;
        world.ends[0].machine.close(now);
        world.drive(0);
        assert_eq!(world.ends[0].count(MessageOutcome::Closed), 50);
        let first_sequence = if continues { world.ends[0].machine.next_sequence() } else { 0 };
        world.open_again(0, Options { generation: 1, first_sequence, ..options(0xfeed_0000_0000_0001) });
        for end in &mut world.ends {
            end.delivered.clear();
            end.outcomes.clear();
            end.submitted_at.clear();
        }
        let offset = [world.ends[0].submitted, world.ends[1].submitted];
        for _ in 0..500 {
            for index in 0..2 {
                assert!(world.submit(index, 100));
            }
            world.run_until(world.now + ms(5));
        }
        world.run_until(world.now + Duration::from_secs(10));
        for (index, first) in offset.into_iter().enumerate() {
            let (end, other) = (&world.ends[index], &world.ends[1 - index]);
            assert_eq!(end.count(MessageOutcome::Acknowledged), 500);
            let new = other.delivered.iter().filter(|(id, _)| **id >= first);
            assert_eq!(new.clone().count(), 500, "from {index}, continues: {continues}");
            assert!(other.delivered.values().all(|&(times, _)| times == 1));
        }
        let restarts = world.ends[1].machine.stats().receiver.peer_restarts;
        assert_eq!((restarts, world.ends[0].machine.stats().receiver.peer_restarts), (1, 0));
    }
}

#[test]
fn a_layer_that_only_receives_and_is_opened_again_is_found_by_the_sender() {
    let mut world = World::new(13, Network::perfect(ms(10)), both(options));
    for _ in 0..100 {
        world.submit(0, 100);
        world.run_until(world.now + ms(5));
    }
    world.run_until(world.now + ms(200));
    assert_eq!(world.ends[0].count(MessageOutcome::Acknowledged), 100);
    world.open_again(1, Options { generation: 1, ..options(99) });
    for _ in 0..100 {
        world.submit(0, 100);
        world.run_until(world.now + ms(5));
    }
    world.run_until(world.now + Duration::from_secs(1));
    assert_eq!(world.ends[0].count(MessageOutcome::Acknowledged), 200);
    assert_eq!(world.ends[1].delivered.len(), 200);
}

/// A datagram of a program that looks like a plain frame.
fn lookalike(number: u32) -> Bytes {
    if number.is_multiple_of(2) { frame::data(number, b"the program's own") } else { frame::ack(number) }
}

#[test]
fn a_peer_that_comes_back_speaking_only_the_reference_s_protocol_is_left_to_the_reader_and_changes_nothing() {
    let network = Network { loss_percent: 5, ..Network::perfect(ms(10)) };
    let mut world = World::new(19, network, both(options));
    world.transfer(200, Duration::from_secs(10));
    world.assert_exactly_once(200);
    let before = world.ends[0].machine.stats();
    world.open_again(1, Options { generation: 1, max_retries: 5, ..plain(5) });
    for _ in 0..100 {
        assert!(world.submit(1, 100));
    }
    world.run_until(world.now + Duration::from_secs(15));
    assert_eq!(world.ends[1].count(MessageOutcome::GaveUp), 100);
    assert!(world.ends[0].left.len() >= 100);
    assert_eq!((world.ends[0].delivered.len(), world.ends[1].outcomes.len()), (200, 300));
    let stats = world.ends[0].machine.stats();
    assert!(stats.negotiated && !stats.takes_plain);
    assert_eq!((stats.plain_taken, stats.receiver.peer_restarts), (before.plain_taken, 0));
    // A layer that negotiates says so with a HELLO, and is found.
    world.open_again(1, Options { generation: 2, ..options(6) });
    for index in 0..2 {
        assert!(world.submit(index, 100));
    }
    world.run_until(world.now + Duration::from_secs(5));
    assert_eq!(
        (
            world.ends[0].count(MessageOutcome::Acknowledged),
            world.ends[1].count(MessageOutcome::Acknowledged)
        ),
        (201, 201)
    );
    assert_eq!(world.ends[0].machine.stats().receiver.peer_restarts, 1);
}

#[test]
fn after_the_negotiation_a_program_s_own_datagrams_that_look_like_plain_frames_are_left_to_the_reader() {
    for make in [options as fn(u64) -> Options, required] {
        let mut world = World::new(24, Network::perfect(ms(10)), both(make));
        world.transfer(20, Duration::from_secs(10));
        for number in 0..100 {
            world.transmit(0, lookalike(number));
            assert!(world.submit(1, 100));
            world.run_until(world.now + ms(3));
        }
        world.run_until(world.now + Duration::from_secs(1));
        assert_eq!(world.ends[1].left, (0..100).map(lookalike).collect::<Vec<_>>());
        assert_eq!(world.ends[1].delivered.len(), 20);
        assert_eq!(world.ends[1].count(MessageOutcome::Acknowledged), 120);
        let stats = world.ends[1].machine.stats();
        assert_eq!((stats.plain_left, stats.receiver.peer_restarts, stats.negotiated), (100, 0, true));
        assert_eq!(stats.plain_taken > 0, make(1).negotiation == Mode::Auto);
    }
}

#[test]
fn in_the_window_plain_frames_of_anybody_are_taken_and_counted() {
    let mut world = World::new(25, Network::perfect(ms(10)), both(options));
    for number in 0..10 {
        world.transmit(0, frame::data(number, &u64::from(number).to_be_bytes()));
    }
    // Its own HELLO is under way, and not answered yet.
    world.run_until(world.now + ms(15));
    assert_eq!((world.ends[1].delivered.len(), world.ends[1].left.len()), (10, 0));
    let stats = world.ends[1].machine.stats();
    assert_eq!((stats.plain_taken, stats.plain_left, stats.takes_plain), (10, 0, true));
}

#[test]
fn no_frame_of_a_layer_reaches_the_reader_whatever_is_lost_and_whoever_opens_again() {
    for seed in 0..40 {
        let network = Network { loss_percent: seed % 4 * 10, ..Network::perfect(ms(10)) };
        let makes = [options as fn(u64) -> Options, required];
        // Both require it, or neither: an end that takes no plain frames leaves those of an end
        // that sends them.
        let mut world = World::new(seed, network, both(makes[usize::from(seed >= 20)]));
        let mut generations = [0; 2];
        for round in 0..6 {
            for _ in 0..20 {
                for index in 0..2 {
                    assert!(world.submit(index, 100));
                }
                world.run_until(world.now + ms(2));
            }
            let index = (world.random.next() % 2) as usize;
            generations[index] += 1;
            let first_sequence = world.ends[index].machine.next_sequence();
            let again = Options { generation: generations[index], first_sequence, ..options(100 + round) };
            let negotiation = if seed >= 20 { Mode::Required } else { Mode::Auto };
            // Sometimes before the ends know each other.
            if round > 0 || seed % 2 == 0 {
                world.open_again(index, Options { negotiation, ..again });
            }
        }
        world.run_until(world.now + Duration::from_secs(10));
        for end in &world.ends {
            assert_eq!(end.left, Vec::<Bytes>::new(), "seed {seed}");
            assert!(end.machine.is_idle() && end.machine.stats().negotiated, "seed {seed}");
            assert_eq!(end.count(MessageOutcome::GaveUp), 0, "seed {seed}");
        }
    }
}

#[test]
fn plain_frames_that_come_later_than_the_hello_after_them_seldom_reach_the_reader() {
    let mut left = 0;
    for seed in 0..100 {
        let network = Network { reorder_percent: 4, reorder_delay: ms(5), ..Network::perfect(ms(10)) };
        let mut world = World::new(seed, network, both(options));
        for _ in 0..100 {
            for index in 0..2 {
                assert!(world.submit(index, 100));
            }
            world.run_until(world.now + ms(1));
        }
        world.run_until(world.now + Duration::from_secs(2));
        left += world.ends.iter().map(|end| end.left.len()).sum::<usize>();
    }
    // Late frames are recognized, except those after which no other plain frame came. Without that:
    // 50.
    assert!(left <= 10, "{left}");
}

#[test]
fn an_end_that_requires_the_negotiation_says_hello_first_and_never_speaks_plain() {
    let network = Network { loss_percent: 20, ..Network::perfect(ms(10)) };
    let mut world = World::new(26, network, both(required));
    assert!(world.submit(0, 100));
    let now = world.now;
    let first = world.ends[0].machine.poll_transmit(now, MAX_SIZE).unwrap().frame;
    assert!(matches!(Frame::parse(&first), Ok(Frame::Hello(_))));
    assert_eq!(world.ends[0].machine.poll_transmit(now, MAX_SIZE), None, "the message waits for the answer");
    world.transfer(5_000, Duration::from_secs(60));
    world.assert_exactly_once(5_000);
    for end in &world.ends {
        let stats = end.machine.stats();
        assert_eq!((stats.plain_taken, stats.plain_left, stats.receiver.plain_acks_sent), (0, 0, 0));
    }
}

#[test]
fn where_no_layer_answers_messages_are_given_up_and_few_hellos_are_sent() {
    let mut world = World::new(27, Network::perfect(ms(10)), [required(1), plain(2)]);
    world.ends[0].machine = Machine::new(world.now, Options { max_retries: 5, ..required(1) });
    for _ in 0..50 {
        assert!(world.submit(0, 100));
    }
    world.run_until(world.now + ms(11_900));
    assert_eq!(world.ends[0].outcomes.len(), 0, "never before 2 s × (5 + 1)");
    world.run_until(world.now + ms(1_000));
    assert_eq!(world.ends[0].count(MessageOutcome::GaveUp), 50);
    assert_eq!(world.ends[0].never_sent.len(), 50);
    assert!(world.ends[0].datagrams_sent < 40, "{}", world.ends[0].datagrams_sent);
}

#[test]
fn messages_with_a_ttl_have_one_outcome_and_none_arrives_that_expired_before_it_was_sent() {
    for make in [options as fn(u64) -> Options, plain, required] {
        let network = Network { loss_percent: 30, rate: 2_000, ..Network::perfect(ms(20)) };
        let mut world = World::new(28, network, both(make));
        for _ in 0..2_000 {
            let ttl = ms(1 + world.random.next() % 150);
            let priority = Priority::clamped((world.random.next() % 3) as i64);
            world.submit_with(0, 100, priority, Some(ttl));
            world.run_until(world.now + ms(1));
        }
        world.run_until(world.now + Duration::from_secs(5));
        let (near, far) = (&world.ends[0], &world.ends[1]);
        assert!(near.machine.is_idle());
        assert_eq!(near.outcomes.len() as u64, near.submitted);
        let (acknowledged, expired) =
            (near.count(MessageOutcome::Acknowledged), near.count(MessageOutcome::Expired));
        assert_eq!((acknowledged + expired) as u64, near.submitted);
        assert!(acknowledged > 100 && expired > 100, "{acknowledged} {expired}");
        assert!(far.delivered.iter().all(|(id, (times, _))| *times == 1 && !near.never_sent.contains(id)));
        for (id, outcome) in &near.outcomes {
            assert!(*outcome == MessageOutcome::Expired || far.delivered.contains_key(id));
        }
    }
}

#[test]
fn a_message_of_high_priority_overtakes_a_backlog_of_low_ones() {
    // To a plain peer, messages in progress keep their places: the span is bounded.
    for (make, overtaken) in [(options as fn(u64) -> Options, 800), (plain, 900 - MAX_PLAIN_SPAN)] {
        let mut world = World::new(29, Network::perfect(ms(20)), both(make));
        world.transfer(100, Duration::from_secs(10));
        // The backlog waits until the path opens.
        world.black_hole = true;
        world.run_until(world.now + Duration::from_secs(3));
        let first = world.ends[0].submitted;
        while world.ends[0].submitted < first + 900 {
            assert!(world.submit(0, 100));
        }
        world.run_until(world.now + Duration::from_secs(2));
        let urgent = world.ends[0].submitted;
        for _ in 0..20 {
            assert!(world.submit_with(0, 100, Priority::HIGHEST, None));
        }
        world.black_hole = false;
        world.run_until(world.now + Duration::from_secs(20));
        let at = |id: &u64| world.ends[1].delivered[id].1;
        let last_urgent = (urgent..urgent + 20).map(|id| at(&id)).max().unwrap();
        let later = (first..urgent).filter(|id| at(id) > last_urgent).count();
        assert!(later >= overtaken, "{later} of 900 came after the urgent ones");
    }
}

#[test]
fn a_peer_that_was_full_and_then_fell_silent_is_given_up() {
    let defaults = |epoch| Options { epoch, inbound_messages: 50, ..Options::default() };
    let mut world = World::new(20, Network::perfect(ms(10)), [defaults(1), defaults(2)]);
    world.ends[1].reads = false;
    for _ in 0..100 {
        world.submit(0, 100);
        world.run_until(world.now + ms(20));
    }
    world.run_until(world.now + Duration::from_secs(30));
    assert!(world.ends[0].machine.stats().peer_full);
    assert_eq!((world.ends[0].outcomes.len(), world.ends[0].count(MessageOutcome::Acknowledged)), (50, 50));
    world.black_hole = true;
    world.run_until(world.now + ms(11_500));
    assert_eq!(world.ends[0].outcomes.len(), 50);
    world.run_until(world.now + ms(5_000));
    assert_eq!(world.ends[0].count(MessageOutcome::GaveUp), 50);
}

#[test]
fn a_flood_of_hellos_costs_little_and_the_true_one_is_still_heard() {
    let mut world = World::new(22, Network::perfect(ms(10)), both(options));
    world.transfer(100, Duration::from_secs(10));
    let now = world.now;
    let mut answers = 0;
    for epoch in 1000..11_000u64 {
        let hello = frame::Hello { generation: 0, epoch, peer_epoch: epoch };
        world.ends[0].machine.on_frame(now, &frame::hello_frame(hello));
        while world.ends[0].machine.poll_transmit(now, MAX_SIZE).is_some() {
            answers += 1;
        }
    }
    assert!(answers <= 2, "{answers}");
    world.open_again(1, Options { generation: 1, ..options(77) });
    for _ in 0..50 {
        assert!(world.submit(1, 100));
        world.run_until(world.now + ms(5));
    }
    world.run_until(world.now + Duration::from_secs(2));
    assert_eq!(world.ends[1].count(MessageOutcome::Acknowledged), 150);
    assert!(world.ends[0].machine.stats().negotiated && world.ends[1].machine.stats().negotiated);
}

#[test]
fn on_a_path_that_carries_nothing_no_deadline_stays_in_the_past() {
    let mut world = World::new(23, Network::perfect(ms(10)), both(options));
    world.transfer(100, Duration::from_secs(10));
    for max_size in [0, 8, 20, 39] {
        let now = world.now + ms(100);
        world.now = now;
        let machine = &mut world.ends[0].machine;
        let hello = frame::Hello { generation: 9, epoch: 1 + max_size as u64, peer_epoch: 0 };
        machine.on_frame(now, &frame::hello_frame(hello));
        machine.on_frame(now, &frame::data(5, b"m"));
        let _ = machine.submit(Message::new(now, 1000 + max_size as u64, Bytes::new()), MAX_SIZE);
        machine.on_timeout(now);
        while machine.poll_transmit(now, max_size).is_some() {}
        assert!(machine.next_timeout().is_none_or(|at| at > now), "{max_size}");
    }
}

#[test]
fn the_first_frames_are_the_reference_s_and_a_hello_comes_only_after_them() {
    let mut world = World::new(14, Network::perfect(ms(10)), both(options));
    let now = world.now;
    assert_eq!(world.ends[0].machine.poll_transmit(now, MAX_SIZE), None);
    for _ in 0..3 {
        world.submit(0, 100);
    }
    let mut kinds = Vec::new();
    while let Some(transmit) = world.ends[0].machine.poll_transmit(now, MAX_SIZE) {
        kinds.push(match Frame::parse(&transmit.frame).unwrap() {
            Frame::Data { .. } => "DATA",
            Frame::Hello(_) => "HELLO",
            _ => "other",
        });
    }
    assert_eq!(kinds, ["DATA", "HELLO", "DATA", "DATA"]);
}

#[test]
fn what_no_longer_fits_is_reported_and_not_retried() {
    let mut world = World::new(15, Network::perfect(ms(10)), both(options));
    assert!(world.submit(0, 1000) && world.submit(0, 100) && world.submit(0, 1191));
    let now = world.now;
    let message = Message::new(now, 9, Bytes::from(vec![0; 1192]));
    let error = world.ends[0].machine.submit(message, MAX_SIZE).unwrap_err();
    assert_eq!(error, Error::TooLarge { size: 1192, limit: 1191 });
    world.black_hole = true;
    world.ends[0].max_size = 1100;
    world.run_until(world.now + ms(500));
    assert_eq!(world.ends[0].outcomes, HashMap::from([(2, MessageOutcome::TooLarge)]));
    world.ends[0].max_size = 500;
    world.black_hole = false;
    world.run_until(world.now + Duration::from_secs(1));
    let expected =
        [(0, MessageOutcome::TooLarge), (1, MessageOutcome::Acknowledged), (2, MessageOutcome::TooLarge)];
    assert_eq!(world.ends[0].outcomes, HashMap::from(expected));
    assert_eq!(world.ends[1].delivered.len(), 1);
    world.ends[0].max_size = 0;
    world.submit(0, 100);
    world.drive(0);
    assert_eq!(world.ends[0].count(MessageOutcome::TooLarge), 3);
}

#[test]
fn the_window_is_backpressure_in_messages_and_bytes_and_the_span_bounds_what_is_under_way() {
    let now = Instant::now();
    let message = || Message::new(now, 0, Bytes::from(vec![0; 100]));
    let fill = |messages, bytes| {
        let options = Options { window_messages: messages, window_bytes: bytes, ..Options::default() };
        let mut machine = Machine::new(now, options);
        let count = std::iter::from_fn(|| machine.submit(message(), MAX_SIZE).ok()).count();
        assert!(!machine.can_submit(100));
        assert_eq!(machine.submit(message(), MAX_SIZE).unwrap_err(), Error::WouldBlock);
        (count, machine)
    };
    assert_eq!(fill(10, 1 << 20).0, 10);
    assert_eq!(fill(1000, 550).0, 5);
    assert_eq!(fill(1000, 50).0, 1);
    let (count, mut machine) = fill(2_000, 1 << 30);
    let frames = std::iter::from_fn(|| machine.poll_transmit(now, MAX_SIZE));
    let data =
        frames.filter(|transmit| matches!(Frame::parse(&transmit.frame), Ok(Frame::Data { .. }))).count();
    assert_eq!((count, data), (2_000, MAX_PLAIN_SPAN));
}

#[test]
fn acknowledgements_of_what_was_never_sent_change_nothing() {
    let mut world = World::new(16, Network::perfect(ms(10)), both(options));
    for _ in 0..3 {
        world.submit(0, 100);
    }
    let now = world.now;
    let machine = &mut world.ends[0].machine;
    for sequence in [0, 3, 4, 1000, u32::MAX, 1 << 31] {
        // Submitted, but not transmitted, or never submitted.
        assert_eq!(machine.on_frame(now, &frame::ack(sequence)), Verdict::Consumed);
    }
    for bytes in [&b"\x03ACK+0"[..], b"\x03ACK 0 ", b"\x03ACK", b"\x04DATA\0\0\0"] {
        assert_eq!(machine.on_frame(now, &Bytes::from_static(bytes)), Verdict::NotAFrame);
    }
    assert_eq!((machine.stats().unresolved, machine.stats().sender.unexpected_acks), (3, 6));
    assert_eq!(machine.stats().malformed, 4);
    world.drive(0);
    let machine = &mut world.ends[0].machine;
    for _ in 0..2 {
        machine.on_frame(now, &frame::ack(1));
    }
    assert_eq!(machine.stats().sender.acknowledged, 1);
    assert_eq!(machine.stats().sender.unexpected_acks, 7);
}

#[test]
fn closing_gives_every_message_its_outcome_once() {
    let network = Network { loss_percent: 30, ..Network::perfect(ms(20)) };
    let mut world = World::new(17, network, both(options));
    for _ in 0..500 {
        world.submit(0, 100);
    }
    world.run_until(world.now + ms(100));
    let now = world.now;
    world.ends[0].machine.close(now);
    world.ends[0].machine.close(now);
    world.run_until(now + Duration::from_secs(5));
    assert_eq!(world.ends[0].outcomes.len(), 500);
    let (acknowledged, closed) =
        (world.ends[0].count(MessageOutcome::Acknowledged), world.ends[0].count(MessageOutcome::Closed));
    assert!(acknowledged > 0 && closed > 0 && acknowledged + closed == 500);
    assert!(world.ends[0].machine.is_idle());
    let error = world.ends[0].machine.submit(Message::new(now, 0, Bytes::new()), MAX_SIZE).unwrap_err();
    assert_eq!(error, Error::Closed);
}

#[test]
fn a_stranger_s_noise_neither_panics_nor_resolves_nor_grows() {
    let mut world = World::new(18, Network::perfect(ms(10)), both(options));
    world.transfer(100, Duration::from_secs(10));
    world.black_hole = true;
    for _ in 0..100 {
        world.submit(0, 100);
    }
    let mut random = Random(99);
    let kinds: [&[u8]; 6] = [b"\x04DATA", b"\x03ACK", b"\x01D", b"\x01R", b"\x06WTGRAM\x01", b""];
    for i in 0..100_000u64 {
        let mut bytes = kinds[(random.next() % 6) as usize].to_vec();
        // No whole HELLOs here: a well-formed one is a new opening of the peer's layer.
        let length = if bytes.starts_with(b"\x06") { random.next() % 20 } else { random.next() % 40 };
        for _ in 0..length {
            bytes.push(random.next() as u8);
        }
        let now = world.now + Duration::from_micros(i);
        let end = &mut world.ends[0];
        end.machine.on_frame(now, &Bytes::from(bytes));
        while end.machine.recv(now).is_some() {}
        while end.machine.poll_transmit(now, MAX_SIZE).is_some() {}
    }
    let stats = world.ends[0].machine.stats();
    assert_eq!((stats.unresolved, stats.sender.acknowledged), (100, 100));
    assert!(stats.malformed > 0 && stats.stale == 0);
}
