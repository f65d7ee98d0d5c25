//! Tests of servers that stop listening while their sessions go on.

use quinn_proto::ConnectionError;

use super::*;
use crate::link::core::endpoints::MOST_INCOMING;

/// The code of QUIC's CONNECTION_REFUSED (RFC 9000 section 20.1).
const CONNECTION_REFUSED: u64 = 2;

/// Whether the server still has its socket.
fn is_bound(network: &Network) -> bool {
    network.hosts[SERVER].socket(server()).is_some()
}

/// Lets a client try, until the server has refused it.
fn expect_refusal(network: &mut Network, from: SocketAddr) {
    let attempt = network.attempt(from, server());
    network.run_until("it is refused", |_| attempt.state.lock().lost.is_some());
    let lost = attempt.state.lock().lost.take();
    let Some(ConnectionError::ConnectionClosed(close)) = &lost else { panic!("{lost:?}") };
    assert_eq!(u64::from(close.error_code), CONNECTION_REFUSED);
}

#[test]
fn new_clients_are_refused_at_once_and_the_socket_closes_with_the_last_session() {
    let (mut network, door) = Network::new();
    let (one, _) = network.session(at(0, 1), server(), &door);
    let (two, accepted) = network.session(at(0, 2), server(), &door);
    let endpoint = network.hosts[SERVER].socket(server()).unwrap();
    door.refuses.store(true, Ordering::Relaxed);
    network.hosts[SERVER].lane.retire(endpoint);
    for port in 3..6 {
        let before = network.now;
        expect_refusal(&mut network, at(0, port));
        let took = network.now - before;
        assert!(took < Duration::from_millis(100), "{took:?}");
    }
    two.send(b"in");
    accepted.send(b"out");
    network.run_until("the sessions go on", |_| {
        accepted.received() == [&b"in"[..]] && two.received() == [&b"out"[..]]
    });
    one.session.close(0, "").unwrap();
    network.run_for(Duration::from_secs(10));
    assert!(is_bound(&network));
    two.session.close(0, "").unwrap();
    network.run_for(Duration::from_secs(10));
    assert!(!is_bound(&network));
}

#[test]
fn a_server_without_sessions_gives_up_its_socket_and_refuses_a_client_that_has_just_come() {
    let (mut network, door) = Network::new();
    let attempt = network.attempt(at(0, 1), server());
    network.hosts[CLIENT].settle(network.now);
    network.collect();
    network.deliver();
    let endpoint = network.hosts[SERVER].socket(server()).unwrap();
    door.refuses.store(true, Ordering::Relaxed);
    network.hosts[SERVER].lane.retire(endpoint);
    // A turn that leaves newcomers waiting and reads the command.
    let host = &mut network.hosts[SERVER];
    let mailbox = host.lane.mailbox();
    host.lane.core().turn_without_newcomers(network.now, mailbox, &mut host.sockets);
    assert!(!is_bound(&network));
    network.collect();
    network.run_until("it is refused", |_| attempt.state.lock().lost.is_some());
}

#[test]
fn a_late_command_for_an_endpoint_that_is_gone_does_nothing_to_the_one_in_its_place() {
    let (mut network, _door) = Network::new();
    let gone = network.hosts[SERVER].socket(server()).unwrap();
    network.hosts[SERVER].lane.stop_listening(gone);
    network.run_until("its socket is closed", |network| !is_bound(network));
    let door = network.serve(server());
    network.hosts[SERVER].lane.stop_listening(gone);
    network.hosts[SERVER].lane.retire(gone);
    network.run_for(Duration::from_millis(100));
    let (client, accepted) = network.session(at(0, 1), server(), &door);
    client.send(b"here");
    network.run_until("the new one listens", |_| accepted.received() == [&b"here"[..]]);
}

#[test]
fn a_clients_time_to_its_session_begins_with_its_first_packet() {
    let (mut network, door) = Network::new();
    network.client(at(0, 1), server());
    let usual = door.took.lock().take().unwrap();
    let attempt = network.attempt(at(0, 2), server());
    network.hosts[CLIENT].settle(network.now);
    network.collect();
    network.deliver();
    // The packet is there, and waits for its turn.
    network.now += Duration::from_secs(1);
    network.settle();
    network.collect();
    network.ask(&attempt);
    network.run_until("the session is established", |_| attempt.is_established());
    assert_eq!(door.took.lock().take(), Some(usual + Duration::from_secs(1)));
}

#[test]
fn first_packets_beyond_those_that_may_wait_are_counted() {
    let (mut network, door) = Network::new();
    let over = 5;
    let attempts: Vec<_> = (0..MOST_INCOMING + over)
        .map(|index| network.attempt(([10, 2, (index / 250) as u8, (index % 250) as u8], 1).into(), server()))
        .collect();
    network.hosts[CLIENT].settle(network.now);
    network.collect();
    network.deliver();
    assert_eq!(door.ignored.load(Ordering::Relaxed), over as u64);
    drop(attempts);
}
