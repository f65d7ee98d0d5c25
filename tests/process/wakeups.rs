//! A thread that takes something out of the outgoing queue notifies those that wait for space, for
//! outcomes, or through a watcher.
//!
//! The lane stands still meanwhile, because it also looks at the queue and would notify them, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use support::blocked::blocked;
use support::pair::{eventually, soon};
use wtgram::datagram::message::Limits;
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::send::FullPolicy;
use wtgram::datagram::send::watermark::Marks;
use wtgram::datagram::transport::Transport;
use wtgram::error::{Error, Result};
use wtgram::poller::{Event, Interest, Poller};
use wtgram::runtime::readiness::{Pollable, Ready, Token, Watcher};
use wtgram::runtime::wait::Deadline;

/// A guard against hanging.
const HANGS: Duration = Duration::from_secs(60);
/// Datagrams that fill the queue.
const FULL: usize = 3;

fn waiting_options() -> TransportOptions {
    TransportOptions {
        outgoing_limits: Limits { datagrams: FULL, bytes: 1 << 20 },
        outgoing_policy: FullPolicy::Wait,
        ..TransportOptions::default()
    }
}

/// Stops the lane until this is dropped.
struct StandingStill(#[allow(dead_code, reason = "dropping it is its use")] Sender<()>);

impl StandingStill {
    fn lane_of(transport: &Transport) -> Self {
        let (release, released) = channel::<()>();
        let (begin, begun) = channel();
        let lane = Arc::clone(transport.session().lane());
        std::thread::spawn(move || {
            let _paused = lane.pause();
            begin.send(()).unwrap();
            let _ = released.recv();
        });
        begun.recv_timeout(HANGS).expect("the lane gets to it");
        Self(release)
    }
}

struct Heard(AtomicUsize);

impl Watcher for Heard {
    fn changed(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Threads that wait for ever, each for something different.
struct Waiting {
    sender: Receiver<Result<()>>,
    room: Receiver<Result<()>>,
    outcome: Receiver<Result<()>>,
    watcher: Arc<Heard>,
    token: Token,
    threads: [JoinHandle<()>; 3],
}

impl Waiting {
    fn on(transport: &Arc<Transport>) -> Self {
        let watcher = Arc::new(Heard(AtomicUsize::new(0)));
        let token = transport.watchers().add(Arc::clone(&watcher) as _);
        let (one, sender) =
            waits(transport, |it| it.outgoing.send(b"waits", &SendOptions::default(), Deadline::Never));
        let (two, room) = waits(transport, |it| it.outgoing.wait_writable(1, Deadline::Never));
        let (three, outcome) =
            waits(transport, |it| it.outgoing.next_outcomes(1, &mut Vec::new(), Deadline::Never).map(drop));
        Self { sender, room, outcome, watcher, token, threads: [one, two, three] }
    }

    fn hear(&self, what: Hears, of: &str) {
        let told = |waits: &Receiver<Result<()>>, who: &str| {
            waits.recv_timeout(HANGS).unwrap_or_else(|_| panic!("{of}: {who} is not told"))
        };
        if what != Hears::Watchers {
            let _ = told(&self.sender, "a sender that waits for room");
            let _ = told(&self.room, "who waits for room");
        }
        if what == Hears::Everybody {
            let _ = told(&self.outcome, "who waits for an outcome");
        }
        eventually(&format!("{of}: watchers are told"), || self.watcher.0.load(Ordering::SeqCst) > 0);
    }
}

fn waits(
    transport: &Arc<Transport>,
    wait: impl FnOnce(&Transport) -> Result<()> + Send + 'static,
) -> (JoinHandle<()>, Receiver<Result<()>>) {
    let (ended, end) = channel();
    let transport = Arc::clone(transport);
    let thread = std::thread::spawn(move || drop(ended.send(wait(&transport))));
    (thread, end)
}

/// Which threads are notified.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hears {
    /// Those that wait for space, those that wait for outcomes, and watchers.
    Everybody,
    /// All but those that wait for outcomes, because there is none.
    Room,
    /// The queue is not empty, but a mark was crossed.
    Watchers,
}

/// Runs an action on a full queue whose datagrams expire after `ttl`.
struct Case {
    name: &'static str,
    ttl: Option<Duration>,
    hears: Hears,
    happens: fn(&Transport),
}

const TTL: Option<Duration> = Some(Duration::from_millis(200));

fn expires(name: &'static str, happens: fn(&Transport)) -> Case {
    Case { name, ttl: TTL, hears: Hears::Everybody, happens }
}

fn changes(name: &'static str, hears: Hears, happens: fn(&Transport)) -> Case {
    Case { name, ttl: None, hears, happens }
}

#[test]
fn whoever_takes_something_out_of_the_queue_tells_those_who_wait() {
    let default = SendOptions::default;
    let cases = [
        expires("statistics", |it| _ = it.stats()),
        expires("sizes", |it| _ = it.waiting()),
        expires("a snapshot", |it| _ = it.snapshot()),
        expires("a look for room", |it| _ = it.outgoing.wait_writable(1, Deadline::Now)),
        expires("a look for outcomes", |it| _ = it.outgoing.next_outcomes(1, &mut Vec::new(), Deadline::Now)),
        expires("another sender", |it| _ = it.outgoing.send(b"x", &SendOptions::default(), Deadline::Now)),
        expires("a batch", |it| {
            it.outgoing.send_batch([Ok(&b"x"[..])], &SendOptions::default(), Deadline::Now, |_| {});
        }),
        expires("a broadcast", |it| {
            _ = it.outgoing.send_framed(&it.outgoing.frame(b"x"), &SendOptions::default())
        }),
        expires("emptying it after they expired", |it| _ = it.outgoing.clear()),
        changes("emptying it", Hears::Everybody, |it| _ = it.outgoing.clear()),
        changes("a max age", Hears::Everybody, |it| it.outgoing.set_max_age(Some(Duration::from_nanos(1)))),
        changes("larger limits", Hears::Room, |it| {
            it.outgoing.set_limits(Limits { datagrams: 2 * FULL, bytes: 1 << 20 });
        }),
        changes("higher marks", Hears::Watchers, |it| it.outgoing.set_marks(Marks::of_datagrams(100))),
        changes("closing", Hears::Everybody, |it| it.close()),
    ];
    let (pair, _link) = blocked(&waiting_options());
    let transport = pair.from();
    for Case { name, ttl, hears, happens } in cases {
        let still = StandingStill::lane_of(transport);
        for number in 1..=FULL as u64 {
            let options = SendOptions { ttl, report_id: Some(number), ..default() };
            transport.outgoing.send(b"fills", &options, Deadline::Now).unwrap();
        }
        let filled = Instant::now();
        let waiting = Waiting::on(transport);
        std::thread::sleep(Duration::from_millis(50));
        waiting.watcher.0.store(0, Ordering::SeqCst);
        std::thread::sleep(
            (ttl.unwrap_or_default() + Duration::from_millis(10)).saturating_sub(filled.elapsed()),
        );
        happens(transport);
        waiting.hear(hears, name);
        drop(still);
        // Ends all remaining waits. The next case finds an empty queue with the first settings.
        transport.watchers().remove(waiting.token);
        transport.outgoing.set_max_age(None);
        transport.outgoing.set_limits(waiting_options().outgoing_limits);
        transport.outgoing.set_marks(Marks::of_datagrams(FULL));
        eventually("nobody waits", || {
            transport.outgoing.clear();
            waiting.threads.iter().all(JoinHandle::is_finished)
        });
        transport.outgoing.clear();
        while transport.outgoing.next_outcomes(9, &mut Vec::new(), Deadline::Now).is_ok() {}
    }
}

#[test]
fn a_sender_gets_the_room_of_what_expired_while_another_thread_polls_the_transport() {
    let (pair, _link) = blocked(&waiting_options());
    let transport = pair.from();
    let poller = Poller::new().unwrap();
    let interest = Interest { ready: Ready::READABLE | Ready::WRITABLE | Ready::OUTCOME, one_shot: false };
    poller.add(1, Arc::clone(transport) as _, interest, 1).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let polls = {
        let (poller, over, transport) = (Arc::clone(&poller), Arc::clone(&over), Arc::clone(transport));
        std::thread::spawn(move || {
            let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }; 4];
            while !over.load(Ordering::Relaxed) {
                let _ = poller.wait(&mut events, Deadline::Now);
                let _ = transport.ready();
            }
        })
    };
    for _ in 0..20 {
        for _ in 0..FULL {
            let options = SendOptions { ttl: Some(Duration::from_millis(20)), ..SendOptions::default() };
            let _ = transport.outgoing.send(b"expires", &options, Deadline::Now);
        }
        let (_, sender) = waits(transport, |it| {
            let options = SendOptions { ttl: Some(HANGS), ..SendOptions::default() };
            it.outgoing.send(b"waits", &options, Deadline::Never)
        });
        assert_eq!(sender.recv_timeout(HANGS / 2).expect("it gets room"), Ok(()));
        transport.outgoing.clear();
    }
    over.store(true, Ordering::Relaxed);
    polls.join().unwrap();
}

#[test]
fn what_a_batch_has_brought_is_known_before_it_waits_for_room() {
    let (pair, _link) = blocked(&waiting_options());
    let transport = pair.from();
    let outcome = {
        let (heard, hears) = channel();
        let transport = Arc::clone(transport);
        std::thread::spawn(move || {
            let mut outcomes = Vec::new();
            let result = transport.outgoing.next_outcomes(1, &mut outcomes, soon());
            let _ = heard.send(result.map(|_| outcomes.remove(0).report_id));
        });
        hears
    };
    std::thread::sleep(Duration::from_millis(50));
    let batch = {
        let transport = Arc::clone(transport);
        std::thread::spawn(move || {
            let too_large = [0; 9000];
            let payloads = std::iter::once(Ok(&too_large[..])).chain((0..=FULL).map(|_| Ok(&b"x"[..])));
            let options = SendOptions { report_id: Some(5), ..SendOptions::default() };
            transport.outgoing.send_batch(payloads, &options, Deadline::Never, |_| {});
        })
    };
    assert_eq!(outcome.recv_timeout(HANGS).expect("it is told while the batch waits"), Ok(5));
    assert!(!batch.is_finished());
    assert_eq!(transport.outgoing.wait_writable(1, Deadline::Now), Err(Error::WouldBlock));
    transport.outgoing.clear();
    batch.join().unwrap();
}
