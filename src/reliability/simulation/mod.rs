//! The world of the model tests: two machines over an invented, seeded network, in invented time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use super::outstanding::Message;
use super::sender::Transmit;
use super::{Machine, MessageOutcome, Options, Verdict};
use crate::datagram::message::Priority;

mod model_tests;

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
    /// Datagrams per second and direction; faster ones wait.
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
    /// When each message was submitted.
    submitted_at: Vec<Instant>,
    outcomes: HashMap<u64, MessageOutcome>,
    /// Messages that have an outcome and were never transmitted.
    never_sent: HashSet<u64>,
    /// How often each message of the *other* end was delivered, and when first.
    delivered: HashMap<u64, (u32, Instant)>,
    /// Datagrams that the layer left to the transport's reader.
    left: Vec<Bytes>,
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
            never_sent: HashSet::new(),
            delivered: HashMap::new(),
            left: Vec::new(),
            datagrams_sent: 0,
            bytes_sent: 0,
            sent_log: Vec::new(),
            max_size: MAX_SIZE,
        }
    }

    fn count(&self, outcome: MessageOutcome) -> usize {
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
        self.submit_with(end, bytes, Priority::LOWEST, None)
    }

    fn submit_with(&mut self, end: usize, bytes: usize, priority: Priority, ttl: Option<Duration>) -> bool {
        let now = self.now;
        let end = &mut self.ends[end];
        if !end.machine.can_submit(bytes.max(8)) {
            return false;
        }
        let id = end.submitted;
        let mut payload = BytesMut::with_capacity(bytes);
        payload.put_u64(id);
        payload.resize(bytes.max(8), 0);
        let expires_at = ttl.map(|ttl| now + ttl);
        let message = Message { priority, expires_at, ..Message::new(now, id, payload.freeze()) };
        end.machine.submit(message, MAX_SIZE).unwrap();
        end.submitted += 1;
        end.submitted_at.push(now);
        true
    }

    /// Opens the layer of an end again, as a driver does: the new one gets what the old one
    /// learned.
    fn open_again(&mut self, index: usize, options: Options) {
        let now = self.now;
        let end = &mut self.ends[index];
        end.machine.close(now);
        while let Some(report) = end.machine.next_outcome() {
            end.outcomes.insert(report.id, report.outcome);
        }
        end.machine = Machine::new(now, Options { past: end.machine.past(), ..options });
    }

    /// Does for an end what a driver would do.
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
                if report.transmissions == 0 {
                    end.never_sent.insert(report.id);
                }
                let before = end.outcomes.insert(report.id, report.outcome);
                assert_eq!(before, None, "message {} has a second outcome", report.id);
            }
            let Some(Transmit { frame: datagram, expires_at, .. }) = datagram else { break };
            assert!(expires_at.is_none_or(|at| at > now), "it is not worth sending");
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

    /// Runs all events until `until`.
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
                if self.ends[to].machine.on_frame(self.now, &datagram) == Verdict::NotAFrame {
                    self.ends[to].left.push(datagram);
                }
                self.drive(to);
            }
            for (end, timer) in timers.into_iter().enumerate() {
                if timer.is_some_and(|at| at <= self.now) {
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

    /// Keeps both windows full until each end has submitted so many, and then runs until everything
    /// is resolved.
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
            assert_eq!(end.count(MessageOutcome::Acknowledged) as u64, messages, "{:?}", end.machine.stats());
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
