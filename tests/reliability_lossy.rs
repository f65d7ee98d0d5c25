//! The reliability layer over real sessions through the link simulator: whatever the link does, each message arrives once
//! and has one outcome.

#[path = "support/simulator/session.rs"]
mod session;
#[path = "support/simulator/mod.rs"]
mod simulator;

use std::sync::Arc;
use std::time::{Duration, Instant};

use session::LossyPair;
use simulator::{Conditions, Direction};
use wtgram::datagram::session::Session;
use wtgram::error::Error;
use wtgram::reliability::Outcome;
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::runtime::wait::{Deadline, Timeout};

fn soon() -> Deadline {
    Timeout::After(Duration::from_secs(60)).deadline()
}

fn open(session: &Session, options: &LayerOptions) -> Arc<Layer> {
    Layer::open(Arc::clone(&session.datagrams), options).expect("a layer")
}

/// How many messages each way: 100,000, as many as the layer promises to carry without a fault.
const COUNT: u64 = 100_000;

/// Sends `count` numbered messages each way and checks that each arrives once and is acknowledged once.
fn exactly_once(near: &Layer, far: &Layer, count: u64) {
    std::thread::scope(|scope| {
        for (from, to) in [(near, far), (far, near)] {
            scope.spawn(move || {
                for number in 1..=count {
                    from.send(&number.to_be_bytes(), Some(number), soon()).unwrap();
                }
            });
            scope.spawn(move || {
                let mut seen = vec![false; count as usize + 1];
                let mut buffer = [0; 8];
                for _ in 0..count {
                    assert_eq!(to.receive(&mut buffer, soon()).unwrap().size, 8);
                    let number = u64::from_be_bytes(buffer) as usize;
                    assert!(!std::mem::replace(&mut seen[number], true), "{number} came twice");
                }
            });
            scope.spawn(move || {
                let mut settled = vec![false; count as usize + 1];
                let mut fetched = 0;
                while fetched < count as usize {
                    fetched += from
                        .outcomes(512, soon(), |report| {
                            assert_eq!(report.outcome, Outcome::Acknowledged);
                            let doubled = std::mem::replace(&mut settled[report.id as usize], true);
                            assert!(!doubled, "{} has two outcomes", report.id);
                        })
                        .unwrap();
                }
            });
        }
    });
    for (from, to) in [(near, far), (far, near)] {
        assert_eq!(from.next_outcome(Deadline::Now), Err(Error::WouldBlock), "nothing has a second outcome");
        assert_eq!(to.receive(&mut [0; 8], Deadline::Now), Err(Error::WouldBlock), "nothing comes twice");
        let stats = from.stats();
        assert_eq!((stats.sender.submitted, stats.sender.acknowledged), (count, count));
        assert_eq!((stats.unresolved, to.stats().receiver.delivered), (0, count));
    }
}

fn under(name: &str, seed: u64, conditions: Conditions, options: LayerOptions) {
    let pair = LossyPair::new(seed);
    let (near, far) = (open(&pair.client, &options), open(&pair.accepted, &options));
    pair.link.set(conditions);
    let started = Instant::now();
    exactly_once(&near, &far, COUNT);
    println!("{name}: {COUNT} each way in {:.1} s", started.elapsed().as_secs_f64());
    for (name, layer, direction) in [("up", &near, Direction::Up), ("down", &far, Direction::Down)] {
        let counters = pair.link.counters(direction);
        println!("  {name}: {:?}\n  {counters:?}", layer.stats().sender);
        assert!(counters.lost_random * 10 > counters.received, "the link lost too little to prove anything");
    }
    pair.link.set(Conditions::default());
    near.close(soon()).unwrap();
}

fn patient() -> LayerOptions {
    LayerOptions { max_retries: 30, ..LayerOptions::default() }
}

fn loss_and_reordering() -> Conditions {
    Conditions { loss: 0.2, reorder: 0.04, reorder_delay: Duration::from_millis(3), ..Conditions::default() }
}

#[test]
fn nothing_is_lost_or_doubled_at_20_percent_loss_with_4_percent_reordering() {
    under("loss 20 %, reordering 4 %", 11, loss_and_reordering(), patient());
}

#[test]
fn nothing_is_lost_or_doubled_at_25_percent_loss_with_25_percent_duplication() {
    let conditions = Conditions { loss: 0.25, duplicate: 0.25, ..Conditions::default() };
    under("loss 25 %, duplication 25 %", 12, conditions, patient());
}
