use std::collections::HashMap;

use parking_lot::Mutex as Lock;

use super::*;
use crate::datagram::message::Metadata;
use crate::runtime::readiness::{Pollable, Ready, Watchers};

/// A channel that holds so many datagrams, each of at most so many bytes.
#[derive(Default)]
struct Bounded {
    held: Lock<Vec<Vec<u8>>>,
    room: usize,
    largest: usize,
    closed: std::sync::atomic::AtomicBool,
    watchers: Watchers,
}

impl Bounded {
    fn new(room: usize) -> Arc<Self> {
        Arc::new(Self { room, largest: 100, ..Self::default() })
    }

    fn target(self: &Arc<Self>) -> Target {
        Target::Channel(Arc::clone(self) as _)
    }
}

impl Pollable for Bounded {
    fn ready(&self) -> Ready {
        Ready::NONE
    }
    fn possible(&self) -> Ready {
        Ready::NONE
    }
    fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

impl Channel for Bounded {
    fn send(&self, payload: &[u8], _: &SendOptions, deadline: Deadline) -> Result<()> {
        assert_eq!(deadline, Deadline::Now, "a broadcast does not wait");
        if payload.len() > self.largest {
            return Err(Error::TooLarge { size: payload.len(), limit: self.largest });
        }
        let mut held = self.held.lock();
        if held.len() >= self.room {
            return Err(Error::QueueFull);
        }
        held.push(payload.to_vec());
        Ok(())
    }
    fn receive(&self, _: &mut Vec<u8>, _: Deadline) -> Result<Metadata> {
        Err(Error::WouldBlock)
    }
    fn record_waited(&self, _: std::time::Duration) {}
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
    fn max_datagram_size(&self) -> Result<usize> {
        Ok(self.largest)
    }
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

fn broadcast(broadcaster: &Broadcaster, payload: &[u8]) -> (usize, HashMap<u64, MemberResult>) {
    let mut results = HashMap::new();
    let accepted = broadcaster
        .broadcast(payload, &SendOptions::default(), |result| {
            assert!(results.insert(result.member, result.clone()).is_none());
        })
        .unwrap();
    (accepted, results)
}

#[test]
fn each_member_gets_it_once_and_adding_twice_counts_once() {
    let broadcaster = Broadcaster::new(SlowPolicy::Drop);
    let (first, second) = (Bounded::new(10), Bounded::new(10));
    broadcaster.add(1, first.target()).unwrap();
    broadcaster.add(2, second.target()).unwrap();
    broadcaster.add(1, first.target()).unwrap();
    assert_eq!(broadcaster.count(), 2);
    assert_eq!(broadcast(&broadcaster, b"news").0, 2);
    assert_eq!(*first.held.lock(), [b"news"]);
    assert!(broadcaster.remove(1));
    assert!(!broadcaster.remove(1));
    assert_eq!(broadcast(&broadcaster, b"more").0, 1);
    assert_eq!(first.held.lock().len(), 1);
}

#[test]
fn one_members_trouble_is_no_others() {
    let broadcaster = Broadcaster::new(SlowPolicy::Drop);
    let narrow = Arc::new(Bounded { room: 10, largest: 3, ..Bounded::default() });
    let (full, healthy, dead) = (Bounded::new(0), Bounded::new(10), Bounded::new(10));
    for (number, member) in [&narrow, &full, &healthy, &dead].into_iter().enumerate() {
        broadcaster.add(number as u64, member.target()).unwrap();
    }
    dead.close();
    assert_eq!(broadcaster.count(), 3);
    let (accepted, results) = broadcast(&broadcaster, b"four");
    assert_eq!(accepted, 1);
    assert_eq!(results[&0].result, Err(Error::TooLarge { size: 4, limit: 3 }));
    assert_eq!(results[&1].result, Err(Error::QueueFull));
    assert_eq!(results[&2].result, Ok(()));
    assert_eq!((results[&3].result.clone(), results[&3].removed), (Err(Error::Closed), true));
    assert!([0, 1, 2].iter().all(|number| !results[number].removed));
    // The closed one is gone, and only that one.
    assert_eq!(broadcast(&broadcaster, b"two").1.len(), 3);
    let statistics = broadcaster.statistics();
    assert_eq!(
        statistics,
        Statistics { broadcasts: 2, accepted: 3, dropped: 2, too_large: 1, closed: 1, ..statistics }
    );
}

#[test]
fn a_slow_member_is_removed_after_so_many_drops_in_a_row_and_one_success_forgives() {
    let broadcaster = Broadcaster::new(SlowPolicy::RemoveAfter(3));
    let slow = Bounded::new(1);
    broadcaster.add(7, slow.target()).unwrap();
    broadcast(&broadcaster, b"taken");
    for _ in 0..2 {
        assert!(!broadcast(&broadcaster, b"dropped").1[&7].removed);
    }
    slow.held.lock().clear();
    assert_eq!(broadcast(&broadcaster, b"taken").0, 1);
    // A payload that is too large does not count as slowness.
    for _ in 0..2 {
        assert!(!broadcast(&broadcaster, b"dropped").1[&7].removed);
        broadcast(&broadcaster, &[0; 200]);
    }
    assert!(broadcast(&broadcaster, b"dropped").1[&7].removed);
    assert_eq!(broadcaster.count(), 0);
    assert_eq!(broadcaster.statistics().removed_slow, 1);
}

#[test]
fn shutdown_clears_and_refuses() {
    let broadcaster = Broadcaster::new(SlowPolicy::Drop);
    let member = Bounded::new(1);
    broadcaster.add(1, member.target()).unwrap();
    broadcaster.shutdown();
    assert_eq!(broadcaster.count(), 0);
    assert_eq!(broadcaster.add(2, member.target()), Err(Error::Closed));
    assert_eq!(broadcaster.broadcast(b"", &SendOptions::default(), |_| {}), Err(Error::Closed));
    assert!(member.held.lock().is_empty());
}

#[test]
fn a_closed_channel_cannot_become_a_member() {
    let broadcaster = Broadcaster::new(SlowPolicy::Drop);
    let dead = Bounded::new(1);
    dead.close();
    assert_eq!(broadcaster.add(1, dead.target()), Err(Error::Closed));
}
