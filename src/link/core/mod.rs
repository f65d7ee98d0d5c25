//! The core of a lane: QUIC endpoints with their connections, sessions and timers, moved in turns.
//!
//! It has no clock and no socket. [`Core::receive`] takes packets from the network, [`Core::turn`]
//! does what is due at an instant, and packets leave through a [`Wire`]. Sessions are state, not
//! tasks.
//!
//! - [`lane`]: a core with its requests; `turn`: the steps of a turn; `mailbox`: requests of other
//!   threads.
//! - `endpoints`: sockets, and how connections start; `steering`: which packets are for other lanes;
//!   `connection`: a connection and its session.
//! - `handshake`: how a session starts; `ending`: how it ends; [`session`]: a session as its user
//!   sees it.
//! - `datagrams`: how datagrams are fed and delivered; `rate_limit`: how fast; [`datagram_path`]: the
//!   path of a session's datagrams.
//! - `jobs`: work of upper layers; `timers`: all deadlines.

mod connection;
pub mod datagram_path;
pub mod datagrams;
mod ending;
mod endpoints;
mod handshake;
mod jobs;
pub mod lane;
mod mailbox;
mod rate_limit;
pub mod session;
mod steering;
#[cfg(test)]
pub(in crate::link) mod tests;
mod timers;
mod turn;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn_proto::{DatagramEvent, EcnCodepoint, Transmit};
use slab::Slab;

use crate::error::{Error, Result};

use connection::{Connection, Stage};
use endpoints::{Endpoint, MOST_INCOMING};
pub use handshake::{Accepted, Acceptor, Admission, Answer, Ask, Asked, Connected};
pub use jobs::{After, Job, JobHandle};
use lane::Lane;
pub use mailbox::{Command, Mailbox};
pub use rate_limit::RateLimit;
use session::SessionStats;
pub use steering::Siblings;
use timers::Timers;

/// One connection of a lane. The serial number distinguishes it from others that had its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey {
    index: u32,
    serial: u32,
}

/// One endpoint of a lane, which is one UDP socket. The serial number distinguishes it from others
/// that had its place: a server may still be closed when its endpoint is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey {
    index: u32,
    serial: u32,
}

impl EndpointKey {
    /// A number that distinguishes the socket from others of the lane.
    pub fn token(self) -> u64 {
        u64::from(self.serial) << 32 | u64::from(self.index)
    }

    pub(super) fn of(token: u64) -> Self {
        Self { index: token as u32, serial: (token >> 32) as u32 }
    }
}

/// What became of packets that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// They have left or are lost. QUIC finds out.
    Gone,
    /// The socket takes none now. [`Core::writable`] is called when it does.
    Blocked,
}

/// The sockets through which packets leave.
pub trait Wire {
    /// Sends a train from the socket of `endpoint`.
    fn send(&mut self, endpoint: EndpointKey, transmit: &Transmit, contents: &[u8]) -> Sent;
    /// The longest train that the socket of `endpoint` takes, in packets.
    fn max_segments(&self, endpoint: EndpointKey) -> usize;
    /// Nothing leaves from `endpoint` again.
    fn closed(&mut self, endpoint: EndpointKey);
}

/// Packets that came from one address in one message of the network.
#[derive(Debug)]
pub struct Arrival {
    /// The address that sent them.
    pub from: SocketAddr,
    /// The address at which they arrived, if the system reports it.
    pub local_ip: Option<IpAddr>,
    /// The congestion mark of all of them.
    pub ecn: Option<EcnCodepoint>,
    /// The packets, one after the other.
    pub packets: BytesMut,
    /// The length of each but the last.
    pub stride: usize,
}

/// The owner of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Connection(ConnectionKey),
    Job(usize),
}

/// Everything that a lane drives.
#[derive(Default)]
pub struct Core {
    endpoints: Slab<Endpoint>,
    connections: Slab<Box<Connection>>,
    serial: u32,
    jobs: Slab<jobs::Entry>,
    timers: Timers<Owner>,
    /// Connections with work.
    listed: VecDeque<ConnectionKey>,
    /// Connections that got packets from the current message.
    touched: Vec<ConnectionKey>,
    woken: Vec<usize>,
    commands: Vec<Command>,
    // Buffers that all turns share.
    batch: Vec<Bytes>,
    packets: Vec<u8>,
    /// Why clients' connections were lost that were removed before their client asked. The client
    /// will still ask.
    lost_unasked: VecDeque<(ConnectionKey, Error)>,
    reader_is_behind: bool,
    /// Whether a session had work since it was last asked.
    has_served: bool,
    /// The endpoint whose new connection was looked at last.
    admitted_last: usize,
}

impl Core {
    /// Asks for a session on a client's open connection.
    pub fn ask(&mut self, now: Instant, key: ConnectionKey, ask: Ask) {
        match self.get(key) {
            Some(connection) => {
                connection.ask(now, ask);
                self.list(key);
            }
            None => {
                let known = self.lost_unasked.iter().position(|(lost, _)| *lost == key);
                let reason = known.and_then(|place| self.lost_unasked.remove(place));
                let lost = || Error::Protocol("the connection was lost".into());
                (ask.done)(Err(reason.map_or_else(lost, |(_, reason)| reason)));
            }
        }
    }

    /// Answers a request that waits. If the answer cannot be sent, the request still waits.
    pub fn answer(&mut self, now: Instant, key: ConnectionKey, answer: Answer) -> Result<()> {
        let answered = self.get(key).ok_or(Error::Closed)?.answer_later(now, answer);
        self.list(key);
        answered
    }

    /// Feeds QUIC with what a session has to send. The turn that follows sends it.
    pub(crate) fn feed_now(&mut self, now: Instant, key: ConnectionKey) {
        if let Some(connection) = self.get(key) {
            connection.feed_now(now);
            self.list(key);
        }
    }

    /// Adds a job of a session of `lane`, which has this core. It runs in the next turn.
    pub(super) fn add_job(
        &mut self,
        lane: &Arc<Lane>,
        owner: ConnectionKey,
        job: Arc<dyn Job>,
    ) -> Arc<JobHandle> {
        let entry = self.jobs.vacant_entry();
        let handle = Arc::new(JobHandle::new(Arc::clone(lane), entry.key()));
        entry.insert(jobs::Entry { job, owner, handle: Arc::clone(&handle), armed: None });
        handle
    }

    /// Figures of a connection, the peer's address, and the address from which packets leave.
    pub fn look(&self, key: ConnectionKey) -> Option<(SessionStats, SocketAddr, Option<IpAddr>)> {
        let connection = self.connections.get(key.index as usize).filter(|found| found.key == key)?;
        Some((connection.stats(), connection.remote_address(), connection.local_ip()))
    }

    /// The number of connections, including those that QUIC is still ending.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// The number of timer entries.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Whether a session had work since the last call.
    pub(crate) fn take_served(&mut self) -> bool {
        std::mem::take(&mut self.has_served)
    }

    fn get(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        self.connections
            .get_mut(key.index as usize)
            .map(|found| &mut **found)
            .filter(|found| found.key == key)
    }

    fn list(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key.index as usize)
            && connection.key == key
            && !std::mem::replace(&mut connection.is_listed, true)
        {
            self.listed.push_back(key);
        }
    }

    /// Takes packets that arrived at the socket of `endpoint`, passes on those for other lanes, and
    /// delivers the datagrams of the rest. The turn that follows does what else there is to do.
    pub fn receive(
        &mut self,
        now: Instant,
        endpoint: EndpointKey,
        mut arrival: Arrival,
        wire: &mut dyn Wire,
    ) {
        loop {
            let Some(found) = endpoints::find(&mut self.endpoints, endpoint) else { return };
            let Some(steering) = &mut found.steering else { break };
            let Some(ours) = steering.take_ours(&mut arrival) else { return };
            self.receive_own(now, endpoint, ours, wire);
        }
        self.receive_own(now, endpoint, arrival, wire);
    }

    /// Takes packets that are for `endpoint`, wherever they arrived.
    fn receive_own(&mut self, now: Instant, endpoint: EndpointKey, arrival: Arrival, wire: &mut dyn Wire) {
        let Arrival { from, local_ip, ecn, mut packets, stride } = arrival;
        while !packets.is_empty() {
            let packet = packets.split_to(stride.clamp(1, packets.len()));
            let Some(home) = endpoints::find(&mut self.endpoints, endpoint) else { return };
            self.packets.clear();
            match home.quic.handle(now, from, local_ip, ecn, packet, &mut self.packets) {
                Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                    let Some(key) = home.handles.get(handle.0).copied().flatten() else { continue };
                    let Some(connection) = self.connections.get_mut(key.index as usize) else { continue };
                    connection.quic.handle_event(event);
                    if !std::mem::replace(&mut connection.is_touched, true) {
                        self.touched.push(key);
                    }
                }
                Some(DatagramEvent::NewConnection(incoming)) => {
                    if home.incoming.len() < MOST_INCOMING {
                        home.incoming.push_back((now, incoming));
                    } else {
                        home.ignore(incoming);
                    }
                }
                Some(DatagramEvent::Response(transmit)) => {
                    // If the socket does not take the response, the peer asks for it again.
                    let _ = wire.send(endpoint, &transmit, &self.packets[..transmit.size]);
                }
                None => {}
            }
        }
        drop(packets);
        let mut touched = std::mem::take(&mut self.touched);
        for key in touched.drain(..) {
            let Some(connection) = self.connections.get_mut(key.index as usize) else { continue };
            connection.is_touched = false;
            let batch = &mut self.batch;
            // Datagrams that follow a session's request in the same message wait until the turn has
            // seen the request.
            if connection.stage >= Stage::Open {
                match catch_unwind(AssertUnwindSafe(|| connection.deliver(now, batch))) {
                    Ok(is_behind) => self.reader_is_behind |= is_behind,
                    Err(_) => self.give_up(now, key),
                }
            }
            self.list(key);
        }
        self.touched = touched;
    }
}
