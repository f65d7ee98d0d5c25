//! Tests of the path: addresses that change, congestion marks, and sockets that take and give
//! packets one by one.

use super::*;

/// Sends `payload` each way and waits for both.
fn exchange(network: &mut Network, pipes: &(Arc<Pipe>, Arc<Pipe>), payload: &[u8]) {
    let (client, accepted) = pipes;
    client.send(payload);
    accepted.send(payload);
    network.run_until("datagrams go both ways", |_| {
        [client, accepted].iter().all(|pipe| pipe.received().last().is_some_and(|last| last == payload))
    });
}

#[test]
fn a_session_follows_its_client_to_another_address_and_another_network() {
    let (mut network, door) = Network::new();
    let inside = at(0, 1000);
    let pipes = network.session(inside, server(), &door);
    for (number, outside) in [at(0, 2000), at(99, 1000), at(98, 3000), inside].into_iter().enumerate() {
        network.rule = Box::new(move |train| {
            if train.from == inside {
                train.from = outside;
            }
            let is_back = train.to == outside;
            if is_back {
                train.to = inside;
            }
            is_back || train.to == server()
        });
        // The server learns of the move when the client sends.
        pipes.0.send(b"moved");
        network.run_until("the server follows", |_| pipes.1.remote() == outside);
        exchange(&mut network, &pipes, &[number as u8; 100]);
        // Longer than the validation of the path may take.
        network.run_for(Duration::from_secs(5));
        exchange(&mut network, &pipes, &[number as u8; 200]);
        assert_eq!(pipes.1.remote(), outside);
        assert_eq!(pipes.0.remote(), server());
    }
}

#[test]
fn a_busy_session_goes_on_at_its_pace_after_each_move() {
    let (mut network, door) = Network::new();
    let inside = at(0, 1000);
    let (client, accepted) = network.session(inside, server(), &door);
    client.flood(1000);
    accepted.flood(1000);
    for outside in [at(0, 2000), at(99, 1000), inside] {
        network.rule = Box::new(move |train| {
            if train.from == inside {
                train.from = outside;
            }
            let is_back = train.to == outside;
            if is_back {
                train.to = inside;
            }
            is_back || train.to == server()
        });
        network.run_until("the server follows", |_| accepted.remote() == outside);
        network.run_for(Duration::from_millis(50));
        let before = [&client, &accepted].map(|pipe| pipe.incoming.lock().len());
        network.run_for(Duration::from_millis(30));
        let after = [&client, &accepted].map(|pipe| pipe.incoming.lock().len());
        assert!(after[0] - before[0] > 100 && after[1] - before[1] > 100, "{before:?} to {after:?}");
        [&client, &accepted].iter().for_each(|pipe| pipe.incoming.lock().clear());
    }
}

#[test]
fn somebody_who_sends_a_packet_on_from_elsewhere_does_not_get_the_session() {
    let (mut network, door) = Network::new();
    let pipes = network.session(at(0, 1000), server(), &door);
    network.run_for(Duration::from_secs(1));
    // The attacker is faster than the network: the client's own packet comes too late. No packet
    // arrives at the attacker's address.
    let stolen = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&stolen);
    let mut is_first = true;
    network.rule = Box::new(move |train| {
        if train.to == server() && std::mem::take(&mut is_first) {
            train.from = at(66, 6);
        }
        if train.to == at(66, 6) {
            *seen.lock() += train.bytes.len();
        }
        train.to != at(66, 6)
    });
    pipes.0.send(&[1; 100]);
    network.run_until("the server is fooled at first", |_| pipes.1.remote() == at(66, 6));
    pipes.1.flood(1000);
    network.run_until("it finds out by itself", |_| pipes.1.remote() == at(0, 1000));
    // RFC 9000 section 8: at most three times what came from there.
    assert!(*stolen.lock() <= 3 * 1200, "{} bytes went to an address that proved nothing", *stolen.lock());
    *pipes.1.endless.lock() = None;
    exchange(&mut network, &pipes, b"ours again");
    assert!(!pipes.0.session.is_closed() && !pipes.1.session.is_closed());
}

#[test]
fn a_client_takes_nothing_from_another_address_than_the_servers() {
    let (mut network, door) = Network::new();
    let pipes = network.session(at(0, 1000), server(), &door);
    network.run_for(Duration::from_secs(1));
    network.rule = Box::new(|train| {
        if train.from == server() {
            train.from = at(66, 6);
        }
        true
    });
    pipes.1.send(b"from elsewhere");
    network.run_for(Duration::from_millis(50));
    assert!(pipes.0.received().is_empty());
    network.rule = Box::new(|_| true);
    exchange(&mut network, &pipes, b"from the server");
    assert_eq!(pipes.0.remote(), server());
}

/// The figures of a flood over a path that marks every 50th train, if it goes to the server.
fn flood_with_marks(mark: EcnCodepoint) -> crate::link::core::session::SessionStats {
    let (mut network, door) = Network::new();
    let pipes = network.session(at(0, 1000), server(), &door);
    let mut trains = 0;
    network.rule = Box::new(move |train| {
        assert_eq!(train.ecn, Some(EcnCodepoint::Ect0), "a packet that cannot be marked");
        trains += 1;
        if train.to == server() && trains % 50 == 0 {
            train.ecn = Some(mark);
        }
        true
    });
    pipes.0.flood(1000);
    network.run_for(Duration::from_millis(200));
    assert!(pipes.1.received().len() > 1000);
    pipes.0.session.stats().unwrap()
}

#[test]
fn all_packets_can_be_marked_and_marks_slow_the_sender_down_before_anything_is_lost() {
    let unmarked = flood_with_marks(EcnCodepoint::Ect0);
    let marked = flood_with_marks(EcnCodepoint::Ce);
    assert_eq!((unmarked.congestion_events, unmarked.packets_lost), (0, 0));
    assert_eq!(marked.packets_lost, 0);
    assert!(marked.congestion_events > 2, "{marked:?}");
    assert!(marked.congestion_window_bytes < unmarked.congestion_window_bytes / 2);
}

#[test]
fn a_path_that_wipes_marks_out_carries_all_the_same() {
    let (mut network, door) = Network::new();
    network.rule = Box::new(|train| {
        train.ecn = None;
        true
    });
    let pipes = network.session(at(0, 1000), server(), &door);
    exchange(&mut network, &pipes, b"plain");
    network.run_for(Duration::from_secs(1));
    let unmarked = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&unmarked);
    network.rule = Box::new(move |train| {
        seen.fetch_add(u64::from(train.ecn.take().is_none()), Ordering::Relaxed);
        true
    });
    exchange(&mut network, &pipes, b"still plain");
    assert!(unmarked.load(Ordering::Relaxed) > 0, "its packets no longer say that they can be marked");
}

/// What arrives of 500 datagrams in each direction, and the longest train, where sockets take
/// `segments` packets at once and where trains may `come_apart` on the way.
fn carried(segments: usize, come_apart: bool) -> (Vec<Bytes>, Vec<Bytes>, usize) {
    let (mut network, door) = Network::new();
    network.hosts.iter_mut().for_each(|host| host.sockets.segments = segments);
    let (client, accepted) = network.session(at(0, 1000), server(), &door);
    for number in 0..500_u32 {
        let payload = [&number.to_be_bytes()[..], &vec![1; number as usize * 2]].concat();
        client.send(&payload);
        accepted.send(&payload);
    }
    let mut longest = 0;
    network.run_until("all of them arrive", |network| {
        longest = network.flight.iter().map(|train| train.packets().count()).max().unwrap_or(0).max(longest);
        if come_apart {
            let trains = std::mem::take(&mut network.flight);
            network.flight.extend(trains.iter().flat_map(|train| {
                train.packets().map(|one| Train { stride: one.len(), bytes: one.to_vec(), ..train.clone() })
            }));
        }
        [&client, &accepted].iter().all(|pipe| pipe.received().len() >= 500)
    });
    assert_eq!(client.session.stats().unwrap().packets_lost, 0);
    (client.received(), accepted.received(), longest)
}

#[test]
fn nothing_depends_on_trains_of_packets_neither_out_nor_in() {
    let (down, up, longest) = carried(43, false);
    assert!(longest > 1, "there are trains");
    assert_eq!((down.len(), up.len()), (500, 500));
    for (segments, come_apart) in [(1, false), (1, true), (43, true), (2, false)] {
        let (other_down, other_up, longest) = carried(segments, come_apart);
        assert!(longest <= segments, "{longest} packets at once");
        assert!(down == other_down && up == other_up, "{segments} at once, {come_apart}");
    }
}

#[test]
fn a_connection_whose_socket_is_full_tries_once_and_waits_once() {
    let (mut network, door) = Network::new();
    let (client, accepted) = network.session(at(0, 1), server(), &door);
    let endpoint = network.hosts[SERVER].socket(server()).unwrap();
    network.hosts[SERVER].sockets.are_full = true;
    accepted.send(b"first");
    for _ in 0..50 {
        client.send(b"x");
        network.run_for(Duration::from_millis(1));
    }
    let host = &mut network.hosts[SERVER];
    assert_eq!(host.sockets.refusals, 1);
    assert_eq!(host.lane.core().endpoints[endpoint.index as usize].blocked.len(), 1);
    host.sockets.are_full = false;
    host.lane.core().writable(endpoint);
    host.settle(network.now);
    network.collect();
    accepted.send(b"second");
    network.run_until("all is there", |_| client.received() == [&b"first"[..], b"second"]);
    assert_eq!(accepted.received().len(), 50);
}
