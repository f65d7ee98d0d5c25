//! Hosts on a network, moved from one event to the next.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::network::{Network, Packet};
use crate::simulator::link::mix;

/// A machine with one address.
pub trait Host {
    fn address(&self) -> SocketAddr;
    /// A packet for it has arrived. The turn that follows does the rest.
    fn receive(&mut self, now: Instant, packet: Packet);
    /// Does what is due at `now`; records what is worth it, and returns when the next turn is due.
    fn turn(&mut self, now: Instant, out: &mut Vec<Packet>, record: &mut Record) -> Option<Instant>;
}

/// Everything that happened, as a hash: equal for equal runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    now: Duration,
    hash: u64,
    /// Things recorded.
    pub events: u64,
    /// All of them in words, if wanted: runs that differ can be compared line by line.
    pub lines: Option<Vec<String>>,
}

impl Record {
    /// Records that `what` happened at the host `host`, with a number that says more about it.
    pub fn note(&mut self, host: SocketAddr, what: &str, number: u64) {
        self.events += 1;
        for byte in what.bytes() {
            self.hash = mix(self.hash ^ u64::from(byte));
        }
        for value in [self.now.as_nanos() as u64, host.port().into(), number] {
            self.hash = mix(self.hash ^ value);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>12?} {host} {what} {number}", self.now));
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// The most turns of hosts at one instant; more means that a host never rests.
const MOST_TURNS_AT_ONCE: usize = 100_000;

/// The hosts, the network between them, and the time.
pub struct World<H> {
    pub clock: Clock,
    pub network: Network,
    pub hosts: Vec<H>,
    due: Vec<Option<Instant>>,
    pub record: Record,
    out: Vec<Packet>,
    turns_at_once: usize,
}

impl<H: Host> World<H> {
    pub fn new(clock: Clock, network: Network) -> Self {
        Self {
            clock,
            network,
            hosts: Vec::new(),
            due: Vec::new(),
            record: Record::default(),
            out: Vec::new(),
            turns_at_once: 0,
        }
    }

    pub fn add(&mut self, host: H) -> usize {
        self.hosts.push(host);
        self.due.push(Some(self.clock.now()));
        self.hosts.len() - 1
    }

    /// Something was asked of the host, so it takes a turn at once.
    pub fn nudge(&mut self, host: usize) {
        self.due[host] = Some(self.clock.now());
    }

    /// Runs everything until `until`; returns whether something will happen after that.
    pub fn run(&mut self, until: Instant) -> bool {
        loop {
            let next = self.due.iter().flatten().copied().chain(self.network.next()).min();
            match next {
                Some(next) if next <= until => self.set_time(next),
                later => {
                    self.set_time(until);
                    return later.is_some();
                }
            }
            self.step();
        }
    }

    fn set_time(&mut self, instant: Instant) {
        if instant > self.clock.now() {
            self.turns_at_once = 0;
        }
        self.clock.advance_to(instant);
        self.record.now = self.clock.elapsed();
    }

    /// Delivers packets that have arrived, and gives a turn to each host that is due.
    fn step(&mut self) {
        let now = self.clock.now();
        while let Some(packet) = self.network.arrived(now) {
            if let Some(host) = self.hosts.iter().position(|host| host.address() == packet.to) {
                self.record.note(packet.to, "receives", packet.bytes.len() as u64);
                self.hosts[host].receive(now, packet);
                self.due[host] = Some(now);
            }
        }
        for host in 0..self.hosts.len() {
            if self.due[host].is_none_or(|due| due > now) {
                continue;
            }
            self.turns_at_once += 1;
            assert!(
                self.turns_at_once < MOST_TURNS_AT_ONCE,
                "a host never rests at {:?}",
                self.clock.elapsed()
            );
            self.due[host] = self.hosts[host].turn(now, &mut self.out, &mut self.record);
            for packet in self.out.drain(..) {
                self.record.note(packet.from, "sends", packet.bytes.len() as u64);
                self.network.send(now, packet);
            }
        }
    }
}
