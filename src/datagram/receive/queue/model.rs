//! The queue against a list of vectors, over random operations in invented time.

use std::time::{Duration, Instant};

use crate::datagram::random_steps::{self, Dice};
use proptest::prelude::*;

use super::tests::pop_batch;
use super::*;
use crate::datagram::receive::ring::{FIRST_BYTES, FIRST_ENTRIES};

struct Datagram {
    payload: Vec<u8>,
    sequence: u64,
    timestamp_us: u64,
    arrived_at: Instant,
}

/// The model: one vector for each datagram, and one operation after the other.
struct Model {
    config: ReceiveConfig,
    queue: Vec<Datagram>,
    next_sequence: u64,
    counters: InboundCounters,
}

impl Model {
    fn size(&self) -> usize {
        self.queue.iter().map(|datagram| datagram.payload.len()).sum()
    }

    fn fits(&self, extra: usize) -> bool {
        self.queue.len() < self.config.limits.datagrams && self.size() + extra <= self.config.limits.bytes
    }

    fn expire(&mut self, now: Instant) -> usize {
        let mut dropped = 0;
        while let (Some(max_age), Some(front)) = (self.config.max_age, self.queue.first())
            && now.saturating_duration_since(front.arrived_at) >= max_age
        {
            self.counters.expired.add(self.queue.remove(0).payload.len());
            dropped += 1;
        }
        dropped
    }

    fn push(&mut self, now: Instant, timestamp_us: u64, payload: &[u8]) -> bool {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.counters.received.add(payload.len());
        if !self.fits(payload.len()) {
            self.expire(now);
        }
        let could_fit = payload.len() <= self.config.limits.bytes;
        while !self.fits(payload.len()) && self.config.policy == DropPolicy::Oldest && could_fit {
            self.counters.dropped_full.add(self.queue.remove(0).payload.len());
        }
        if !self.fits(payload.len()) {
            self.counters.dropped_full.add(payload.len());
            return false;
        }
        self.queue.push(Datagram { payload: payload.to_vec(), sequence, timestamp_us, arrived_at: now });
        true
    }

    fn drop_beyond_limits(&mut self, now: Instant) -> usize {
        self.expire(now);
        let Limits { datagrams, bytes } = self.config.limits;
        let mut dropped = 0;
        while self.config.policy == DropPolicy::Oldest
            && (self.queue.len() > datagrams || self.size() > bytes)
        {
            self.counters.dropped_full.add(self.queue.remove(0).payload.len());
            dropped += 1;
        }
        dropped
    }

    /// Takes the next datagram into a buffer of `room` bytes.
    fn pop(&mut self, now: Instant, room: usize) -> Result<Datagram, PopError> {
        self.expire(now);
        match self.queue.first() {
            None => Err(PopError::Empty),
            Some(front) if front.payload.len() > room => {
                Err(PopError::TooSmall { needed: front.payload.len() })
            }
            Some(_) => {
                let front = self.queue.remove(0);
                self.counters.delivered.add(front.payload.len());
                Ok(front)
            }
        }
    }
}

/// Sizes: mostly small, sometimes more than an empty queue has memory for, sometimes zero.
fn any_size(dice: &mut Dice) -> usize {
    let bound = dice.one_of([1, 40, 40, 40, 40, 300, 300, 9000]);
    dice.below(bound) as usize
}

struct Run {
    real: ReceiveQueue,
    model: Model,
    now: Instant,
    /// Payloads are slices of this, so that no two are equal.
    noise: Vec<u8>,
    arena: Vec<u8>,
    largest_limits: Limits,
}

impl Run {
    fn new(config: ReceiveConfig) -> Self {
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        Self {
            real: ReceiveQueue::new(config, 14),
            model: Model {
                config,
                queue: Vec::new(),
                next_sequence: 0,
                counters: InboundCounters::default(),
            },
            // Far enough from the start of the clock to step back from.
            now: Instant::now() + Duration::from_secs(1000),
            noise: noise.take(20_000).collect(),
            arena: vec![0; 20_000],
            largest_limits: config.limits,
        }
    }

    fn step(&mut self, mut dice: Dice) {
        match dice.below(64) {
            0 => self.now -= Duration::from_micros(dice.below(40)),
            1..20 => self.now += Duration::from_micros(dice.below(8)),
            _ => {}
        }
        let now = self.now;
        match dice.below(32) {
            0..12 => {
                let timestamp_us = dice.below(1000);
                let batch: Vec<&[u8]> = (0..dice.below(5))
                    .map(|_| {
                        let (start, len) = (dice.below(10_000) as usize, any_size(&mut dice));
                        &self.noise[start..start + len]
                    })
                    .collect();
                let expected =
                    batch.iter().filter(|payload| self.model.push(now, timestamp_us, payload)).count();
                assert_eq!(self.real.push_batch(now, timestamp_us, batch), expected);
            }
            12..18 => {
                let room = any_size(&mut dice);
                let result = self.real.pop_into(now, &mut self.arena[..room]);
                match self.model.pop(now, room) {
                    Ok(expected) => {
                        assert_eq!(self.arena[..expected.payload.len()], expected.payload);
                        assert_eq!(result, Ok(metadata_of(&expected, now)));
                    }
                    Err(error) => assert_eq!(result, Err(error)),
                }
            }
            18..25 => self.pop_batch(&mut dice),
            25 => {
                let max_age = dice.one_of([0, 5, 20, 100]);
                self.real.set_max_age(Some(Duration::from_micros(max_age)));
                self.model.config.max_age = (max_age > 0).then(|| Duration::from_micros(max_age));
            }
            26 => {
                let bytes = dice.one_of([0, 60, 1000, 40_000]);
                let limits = Limits { datagrams: dice.below(60) as usize + 1, bytes };
                self.real.set_limits(limits);
                self.model.config.limits = limits;
                self.largest_limits.datagrams = self.largest_limits.datagrams.max(limits.datagrams);
                self.largest_limits.bytes = self.largest_limits.bytes.max(limits.bytes);
                let policy = dice.one_of([DropPolicy::Oldest, DropPolicy::Newest]);
                self.real.set_policy(policy);
                self.model.config.policy = policy;
                if dice.below(2) == 0 {
                    let expected = self.model.drop_beyond_limits(now);
                    assert_eq!(self.real.drop_beyond_limits(now), expected);
                }
            }
            27 => assert_eq!(self.real.expire(now), self.model.expire(now)),
            28 => {
                self.model.expire(now);
                assert_eq!(
                    self.real.front_len(now),
                    self.model.queue.first().map(|datagram| datagram.payload.len())
                );
                if let Some(front) = self.model.queue.first() {
                    let room = any_size(&mut dice).min(front.payload.len());
                    self.real.front_into(&mut self.arena[..room]);
                    assert_eq!(self.arena[..room], front.payload[..room]);
                }
            }
            30 => {
                let room = any_size(&mut dice);
                let result = self.real.pop_unexpiring(&mut self.arena[..room]);
                let expected = match self.model.config.max_age {
                    None => self.model.pop(now, room),
                    Some(_) => Err(PopError::Empty),
                };
                assert_eq!(
                    result,
                    expected.as_ref().map(|expected| expected.payload.len()).map_err(|error| *error)
                );
                if let Ok(expected) = expected {
                    assert_eq!(self.arena[..expected.payload.len()], expected.payload);
                }
            }
            29 => {
                assert_eq!(self.real.claim_sequence(), self.model.next_sequence);
                self.model.next_sequence += 1;
            }
            _ => {
                self.model.expire(now);
                let expected = self.model.queue.len();
                for datagram in self.model.queue.drain(..) {
                    self.model.counters.cleared.add(datagram.payload.len());
                }
                assert_eq!(self.real.clear(now), expected);
            }
        }
        self.check();
    }

    fn pop_batch(&mut self, dice: &mut Dice) {
        let now = self.now;
        let room = dice.below(4) as usize * any_size(dice);
        let room = room.min(self.arena.len());
        let mut slots = vec![Slot::default(); dice.below(8) as usize];
        let result = pop_batch(&mut self.real, now, &mut self.arena[..room], &mut slots);
        let (mut filled, mut offset) = (0, 0);
        let expected = loop {
            if filled == slots.len() {
                self.model.expire(now);
                break Ok(filled);
            }
            match self.model.pop(now, room - offset) {
                Ok(expected) => {
                    let (len, metadata) = (expected.payload.len(), metadata_of(&expected, now));
                    assert_eq!(slots[filled], Slot { offset, len, metadata });
                    assert_eq!(self.arena[offset..offset + len], expected.payload);
                    offset += len;
                    filled += 1;
                }
                Err(error @ PopError::TooSmall { .. }) if filled == 0 => break Err(error),
                Err(_) => break Ok(filled),
            }
        };
        assert_eq!(result, expected);
    }

    fn check(&mut self) {
        let (real, model) = (&self.real, &mut self.model);
        model.counters.queued = Tally { datagrams: model.queue.len() as u64, bytes: model.size() as u64 };
        assert!(real.counters.is_balanced(), "{:?}", real.counters);
        assert_eq!(real.counters, model.counters);
        assert_eq!(real.next_sequence(), model.next_sequence);
        assert_eq!(real.ring.len(), model.queue.len());
        assert_eq!(real.ring.bytes(), model.size());
        let (bytes, entries) = real.ring.capacities();
        assert!(bytes <= self.largest_limits.bytes.max(FIRST_BYTES));
        assert!(entries <= self.largest_limits.datagrams.max(FIRST_ENTRIES));
        assert!(!model.queue.is_empty() || (bytes, entries) == (0, 0));
    }
}

fn metadata_of(datagram: &Datagram, now: Instant) -> Metadata {
    Metadata {
        timestamp_us: datagram.timestamp_us,
        size: datagram.payload.len(),
        sequence: datagram.sequence,
        age: now.saturating_duration_since(datagram.arrived_at),
        waited: Duration::ZERO,
    }
}

fn configs() -> impl Strategy<Value = ReceiveConfig> {
    (1..60_usize, 0..4_usize, any::<bool>()).prop_map(|(datagrams, bytes, oldest)| ReceiveConfig {
        limits: Limits { datagrams, bytes: [60, 1000, 1000, 40_000][bytes] },
        max_age: None,
        policy: if oldest { DropPolicy::Oldest } else { DropPolicy::Newest },
    })
}

#[test]
fn it_does_in_every_step_what_a_list_of_vectors_would_do() {
    random_steps::run(configs(), |config, steps| {
        let mut run = Run::new(config);
        for dice in steps {
            run.step(dice);
        }
    });
}
