//! Tests that a turn is bounded, and that each session and server gets a share of it.

use std::collections::BTreeMap;

use super::*;
use crate::link::core::endpoints::{ANSWERED_A_TURN, MOST_INCOMING};
use crate::link::core::turn::TRAINS_A_TURN;

/// Trains that the server has sent to each address since the last look.
fn trains(network: &Network) -> BTreeMap<SocketAddr, usize> {
    let mut count = BTreeMap::new();
    for train in &network.hosts[SERVER].sockets.sent {
        *count.entry(train.to).or_default() += 1;
    }
    count
}

#[test]
fn of_hundreds_of_busy_sessions_each_gets_its_share_in_every_turn() {
    const SESSIONS: u16 = 200;
    let (mut network, door) = Network::new();
    let pipes: Vec<_> = (1..=SESSIONS).map(|port| network.session(at(0, port), server(), &door).1).collect();
    network.run_for(Duration::from_millis(50));
    network.hosts[SERVER].sockets.segments = 2;
    pipes.iter().for_each(|pipe| pipe.flood(1000));
    for round in 0..20 {
        network.deliver();
        network.hosts[SERVER].turn(network.now);
        let sent = trains(&network);
        assert!(sent.values().all(|trains| *trains <= TRAINS_A_TURN), "round {round}: {sent:?}");
        // Each session has work in each turn: a window of ten packets, and a round trip of two
        // rounds.
        assert_eq!(sent.len(), usize::from(SESSIONS), "round {round}: each writes");
        network.hosts[CLIENT].settle(network.now);
        network.collect();
    }
    let shares: Vec<_> = pipes.iter().map(|pipe| pipe.fed()).collect();
    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
    assert!(most - least <= most / 10, "from {least} to {most}");
}

#[test]
fn one_busy_session_does_not_keep_another_waiting_for_a_turn() {
    let (mut network, door) = Network::new();
    let (_, busy) = network.session(at(0, 1), server(), &door);
    let (_, calm) = network.session(at(0, 2), server(), &door);
    busy.flood(1000);
    network.run_for(Duration::from_millis(100));
    for number in 0..50_u8 {
        network.deliver();
        calm.send(&[number]);
        network.hosts[SERVER].turn(network.now);
        assert!(trains(&network).contains_key(&at(0, 2)), "{number} leaves in the turn that heard of it");
        network.hosts[CLIENT].settle(network.now);
        network.collect();
    }
}

#[test]
fn what_quic_refuses_keeps_nothing_waiting_that_is_behind_it() {
    let (mut network, door) = Network::new();
    let (client, accepted) = network.session(at(0, 1), server(), &door);
    network.run_for(Duration::from_secs(1));
    client.send(&[0; 5000]);
    client.send(b"small");
    // This is less than the interval of keep-alives, which would bring another turn.
    network.run_for(Duration::from_secs(1));
    assert_eq!(accepted.received(), [&b"small"[..]]);
}

/// The first packets of `count` clients, each from its own address.
fn first_packets(network: &mut Network, to: SocketAddr, count: u16) -> Vec<Train> {
    let attempts: Vec<_> = (0..count).map(|port| network.attempt(at(66, port), to)).collect();
    network.hosts[CLIENT].settle(network.now);
    let sent = std::mem::take(&mut network.hosts[CLIENT].sockets.sent);
    assert!(sent.len() >= attempts.len());
    sent
}

#[test]
fn a_flood_of_first_packets_gets_a_bounded_part_of_each_turn_beside_a_running_session() {
    let (mut network, door) = Network::new();
    let (client, accepted) = network.session(at(0, 1), server(), &door);
    network.run_for(Duration::from_secs(1));
    let flood = first_packets(&mut network, server(), 1500);
    network.flight.extend(flood);
    for number in 0..50_u8 {
        let before = door.admitted.load(Ordering::Relaxed);
        client.send(&[number]);
        accepted.send(&[number]);
        network.hosts[CLIENT].settle(network.now);
        network.collect();
        network.deliver();
        network.hosts[SERVER].turn(network.now);
        let admitted = door.admitted.load(Ordering::Relaxed) - before;
        assert_eq!(admitted, 1, "in turn {number}");
        assert_eq!(accepted.received().len(), usize::from(number) + 1, "what came in the turn was delivered");
        assert!(trains(&network).contains_key(&at(0, 1)), "what was to leave in the turn has left");
        network.collect();
        // No client is there to go on with those handshakes.
        network.flight.retain(|train| train.to == at(0, 1));
    }
    network.hosts[SERVER].settle(network.now);
    // Clients that found the queue of new connections full have to try again.
    assert_eq!(door.admitted.load(Ordering::Relaxed), 1 + MOST_INCOMING as u64);
}

#[test]
fn connections_that_are_refused_cost_little_so_a_turn_answers_many() {
    let (mut network, door) = Network::new();
    door.refuses.store(true, Ordering::Relaxed);
    let flood = first_packets(&mut network, server(), 100);
    network.flight.extend(flood);
    network.deliver();
    network.hosts[SERVER].turn(network.now);
    assert_eq!(network.hosts[SERVER].sockets.sent.len(), ANSWERED_A_TURN);
}

#[test]
fn a_server_under_flood_does_not_keep_clients_out_of_another_one_on_its_lane() {
    let (mut network, door) = Network::new();
    let other = network.serve(at(1, 444));
    let flood = first_packets(&mut network, server(), 500);
    let welcome = first_packets(&mut network, at(1, 444), 1);
    network.flight.extend(flood.into_iter().chain(welcome));
    network.deliver();
    for _ in 0..2 {
        network.hosts[SERVER].turn(network.now);
    }
    assert_eq!(other.admitted.load(Ordering::Relaxed), 1);
    assert_eq!(door.admitted.load(Ordering::Relaxed), 1);
}
