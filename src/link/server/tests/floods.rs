//! A server under attack, in invented time: floods of connections that lead nowhere, beside an
//! honest client and a session that goes on.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::link::config::IdentitySource;

/// Connections of a flood.
const FLOOD: usize = 5000;

/// An address of its own for each attacker.
fn attacker(index: usize) -> SocketAddr {
    ([10, 1, (index / 250) as u8, (index % 250) as u8], 7000).into()
}

struct Siege {
    network: Network,
    server: Arc<Server>,
    attempts: Vec<Attempt>,
    /// A session that began before: the client's end and the server's.
    session: (Arc<Pipe>, Arc<Pipe>),
    sent: usize,
}

impl Siege {
    fn new() -> Self {
        let (mut network, _) = Network::new();
        let host = &mut network.hosts[SERVER];
        let identity = IdentitySource::SelfSigned { names: Vec::new() };
        let options = ListenOptions { identity, ..ListenOptions::default() };
        let server = Server::on_lanes(&options, &[Arc::clone(&host.lane)], here(), false, Ok).unwrap();
        host.sockets.open(server.endpoints()[0].1, here());
        network.trusted = server.certificate_hash();
        let client = network.client(at(0, 1000), here());
        network.run_until("the server has the session", |_| !server.ready().is_empty());
        let accepted = Pipe::of(server.accept(Deadline::Now).unwrap());
        Self { network, server, attempts: Vec::new(), session: (client, accepted), sent: 0 }
    }

    /// Begins the flood within `time`. The session goes on meanwhile: 10 datagrams in 10 ms.
    fn flood(&mut self, time: Duration) {
        let steps = (time.as_millis() / 10) as usize;
        for step in 0..steps {
            for index in FLOOD * step / steps..FLOOD * (step + 1) / steps {
                let attempt = self.network.attempt(attacker(index), here());
                self.attempts.push(attempt);
            }
            self.talk();
        }
    }

    /// Lets 10 ms pass, in which 10 datagrams are sent.
    fn talk(&mut self) {
        for _ in 0..10 {
            self.session.0.send(&self.sent.to_be_bytes());
            self.sent += 1;
        }
        self.network.run_for(Duration::from_millis(10));
    }

    /// Checks that an honest client is in within a second, that the session lost nothing, and that
    /// the server's memory falls back.
    fn hold_out(mut self) {
        let began = self.network.now;
        let honest = self.network.client(at(0, 2000), here());
        let took = self.network.now - began;
        assert!(took < Duration::from_secs(1), "the honest client waited {took:?}");
        self.network.run_until("the server has its session", |_| !self.server.ready().is_empty());
        let accepted = Pipe::of(self.server.accept(Deadline::Now).unwrap());
        honest.send(b"honest");
        self.network.run_until("its datagram arrives", |_| accepted.received() == [&b"honest"[..]]);
        for _ in 0..10 {
            self.talk();
        }
        self.network.run_for(Duration::from_millis(100));
        let arrived: HashSet<_> = self.session.1.received().into_iter().collect();
        assert_eq!(arrived.len(), self.sent, "the session lost datagrams");
        // The attackers give up.
        self.network.rule =
            Box::new(|train| train.from.ip() == at(0, 0).ip() || train.to.ip() == at(0, 0).ip());
        self.network.run_for(self.server.handshake_timeout + Duration::from_secs(10));
        assert_eq!(self.server.stats().half_open, 0);
        assert_eq!(self.network.hosts[SERVER].lane.core().connections(), 2);
        assert_eq!(self.server.stats().connections, 2);
        assert!(self.server.memory().held() < 200_000, "{}", self.server.memory().held());
        drop(self.attempts);
    }
}

#[test]
fn a_flood_of_handshakes_that_stop_keeps_nobody_out() {
    let mut siege = Siege::new();
    // The attackers prove their addresses, and then are silent.
    siege.network.rule =
        Box::new(|train| train.to.ip() == at(0, 0).ip() || is_not_an_answer(train.to, &train.bytes));
    siege.flood(Duration::from_secs(2));
    let stats = siege.server.stats();
    assert!(stats.retries > 4000, "{stats:?}");
    assert!(stats.half_open <= siege.server.limits.max_half_open as u64, "{stats:?}");
    assert!(stats.failed[stats::HandshakeFailure::Evicted as usize] > 3000, "{stats:?}");
    siege.hold_out();
}

/// Packets to the server, and Retry packets (RFC 9000 section 17.2.5).
fn is_not_an_answer(to: SocketAddr, bytes: &[u8]) -> bool {
    to == here() || bytes[0] & 0xf0 == 0xf0
}

#[test]
fn a_flood_of_connections_that_never_ask_keeps_nobody_out() {
    let mut siege = Siege::new();
    siege.flood(Duration::from_secs(2));
    let stats = siege.server.stats();
    assert!(stats.half_open <= siege.server.limits.max_half_open as u64, "{stats:?}");
    assert!(stats.failed[stats::HandshakeFailure::Evicted as usize] > 3000, "{stats:?}");
    siege.hold_out();
}

#[test]
fn a_flood_from_one_address_is_held_back_at_its_rate() {
    let mut siege = Siege::new();
    for port in 1..2000 {
        let attempt = siege.network.attempt(at(9, port), here());
        siege.attempts.push(attempt);
    }
    siege.talk();
    siege.network.run_for(Duration::from_millis(500));
    let stats = siege.server.stats();
    // 1000 at once without proof, 1000 with it, and a few that the time has brought.
    assert!(stats.established == 1 && stats.connections <= 2200, "{stats:?}");
    assert!(stats.half_open <= siege.server.limits.max_half_open as u64, "{stats:?}");
    siege.hold_out();
}
