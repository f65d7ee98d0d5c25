//! Model tests: two machines over an invented, seeded network, with invented time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::Frame;
use super::{Machine, Options, Outcome, Verdict};

const MAX_SIZE: usize = 1200;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// SplitMix64: the same seed gives the same network.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

/// One network, the same in both directions.
#[derive(Clone, Copy)]
struct Network {
    delay: Duration,
    loss_percent: u64,
    duplicate_percent: u64,
    reorder_percent: u64,
    reorder_delay: Duration,
    /// Datagrams a second, a direction; what comes faster waits.
    rate: u64,
}

impl Network {
    const fn perfect(delay: Duration) -> Self {
        let none = Duration::ZERO;
        Self {
            delay,
            loss_percent: 0,
            duplicate_percent: 0,
            reorder_percent: 0,
            reorder_delay: none,
            rate: 50_000,
        }
    }
}

struct End {
    machine: Machine,
    free_at: Instant,
    submitted: u64,
    reads: bool,
    /// When each message was submitted, when it was delivered first, and how often.
    submitted_at: Vec<Instant>,
    outcomes: HashMap<u64, Outcome>,
    /// By message of the *other* end.
    delivered: HashMap<u64, (u32, Instant)>,
    datagrams_sent: u64,
    bytes_sent: u64,
    sent_log: Vec<Instant>,
    max_size: usize,
}

impl End {
    fn new(now: Instant, options: Options) -> Self {
        Self {
            machine: Machine::new(now, options),
            free_at: now,
            submitted: 0,
            reads: true,
            submitted_at: Vec::new(),
            outcomes: HashMap::new(),
            delivered: HashMap::new(),
            datagrams_sent: 0,
            bytes_sent: 0,
            sent_log: Vec::new(),
            max_size: MAX_SIZE,
        }
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.values().filter(|&&other| other == outcome).count()
    }
}

struct World {
    start: Instant,
    now: Instant,
    random: Random,
    network: Network,
    black_hole: bool,
    ends: [End; 2],
    /// Arrival, order, destination, datagram.
    under_way: BinaryHeap<Reverse<(Instant, u64, usize, Bytes)>>,
    order: u64,
    events: u64,
}

impl World {
    fn new(seed: u64, network: Network, options: [Options; 2]) -> Self {
        let now = Instant::now();
        let ends = options.map(|options| End::new(now, options));
        let random = Random(seed);
        let under_way = BinaryHeap::new();
        let mut world = Self {
            start: now,
            now,
            random,
            network,
            black_hole: false,
            ends,
            under_way,
            order: 0,
            events: 0,
        };
        for end in &mut world.ends {
            end.machine.seed_rtt(network.delay * 2);
        }
        world
    }

    fn submit(&mut self, end: usize, bytes: usize) -> bool {
        let now = self.now;
        let end = &mut self.ends[end];
        if !end.machine.can_submit(bytes.max(8)) {
            return false;
        }
        let id = end.submitted;
        let mut payload = BytesMut::with_capacity(bytes);
        payload.put_u64(id);
        payload.resize(bytes.max(8), 0);
        end.machine.submit(now, payload.freeze(), id, MAX_SIZE).unwrap();
        end.submitted += 1;
        end.submitted_at.push(now);
        true
    }

    /// Lets an end do what it can, as a driver would.
    fn drive(&mut self, index: usize) {
        let now = self.now;
        loop {
            let end = &mut self.ends[index];
            if end.reads {
                while let Some(received) = end.machine.recv(now) {
                    let id = u64::from_be_bytes(*received.payload.first_chunk().unwrap());
                    let entry = end.delivered.entry(id).or_insert((0, now));
                    entry.0 += 1;
                }
            }
            let datagram = end.machine.poll_transmit(now, end.max_size);
            while let Some(report) = end.machine.next_outcome() {
                let before = end.outcomes.insert(report.id, report.outcome);
                assert_eq!(before, None, "message {} has a second outcome", report.id);
            }
            let Some(datagram) = datagram else { break };
            assert!(datagram.len() <= end.max_size);
            self.transmit(index, datagram);
        }
        let stats = self.ends[index].machine.stats();
        assert!(stats.unresolved <= 1024 && stats.inbound <= 4096);
    }

    fn transmit(&mut self, from: usize, datagram: Bytes) {
        self.events += 1;
        let end = &mut self.ends[from];
        end.datagrams_sent += 1;
        end.bytes_sent += datagram.len() as u64;
        end.sent_log.push(self.now);
        let leaves = end.free_at.max(self.now);
        end.free_at = leaves + Duration::from_nanos(1_000_000_000 / self.network.rate);
        if self.black_hole || self.random.chance(self.network.loss_percent) {
            return;
        }
        let copies = 1 + u32::from(self.random.chance(self.network.duplicate_percent));
        for _ in 0..copies {
            let mut arrives = leaves + self.network.delay;
            if self.random.chance(self.network.reorder_percent) {
                arrives += self.network.reorder_delay;
            }
            self.order += 1;
            self.under_way.push(Reverse((arrives, self.order, 1 - from, datagram.clone())));
        }
    }

    /// Lets everything happen until `until`.
    fn run_until(&mut self, until: Instant) {
        self.drive(0);
        self.drive(1);
        loop {
            let arrival = self.under_way.peek().map(|Reverse(entry)| entry.0);
            let timers = [0, 1].map(|end| self.ends[end].machine.next_timeout());
            let next = [arrival, timers[0], timers[1]].into_iter().flatten().min();
            let Some(next) = next.filter(|&next| next <= until) else { break };
            assert!(next >= self.now || self.now.duration_since(next) < ms(1000), "time stands still");
            self.events += 1;
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let Reverse((_, _, to, datagram)) = self.under_way.pop().unwrap();
                self.ends[to].machine.on_frame(self.now, &datagram);
                self.drive(to);
            }
            for end in 0..2 {
                if timers[end].is_some_and(|at| at <= self.now) {
                    self.ends[end].machine.on_timeout(self.now);
                    self.drive(end);
                }
            }
        }
        self.now = until;
    }

    fn at(&self, offset: Duration) -> Instant {
        self.start + offset
    }

    /// Keeps both windows full until each end has submitted so many, and then until everything is resolved.
    fn transfer(&mut self, messages: u64, limit: Duration) {
        let end = self.now + limit;
        while self.now < end {
            let mut busy = false;
            for index in 0..2 {
                while self.ends[index].submitted < messages && self.submit(index, 100) {}
                busy |= self.ends[index].submitted < messages || !self.ends[index].machine.is_idle();
            }
            if !busy {
                break;
            }
            self.run_until(self.now + ms(2));
        }
    }

    fn assert_exactly_once(&self, messages: u64) {
        for index in 0..2 {
            let (end, other) = (&self.ends[index], &self.ends[1 - index]);
            assert_eq!(end.submitted, messages);
            assert_eq!(end.count(Outcome::Acknowledged) as u64, messages, "{:?}", end.machine.stats());
            assert_eq!(other.delivered.len() as u64, messages);
            assert!(other.delivered.values().all(|&(times, _)| times == 1));
        }
    }

    /// Milliseconds from submission to delivery, of messages from end 0 to end 1, in order.
    fn latencies(&self) -> Vec<f64> {
        let mut latencies: Vec<f64> = self.ends[1]
            .delivered
            .iter()
            .map(|(&id, &(_, at))| (at - self.ends[0].submitted_at[id as usize]).as_secs_f64() * 1e3)
            .collect();
        latencies.sort_by(f64::total_cmp);
        latencies
    }
}

fn options(epoch: u64) -> Options {
    Options { epoch, max_retries: 30, ..Options::default() }
}

fn plain(epoch: u64) -> Options {
    Options { negotiate: false, ..options(epoch) }
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
    world.transfer(50_000, Duration::from_secs(600));
    world.assert_exactly_once(50_000);
    println!("{} events, {:?}", world.events, world.ends[0].machine.stats());
}

#[test]
fn every_message_arrives_once_at_a_quarter_lost_and_a_quarter_doubled() {
    let network = Network { loss_percent: 25, duplicate_percent: 25, ..Network::perfect(ms(1)) };
    let mut world = World::new(2, network, both(options));
    world.transfer(50_000, Duration::from_secs(600));
    world.assert_exactly_once(50_000);
    println!("{} events, {:?}", world.events, world.ends[0].machine.stats());
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
        assert_eq!(from.count(Outcome::Acknowledged) as u64, from.submitted);
        assert!(world.ends[1].delivered.values().all(|&(times, _)| times == 1));
        // The backlog came in slow starts, not in a burst: no more than the window's share in any 10 ms.
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
        assert_eq!(world.ends[0].count(Outcome::GaveUp) as u64, messages);
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
        // For a plain peer silence is all there is, and it gives up after twelve seconds.
        let pause = if world.ends[0].machine.stats().negotiated { 60 } else { 9 };
        let end = world.at(Duration::from_secs(pause));
        world.run_until(end);
        assert_eq!(world.ends[0].count(Outcome::Acknowledged), 100);
        assert_eq!(world.ends[0].count(Outcome::GaveUp), 0);
        let transmissions = world.ends[0].machine.stats().sender.transmissions;
        assert!(transmissions < 100 + 600 * pause, "{transmissions} in {pause} s");
        world.ends[1].reads = true;
        world.drive(1);
        let end = world.now + Duration::from_secs(2);
        world.run_until(end);
        let from = &world.ends[0];
        assert_eq!(from.count(Outcome::Acknowledged) as u64, from.submitted);
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
        assert_eq!(world.ends[0].count(Outcome::Acknowledged), 12_000);
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
                "p50 {:.1} p98 {:.1} p99.9 {:.1} max {:.1}; {:.3} bytes out and {:.3} back per byte; {:?}",
                percentile(&latencies, 500),
                percentile(&latencies, 980),
                percentile(&latencies, 999),
                latencies.last().unwrap(),
                sent / delivered_bytes,
                back / delivered_bytes,
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
fn a_layer_opened_anew_is_not_mistaken_for_the_old_one() {
    for continues in [false, true] {
        let network = Network { loss_percent: 10, ..Network::perfect(ms(10)) };
        let mut world = World::new(12, network, both(options));
        world.transfer(1000, Duration::from_secs(60));
        world.assert_exactly_once(1000);
        assert!(world.ends.iter().all(|end| end.machine.stats().negotiated));
        // End 0 closes with messages under way, and opens another layer.
        for _ in 0..50 {
            assert!(world.submit(0, 100));
        }
        world.drive(0);
        let now = world.now;
        world.ends[0].machine.close(now);
        world.drive(0);
        assert_eq!(world.ends[0].count(Outcome::Closed), 50);
        let first_sequence = if continues { world.ends[0].machine.next_sequence() } else { 0 };
        world.ends[0].machine =
            Machine::new(now, Options { generation: 1, first_sequence, ..options(0xfeed_0000_0000_0001) });
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
        for index in 0..2 {
            let (end, other) = (&world.ends[index], &world.ends[1 - index]);
            assert_eq!(end.count(Outcome::Acknowledged), 500);
            let new = other.delivered.iter().filter(|(id, _)| **id >= offset[index]);
            assert_eq!(new.clone().count(), 500, "from {index}, continues: {continues}");
            assert!(other.delivered.values().all(|&(times, _)| times == 1));
        }
        let restarts = world.ends[1].machine.stats().receiver.peer_restarts;
        assert_eq!((restarts, world.ends[0].machine.stats().receiver.peer_restarts), (1, 0));
    }
}

#[test]
fn a_layer_that_only_receives_and_is_opened_anew_is_found_by_the_sender() {
    let mut world = World::new(13, Network::perfect(ms(10)), both(options));
    for _ in 0..100 {
        world.submit(0, 100);
        world.run_until(world.now + ms(5));
    }
    world.run_until(world.now + ms(200));
    assert_eq!(world.ends[0].count(Outcome::Acknowledged), 100);
    let now = world.now;
    world.ends[1].machine = Machine::new(now, Options { generation: 1, ..options(99) });
    for _ in 0..100 {
        world.submit(0, 100);
        world.run_until(world.now + ms(5));
    }
    world.run_until(world.now + Duration::from_secs(1));
    assert_eq!(world.ends[0].count(Outcome::Acknowledged), 200);
    assert_eq!(world.ends[1].delivered.len(), 200);
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
    while let Some(frame) = world.ends[0].machine.poll_transmit(now, MAX_SIZE) {
        kinds.push(match Frame::parse(&frame).unwrap() {
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
    let error = world.ends[0].machine.submit(now, Bytes::from(vec![0; 1192]), 9, MAX_SIZE).unwrap_err();
    assert_eq!(error, crate::error::Error::TooLarge { size: 1192, limit: 1191 });
    world.black_hole = true;
    world.ends[0].max_size = 1100;
    world.run_until(world.now + ms(500));
    assert_eq!(world.ends[0].outcomes, HashMap::from([(2, Outcome::TooLarge)]));
    world.ends[0].max_size = 500;
    world.black_hole = false;
    world.run_until(world.now + Duration::from_secs(1));
    let expected = [(0, Outcome::TooLarge), (1, Outcome::Acknowledged), (2, Outcome::TooLarge)];
    assert_eq!(world.ends[0].outcomes, HashMap::from(expected));
    assert_eq!(world.ends[1].delivered.len(), 1);
    world.ends[0].max_size = 0;
    world.submit(0, 100);
    world.drive(0);
    assert_eq!(world.ends[0].count(Outcome::TooLarge), 3);
}

#[test]
fn the_window_is_backpressure_in_messages_bytes_and_span() {
    let now = Instant::now();
    let machine = |messages, bytes| {
        Machine::new(now, Options { window_messages: messages, window_bytes: bytes, ..Options::default() })
    };
    let fill = |mut machine: Machine| {
        let mut count = 0;
        while machine.submit(now, Bytes::from(vec![0; 100]), count, MAX_SIZE).is_ok() {
            count += 1;
        }
        assert!(!machine.can_submit(100));
        let error = machine.submit(now, Bytes::from(vec![0; 100]), 0, MAX_SIZE).unwrap_err();
        assert_eq!(error, crate::error::Error::WouldBlock);
        count
    };
    assert_eq!(fill(machine(10, 1 << 20)), 10);
    assert_eq!(fill(machine(1000, 550)), 5);
    assert_eq!(fill(machine(1000, 50)), 1);
    assert_eq!(fill(machine(100_000, 1 << 30)), super::sender::MAX_PLAIN_SPAN as u64);
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
        assert_eq!(machine.on_frame(now, &super::frame::ack(sequence)), Verdict::Consumed);
    }
    for bytes in [&b"\x03ACK+0"[..], b"\x03ACK 0 ", b"\x03ACK", b"\x04DATA\0\0\0"] {
        assert_eq!(machine.on_frame(now, &Bytes::from_static(bytes)), Verdict::NotAFrame);
    }
    assert_eq!((machine.stats().unresolved, machine.stats().sender.unexpected_acks), (3, 6));
    assert_eq!(machine.stats().malformed, 4);
    world.drive(0);
    let machine = &mut world.ends[0].machine;
    for _ in 0..2 {
        machine.on_frame(now, &super::frame::ack(1));
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
        (world.ends[0].count(Outcome::Acknowledged), world.ends[0].count(Outcome::Closed));
    assert!(acknowledged > 0 && closed > 0 && acknowledged + closed == 500);
    assert!(world.ends[0].machine.is_idle());
    let error = world.ends[0].machine.submit(now, Bytes::new(), 0, MAX_SIZE).unwrap_err();
    assert_eq!(error, crate::error::Error::Closed);
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
        // HELLOs stay out here: one that is well formed is a new opening of the peer's layer.
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
    assert!(stats.malformed > 0 && stats.stale > 0);
}
