//! Eight threads use one session in all ways at once for ten seconds. Every snapshot adds up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::invented::Dice;
use support::pair::{Pair, after, eventually};
use wtgram::datagram::message::{Limits, Priority};
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::receive::{DropPolicy, Slot};
use wtgram::datagram::send::{FullPolicy, Outcome, OutcomeKind};
use wtgram::datagram::stats::Stats;
use wtgram::datagram::transport::Transport;
use wtgram::error::Error;
use wtgram::runtime::wait::Deadline;

const STORM: Duration = Duration::from_secs(10);

/// The action that a thread repeats.
type Work = Box<dyn Fn(&Pair, &Told, &mut Dice) + Send>;

/// The results that the senders got, for a comparison with the counters.
#[derive(Default)]
struct Told {
    taken: AtomicU64,
    report_id: AtomicU64,
    reported: AtomicU64,
}

fn send_anything(transport: &Transport, told: &Told, random: &mut Dice) {
    let size = if random.below(50) == 0 { 5000 } else { random.below(1100) as usize };
    let wants_report = random.below(4) == 0;
    let options = SendOptions {
        priority: Priority::clamped(random.below(5) as i64 - 1),
        ttl: (random.below(3) == 0).then(|| Duration::from_micros(random.below(3000))),
        report_id: wants_report.then(|| 1 + told.report_id.fetch_add(1, Ordering::Relaxed)),
    };
    let deadline =
        if random.below(2) == 0 { Deadline::Now } else { after(Duration::from_micros(random.below(2000))) };
    let count = |result: &Result<(), Error>| match result {
        Ok(()) | Err(Error::QueueFull | Error::TooLarge { .. } | Error::TimedOut) => {
            told.taken.fetch_add(1, Ordering::Relaxed);
            told.reported.fetch_add(u64::from(wants_report), Ordering::Relaxed);
        }
        Err(Error::WouldBlock | Error::LimitReached(_)) => {}
        Err(other) => panic!("{other}"),
    };
    if random.below(3) == 0 && !wants_report {
        let payload = vec![1; size];
        let many = (0..random.below(80)).map(|_| Ok(&payload[..]));
        transport.outgoing.send_batch(many, &options, deadline, |result| count(&result));
    } else {
        count(&transport.outgoing.send(&vec![1; size], &options, deadline));
    }
}

fn change_anything(pair: &Pair, random: &mut Dice) {
    let limits =
        Limits { datagrams: 1 + random.below(300) as usize, bytes: 2000 + random.below(200_000) as usize };
    let age = [None, Some(Duration::from_micros(1 + random.below(2000)))][random.below(2) as usize];
    match random.below(9) {
        0 => pair.from().outgoing.set_limits(limits),
        1 => pair.from().outgoing.set_max_age(age),
        2 => pair
            .from()
            .outgoing
            .set_policy([FullPolicy::Evict, FullPolicy::Reject, FullPolicy::Wait][random.below(3) as usize]),
        3 => drop(pair.from().outgoing.clear()),
        4 => pair.to().incoming.set_limits(limits),
        5 => pair.to().incoming.set_max_age(age),
        6 => {
            pair.to().incoming.set_policy([DropPolicy::Oldest, DropPolicy::Newest][random.below(2) as usize])
        }
        7 => drop(pair.to().incoming.clear()),
        _ => drop(pair.from().snapshot()),
    }
    std::thread::sleep(Duration::from_micros(random.below(3000)));
}

fn check(stats: &Stats) {
    assert!(stats.outbound.is_balanced(), "{:?}", stats.outbound);
    assert!(stats.inbound.is_balanced(), "{:?}", stats.inbound);
}

#[test]
fn every_snapshot_adds_up_while_eight_threads_storm_one_session_for_ten_seconds() {
    let pair = Arc::new(Pair::open(&TransportOptions::default()));
    let told = Arc::new(Told::default());
    let over = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let spawn = |seed: u64, work: Work| {
        let (pair, told, over) = (Arc::clone(&pair), Arc::clone(&told), Arc::clone(&over));
        std::thread::spawn(move || {
            let mut random = Dice::new(seed);
            while !over.load(Ordering::Relaxed) {
                work(&pair, &told, &mut random);
            }
        })
    };
    let mut threads = Vec::new();
    for seed in 1..=3 {
        threads.push(spawn(seed, Box::new(|pair, told, random| send_anything(pair.from(), told, random))));
    }
    for seed in 4..=5 {
        threads.push(spawn(
            seed,
            Box::new(|pair, _, random| {
                let mut arena = [0; 20_000];
                let mut slots = [Slot::default(); 32];
                let count = 1 + random.below(32) as usize;
                let _ = pair.to().incoming.receive_batch(
                    &mut arena,
                    &mut slots[..count],
                    after(Duration::from_millis(1)),
                );
            }),
        ));
    }
    threads.push(spawn(6, Box::new(|pair, _, random| change_anything(pair, random))));
    threads.push(spawn(
        7,
        Box::new(|pair, _, _| {
            check(&pair.from().stats());
            check(&pair.to().stats());
        }),
    ));
    let collector = {
        let pair = Arc::clone(&pair);
        std::thread::spawn(move || {
            let mut heard: HashMap<u64, OutcomeKind> = HashMap::new();
            let mut batch: Vec<Outcome> = Vec::new();
            loop {
                match pair.from().outgoing.next_outcomes(64, &mut batch, after(Duration::from_millis(10))) {
                    Ok(_) | Err(Error::TimedOut) => {}
                    Err(Error::Closed) => return heard,
                    Err(other) => panic!("{other}"),
                }
                for outcome in batch.drain(..) {
                    let before = heard.insert(outcome.report_id, outcome.kind);
                    assert_eq!(before, None, "{} has two outcomes", outcome.report_id);
                }
            }
        })
    };
    std::thread::sleep(STORM.saturating_sub(start.elapsed()));
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no thread of the storm failed");
    }
    pair.from().outgoing.set_max_age(None);
    eventually("the queue is drained", || pair.from().stats().outbound.queued.datagrams == 0);
    let sender = pair.from().stats();
    check(&sender);
    assert_eq!(sender.outbound.handed_in.datagrams, told.taken.load(Ordering::Relaxed));
    pair.from().close();
    let heard = collector.join().expect("every outcome came once");
    assert_eq!(heard.len() as u64, told.reported.load(Ordering::Relaxed));
    let counted = |kind| heard.values().filter(|held| **held == kind).count();
    println!("{:?}", sender.outbound);
    println!("{:?}", pair.to().stats().inbound);
    for kind in [OutcomeKind::Handed, OutcomeKind::Expired, OutcomeKind::Evicted, OutcomeKind::Rejected] {
        println!("{kind:?}: {}", counted(kind));
        assert!(counted(kind) > 0, "the storm brought no {kind:?}");
    }
    // What QUIC took either arrived, or the network or QUIC dropped it.
    eventually("all has arrived", || {
        let to = pair.to().stats();
        let arrived = to.inbound.received.datagrams + to.outside.dropped_in_quic;
        arrived <= sender.outbound.sent.datagrams && arrived * 10 >= sender.outbound.sent.datagrams * 9
    });
    check(&pair.to().stats());
}
