//! Plain QUIC clients that talk to a plain QUIC server: datagrams that are echoed, and streams.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use quinn_proto::SendDatagramError;
use wtgram::link::ids::Label;
use wtgram::link::secrets::Secrets;
use wtgram::link::tls::Extensions;

use crate::weather;
use support::invented::Dice;
use support::invented::clock::Clock;
use support::invented::network::Network;
use support::invented::quic::{Peer, QuicHost, Setup};
use support::invented::world::{Record, World};

/// How long clients talk.
const TALK: Duration = Duration::from_secs(10);

/// By then everything has ended: idle timeouts are 30 s.
const END: Duration = Duration::from_secs(200);

/// The place of the server among the hosts; clients follow.
const SERVER: usize = 0;

/// A client beside its host.
struct Client {
    address: SocketAddr,
    /// Datagrams sent, by their number.
    sent: u64,
    stream: Vec<u8>,
    wrote: bool,
    weather_until: Duration,
}

/// Runs `seed` to its end and checks what must hold in every run.
pub fn run(seed: u64, in_words: bool) -> Record {
    let mut dice = Dice::new(seed);
    let clock = Clock::new();
    let setup = Setup::new(&clock);
    let mut world = World::new(clock.clone(), Network::new(dice.next()));
    world.record.lines = in_words.then(Vec::new);
    let secrets = Secrets::fixed(&dice.secret());
    let server = setup.server_config(&secrets, Extensions::default());
    let mut host = QuicHost::new(
        ([10, 0, 0, 1], 443).into(),
        secrets.endpoint_config(0, &Label::default()),
        Some(server),
    );
    host.demands_retry = dice.one_in(4);
    world.add(host);
    let mut clients = Vec::new();
    for number in 0..=dice.below(4) as u8 {
        let address: SocketAddr = ([10, 0, 0, 2 + number], 40_000 + u16::from(number)).into();
        let (conditions, interference) = weather::drawn(&mut dice);
        world.network.add_client(address, conditions, interference);
        let secrets = Secrets::fixed(&dice.secret());
        let mut host = QuicHost::new(address, secrets.endpoint_config(0, &Label::default()), None);
        let config = setup.client_config(&secrets, Extensions::default());
        host.connect(clock.now(), config, ([10, 0, 0, 1], 443).into());
        world.add(host);
        let stream = (0..dice.below(20_000)).map(|_| dice.next() as u8).collect();
        let weather_until = weather::lasts(&mut dice);
        clients.push(Client { address, sent: 0, stream, wrote: false, weather_until });
    }
    while clock.elapsed() < TALK {
        for (number, client) in clients.iter_mut().enumerate() {
            client.act(&mut world, 1 + number, &mut dice);
        }
        echo(&mut world);
        let pause = Duration::from_micros(dice.pick(&[50, 1_000, 20_000, 100_000]));
        world.run(clock.now() + pause);
    }
    for (number, client) in clients.iter().enumerate() {
        let (conditions, interference) = weather::calm();
        world.network.set_conditions(client.address, conditions, interference);
        for peer in world.hosts[1 + number].peers.values_mut() {
            peer.close(clock.now());
        }
        world.nudge(1 + number);
    }
    assert!(!world.run(clock.at(END)), "seed {seed}: something still happens after {END:?}");
    check(seed, &world, &clients);
    world.record
}

impl Client {
    fn act(&mut self, world: &mut World<QuicHost>, number: usize, dice: &mut Dice) {
        let now = world.clock.elapsed();
        if now >= self.weather_until {
            self.weather_until = now + weather::lasts(dice);
            let (conditions, interference) = weather::drawn(dice);
            world.network.set_conditions(self.address, conditions, interference);
            if dice.one_in(4) {
                world.network.rebind(self.address);
            }
        }
        let Some(peer) = world.hosts[number].peers.values_mut().next() else { return };
        if !peer.connected || peer.lost.is_some() {
            return;
        }
        if !std::mem::replace(&mut self.wrote, true) {
            peer.write_stream(&self.stream);
        }
        for _ in 0..dice.below(20) {
            let payload = payload(number, self.sent, dice.below(1300) as usize);
            match peer.quic.datagrams().send(payload, false) {
                Ok(()) => self.sent += 1,
                Err(SendDatagramError::TooLarge | SendDatagramError::Blocked(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        if dice.one_in(200) {
            peer.quic.force_key_update();
        }
        world.nudge(number);
    }
}

/// Makes the server send back the datagrams that arrived since the last time.
fn echo(world: &mut World<QuicHost>) {
    for peer in world.hosts[SERVER].peers.values_mut() {
        let Peer { quic, datagrams, echoed, .. } = peer;
        for datagram in &datagrams[*echoed..] {
            let _ = quic.datagrams().send(datagram.clone(), true);
        }
        *echoed = datagrams.len();
    }
    world.nudge(SERVER);
}

/// A datagram that differs from all others, and in which a wrong bit is noticed.
fn payload(client: usize, number: u64, filler: usize) -> Bytes {
    let mut bytes = vec![client as u8];
    bytes.extend_from_slice(&number.to_be_bytes());
    let mut dice = Dice::new(number << 8 | client as u64);
    bytes.extend((0..filler).map(|_| dice.next() as u8));
    bytes.into()
}

/// The client and the number in a datagram; the datagram must have arrived unchanged.
fn read(datagram: &[u8]) -> (usize, u64) {
    let (client, rest) = datagram.split_first().expect("a client");
    let (number, filler) = rest.split_first_chunk().expect("a number");
    let (client, number) = (usize::from(*client), u64::from_be_bytes(*number));
    assert_eq!(datagram, payload(client, number, filler.len()), "a datagram was altered");
    (client, number)
}

fn check(seed: u64, world: &World<QuicHost>, clients: &[Client]) {
    for host in &world.hosts {
        assert!(host.peers.is_empty(), "seed {seed}: a connection is left");
    }
    assert_eq!(world.network.on_the_way(), 0);
    let mut arrived: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); 1 + clients.len()];
    for peer in &world.hosts[SERVER].forgotten {
        for datagram in &peer.datagrams {
            let (client, number) = read(datagram);
            assert!(number < clients[client - 1].sent, "seed {seed}: {number} was never sent");
            assert!(arrived[client].insert(number), "seed {seed}: {number} came twice");
        }
        for (bytes, ended) in peer.streams.values() {
            let whole = clients.iter().any(|client| client.stream == *bytes);
            let begun = clients.iter().any(|client| client.stream.starts_with(bytes));
            assert!(if *ended { whole } else { begun }, "seed {seed}: a stream was altered");
        }
    }
    for client in 1..=clients.len() {
        let host = &world.hosts[client];
        let [peer] = &host.forgotten[..] else { panic!("seed {seed}: one connection") };
        let mut echoes = BTreeSet::new();
        for datagram in &peer.datagrams {
            let (from, number) = read(datagram);
            assert_eq!(from, client, "seed {seed}: another client's datagram");
            assert!(arrived[from].contains(&number) && echoes.insert(number), "seed {seed}: echo {number}");
        }
    }
}
