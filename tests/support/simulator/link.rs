//! One direction of the link, sans-IO.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::conditions::Conditions;

/// The direction of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What became of the packets. In every snapshot `received + duplicated` is the sum of `delivered`,
/// `send_failed`, `waiting`, `too_large`, `queue_full` and everything `lost_…`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that arrived, and their bytes of UDP payload.
    pub received: u64,
    pub received_bytes: u64,
    /// Packets and copies that left, and the bytes of both.
    pub delivered: u64,
    pub delivered_bytes: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Packets held back so that others overtake them.
    pub reordered: u64,
    pub lost_random: u64,
    pub lost_in_bursts: u64,
    pub lost_in_black_hole: u64,
    pub too_large: u64,
    pub queue_full: u64,
    /// Packets that the operating system did not take.
    pub send_failed: u64,
    /// On their way now.
    pub waiting: u64,
    /// A hash over all decisions so far: equal for equal seeds and traffic.
    pub decisions: u64,
}

impl Counters {
    /// All packets that did not get through.
    pub fn lost(&self) -> u64 {
        self.lost_random + self.lost_in_bursts + self.lost_in_black_hole + self.too_large + self.queue_full
    }

    pub fn to_json(self) -> Value {
        json!({
            "received": self.received,
            "received_bytes": self.received_bytes,
            "delivered": self.delivered,
            "delivered_bytes": self.delivered_bytes,
            "duplicated": self.duplicated,
            "reordered": self.reordered,
            "lost_random": self.lost_random,
            "lost_in_bursts": self.lost_in_bursts,
            "lost_in_black_hole": self.lost_in_black_hole,
            "too_large": self.too_large,
            "queue_full": self.queue_full,
            "send_failed": self.send_failed,
            "waiting": self.waiting,
            "decisions": format!("{:016x}", self.decisions),
        })
    }
}

/// When the copies of a packet arrive: none, one or two.
pub type Arrivals = [Option<Instant>; 2];

/// One direction.
#[derive(Debug)]
pub struct Link {
    conditions: Conditions,
    seed: u64,
    bad: bool,
    /// When the line has sent everything that waits for it.
    line_free_at: Option<Instant>,
    pub counters: Counters,
}

/// The purpose of a random number; each packet has one for each.
#[derive(Clone, Copy)]
enum Purpose {
    Loss,
    BurstState,
    BurstLoss,
    Duplicate,
    Reorder,
    Jitter,
    CopyJitter,
}

impl Link {
    pub fn new(seed: u64, direction: Direction, conditions: Conditions) -> Self {
        let seed = mix(seed ^ mix(direction as u64 + 1));
        Self { conditions, seed, bad: false, line_free_at: None, counters: Counters::default() }
    }

    pub fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// Changes the conditions for later packets; those on their way arrive as decided.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
        if conditions.rate_bits_per_s == 0 {
            self.line_free_at = None;
        }
    }

    /// Decides what becomes of the next packet.
    pub fn pass(&mut self, now: Instant, bytes: usize) -> Arrivals {
        self.counters.received += 1;
        self.counters.received_bytes += bytes as u64;
        let arrivals = self.decide(now, bytes);
        for arrival in arrivals {
            let delay = arrival.map_or(u64::MAX, |at| at.saturating_duration_since(now).as_micros() as u64);
            self.counters.decisions = mix(self.counters.decisions ^ delay);
        }
        self.counters.waiting += arrivals.iter().flatten().count() as u64;
        arrivals
    }

    /// A copy has left the link; `taken` says whether the operating system took it.
    pub fn left(&mut self, bytes: usize, taken: bool) {
        self.counters.waiting -= 1;
        if taken {
            self.counters.delivered += 1;
            self.counters.delivered_bytes += bytes as u64;
        } else {
            self.counters.send_failed += 1;
        }
    }

    fn decide(&mut self, now: Instant, bytes: usize) -> Arrivals {
        let Conditions { bursts, .. } = self.conditions;
        let chance = self.chances();
        if let Some(bursts) = bursts {
            let turns = chance(Purpose::BurstState) < if self.bad { bursts.leave } else { bursts.enter };
            self.bad ^= turns;
        } else {
            self.bad = false;
        }
        let lost_in_burst = self.bad && bursts.is_some_and(|bursts| chance(Purpose::BurstLoss) < bursts.loss);
        if self.conditions.black_hole {
            self.counters.lost_in_black_hole += 1;
        } else if self.conditions.mtu_bytes > 0 && bytes > self.conditions.mtu_bytes {
            self.counters.too_large += 1;
        } else if lost_in_burst {
            self.counters.lost_in_bursts += 1;
        } else if chance(Purpose::Loss) < self.conditions.loss {
            self.counters.lost_random += 1;
        } else if let Some(sent) = self.line(now, bytes) {
            return self.travel(sent, chance);
        } else {
            self.counters.queue_full += 1;
        }
        [None; 2]
    }

    /// When the line has sent the packet; `None` if too much waits for it already.
    fn line(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let rate = self.conditions.rate_bits_per_s;
        if rate == 0 {
            return Some(now);
        }
        let starts = self.line_free_at.map_or(now, |free| free.max(now));
        let waiting_bytes =
            starts.saturating_duration_since(now).as_nanos() * u128::from(rate) / 8_000_000_000;
        let limit = u128::from(self.conditions.queue_bytes);
        if limit > 0 && waiting_bytes + bytes as u128 > limit {
            return None;
        }
        let takes = bytes as u128 * 8_000_000_000 / u128::from(rate);
        let free = starts + Duration::from_nanos(u64::try_from(takes).unwrap_or(u64::MAX));
        self.line_free_at = Some(free);
        Some(free)
    }

    fn travel(&mut self, sent: Instant, chance: impl Fn(Purpose) -> f64) -> Arrivals {
        let Conditions { latency, jitter, .. } = self.conditions;
        let mut arrives = sent + latency + jitter.mul_f64(chance(Purpose::Jitter));
        if chance(Purpose::Reorder) < self.conditions.reorder {
            self.counters.reordered += 1;
            arrives += self.conditions.reorder_delay;
        }
        let copy = chance(Purpose::Duplicate) < self.conditions.duplicate;
        self.counters.duplicated += u64::from(copy);
        let copy_arrives = sent + latency + jitter.mul_f64(chance(Purpose::CopyJitter));
        [Some(arrives), copy.then_some(copy_arrives.max(arrives))]
    }

    /// The random numbers of the packet counted last, in [0, 1).
    fn chances(&self) -> impl Fn(Purpose) -> f64 + use<> {
        let packet = mix(self.seed ^ self.counters.received);
        move |purpose| (mix(packet ^ (purpose as u64 + 1) << 56) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// SplitMix64's output function over its next state (Steele, Lea, Flood: "Fast splittable
/// pseudorandom number generators").
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
