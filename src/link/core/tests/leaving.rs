//! Tests of how a session ends in order: what the peer is told, and when.

use super::*;
use crate::link::core::session::{CloseInfo, ClosedBy, Phase};
use crate::runtime::readiness::{Pollable, Ready, Watcher};
use crate::runtime::wait::Deadline;

/// A session: the network, the client's end and the server's end.
fn session() -> (Network, Arc<Pipe>, Arc<Pipe>) {
    let (mut network, door) = Network::new();
    let (client, accepted) = network.session(at(0, 1000), server(), &door);
    (network, client, accepted)
}

/// Sends a datagram each way.
fn exchange(network: &mut Network, one: &Pipe, other: &Pipe) {
    let before = (one.received().len(), other.received().len());
    one.send(b"there");
    other.send(b"and back");
    network.run_until("both arrive", |_| {
        (one.received().len(), other.received().len()) == (before.0 + 1, before.1 + 1)
    });
}

#[test]
fn either_side_asks_the_other_to_end_the_session_soon_and_both_go_on() {
    for from_client in [true, false] {
        let (mut network, client, accepted) = session();
        let (one, other) = if from_client { (&client, &accepted) } else { (&accepted, &client) };
        one.session.drain().unwrap();
        network.run_until("the other hears of it", |_| other.session.phase() == Phase::Draining);
        assert_eq!(other.session.ready(), Ready::CONNECTED | Ready::DRAINING);
        assert_eq!(one.session.phase(), Phase::Connected, "nobody asked this side");
        assert_eq!(one.session.ready(), Ready::CONNECTED);
        exchange(&mut network, one, other);
        one.session.drain().unwrap();
        other.session.drain().unwrap();
        network.run_until("both have asked", |_| one.session.phase() == Phase::Draining);
        exchange(&mut network, one, other);
        one.session.close(4, "in the end").unwrap();
        network.run_until("it is closed", |_| other.session.is_closed());
        let info = CloseInfo { by: ClosedBy::Peer, code: 4, reason: "in the end".into(), transport_error: 0 };
        assert_eq!(other.session.close_info(), Some(info));
        assert_eq!(other.session.ready(), Ready::CLOSED);
        assert_eq!(one.session.drain(), Err(Error::Closed));
        assert_eq!(other.session.drain(), Err(Error::Closed));
    }
}

#[test]
fn a_session_that_drains_and_closes_at_once_closes_with_its_code() {
    let (mut network, client, accepted) = session();
    accepted.session.drain().unwrap();
    accepted.session.close(5, "").unwrap();
    network.run_until("it is closed", |_| client.session.is_closed());
    assert_eq!(client.session.close_info().map(|info| (info.by, info.code)), Some((ClosedBy::Peer, 5)));
}

#[test]
fn a_session_that_is_not_established_cannot_drain() {
    let (mut network, _door) = Network::new();
    let attempt = network.attempt(at(0, 1000), server());
    assert!(matches!(attempt.session.drain(), Err(Error::InvalidState(_))));
}

/// The number of datagrams that an end had received at the last change of its session.
struct Watch {
    pipe: Arc<Pipe>,
    had: AtomicU64,
}

impl Watch {
    fn of(pipe: &Arc<Pipe>) -> Arc<Self> {
        let watch = Arc::new(Self { pipe: Arc::clone(pipe), had: AtomicU64::default() });
        pipe.session.watchers().add(Arc::clone(&watch) as _);
        watch
    }

    fn had(&self) -> u64 {
        self.had.load(Ordering::Relaxed)
    }
}

impl Watcher for Watch {
    fn changed(&self) {
        self.had.store(self.pipe.received().len() as u64, Ordering::Relaxed);
    }
}

#[test]
fn everything_that_waits_leaves_before_the_session_is_closed_and_nothing_is_overtaken() {
    const DATAGRAMS: u64 = 2000;
    // Of a size that leaves space for a capsule in each packet. On a long path QUIC paces, and so its
    // FIFO still holds some when the last one has left the queue.
    for delay in [DELAY, 50 * DELAY] {
        let (mut network, client, accepted) = session();
        network.by_packet = true;
        network.delay = delay;
        let watch = Watch::of(&client);
        (0..DATAGRAMS).for_each(|number| accepted.send(&[&number.to_be_bytes()[..], &[0; 1000]].concat()));
        accepted.session.close_when_sent(6, "all said", || {}).unwrap();
        network.run_until("it begins", |_| client.session.phase() == Phase::Draining);
        assert!(!accepted.session.is_closed(), "most still wait");
        client.send(b"heard");
        network.run_until("it is closed", |_| client.session.is_closed());
        assert_eq!(watch.had(), DATAGRAMS, "on a path of {delay:?}");
        assert_eq!(accepted.received(), [&b"heard"[..]], "the other direction goes on meanwhile");
        assert_eq!(accepted.session.wait_sent(Deadline::Now), Ok(()));
        let ends = [&accepted, &client].map(|end| end.session.close_info().unwrap());
        let end = |by| CloseInfo { by, code: 6, reason: "all said".into(), transport_error: 0 };
        assert_eq!(ends, [end(ClosedBy::Local), end(ClosedBy::Peer)]);
    }
}

#[test]
fn a_session_with_nothing_to_send_is_closed_at_once() {
    let (mut network, client, accepted) = session();
    let before = network.now;
    client.session.close_when_sent(1, "", || {}).unwrap();
    network.run_until("it is closed", |_| accepted.session.is_closed());
    assert!(network.now - before <= 2 * DELAY);
    assert_eq!(client.session.wait_sent(Deadline::Now), Ok(()));
}

#[test]
fn what_cannot_leave_in_time_is_given_up_and_the_session_is_closed_all_the_same() {
    let (mut network, client, accepted) = session();
    network.rule = Box::new(|_| false);
    (0..1000).for_each(|_| accepted.send(&[7; 1000]));
    accepted.session.close_when_sent(6, "too late", || {}).unwrap();
    assert!(matches!(accepted.session.close_when_sent(7, "", || {}), Err(Error::InvalidState(_))));
    network.run_for(Duration::from_millis(100));
    assert!(!accepted.session.is_closed(), "it has no deadline of its own");
    assert_eq!(accepted.session.wait_sent(Deadline::Now), Err(Error::WouldBlock));
    assert!(accepted.session.is_closed());
    assert_eq!(accepted.session.wait_sent(Deadline::Now), Err(Error::Closed));
    network.rule = Box::new(|_| true);
    network.run_until("the client hears of it", |_| client.session.is_closed());
    let info = client.session.close_info().unwrap();
    assert_eq!((info.by, info.code, info.reason.as_str()), (ClosedBy::Peer, 6, "too late"));
    network.run_until("nothing is left", |network| {
        network.hosts.iter().all(|host| host.lane.core().connections() == 0)
    });
}

#[test]
fn another_end_comes_before_that_of_a_session_that_is_leaving() {
    for by_peer in [true, false] {
        let (mut network, client, accepted) = session();
        accepted.flood(1000);
        accepted.session.close_when_sent(6, "never", || {}).unwrap();
        network.run_for(Duration::from_millis(100));
        let closing = if by_peer { &client } else { &accepted };
        closing.session.close(2, "now").unwrap();
        network.run_until("both know", |_| client.session.is_closed() && accepted.session.is_closed());
        for end in [&client, &accepted] {
            assert_eq!(end.session.close_info().unwrap().code, 2);
        }
        assert_eq!(accepted.session.wait_sent(Deadline::Now), Err(Error::Closed));
        assert_eq!(accepted.session.close_when_sent(1, "", || {}), Err(Error::Closed));
    }
}
