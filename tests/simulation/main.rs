//! Clients, servers and a network in invented time, all from one seed.
//!
//! - [`weather`]: what the network is like, and how it changes;
//! - [`plain`]: plain QUIC over our crypto session, which proves network and seeds before more stands on them.
//!
//! `WTGRAM_SIMULATION_SEED=17 cargo test --test simulation one -- --ignored --nocapture` runs one seed and prints all that happened.

#[path = "../support/invented/mod.rs"]
mod invented;
mod plain;
#[path = "../support/simulator/mod.rs"]
mod simulator;
mod weather;

use std::collections::BTreeMap;
use std::process::Command;

/// What a seed must give in every process.
const SEEDS: std::ops::Range<u64> = 0..20;

#[test]
fn plain_quic_keeps_its_promises_in_every_weather() {
    for seed in 0..30 {
        plain::run(seed, false);
    }
}

#[test]
fn a_seed_gives_the_same_run_in_every_process() {
    let ours: BTreeMap<u64, u64> = SEEDS.map(|seed| (seed, plain::run(seed, false).hash())).collect();
    let program = std::env::current_exe().expect("this program");
    let child = Command::new(program)
        .args(["--exact", "prints_the_hash_of_each_seed", "--ignored", "--nocapture"])
        .output()
        .expect("it runs again");
    let text = String::from_utf8_lossy(&child.stdout);
    let theirs: BTreeMap<u64, u64> = text
        .lines()
        .filter_map(|line| {
            let (seed, hash) = line.strip_prefix("hash ")?.split_once(' ')?;
            Some((seed.parse().ok()?, u64::from_str_radix(hash, 16).ok()?))
        })
        .collect();
    assert_eq!(ours, theirs, "{text}");
    let different: std::collections::BTreeSet<_> = ours.values().collect();
    assert_eq!(different.len(), ours.len(), "each seed is a run of its own");
}

#[test]
#[ignore = "the other process of a_seed_gives_the_same_run_in_every_process"]
fn prints_the_hash_of_each_seed() {
    println!();
    for seed in SEEDS {
        println!("hash {seed} {:016x}", plain::run(seed, false).hash());
    }
}

#[test]
#[ignore = "prints what happens with the seed in WTGRAM_SIMULATION_SEED"]
fn one_seed_in_words() {
    let seed = std::env::var("WTGRAM_SIMULATION_SEED").ok().and_then(|seed| seed.parse().ok());
    let record = plain::run(seed.expect("WTGRAM_SIMULATION_SEED is a number"), true);
    println!("{}", record.lines.expect("lines").join("\n"));
}
