//! A server on several lanes, whose clients' addresses change.

use std::collections::BTreeMap;

use super::*;

const LANES: usize = 3;

/// A server on [`LANES`] lanes and its clients.
struct Town {
    network: Network,
    server: Arc<Server>,
    /// The server's lanes are the hosts from here on.
    first: usize,
}

impl Town {
    fn new(options: &ListenOptions) -> Self {
        let (mut network, _) = Network::new();
        let first = network.hosts.len();
        // Numbers that do not begin with 0, as in a process with other servers.
        let lanes = network.add_lanes(5..5 + LANES);
        let server = Server::on_lanes(options, &lanes, here(), false, Ok).unwrap();
        for (host, (_, endpoint)) in network.hosts[first..].iter_mut().zip(server.endpoints()) {
            host.sockets.open(*endpoint, here());
        }
        network.trusted = server.certificate_hash();
        Self { network, server, first }
    }

    /// A session whose first packets arrive at the lane with this number: the client's end, and the
    /// server's.
    fn session(&mut self, port: u16) -> (Arc<Pipe>, Arc<Pipe>) {
        let client = self.network.client(at(0, port), here());
        let server = Arc::clone(&self.server);
        self.network.run_until("the server has the session", |_| !server.ready().is_empty());
        (client, Pipe::of(server.accept(Deadline::Now).unwrap()))
    }

    fn connections(&self) -> Vec<usize> {
        self.network.hosts[self.first..].iter().map(|host| host.lane.core().connections()).collect()
    }

    /// From now on, packets of `inside` seem to come from what `outside` says.
    fn translate(&mut self, outside: &BTreeMap<SocketAddr, SocketAddr>) {
        let there: BTreeMap<_, _> = outside.iter().map(|(inside, outside)| (*inside, *outside)).collect();
        let back: BTreeMap<_, _> = outside.iter().map(|(inside, outside)| (*outside, *inside)).collect();
        self.network.rule = Box::new(move |train| {
            train.from = there.get(&train.from).copied().unwrap_or(train.from);
            train.to = back.get(&train.to).copied().unwrap_or(train.to);
            true
        });
    }
}

#[test]
fn clients_are_spread_over_the_lanes_and_a_session_stays_where_it_began() {
    let mut town = Town::new(&ListenOptions::default());
    let sessions: Vec<_> = (0..12).map(|port| town.session(1000 + port)).collect();
    assert_eq!(town.connections(), [4; LANES]);
    assert_eq!(town.server.stats().connections, 12);
    for round in 0..20_u32 {
        // Each client gets another address, and most of them one that belongs to another lane.
        let outside: BTreeMap<_, _> = (0..12)
            .map(|index| {
                (at(0, 1000 + index), at(9, 100 * (index + 1) + (round as u16 * 7 + index * 3) % 100))
            })
            .collect();
        town.translate(&outside);
        let arrived = |pipe: &Arc<Pipe>| pipe.received().len() as u32 == round + 1;
        sessions.iter().for_each(|(client, _)| client.send(&round.to_be_bytes()));
        town.network.run_until("all arrive, though they come to other lanes", |_| {
            sessions.iter().all(|(_, accepted)| arrived(accepted))
        });
        sessions.iter().for_each(|(_, accepted)| accepted.send(&round.to_be_bytes()));
        town.network.run_until("answers go to the new addresses", |_| {
            sessions.iter().all(|(client, _)| arrived(client))
        });
        assert_eq!(town.connections(), [4; LANES], "no packet begins a connection elsewhere");
    }
    town.server.close();
    let lanes = town.first..town.first + LANES;
    town.network.run_until("all sockets close", |network| {
        network.hosts[lanes.clone()].iter().all(|host| host.sockets.count() == 0)
    });
}

#[test]
fn packets_for_a_lane_whose_socket_has_closed_are_lost_and_begin_nothing() {
    let mut town = Town::new(&ListenOptions::default());
    // The first comes to the first of three sockets, the second to the second.
    let (ends, _accepted) = town.session(999);
    let (goes_on, accepted) = town.session(1000);
    let strays = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&strays);
    town.network.rule = Box::new(move |train| {
        if train.from == at(0, 999) {
            seen.lock().push(train.clone());
        }
        true
    });
    ends.send(b"still there");
    ends.close();
    town.server.stop_listening();
    let first = town.first;
    town.network.run_until("only the second socket is open", |network| {
        let open = network.hosts[first..].iter().map(|host| host.sockets.count());
        open.eq([0, 1, 0])
    });
    let strays = std::mem::take(&mut *strays.lock());
    assert!(strays.len() > 1, "{strays:?}");
    for stray in strays {
        town.network.inject(stray);
    }
    goes_on.send(b"to the second");
    town.network.run_until("the second goes on", |_| !accepted.received().is_empty());
    assert_eq!(town.connections(), [0, 1, 0]);
}

#[test]
fn a_client_gets_in_whichever_socket_the_system_gives_its_packets_to() {
    let limits = Limits { retry_above_half_open: 0, ..Limits::default() };
    let mut town = Town::new(&ListenOptions { limits, ..ListenOptions::default() });
    let mut arrived = 0;
    town.network.chooses = Box::new(move |_, sockets| {
        arrived += 1;
        arrived % sockets
    });
    for port in 0..6 {
        let (client, accepted) = town.session(1000 + port);
        client.send(b"hello");
        town.network.run_until("it arrives", |_| accepted.received() == [&b"hello"[..]]);
    }
    let stats = town.server.stats();
    assert_eq!((stats.retries, stats.connections, stats.half_open), (6, 6, 0));
}

#[test]
fn the_limits_are_the_servers_and_not_each_lanes() {
    let limits = Limits { max_sessions: Some(4), ..Limits::default() };
    let mut town = Town::new(&ListenOptions { limits, ..ListenOptions::default() });
    let _sessions: Vec<_> = (0..4).map(|port| town.session(1000 + port)).collect();
    let refused: Vec<_> = (0..3).map(|port| town.network.attempt(at(0, 2000 + port), here())).collect();
    town.network.run_until("every lane refuses", |_| refused.iter().all(Attempt::is_lost));
    assert_eq!(town.server.stats().refused[stats::Refused::Sessions as usize], 3);
}
