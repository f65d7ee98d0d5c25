//! Tests of packets that neither begin a connection nor belong to one: what a server answers, and
//! what a client does with the answers.

use super::*;
use crate::link::core::session::{CloseInfo, ClosedBy};

/// A packet as the client sent it after the handshake, and a server that knows nothing of its
/// connection.
fn packet_of_a_forgotten_session() -> (Network, Arc<Pipe>, Train) {
    let (mut network, door) = Network::new();
    let (client, _) = network.session(at(0, 1000), server(), &door);
    network.run_for(Duration::from_secs(1));
    network.hosts[SERVER] = Host::new(network.hosts[SERVER].secrets.clone());
    network.serve(server());
    network.flight.clear();
    client.send(&[1; 100]);
    network.hosts[CLIENT].settle(network.now);
    let packet = network.hosts[CLIENT].sockets.sent.pop().expect("a packet");
    assert_eq!(packet.bytes[0] & 0x80, 0, "it has a short header");
    (network, client, packet)
}

/// The server's answer to `bytes`.
fn answer(network: &mut Network, packet: &Train, bytes: Vec<u8>) -> Option<Vec<u8>> {
    // A server sends at most one reset in 20 ms.
    network.now += Duration::from_secs(1);
    network.flight = vec![Train { stride: bytes.len(), bytes, ..packet.clone() }];
    network.deliver();
    let mut answers = std::mem::take(&mut network.flight);
    network.hosts[SERVER].settle(network.now);
    assert_eq!(network.hosts[SERVER].lane.core().connections(), 0);
    assert!(answers.len() <= 1 && network.hosts[SERVER].sockets.sent.is_empty());
    answers.pop().map(|answer| answer.bytes)
}

#[test]
fn a_server_that_has_lost_its_state_ends_its_clients_sessions_at_their_next_packet() {
    let (mut network, client, packet) = packet_of_a_forgotten_session();
    network.flight.push(packet);
    network.run_until("the client hears of it", |_| client.session.is_closed());
    let reason = "reset by peer".to_owned();
    let reset = CloseInfo { by: ClosedBy::Transport, code: 0, reason, transport_error: 0 };
    assert_eq!(client.session.close_info(), Some(reset));
}

#[test]
fn a_reset_is_shorter_than_what_it_answers_so_that_two_servers_never_answer_each_other_for_ever() {
    let (mut network, _, packet) = packet_of_a_forgotten_session();
    for length in 1..packet.bytes.len() {
        let answer = answer(&mut network, &packet, packet.bytes[..length].to_vec());
        // RFC 9000 section 10.3: no reset is shorter than 21 bytes.
        assert_eq!(answer.is_some(), length > 21, "{length} bytes");
        if let Some(answer) = answer {
            assert!((21..length).contains(&answer.len()), "{} bytes answer {length}", answer.len());
            assert_eq!(answer[0] & 0xc0, 0x40, "it looks like any packet with a short header");
        }
    }
}

#[test]
fn packets_for_ids_that_were_never_issued_and_handshakes_of_nobody_get_no_answer() {
    let (mut network, _, packet) = packet_of_a_forgotten_session();
    let mut invented = packet.bytes.clone();
    invented[3] ^= 1;
    assert_eq!(answer(&mut network, &packet, invented), None);
    // A Handshake packet with the right version and the id of the session.
    let mut handshake = vec![0xe0, 0, 0, 0, 1, 8];
    handshake.extend_from_slice(&packet.bytes[1..9]);
    handshake.extend_from_slice(&[0, 0x44, 0x00]);
    handshake.resize(1200, 7);
    assert_eq!(answer(&mut network, &packet, handshake), None);
    assert_eq!(answer(&mut network, &packet, vec![0; 1200]), None);
    assert!(answer(&mut network, &packet, packet.bytes.clone()).is_some(), "its own id gets an answer");
}

#[test]
fn no_more_than_one_reset_leaves_in_20_ms() {
    let (mut network, _, packet) = packet_of_a_forgotten_session();
    network.flight = vec![packet.clone(); 100];
    network.deliver();
    assert_eq!(network.flight.len(), 1);
    network.now += Duration::from_millis(20);
    network.flight = vec![packet; 100];
    network.deliver();
    assert_eq!(network.flight.len(), 1);
}

#[test]
fn a_reset_that_somebody_invents_changes_nothing() {
    let (mut network, door) = Network::new();
    let (client, accepted) = network.session(at(0, 1000), server(), &door);
    let reset = Train { from: server(), to: at(0, 1000), ecn: None, stride: 100, bytes: vec![0x45; 100] };
    network.flight.push(reset);
    network.run_for(Duration::from_millis(100));
    accepted.send(b"still here");
    network.run_until("it arrives", |_| client.received() == [&b"still here"[..]]);
}

#[test]
fn a_client_that_must_prove_its_address_costs_no_state_before_it_has() {
    let (mut network, door) = Network::new();
    door.demands_retry.store(true, Ordering::Relaxed);
    let retries = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&retries);
    network.rule = Box::new(move |train| {
        // A long header of type 3 (RFC 9000 section 17.2.5).
        let is_retry = train.bytes[0] & 0xf0 == 0xf0;
        seen.fetch_add(u64::from(is_retry), Ordering::Relaxed);
        // Clients at this address never get it: another host sends in their name.
        !(is_retry && train.to.ip() == at(7, 0).ip())
    });
    let _forged: Vec<_> = (0..10).map(|port| network.attempt(at(7, port), server())).collect();
    network.run_for(Duration::from_millis(100));
    assert!(retries.load(Ordering::Relaxed) >= 10);
    assert_eq!(network.hosts[SERVER].lane.core().connections(), 0);
    retries.store(0, Ordering::Relaxed);
    network.hosts[CLIENT] = Host::new(network.hosts[CLIENT].secrets.clone());
    let (client, accepted) = network.session(at(0, 1000), server(), &door);
    assert_eq!(retries.load(Ordering::Relaxed), 1);
    client.send(b"honest");
    network.run_until("it arrives", |_| accepted.received() == [&b"honest"[..]]);
    assert_eq!(door.admitted.load(Ordering::Relaxed), 1);
}

/// Whether a client connects if its first packet is answered with a Version Negotiation packet of
/// `versions`, in addition to the server's own answer.
fn connects_after_negotiation(versions: &[u32]) -> bool {
    let (mut network, _) = Network::new();
    let attempt = network.attempt(at(0, 1000), server());
    network.hosts[CLIENT].settle(network.now);
    network.collect();
    let hello = network.flight[0].clone();
    let (destination, rest) = hello.bytes[6..].split_at(hello.bytes[5].into());
    let source = &rest[1..][..rest[0].into()];
    let mut bytes = vec![0xc0, 0, 0, 0, 0, source.len() as u8];
    bytes.extend_from_slice(source);
    bytes.push(destination.len() as u8);
    bytes.extend_from_slice(destination);
    bytes.extend(versions.iter().flat_map(|version| version.to_be_bytes()));
    network.flight.push(Train { from: server(), to: hello.from, ecn: None, stride: bytes.len(), bytes });
    network.run_for(Duration::from_secs(1));
    attempt.state.lock().connected
}

#[test]
fn a_negotiation_that_offers_the_clients_own_version_is_a_forgery_and_changes_nothing() {
    assert!(connects_after_negotiation(&[0x1a2a_3a4a, 1]));
    assert!(!connects_after_negotiation(&[0x1a2a_3a4a]), "the client believes one that does not");
}
