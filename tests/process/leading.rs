//! Waiting threads lead their lane: they take its turns. Threads wait for different things, in
//! every order.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use support::pair::{PATIENCE, Pair, after, eventually, receive, soon};
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::send::FullPolicy;
use wtgram::datagram::session::Session;
use wtgram::datagram::transport::Transport;
use wtgram::error::{Error, Result};
use wtgram::link::config::{ConnectOptions, Trust};
use wtgram::poller::{Event, Interest, Poller};
use wtgram::runtime::hand_over;
use wtgram::runtime::readiness::Ready;
use wtgram::runtime::wait::Deadline;

/// All sessions are on one lane, so tests that expect a leader run one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn send(from: &Transport, payload: &[u8]) {
    from.outgoing.send(payload, &SendOptions::default(), soon()).unwrap();
}

fn received(from: &Transport, deadline: Deadline) -> Result<usize> {
    from.incoming.receive(&mut [0; 2000], deadline).map(|metadata| metadata.size)
}

/// Long enough for a thread to look once and fall asleep.
const ASLEEP: Duration = Duration::from_millis(20);

const CONNECTED: Interest = Interest { ready: Ready::CONNECTED, one_shot: false };

#[test]
fn a_blocked_receiver_is_woken_by_whatever_ends_its_wait() {
    let _alone = alone();
    for end in 0..5 {
        let pair = Pair::open(&TransportOptions::default());
        let to = pair.to();
        scope(|scope| {
            let blocked = scope.spawn(|| received(to, Deadline::Never));
            sleep(ASLEEP);
            match end {
                0 => to.close(),
                1 => pair.accepted.link.close(0, "").unwrap(),
                2 => pair.client.link.close(0, "").unwrap(),
                3 => pair.server.link.close(),
                _ => send(pair.from(), b"four"),
            }
            let expected = if end == 4 { Ok(4) } else { Err(Error::Closed) };
            assert_eq!(blocked.join().unwrap(), expected, "{end}");
        });
    }
}

#[test]
fn a_thread_in_a_poller_is_woken_by_whatever_ends_its_wait() {
    let _alone = alone();
    let everything = Interest { ready: Ready::READABLE, one_shot: false };
    for end in 0..6 {
        let pairs = [(); 2].map(|()| Pair::open(&TransportOptions::default()));
        let poller = Poller::new().unwrap();
        for (number, pair) in pairs.iter().enumerate() {
            poller.add(number as u64, Arc::clone(pair.to()) as _, everything, number as u64).unwrap();
        }
        let wait = || {
            let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }; 4];
            poller.wait(&mut events, Deadline::Never).map(|count| (count, events[0].object))
        };
        scope(|scope| {
            // One leads and the other sleeps.
            let waiting = [(); 2].map(|()| scope.spawn(wait));
            sleep(ASLEEP);
            match end {
                0 => pairs[1].to().close(),
                1 => pairs[1].client.link.close(0, "").unwrap(),
                2 => send(pairs[1].from(), b"four"),
                3 => (0..2).for_each(|_| poller.wake()),
                4 => poller.close(),
                _ => poller.add(7, Arc::clone(&pairs[0].accepted.link) as _, CONNECTED, 7).unwrap(),
            }
            let expected = match end {
                0..3 => Ok((1, 1)),
                3 => Ok((0, 0)),
                4 => Err(Error::Closed),
                _ => Ok((1, 7)),
            };
            for thread in waiting {
                assert_eq!(thread.join().unwrap(), expected, "{end}");
            }
        });
    }
}

#[test]
fn threads_that_wait_to_accept_get_the_sessions_whose_packets_one_of_them_takes() {
    let _alone = alone();
    let pair = Pair::open(&TransportOptions::default());
    let trust = Trust::CertificateHashes(vec![pair.server.link.certificate_hash()]);
    let connect = ConnectOptions { trust, timeout: PATIENCE, ..ConnectOptions::default() };
    let url = format!("https://{}/test", pair.server.link.local_address());
    scope(|scope| {
        let accepting = [(); 4].map(|()| scope.spawn(|| pair.server.accept(Deadline::Never)));
        sleep(ASLEEP);
        for _ in 0..3 {
            let client = Session::connect(&url, &connect, &TransportOptions::default()).unwrap();
            send(&client.datagrams, b"first");
            client.link.close(0, "").unwrap();
        }
        sleep(ASLEEP);
        pair.server.link.close();
        let accepted = accepting.map(|thread| thread.join().unwrap());
        let closed = accepted.iter().filter(|accepted| matches!(accepted, Err(Error::Closed))).count();
        assert!(closed >= 1, "the fourth hears that the server has closed");
    });
}

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    let _alone = alone();
    let pair = Pair::open(&TransportOptions::default());
    for time in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(30)] {
        let start = Instant::now();
        assert_eq!(received(pair.to(), after(time)), Err(Error::TimedOut));
        assert!(start.elapsed() >= time);
    }
    assert_eq!(received(pair.to(), Deadline::Now), Err(Error::WouldBlock));
}

#[test]
fn threads_that_wait_for_two_sessions_of_one_lane_each_get_theirs() {
    let _alone = alone();
    let pairs = [(); 2].map(|()| Pair::open(&TransportOptions::default()));
    for round in 0..200 {
        scope(|scope| {
            let waiting = [0, 1].map(|one: usize| {
                let to = Arc::clone(pairs[one].to());
                scope.spawn(move || receive(&to))
            });
            if round % 3 == 0 {
                sleep(Duration::from_millis(1));
            }
            // The first thread that gets something leads, or does not. The other one goes on
            // waiting.
            let first = round % 2;
            send(pairs[first].from(), &[first as u8]);
            if round % 5 == 0 {
                sleep(Duration::from_millis(1));
            }
            send(pairs[1 - first].from(), &[1 - first as u8]);
            let got = waiting.map(|thread| thread.join().unwrap());
            assert_eq!(got, [vec![0], vec![1]]);
        });
    }
}

#[test]
fn threads_that_wait_for_one_session_share_what_comes() {
    let _alone = alone();
    let waiting = TransportOptions { outgoing_policy: FullPolicy::Wait, ..TransportOptions::default() };
    let pair = Pair::open(&waiting);
    let got = AtomicU64::new(0);
    scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while received(pair.to(), Deadline::Never).is_ok() {
                    got.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..2000 {
            send(pair.from(), b"x");
        }
        eventually("all have come", || {
            let counters = pair.to().stats().inbound;
            got.load(Ordering::SeqCst) == counters.received.datagrams && counters.received.datagrams >= 1900
        });
        pair.to().close();
        pair.client.link.close(0, "").unwrap();
    });
}

/// 16 threads block in a call or a poller, time out, send and close on four sessions of one lane,
/// with delays at each point where one thread hands work to another. `WTGRAM_LEADING_SECONDS` is
/// the length of the run.
#[test]
fn under_stress_no_wait_is_longer_than_its_deadline_and_nothing_is_lost_uncounted() {
    let _alone = alone();
    let seconds =
        std::env::var("WTGRAM_LEADING_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut round = 0;
    while Instant::now() < until {
        let end = until.min(Instant::now() + Duration::from_secs(2));
        hand_over::delay(Duration::from_micros([0, 50, 500][round % 3]));
        stress(end, round);
        round += 1;
    }
    hand_over::delay(Duration::ZERO);
}

fn stress(until: Instant, round: usize) {
    let pairs = [(); 2].map(|()| Pair::open(&TransportOptions::default()));
    let sides = pairs.each_ref().map(|pair| [pair.from(), pair.to()]).concat();
    let delivered = [(); 4].map(|()| AtomicU64::new(0));
    let over = AtomicBool::new(false);
    scope(|scope| {
        for (side, transport) in sides.iter().enumerate() {
            let count = &delivered[side];
            let over = &over;
            for thread in 0..4_u64 {
                scope.spawn(move || {
                    let poller = Poller::new().unwrap();
                    let readable = Interest { ready: Ready::READABLE, one_shot: false };
                    poller.add(0, Arc::clone(transport) as _, readable, 0).unwrap();
                    let mut dice = side as u64 * 4 + thread + 1;
                    while !over.load(Ordering::SeqCst) {
                        dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                        let patience = Duration::from_micros((dice >> 40) % 3000);
                        let start = Instant::now();
                        let got = if thread == 0 {
                            let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }];
                            poller
                                .wait(&mut events, after(patience))
                                .and_then(|_| received(transport, Deadline::Now))
                        } else {
                            received(transport, after(patience))
                        };
                        match got {
                            Ok(_) => drop(count.fetch_add(1, Ordering::SeqCst)),
                            Err(Error::TimedOut) => assert!(start.elapsed() >= patience),
                            // Another thread was faster than the one in the poller.
                            Err(Error::WouldBlock) => {}
                            Err(Error::Closed) => return,
                            Err(error) => panic!("{error}"),
                        }
                        assert!(start.elapsed() < patience + Duration::from_secs(30), "it hung");
                        for _ in 0..(dice >> 33) % 4 {
                            match transport.outgoing.send(&[7; 50], &SendOptions::default(), Deadline::Now) {
                                Ok(()) | Err(Error::Closed) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                });
            }
        }
        sleep(until.saturating_duration_since(Instant::now()));
        // The threads that wait on it are notified.
        sides[round % 4].close();
        over.store(true, Ordering::SeqCst);
        // The waits time out, and everything in the queues leaves.
        eventually("the queues are empty", || {
            sides.iter().all(|side| side.waiting().total_outgoing().datagrams == 0)
        });
    });
    for (side, transport) in sides.iter().enumerate() {
        let stats = transport.stats();
        let counters = stats.inbound;
        assert_eq!(counters.delivered.datagrams, delivered[side].load(Ordering::SeqCst));
        let whereabouts =
            [counters.delivered, counters.expired, counters.dropped_full, counters.cleared, counters.queued];
        let known: u64 = whereabouts.iter().map(|tally| tally.datagrams).sum();
        assert_eq!(counters.received.datagrams, known, "{counters:?}");
        let sent = stats.outbound;
        let left = [sent.sent, sent.evicted, sent.queued, sent.failed]
            .map(|tally| tally.datagrams)
            .iter()
            .sum::<u64>();
        assert_eq!(sent.handed_in.datagrams, left, "{sent:?}");
    }
    // A new wait on each of them still ends.
    for transport in &sides {
        let start = Instant::now();
        let _ = received(transport, after(Duration::from_millis(1)));
        assert!(start.elapsed() < PATIENCE);
    }
}
