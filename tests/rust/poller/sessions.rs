//! The poller with objects whose readiness the test sets, and with real sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use support::pair::{PATIENCE, Pair, after, soon};
use wtgram::datagram::options::TransportOptions;
use wtgram::error::Error;
use wtgram::poller::{Event, Interest, Poller};
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::runtime::readiness::{Pollable, Ready, Watchers};
use wtgram::runtime::wait::Deadline;
use wtgram::structured::objects::{DEFAULT_QUEUE, Structured};
use wtgram::structured::registry::{ObjectType, Registry};
use wtgram::structured::serializer::Json;

/// An object whose readiness the test sets.
#[derive(Default)]
struct Switch {
    ready: AtomicU32,
    size_changes: AtomicU64,
    watchers: Watchers,
}

impl Switch {
    fn set(&self, ready: Ready) {
        self.ready.store(ready.0, Ordering::Relaxed);
        self.watchers.notify();
    }

    fn change_size(&self) {
        self.size_changes.fetch_add(1, Ordering::Relaxed);
        self.watchers.notify();
    }
}

impl Pollable for Switch {
    fn ready(&self) -> Ready {
        Ready(self.ready.load(Ordering::Relaxed))
    }

    fn size_changes(&self) -> u64 {
        self.size_changes.load(Ordering::Relaxed)
    }

    fn possible(&self) -> Ready {
        Ready(u32::MAX)
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

fn level(ready: Ready) -> Interest {
    Interest { ready, one_shot: false }
}

const NO_EVENT: Event = Event { object: 0, cookie: 0, ready: Ready::NONE };

/// What is ready now, as (object, conditions).
fn ready_now(poller: &Poller) -> Vec<(u64, Ready)> {
    let mut events = [NO_EVENT; 16];
    match poller.wait(&mut events, Deadline::Now) {
        Ok(count) => events[..count].iter().map(|event| (event.object, event.ready)).collect(),
        Err(Error::WouldBlock) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

fn structured(pair: &Pair) -> Arc<Structured> {
    let registry = Registry::new([ObjectType { id: 1, max_bytes: None }]).unwrap();
    Structured::over_session(pair.to(), registry, Box::new(Json), DEFAULT_QUEUE).unwrap()
}

#[test]
fn a_layer_hears_of_its_transport_after_structured_objects_beside_it_are_gone() {
    let pair = Pair::open(&TransportOptions::default());
    let beside: Vec<_> = (0..4).map(|_| structured(&pair)).collect();
    let layer = Layer::open(Arc::clone(pair.to()), &LayerOptions::default()).unwrap();
    drop(beside);
    // The layer looks at its transport when it is told to, and with nothing to send has no timer of its own.
    std::thread::sleep(Duration::from_millis(100));
    pair.to().close();
    assert_eq!(layer.receive(&mut [0; 16], soon()), Err(Error::Closed));
}

#[test]
fn each_poller_hears_of_a_changed_size_whoever_else_looks() {
    let object = Arc::new(Switch::default());
    let pollers: Vec<_> = (0..3).map(|_| Poller::new().unwrap()).collect();
    for (poller, interest) in pollers.iter().zip([Ready::SIZE_CHANGED, Ready::READABLE, Ready::SIZE_CHANGED])
    {
        poller.add(1, Arc::clone(&object) as _, level(interest), 0).unwrap();
    }
    object.set(Ready::READABLE);
    object.change_size();
    assert_eq!(ready_now(&pollers[1]), [(1, Ready::READABLE)], "not interested");
    assert_eq!(ready_now(&pollers[0]), [(1, Ready::SIZE_CHANGED)]);
    assert_eq!(ready_now(&pollers[2]), [(1, Ready::SIZE_CHANGED)]);
    assert_eq!(ready_now(&pollers[0]), [], "each change is reported once");
    // A change from before the object was added is reported, so that a program which reads the size
    // first misses nothing.
    pollers[1].modify(1, level(Ready::SIZE_CHANGED), 0).unwrap();
    assert_eq!(ready_now(&pollers[1]), [(1, Ready::SIZE_CHANGED)]);
}

/// Whether the poller's descriptor says that a thread should look.
fn rings(poller: &Poller) -> bool {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", poller.descriptor())).unwrap();
    let count = info.lines().find_map(|line| line.strip_prefix("eventfd-count:")).unwrap();
    count.trim() != "0"
}

#[test]
fn changes_after_the_one_report_wake_nobody_until_the_interest_is_set_again() {
    let object = Arc::new(Switch::default());
    let poller = Poller::new().unwrap();
    let once = Interest { ready: Ready::READABLE, one_shot: true };
    poller.add(1, Arc::clone(&object) as _, once, 0).unwrap();
    object.set(Ready::READABLE);
    assert_eq!(ready_now(&poller), [(1, Ready::READABLE)]);
    assert_eq!(ready_now(&poller), []);
    object.set(Ready::NONE);
    object.set(Ready::READABLE);
    assert!(!rings(&poller), "an event loop would wake for nothing");
    poller.modify(1, once, 0).unwrap();
    assert!(rings(&poller));
    assert_eq!(ready_now(&poller), [(1, Ready::READABLE)]);
    poller.modify(1, once, 0).unwrap();
    object.set(Ready::NONE);
    assert_eq!(ready_now(&poller), []);
    object.set(Ready::READABLE);
    assert!(rings(&poller), "armed again, and not yet reported");
    assert_eq!(ready_now(&poller), [(1, Ready::READABLE)]);
}

#[test]
fn of_two_waiting_threads_both_wake_while_something_is_ready() {
    let object = Arc::new(Switch::default());
    let poller = Poller::new().unwrap();
    poller.add(1, Arc::clone(&object) as _, level(Ready::READABLE), 0).unwrap();
    let (sender, woken) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let (poller, sender) = (Arc::clone(&poller), sender.clone());
        std::thread::spawn(move || sender.send(poller.wait(&mut [NO_EVENT; 1], Deadline::Never)));
    }
    std::thread::sleep(Duration::from_millis(100));
    object.set(Ready::READABLE);
    for _ in 0..2 {
        assert_eq!(woken.recv_timeout(PATIENCE), Ok(Ok(1)));
    }
}

#[test]
fn modify_beside_remove_leaves_nothing_behind() {
    let object = Arc::new(Switch::default());
    object.set(Ready::READABLE);
    let poller = Poller::new().unwrap();
    for round in 0..5_000 {
        poller.add(round, Arc::clone(&object) as _, level(Ready::READABLE), 0).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = poller.modify(round, level(Ready::READABLE), 1);
            });
            scope.spawn(|| poller.remove(round).unwrap());
        });
        assert_eq!(ready_now(&poller), [], "in round {round}");
    }
}

#[test]
fn a_retired_object_leaves_at_once_and_is_let_go() {
    let object = Arc::new(Switch::default());
    object.set(Ready::CLOSED);
    let poller = Poller::new().unwrap();
    poller.add(1, Arc::clone(&object) as _, level(Ready::READABLE), 0).unwrap();
    assert_eq!(ready_now(&poller), [(1, Ready::CLOSED)]);
    object.watchers.retire();
    assert_eq!(Arc::strong_count(&object), 1);
    assert_eq!(ready_now(&poller), []);
    assert!(matches!(poller.remove(1), Err(Error::InvalidState(_))));
    // An object may be retired between the look-up of its handle and the poller's work.
    poller.add(1, Arc::clone(&object) as _, level(Ready::READABLE), 0).unwrap();
    assert_eq!(Arc::strong_count(&object), 1);
    assert_eq!(ready_now(&poller), []);
}

#[test]
fn a_look_may_tell_of_what_it_finds() {
    /// Expires something in every look, as a transport does, and notifies.
    struct Telling(Switch);
    impl Pollable for Telling {
        fn ready(&self) -> Ready {
            self.0.watchers.notify();
            self.0.ready()
        }
        fn possible(&self) -> Ready {
            self.0.possible()
        }
        fn watchers(&self) -> &Watchers {
            &self.0.watchers
        }
    }
    let object = Arc::new(Telling(Switch::default()));
    let poller = Poller::new().unwrap();
    poller.add(1, Arc::clone(&object) as _, level(Ready::READABLE), 0).unwrap();
    assert_eq!(poller.wait(&mut [NO_EVENT], after(Duration::from_millis(10))), Err(Error::TimedOut));
    object.0.set(Ready::READABLE);
    assert_eq!(ready_now(&poller), [(1, Ready::READABLE)]);
}

#[test]
fn each_wake_ends_one_wait() {
    let poller = Poller::new().unwrap();
    poller.wake();
    poller.wake();
    assert_eq!(poller.wait(&mut [NO_EVENT], Deadline::Never), Ok(0));
    assert_eq!(poller.wait(&mut [NO_EVENT], Deadline::Never), Ok(0));
    assert_eq!(poller.wait(&mut [NO_EVENT], Deadline::Now), Err(Error::WouldBlock));
}
