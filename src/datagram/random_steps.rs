//! Runs a queue and its model through random steps, for the model tests.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const STEPS_PER_CASE: usize = 1000;

/// Makes small numbers from one random number (Knuth's linear congruential generator). So proptest
/// sees one number per step, and a failing list of steps shrinks fast.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub(super) fn one_of<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.below(N as u64) as usize]
    }
}

/// Calls `case` with random configurations, and with random numbers for each step.
/// `WTGRAM_MODEL_STEPS` is the number of all steps; default one million.
pub(super) fn run<C: std::fmt::Debug>(configs: impl Strategy<Value = C>, case: impl Fn(C, Vec<Dice>)) {
    let steps = match std::env::var("WTGRAM_MODEL_STEPS") {
        Ok(steps) => steps.parse().expect("WTGRAM_MODEL_STEPS is a number"),
        Err(_) => 1_000_000,
    };
    let config = ProptestConfig {
        cases: u32::try_from(steps / STEPS_PER_CASE).unwrap().max(1),
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    };
    let randoms = proptest::collection::vec(any::<u64>(), STEPS_PER_CASE);
    let result = TestRunner::new(config).run(&(configs, randoms), |(config, randoms)| {
        case(config, randoms.into_iter().map(Dice).collect());
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
