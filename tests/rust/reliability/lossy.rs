//! The reliability layer over real sessions through the link simulator: whatever the link does,
//! each message arrives once and has one outcome.

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::simulator::session::LossyPair;
use support::simulator::{Bursts, Conditions, Direction};
use wtgram::datagram::options::SendOptions;
use wtgram::datagram::session::Session;
use wtgram::error::Error;
use wtgram::reliability::MessageOutcome;
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::reliability::negotiation::Mode;
use wtgram::runtime::wait::{Deadline, Timeout};

fn reported(report_id: u64) -> SendOptions {
    SendOptions { report_id: Some(report_id), ..SendOptions::default() }
}

fn soon() -> Deadline {
    // Generous: QUIC's congestion control backs off far under such loss, and machines that run tests are busy.
    Timeout::After(Duration::from_secs(120)).deadline()
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
                    from.send(&number.to_be_bytes(), &reported(number), soon()).unwrap();
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
                            assert_eq!(report.outcome, MessageOutcome::Acknowledged);
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

fn under(name: &str, seed: u64, conditions: Conditions, options: LayerOptions, count: u64) {
    let pair = LossyPair::new(seed);
    let (near, far) = (open(&pair.client, &options), open(&pair.accepted, &options));
    pair.link.set(conditions);
    let started = Instant::now();
    exactly_once(&near, &far, count);
    println!("{name}: {count} each way in {:.1} s", started.elapsed().as_secs_f64());
    for (name, layer, direction) in [("up", &near, Direction::Up), ("down", &far, Direction::Down)] {
        let counters = pair.link.counters(direction);
        println!("  {name}: {:?}\n  {counters:?}", layer.stats().sender);
        assert!(counters.lost() * 10 > counters.received, "the link lost too little to prove anything");
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
    under("loss 20 %, reordering 4 %", 11, loss_and_reordering(), patient(), COUNT);
}

#[test]
fn nothing_is_lost_or_doubled_at_25_percent_loss_with_25_percent_duplication() {
    let conditions = Conditions { loss: 0.25, duplicate: 0.25, ..Conditions::default() };
    under("loss 25 %, duplication 25 %", 12, conditions, patient(), COUNT);
}

#[test]
fn sequences_wrap_under_loss_and_reordering_without_a_message_lost_or_doubled() {
    const BEFORE_THE_WRAP: u32 = 7_000;
    let options = LayerOptions { first_sequence: u32::MAX - BEFORE_THE_WRAP, ..patient() };
    under("the wrap", 13, loss_and_reordering(), options, 20_000);
    let plain = LayerOptions { negotiation: Mode::Off, ..options };
    under("the wrap, plain protocol", 14, loss_and_reordering(), plain, 20_000);
}

#[test]
fn bursts_of_loss_with_jitter_lose_and_double_nothing() {
    let conditions = Conditions {
        bursts: Some(Bursts { enter: 0.15, leave: 0.3, loss: 0.9 }),
        jitter: Duration::from_millis(2),
        ..Conditions::default()
    };
    under("bursts", 15, conditions, patient(), 5_000);
}

#[test]
fn a_receiver_that_stops_reading_under_loss_bounds_memory_and_loses_nothing() {
    let pair = LossyPair::new(16);
    let near = open(&pair.client, &LayerOptions::default());
    let small = LayerOptions { inbound_messages: 50, inbound_bytes: 4096, ..LayerOptions::default() };
    let far = open(&pair.accepted, &small);
    pair.link.set(loss_and_reordering());
    const COUNT: u64 = 5_000;
    // Far longer than ack_timeout, and than what 5 retransmissions take: a reader that is slow is
    // not a peer that is gone.
    const PAUSE: Duration = Duration::from_secs(4);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..COUNT {
                near.send(&number.to_be_bytes(), &reported(number + 1), soon()).unwrap();
            }
        });
        let mut seen = vec![false; COUNT as usize];
        for read in 0..COUNT {
            if read == 1_000 {
                let until = Instant::now() + PAUSE;
                while Instant::now() < until {
                    assert!(far.stats().inbound <= 50 && far.stats().inbound_bytes <= 4096);
                    assert!(near.stats().unresolved <= LayerOptions::default().window_messages);
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            let mut buffer = [0; 8];
            far.receive(&mut buffer, soon()).unwrap();
            let number = u64::from_be_bytes(buffer) as usize;
            assert!(!std::mem::replace(&mut seen[number], true), "{number} came twice");
        }
    });
    near.close(soon()).unwrap();
    let (sent, received) = (near.stats().sender, far.stats().receiver);
    assert_eq!((sent.acknowledged, received.delivered), (COUNT, COUNT));
    assert!(received.refused_full > 0, "the inbound queue was never full");
}

#[test]
fn ten_seconds_of_black_hole_make_default_options_give_nothing_up() {
    let pair = LossyPair::new(17);
    let (near, far) =
        (open(&pair.client, &LayerOptions::default()), open(&pair.accepted, &LayerOptions::default()));
    const COUNT: u64 = 1_000;
    let hole = Duration::from_secs(10);
    let mut ended = None;
    std::thread::scope(|scope| {
        scope.spawn(|| exactly_once(&near, &far, COUNT));
        pair.link.set(Conditions { black_hole: true, ..Conditions::default() });
        std::thread::sleep(hole);
        assert!(near.stats().sender.acknowledged < COUNT, "everything was through before the hole opened");
        pair.link.set(Conditions::default());
        ended = Some(Instant::now());
    });
    let (after, stats) = (ended.unwrap().elapsed(), near.stats().sender);
    // When the end of the hole is found out is up to QUIC's probe timeout, which has backed off to
    // about the length of the hole by then (RFC 9002 section 6.2.1); `soon` bounds it.
    println!("all through {after:?} after the hole; {stats:?}");
    assert_eq!(stats.gave_up, 0);
    assert!(pair.link.counters(Direction::Up).lost_in_black_hole > 0);
}
