//! The network: what becomes of each packet, from one seed.
//!
//! Each client has its own link to the servers, with the conditions of the link simulator in both
//! directions. It is behind a NAT that can give it another address. Besides loss, delay and the
//! like, packets can be damaged, invented, and marked as congested.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use quinn_proto::EcnCodepoint;

use super::Dice;
use crate::simulator::link::{Direction, Link, mix};
use crate::simulator::{Conditions, Counters};

/// One UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub ecn: Option<EcnCodepoint>,
    pub bytes: Vec<u8>,
}

/// What is done to packets beyond [`Conditions`]. Shares are between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Interference {
    /// Share of packets in which a bit arrives wrong, or whose end is missing.
    pub damaged: f64,
    /// Share of packets after which a packet arrives that no host sent.
    pub invented: f64,
    /// Share of packets that are marked as congested, of those that allow it.
    pub marked: f64,
    /// Whether such marks are lost on the way.
    pub bleached: bool,
}

/// Damage is behind this byte, or in the last [`TAG`] of a shorter packet. The bytes before it
/// contain the unencrypted parts of a header. With damage there, QUIC would read ciphertext as a
/// header, and that differs between runs.
const CLEAR: usize = 64;

/// Bytes at the end of a packet that are always under its tag.
const TAG: usize = 16;

/// Both directions of one client's link.
struct Path {
    up: Link,
    down: Link,
    interference: Interference,
    /// The address that others see.
    outside: SocketAddr,
    packets: u64,
}

/// Everything between the hosts.
pub struct Network {
    seed: u64,
    /// By the address that the client itself has.
    paths: BTreeMap<SocketAddr, Path>,
    /// The client behind each outside address.
    inside: BTreeMap<SocketAddr, SocketAddr>,
    next_port: u16,
    on_the_way: BinaryHeap<Reverse<(Instant, u64)>>,
    packets: BTreeMap<u64, (Packet, Option<Direction>)>,
    serial: u64,
    /// Packets to addresses that a NAT no longer knows.
    pub unknown: u64,
    pub damaged: u64,
    pub invented: u64,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            paths: BTreeMap::new(),
            inside: BTreeMap::new(),
            next_port: 50_000,
            on_the_way: BinaryHeap::new(),
            packets: BTreeMap::new(),
            serial: 0,
            unknown: 0,
            damaged: 0,
            invented: 0,
        }
    }

    /// Connects the client at `address`; others see it under that address until it is rebound.
    pub fn add_client(&mut self, address: SocketAddr, conditions: Conditions, interference: Interference) {
        let seed = mix(self.seed ^ mix(u64::from(address.port()) << 16));
        let link = |direction| Link::new(seed, direction, conditions);
        let (up, down) = (link(Direction::Up), link(Direction::Down));
        self.paths.insert(address, Path { up, down, interference, outside: address, packets: 0 });
        self.inside.insert(address, address);
    }

    /// Changes what is done to packets of the client from now on.
    pub fn set_conditions(&mut self, client: SocketAddr, conditions: Conditions, interference: Interference) {
        let path = self.paths.get_mut(&client).expect("a client of this network");
        path.up.set_conditions(conditions);
        path.down.set_conditions(conditions);
        path.interference = interference;
    }

    /// The client's NAT forgets it: others see it under another port, and packets to the old one
    /// are lost.
    pub fn rebind(&mut self, client: SocketAddr) {
        let path = self.paths.get_mut(&client).expect("a client of this network");
        self.inside.remove(&path.outside);
        path.outside = SocketAddr::new(client.ip(), self.next_port);
        self.next_port += 1;
        self.inside.insert(path.outside, client);
    }

    /// What became of the packets of the client, up and down.
    pub fn counters(&self, client: SocketAddr) -> (Counters, Counters) {
        let path = &self.paths[&client];
        (path.up.counters, path.down.counters)
    }

    /// Takes a packet from a host.
    pub fn send(&mut self, now: Instant, packet: Packet) {
        let (client, direction) = if self.paths.contains_key(&packet.from) {
            (packet.from, Direction::Up)
        } else if let Some(client) = self.inside.get(&packet.to) {
            (*client, Direction::Down)
        } else {
            self.unknown += 1;
            return;
        };
        let path = self.paths.get_mut(&client).expect("a client has a path");
        path.packets += 1;
        let mut dice = Dice::new(mix(self.seed ^ mix(path.packets) ^ u64::from(client.port()) << 48));
        let (link, from, to) = match direction {
            Direction::Up => (&mut path.up, path.outside, packet.to),
            Direction::Down => (&mut path.down, packet.from, client),
        };
        let Interference { damaged, invented, marked, bleached } = path.interference;
        let mut packet = Packet { from, to, ..packet };
        let arrivals = link.pass(now, packet.bytes.len());
        if bleached {
            packet.ecn = None;
        } else if packet.ecn.is_some() && chance(&mut dice, marked) {
            packet.ecn = Some(EcnCodepoint::Ce);
        }
        if chance(&mut dice, damaged) {
            self.damaged += 1;
            damage(&mut packet.bytes, &mut dice);
        }
        if chance(&mut dice, invented) {
            self.invented += 1;
            let bytes = (0..dice.below(1500)).map(|_| dice.next() as u8).collect();
            self.put(
                now + Duration::from_micros(dice.below(100_000)),
                Packet { bytes, ..packet.clone() },
                None,
            );
        }
        for at in arrivals.into_iter().flatten() {
            self.put(at, packet.clone(), Some(direction));
        }
    }

    fn put(&mut self, at: Instant, packet: Packet, direction: Option<Direction>) {
        self.serial += 1;
        self.on_the_way.push(Reverse((at, self.serial)));
        self.packets.insert(self.serial, (packet, direction));
    }

    /// When the next packet arrives.
    pub fn next(&self) -> Option<Instant> {
        self.on_the_way.peek().map(|Reverse((at, _))| *at)
    }

    /// The next packet that has arrived at `now`.
    pub fn arrived(&mut self, now: Instant) -> Option<Packet> {
        let Reverse((at, serial)) = *self.on_the_way.peek()?;
        if at > now {
            return None;
        }
        self.on_the_way.pop();
        let (packet, direction) = self.packets.remove(&serial).expect("a packet on its way");
        let client = match direction {
            Some(Direction::Up) => self.inside.get(&packet.from).copied(),
            Some(Direction::Down) => Some(packet.to),
            None => None,
        };
        // A client that was rebound meanwhile has no link for packets from before; this affects
        // only the counts.
        if let Some(path) = client.and_then(|client| self.paths.get_mut(&client)) {
            let link = if direction == Some(Direction::Up) { &mut path.up } else { &mut path.down };
            link.left(packet.bytes.len(), true);
        }
        Some(packet)
    }

    /// Packets that have not arrived yet.
    pub fn on_the_way(&self) -> usize {
        self.packets.len()
    }
}

fn chance(dice: &mut Dice, share: f64) -> bool {
    ((dice.next() >> 11) as f64 / (1_u64 << 53) as f64) < share
}

fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let from = CLEAR.min(bytes.len().saturating_sub(TAG));
    let behind = bytes.len() - from;
    if behind == 0 {
        return;
    }
    let at = from + dice.below(behind as u64) as usize;
    if dice.one_in(4) {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 1 << dice.below(8);
    }
}
