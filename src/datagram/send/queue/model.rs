//! The queue against the simplest possible queue, over random operations in invented time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::datagram::random_steps::{self, Dice};
use bytes::Bytes;
use proptest::prelude::*;

use super::tests::{Hand, LANE, within};
use super::*;
use crate::datagram::message::{Content, expiry};
use crate::datagram::send::ring::Entry;

/// The session prefix is the datagram's id, so that size 0 is possible and the order can be
/// checked.
const PREFIX_LEN: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Item {
    id: u64,
    size: usize,
    priority: usize,
    enqueued_at: Instant,
    expires_at: Option<Instant>,
    reported: bool,
}

/// Lists that are searched from end to end, and one counter for each fate.
struct Model {
    config: SendConfig,
    waiting: Vec<Item>,
    counters: OutboundCounters,
    outcomes: HashMap<u64, OutcomeKind>,
    sent_sizes: Vec<usize>,
    closed: bool,
    above: bool,
}

impl Model {
    fn is_expired(&self, item: &Item, now: Instant) -> bool {
        item.expires_at.is_some_and(|at| now >= at)
            || self
                .config
                .max_age
                .is_some_and(|max_age| now.saturating_duration_since(item.enqueued_at) >= max_age)
    }

    fn count(&mut self, item: Item, kind: OutcomeKind) {
        let counters = &mut self.counters;
        let tally = match kind {
            OutcomeKind::Handed => &mut counters.sent,
            OutcomeKind::Expired => &mut counters.expired,
            OutcomeKind::Evicted => &mut counters.evicted,
            OutcomeKind::Rejected => &mut counters.rejected,
            OutcomeKind::TooLarge => &mut counters.too_large,
            OutcomeKind::Failed | OutcomeKind::Closed => &mut counters.failed,
            OutcomeKind::Cleared => &mut counters.cleared,
        };
        tally.add(item.size);
        if kind == OutcomeKind::Handed {
            self.sent_sizes.push(item.size);
        }
        if item.reported {
            assert_eq!(self.outcomes.insert(item.id, kind), None, "one outcome each");
        }
    }

    fn drop_waiting(&mut self, which: impl Fn(&Self, &Item) -> bool, kind: OutcomeKind) -> usize {
        let (gone, kept): (Vec<_>, Vec<_>) = self.waiting.iter().partition(|item| which(self, item));
        self.waiting = kept;
        for item in &gone {
            self.count(*item, kind);
        }
        gone.len()
    }

    fn fits(&self, size: usize, beside: impl Fn(&Item) -> bool) -> bool {
        let beside: Vec<_> = self.waiting.iter().filter(|item| beside(item)).collect();
        beside.len() < self.config.limits.datagrams
            && beside.iter().map(|item| item.size).sum::<usize>() + size <= self.config.limits.bytes
    }

    fn outcome_places_taken(&self) -> usize {
        self.outcomes.len() + self.waiting.iter().filter(|item| item.reported).count()
    }

    /// The index in `waiting` of the datagram that leaves next.
    fn front(&self) -> Option<usize> {
        let highest = self.waiting.iter().map(|item| item.priority).max()?;
        self.waiting.iter().position(|item| item.priority == highest)
    }

    fn push(&mut self, now: Instant, item: Item) -> Result<usize, &'static str> {
        if self.closed {
            return Err("closed");
        }
        if item.reported && self.outcome_places_taken() >= self.config.outcome_capacity {
            return Err("outcomes full");
        }
        if self.is_expired(&item, now) {
            self.counters.handed_in.add(item.size);
            self.count(item, OutcomeKind::Expired);
            return Err("expired");
        }
        if !self.fits(item.size, |_| true) {
            self.drop_waiting(|model, item| model.is_expired(item, now), OutcomeKind::Expired);
        }
        let mut evicted = 0;
        if !self.fits(item.size, |_| true) {
            match self.config.policy {
                FullPolicy::Evict if self.fits(item.size, |other| other.priority > item.priority) => {
                    while !self.fits(item.size, |_| true) {
                        self.evict_one();
                        evicted += 1;
                    }
                }
                FullPolicy::Wait if item.size <= self.config.limits.bytes => return Err("full"),
                _ => {
                    self.counters.handed_in.add(item.size);
                    self.count(item, OutcomeKind::Rejected);
                    return Err("rejected");
                }
            }
        }
        self.counters.handed_in.add(item.size);
        self.waiting.push(item);
        Ok(evicted)
    }

    fn evict_one(&mut self) {
        let lowest = self.waiting.iter().map(|item| item.priority).min().unwrap();
        let oldest = self.waiting.iter().position(|item| item.priority == lowest).unwrap();
        let oldest = self.waiting.remove(oldest);
        self.count(oldest, OutcomeKind::Evicted);
    }

    fn evict_beyond_limits(&mut self, now: Instant) -> usize {
        self.drop_waiting(|model, item| model.is_expired(item, now), OutcomeKind::Expired);
        let Limits { datagrams, bytes } = self.config.limits;
        let mut evicted = 0;
        while self.config.policy == FullPolicy::Evict
            && (self.waiting.len() > datagrams
                || self.waiting.iter().map(|item| item.size).sum::<usize>() > bytes)
        {
            self.evict_one();
            evicted += 1;
        }
        evicted
    }

    /// The ids of the datagrams that leave, in order.
    fn hand_over(
        &mut self,
        now: Instant,
        max_bytes: usize,
        max_count: usize,
        kinds: &[OutcomeKind],
    ) -> Vec<u64> {
        let mut left = Vec::new();
        let mut bytes = 0;
        while left.len() < max_count
            && let Some(front) = self.front()
        {
            let item = self.waiting[front];
            if self.is_expired(&item, now) {
                self.waiting.remove(front);
                self.count(item, OutcomeKind::Expired);
            } else if bytes + item.size + PREFIX_LEN <= max_bytes {
                bytes += item.size + PREFIX_LEN;
                self.waiting.remove(front);
                self.count(item, kinds.get(left.len()).copied().unwrap_or(OutcomeKind::Handed));
                left.push(item.id);
            } else {
                break;
            }
        }
        left
    }

    fn tally<'a>(items: impl IntoIterator<Item = &'a Item>) -> Tally {
        let mut tally = Tally::default();
        items.into_iter().for_each(|item| tally.add(item.size));
        tally
    }

    fn tell_level(&mut self) {
        self.counters.queued = Self::tally(&self.waiting);
        let Tally { datagrams, bytes } = self.counters.queued;
        let marks = self.config.marks;
        let (datagrams, bytes) = (datagrams as usize, bytes as usize);
        if !self.above && (datagrams >= marks.high_datagrams || bytes >= marks.high_bytes) {
            self.above = true;
        } else if self.above && datagrams <= marks.low_datagrams && bytes <= marks.low_bytes {
            self.above = false;
        }
    }
}

struct Run {
    real: SendQueue,
    model: Model,
    now: Instant,
    next_id: u64,
    kept: Vec<Bytes>,
}

fn id_of(framed: &[u8]) -> u64 {
    u64::from_be_bytes(framed[..PREFIX_LEN].try_into().unwrap())
}

/// The payload of a datagram: bytes that differ from its neighbours'.
fn payload_of(id: u64, size: usize) -> Vec<u8> {
    vec![id as u8; size]
}

impl Run {
    fn new(config: SendConfig) -> Self {
        Self {
            real: SendQueue::new(config, LANE),
            model: Model {
                config,
                waiting: Vec::new(),
                counters: OutboundCounters::default(),
                outcomes: HashMap::new(),
                sent_sizes: Vec::new(),
                closed: false,
                above: false,
            },
            // Far enough from the start of the clock to step back from.
            now: Instant::now() + Duration::from_secs(1000),
            next_id: 0,
            kept: Vec::new(),
        }
    }

    fn step(&mut self, mut dice: Dice) {
        let micros = Duration::from_micros;
        match dice.below(32) {
            0 => self.now -= micros(dice.below(40)),
            1..8 => self.now += micros(dice.below(8)),
            _ => {}
        }
        match dice.below(32) {
            0..13 => self.push(&mut dice),
            13..24 => self.hand_over(&mut dice),
            24 => {
                let max_age = dice.one_of([0, 5, 20, 100]);
                self.real.set_max_age(Some(micros(max_age)));
                self.model.config.max_age = (max_age > 0).then(|| micros(max_age));
            }
            25 => {
                let limits =
                    Limits { datagrams: dice.below(12) as usize + 1, bytes: dice.below(200) as usize };
                self.real.set_limits(limits);
                self.model.config.limits = limits;
                if dice.below(2) == 0 {
                    let expected = self.model.evict_beyond_limits(self.now);
                    assert_eq!(self.real.evict_beyond_limits(self.now), expected);
                }
            }
            26 => {
                let now = self.now;
                let expected =
                    self.model.drop_waiting(|model, item| model.is_expired(item, now), OutcomeKind::Expired);
                assert_eq!(self.real.expire(now), expected);
            }
            27 => self.count_outside(&mut dice),
            28..31 => {
                let mut fetched = Vec::new();
                let max_count = dice.below(6) as usize;
                let count = self.real.take_outcomes(max_count, &mut fetched);
                assert_eq!(count, self.model.outcomes.len().min(max_count));
                for Outcome { report_id, kind } in fetched {
                    assert_eq!(self.model.outcomes.remove(&report_id), Some(kind), "{report_id}");
                }
            }
            _ => match dice.below(64) {
                0 => {
                    self.model.closed = true;
                    let expected = self.model.drop_waiting(|_, _| true, OutcomeKind::Closed);
                    assert_eq!(self.real.close(), expected);
                }
                1..20 => {
                    let now = self.now;
                    self.model.drop_waiting(|model, item| model.is_expired(item, now), OutcomeKind::Expired);
                    let expected = self.model.drop_waiting(|_, _| true, OutcomeKind::Cleared);
                    assert_eq!(self.real.clear(now), expected);
                }
                other => {
                    let policy =
                        [FullPolicy::Evict, FullPolicy::Reject, FullPolicy::Wait][other as usize % 3];
                    self.real.set_policy(policy);
                    self.model.config.policy = policy;
                }
            },
        }
        self.model.tell_level();
        self.check();
    }

    fn push(&mut self, dice: &mut Dice) {
        let id = self.next_id;
        self.next_id += 1;
        let size = dice.below(40) as usize;
        let priority = dice.below(3) as usize;
        let reported = dice.below(2) == 0;
        let longest = dice.one_of([1, 1, 10, 50]);
        let ttl = dice.below(longest);
        let ttl = Some(Duration::from_micros(ttl));
        // Some datagrams have waited before they are submitted.
        let longest_wait = dice.one_of([1, 1, 1, 20]);
        let since = self.now - Duration::from_micros(dice.below(longest_wait));
        let (prefix, payload) = (id.to_be_bytes(), payload_of(id, size));
        let framed = Bytes::from([&prefix[..], &payload].concat());
        let content = match dice.below(4) {
            0 => Content::Shared { framed: &framed, prefix_len: PREFIX_LEN },
            _ => Content::Copied { prefix: &prefix, payload: &payload },
        };
        let datagram = Outgoing {
            content,
            priority: Priority::clamped(priority as i64),
            enqueued_at: since,
            expires_at: expiry(since, ttl),
            report_id: reported.then_some(id),
        };
        let expires_at = datagram.expires_at;
        let expected = Item { id, size, priority, enqueued_at: since, expires_at, reported };
        let expected = self.model.push(self.now, expected);
        let result = match self.real.push(self.now, &datagram) {
            Ok(Pushed { evicted }) => Ok(evicted),
            Err(PushError::Rejected) => Err("rejected"),
            Err(PushError::Expired) => Err("expired"),
            Err(PushError::Full) => Err("full"),
            Err(PushError::OutcomesFull) => Err("outcomes full"),
            Err(PushError::Closed) => Err("closed"),
        };
        assert_eq!(result, expected);
    }

    fn hand_over(&mut self, dice: &mut Dice) {
        let (max_bytes, max_count) = (dice.below(120) as usize, dice.below(6) as usize);
        let (answers, kinds): (Vec<_>, Vec<_>) = (0..6)
            .map(|_| {
                [
                    (HandOver::Sent, OutcomeKind::Handed),
                    (HandOver::TooLarge, OutcomeKind::TooLarge),
                    (HandOver::Failed, OutcomeKind::Failed),
                    (HandOver::Closed, OutcomeKind::Closed),
                ][dice.below(7).saturating_sub(3) as usize]
            })
            .unzip();
        let mut hand = Hand { answers, ..Hand::new(within(max_bytes)) };
        let count = self.real.hand_over(self.now, max_count, &mut hand);
        let expected = self.model.hand_over(self.now, max_bytes, max_count, &kinds);
        assert_eq!(
            (count, hand.taken.iter().map(|framed| id_of(framed)).collect::<Vec<_>>()),
            (expected.len(), expected)
        );
        for framed in &hand.taken {
            assert_eq!(framed[PREFIX_LEN..], payload_of(id_of(framed), framed.len() - PREFIX_LEN));
        }
        // QUIC keeps some for a while, and other datagrams are queued meanwhile.
        self.kept.extend(hand.taken);
        while self.kept.len() > dice.below(20) as usize {
            let framed = self.kept.remove(dice.below(self.kept.len() as u64) as usize);
            assert_eq!(framed[PREFIX_LEN..], payload_of(id_of(&framed), framed.len() - PREFIX_LEN));
        }
    }

    fn count_outside(&mut self, dice: &mut Dice) {
        let id = self.next_id;
        self.next_id += 1;
        let size = dice.below(2000) as usize;
        let reported = dice.below(2) == 0;
        let report_id = reported.then_some(id);
        let (result, kind) = match dice.below(2) {
            0 => (self.real.count_too_large(size, report_id), OutcomeKind::TooLarge),
            _ => (self.real.count_rejected(size, report_id), OutcomeKind::Rejected),
        };
        if reported && self.model.outcome_places_taken() >= self.model.config.outcome_capacity {
            assert_eq!(result, Err(OutcomesFull));
            return;
        }
        assert_eq!(result, Ok(()));
        let (priority, enqueued_at, expires_at) = (0, self.now, None);
        let item = Item { id, size, priority, enqueued_at, expires_at, reported };
        self.model.counters.handed_in.add(size);
        self.model.count(item, kind);
    }

    fn check(&mut self) {
        let (real, model) = (&mut self.real, &mut self.model);
        assert!(real.counters.is_balanced(), "{:?}", real.counters);
        assert_eq!(real.counters, model.counters);
        let waiting = real.waiting();
        assert_eq!(waiting.iter().copied().sum::<Tally>(), real.counters.queued);
        for (priority, ring) in real.rings.iter().enumerate() {
            let expected: Vec<_> = model.waiting.iter().filter(|item| item.priority == priority).collect();
            assert_eq!(waiting[priority], Model::tally(expected.iter().copied()));
            assert!(ring.entries().map(Entry::size).eq(expected.iter().map(|item| item.size)));
            assert_eq!(ring.is_empty(), ring.chunks() == 0);
        }
        // Every datagram with a report id either has had its outcome, once, or still gets it.
        assert_eq!(real.outcomes_len(), model.outcomes.len());
        assert_eq!(real.outcomes_len() + real.outcomes.reserved(), model.outcome_places_taken());
        assert!(model.outcome_places_taken() <= model.config.outcome_capacity);
        let earliest = model.waiting.iter().filter_map(|item| item.expires_at).min();
        assert!(earliest.is_none_or(|at| real.next_expiry().is_some_and(|bound| bound <= at)));
        assert_eq!(real.is_above_high_water(), model.above);
        assert_eq!(real.sent_sizes().min(), model.sent_sizes.iter().copied().min().unwrap_or(0));
        assert_eq!(real.sent_sizes().max(), model.sent_sizes.iter().copied().max().unwrap_or(0));
        if model.sent_sizes.len() > 2 {
            model.sent_sizes = vec![real.sent_sizes().min(), real.sent_sizes().max()];
        }
    }

    /// Everything ends, and every report id has had its outcome.
    fn finish(mut self) {
        self.step_to_the_end();
        assert_eq!(self.real.counters().queued, Tally::default());
        assert_eq!(self.real.outcomes.reserved(), 0);
        let mut fetched = Vec::new();
        self.real.take_outcomes(usize::MAX, &mut fetched);
        for Outcome { report_id, kind } in fetched {
            assert_eq!(self.model.outcomes.remove(&report_id), Some(kind));
        }
        assert!(self.model.outcomes.is_empty());
    }

    fn step_to_the_end(&mut self) {
        self.model.closed = true;
        let expected = self.model.drop_waiting(|_, _| true, OutcomeKind::Closed);
        assert_eq!(self.real.close(), expected);
        self.model.tell_level();
        self.check();
    }
}

fn configs() -> impl Strategy<Value = SendConfig> {
    (1..12_usize, 0..200_usize, 0..3_usize, 0..20_usize, 1..10_usize, 0..10_usize, 1..150_usize).prop_map(
        |(datagrams, bytes, policy, outcome_capacity, high_datagrams, low_datagrams, high_bytes)| {
            SendConfig {
                limits: Limits { datagrams, bytes },
                max_age: None,
                policy: [FullPolicy::Evict, FullPolicy::Reject, FullPolicy::Wait][policy],
                marks: Marks {
                    high_datagrams,
                    low_datagrams: low_datagrams.min(high_datagrams - 1),
                    high_bytes,
                    low_bytes: high_bytes / 2,
                },
                outcome_capacity,
            }
        },
    )
}

#[test]
fn it_does_in_every_step_what_a_list_searched_from_end_to_end_would_do() {
    random_steps::run(configs(), |config, steps| {
        let mut run = Run::new(config);
        for dice in steps {
            run.step(dice);
        }
        run.finish();
    });
}
