//! The conditions of a network, and how they change, drawn from a seed.

use std::time::Duration;

use support::invented::Dice;
use support::invented::network::Interference;
use support::simulator::{Bursts, Conditions};

/// The smallest UDP payload that every path carries (RFC 9000 section 14).
const SMALLEST_MTU: u64 = 1200;

/// A link that only delays.
pub fn calm() -> (Conditions, Interference) {
    (Conditions::latency(Duration::from_millis(5)), Interference::default())
}

/// A link with some of the faults that links have; rarely with all.
pub fn drawn(dice: &mut Dice) -> (Conditions, Interference) {
    let mut conditions = Conditions::latency(Duration::from_micros(
        dice.pick(&[0, 100, 1_000, 10_000, 40_000, 100_000, 300_000]),
    ));
    let share = |dice: &mut Dice| dice.pick(&[0.001, 0.01, 0.05, 0.2]);
    if dice.one_in(2) {
        conditions.loss = share(dice);
    }
    if dice.one_in(5) {
        conditions.bursts = Some(Bursts { enter: share(dice) / 10.0, leave: 0.2, loss: 0.9 });
    }
    if dice.one_in(4) {
        conditions.duplicate = share(dice);
    }
    if dice.one_in(4) {
        conditions.reorder = share(dice);
        conditions.reorder_delay = Duration::from_millis(dice.below(50));
    }
    if dice.one_in(3) {
        conditions.jitter = Duration::from_micros(dice.below(30_000));
    }
    if dice.one_in(3) {
        conditions.rate_bits_per_s = dice.pick(&[100_000, 1_000_000, 10_000_000, 100_000_000]);
        conditions.queue_bytes = dice.pick(&[0, 5_000, 50_000, 500_000]);
    }
    if dice.one_in(4) {
        conditions.mtu_bytes = (SMALLEST_MTU + dice.below(300)) as usize;
    }
    if dice.one_in(12) {
        conditions.black_hole = true;
    }
    let mut interference = Interference::default();
    if dice.one_in(5) {
        interference.damaged = share(dice);
    }
    if dice.one_in(5) {
        interference.invented = share(dice);
    }
    if dice.one_in(5) {
        interference.marked = share(dice);
    }
    interference.bleached = dice.one_in(6);
    (conditions, interference)
}

/// How long the weather stays as it is.
pub fn lasts(dice: &mut Dice) -> Duration {
    Duration::from_millis(dice.pick(&[50, 300, 1_000, 3_000]) + dice.below(500))
}
