//! The core of a lane: QUIC endpoints, their connections and sessions, and everything that is timed, moved in turns.
//!
//! There is no clock and no socket in here. [`Core::receive`] takes what came from the network, [`Core::turn`] does what is
//! to be done at an instant, and packets leave through a [`Wire`]. Sessions are state, not tasks.
//!
//! - `connection`: one connection and its session; `handshake`: how it comes to be; `ending`: its last words.
//! - `datagrams`: how its datagrams are fed and delivered.
//! - `mailbox`: what other threads ask for; `jobs`: work of upper layers; `timers`: all deadlines.

mod connection;
pub mod datagrams;
mod ending;
mod handshake;
mod jobs;
mod mailbox;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ClientConfig, ConnectError, ConnectionHandle, DatagramEvent, EcnCodepoint, EndpointEvent, Incoming,
    Transmit,
};
use slab::Slab;

use super::congestion::PathView;
use super::lane::Lane;
use super::session::{Session, SessionStats};
use crate::runtime::lane::Next;

use connection::{Connection, Parts, Stage};
use handshake::Handshake;
pub use handshake::{Accepted, Acceptor, Admission, Ask, Connected};
pub use jobs::{After, Job, JobHandle};
pub use mailbox::{Command, Mailbox};
use timers::Timers;

/// Trains that one connection may write in a turn before others get theirs.
const TRAINS_A_TURN: usize = 2;

/// Handshakes that begin in a turn: each costs a signature.
const ADMITTED_A_TURN: usize = 4;

/// New connections that may wait for their turn; more are left to try again.
const MOST_INCOMING: usize = 1024;

/// One connection of a lane. The serial number tells it from others that had its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey {
    index: u32,
    serial: u32,
}

/// One endpoint of a lane, which is one UDP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey(usize);

impl EndpointKey {
    /// A number by which a socket can be told from others of the lane.
    pub fn index(self) -> usize {
        self.0
    }

    pub(super) fn of(index: usize) -> Self {
        Self(index)
    }
}

/// What became of packets that were to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// They are gone, or lost: QUIC finds out.
    Gone,
    /// The socket takes none now; [`Core::writable`] says when it does.
    Blocked,
}

/// Where packets leave.
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
    /// Who sent them.
    pub from: SocketAddr,
    /// The address they came to, if the system tells.
    pub local_ip: Option<IpAddr>,
    /// The congestion mark of all of them.
    pub ecn: Option<EcnCodepoint>,
    /// The packets, one after the other.
    pub packets: BytesMut,
    /// The length of each but the last.
    pub stride: usize,
}

struct Endpoint {
    quic: quinn_proto::Endpoint,
    address: SocketAddr,
    acceptor: Option<Arc<dyn Acceptor>>,
    /// Connections by QUIC's handle.
    handles: Vec<Option<ConnectionKey>>,
    incoming: VecDeque<Incoming>,
    /// Those whose packets the socket did not take.
    blocked: Vec<ConnectionKey>,
    retiring: bool,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Connection(ConnectionKey),
    Job(usize),
}

/// Everything that a lane moves.
#[derive(Default)]
pub struct Core {
    endpoints: Slab<Endpoint>,
    connections: Slab<Box<Connection>>,
    serial: u32,
    jobs: Slab<jobs::Entry>,
    timers: Timers<Owner>,
    /// Connections with work.
    listed: VecDeque<ConnectionKey>,
    /// Connections that got datagrams from the message at hand.
    touched: Vec<ConnectionKey>,
    woken: Vec<usize>,
    commands: Vec<Command>,
    // Buffers of all turns.
    batch: Vec<Bytes>,
    packets: Vec<u8>,
    reader_is_behind: bool,
    /// The endpoint whose new connection was looked at last.
    admitted_last: usize,
}

impl Core {
    /// Adds an endpoint that is bound to `address`; a server's has an acceptor.
    pub fn add_endpoint(
        &mut self,
        quic: quinn_proto::Endpoint,
        address: SocketAddr,
        acceptor: Option<Arc<dyn Acceptor>>,
    ) -> EndpointKey {
        EndpointKey(self.endpoints.insert(Endpoint {
            quic,
            address,
            acceptor,
            handles: Vec::new(),
            incoming: VecDeque::new(),
            blocked: Vec::new(),
            retiring: false,
        }))
    }

    /// Begins to connect; `connected` hears what comes of QUIC's handshake, and what is beside it is held until the
    /// connection is closed. Without a session by `deadline` the connection is closed.
    #[allow(clippy::too_many_arguments)]
    pub fn connect(
        &mut self,
        now: Instant,
        endpoint: EndpointKey,
        config: ClientConfig,
        (address, name): (SocketAddr, &str),
        view: Arc<PathView>,
        session: Arc<Session>,
        deadline: Instant,
        (place, connected): (Box<dyn Send>, Connected),
    ) -> Result<ConnectionKey, ConnectError> {
        let Some(home) = self.endpoints.get_mut(endpoint.0) else {
            return Err(ConnectError::EndpointStopping);
        };
        let (handle, quic) = home.quic.connect(now, config, address, name)?;
        let handshake = Handshake::Client { connected: Some(connected), ask: None, asked: false };
        let parts = |key, socket_address| Parts {
            key,
            endpoint: endpoint.0,
            handle,
            quic,
            session,
            view,
            handshake,
            deadline,
            socket_address,
            place,
        };
        Ok(self.add_connection(endpoint.0, handle, parts))
    }

    fn add_connection(
        &mut self,
        endpoint: usize,
        handle: ConnectionHandle,
        parts: impl FnOnce(ConnectionKey, SocketAddr) -> Parts,
    ) -> ConnectionKey {
        let entry = self.connections.vacant_entry();
        let key = ConnectionKey { index: entry.key() as u32, serial: self.serial };
        self.serial = self.serial.wrapping_add(1);
        let home = &mut self.endpoints[endpoint];
        if home.handles.len() <= handle.0 {
            home.handles.resize(handle.0 + 1, None);
        }
        home.handles[handle.0] = Some(key);
        entry.insert(Box::new(Connection::new(parts(key, home.address))));
        self.list(key);
        key
    }

    /// Asks for a session on a client's connection that is open.
    pub fn ask(&mut self, now: Instant, key: ConnectionKey, ask: Ask) {
        match self.get(key) {
            Some(connection) => {
                connection.ask(now, ask);
                self.list(key);
            }
            None => (ask.done)(Err(crate::error::Error::Protocol("the connection was lost".into()))),
        }
    }

    /// Feeds what a session has to send; the turn that follows sends it.
    pub fn feed_now(&mut self, now: Instant, key: ConnectionKey) {
        if let Some(connection) = self.get(key) {
            connection.feed_now(now);
            self.list(key);
        }
    }

    /// Sends what a session has to send, without the rest of a turn; whether work is left for one, and when the next is due.
    pub fn send_now(
        &mut self,
        now: Instant,
        key: ConnectionKey,
        wire: &mut dyn Wire,
    ) -> (bool, Option<Instant>) {
        if let Some(connection) = self.get(key) {
            connection.is_woken = true;
            self.drive(now, key, wire);
        }
        (!self.listed.is_empty() || !self.woken.is_empty(), self.timers.next())
    }

    /// Adds a job of a session of `lane`, which has this core; it is done in the next turn.
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

    /// Figures of a connection, the peer's address, and the address packets leave from.
    pub fn look(&self, key: ConnectionKey) -> Option<(SessionStats, SocketAddr, Option<IpAddr>)> {
        let connection = self.connections.get(key.index as usize).filter(|found| found.key == key)?;
        Some((connection.stats(), connection.remote_address(), connection.local_ip()))
    }

    /// Connections that there are, those that only take their leave included.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Timer entries that there are.
    pub fn timers(&self) -> usize {
        self.timers.len()
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

    /// Takes what came to the socket of `endpoint` and delivers its datagrams. The turn that follows does the rest.
    pub fn receive(&mut self, now: Instant, endpoint: EndpointKey, arrival: Arrival, wire: &mut dyn Wire) {
        let Arrival { from, local_ip, ecn, mut packets, stride } = arrival;
        while !packets.is_empty() {
            let packet = packets.split_to(stride.clamp(1, packets.len()));
            let Some(home) = self.endpoints.get_mut(endpoint.0) else { return };
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
                        home.incoming.push_back(incoming);
                    } else {
                        home.quic.ignore(incoming);
                    }
                }
                Some(DatagramEvent::Response(transmit)) => {
                    // One that the socket does not take is asked for again.
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
            // What follows the request of a session in the same message waits until the turn has seen the request.
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

    /// The socket of `endpoint` takes packets again.
    pub fn writable(&mut self, endpoint: EndpointKey) {
        let Some(home) = self.endpoints.get_mut(endpoint.0) else { return };
        for key in std::mem::take(&mut home.blocked) {
            self.list(key);
        }
    }

    /// Does what there is to do at `now`; says when to come again.
    pub fn turn(&mut self, now: Instant, mailbox: &Mailbox, wire: &mut dyn Wire) -> Next {
        self.admit(now, wire);
        let next = self.turn_without_newcomers(now, mailbox, wire);
        if self.has_newcomers() && next != Next::AfterOthers { Next::Now } else { next }
    }

    /// Whether new connections wait to be let in.
    pub fn has_newcomers(&self) -> bool {
        self.endpoints.iter().any(|(_, endpoint)| !endpoint.incoming.is_empty())
    }

    /// [`Self::turn`], except that new connections go on waiting: making one takes more of the stack than a program's thread
    /// may have.
    pub fn turn_without_newcomers(&mut self, now: Instant, mailbox: &Mailbox, wire: &mut dyn Wire) -> Next {
        self.run_commands(now, mailbox, wire);
        self.due(now);
        // Those that are listed meanwhile, with more to write, come in the next turn.
        for _ in 0..self.listed.len() {
            let Some(key) = self.listed.pop_front() else { break };
            self.drive(now, key, wire);
        }
        self.run_jobs(now);
        self.next(mailbox)
    }

    fn next(&mut self, mailbox: &Mailbox) -> Next {
        let busy = !self.listed.is_empty() || !self.woken.is_empty();
        let behind = std::mem::take(&mut self.reader_is_behind);
        if behind {
            Next::AfterOthers
        } else if busy || !mailbox.may_sleep() {
            Next::Now
        } else {
            self.timers.next().map_or(Next::Never, Next::At)
        }
    }

    fn run_commands(&mut self, now: Instant, mailbox: &Mailbox, wire: &mut dyn Wire) {
        let mut commands = std::mem::take(&mut self.commands);
        mailbox.take(&mut commands);
        for command in commands.drain(..) {
            match command {
                Command::Session(key) => {
                    if let Some(connection) = self.get(key) {
                        connection.hear();
                        connection.is_woken = true;
                        self.list(key);
                    }
                }
                Command::Job(key) => self.woken.push(key),
                Command::Close(key, code) => {
                    if let Some(connection) = self.get(key) {
                        connection.abandon(now, code);
                        self.list(key);
                    }
                }
                Command::StopListening(key) => self.stop_listening(now, key, wire),
                Command::Retire(key) => self.retire(key, wire),
            }
        }
        self.commands = commands;
    }

    fn stop_listening(&mut self, now: Instant, key: EndpointKey, wire: &mut dyn Wire) {
        let Some(endpoint) = self.endpoints.get_mut(key.0) else { return };
        endpoint.acceptor = None;
        endpoint.quic.set_server_config(None);
        for incoming in std::mem::take(&mut endpoint.incoming) {
            self.packets.clear();
            let transmit = endpoint.quic.refuse(incoming, &mut self.packets);
            let _ = wire.send(key, &transmit, &self.packets[..transmit.size]);
        }
        let keys: Vec<_> = endpoint.handles.iter().flatten().copied().collect();
        for half_open in keys {
            if let Some(connection) = self.get(half_open) {
                connection.abandon(now, crate::link::h3::error::H3_NO_ERROR);
                self.list(half_open);
            }
        }
        self.retire(key, wire);
    }

    /// The endpoint goes with its last connection.
    fn retire(&mut self, key: EndpointKey, wire: &mut dyn Wire) {
        let Some(endpoint) = self.endpoints.get_mut(key.0) else { return };
        endpoint.retiring = true;
        if endpoint.quic.open_connections() == 0 && endpoint.handles.iter().all(Option::is_none) {
            drop(self.endpoints.remove(key.0));
            wire.closed(key);
        }
    }

    /// The socket of `endpoint` is broken: its connections are lost.
    pub fn fail_endpoint(&mut self, now: Instant, key: EndpointKey, wire: &mut dyn Wire) {
        let Some(endpoint) = self.endpoints.get_mut(key.0) else { return };
        let acceptor = endpoint.acceptor.clone();
        let keys: Vec<_> = endpoint.handles.iter().flatten().copied().collect();
        for lost in keys {
            self.bury(now, lost, wire);
        }
        if let Some(acceptor) = acceptor {
            acceptor.failed();
        }
        self.retire(key, wire);
    }

    /// New connections begin their handshakes, a few in a turn.
    fn admit(&mut self, now: Instant, wire: &mut dyn Wire) {
        for _ in 0..ADMITTED_A_TURN {
            let Some((index, incoming)) = self.next_incoming() else { return };
            self.admit_one(now, index, incoming, wire);
        }
    }

    /// The next of those that wait, of all endpoints in turn: a flood at one keeps nobody out of the others.
    fn next_incoming(&mut self) -> Option<(usize, Incoming)> {
        let waits = |(index, endpoint): (usize, &Endpoint)| (!endpoint.incoming.is_empty()).then_some(index);
        let mut waiting = self.endpoints.iter().filter_map(waits);
        let first = waiting.next()?;
        let after = (first > self.admitted_last).then_some(first);
        let index = after.or_else(|| waiting.find(|index| *index > self.admitted_last)).unwrap_or(first);
        self.admitted_last = index;
        Some((index, self.endpoints[index].incoming.pop_front()?))
    }

    fn admit_one(&mut self, now: Instant, index: usize, incoming: Incoming, wire: &mut dyn Wire) {
        let endpoint = &mut self.endpoints[index];
        let Some(acceptor) = endpoint.acceptor.clone() else { return endpoint.quic.ignore(incoming) };
        self.packets.clear();
        let answer = match acceptor.admit(now, &incoming) {
            Admission::Refuse => Some(endpoint.quic.refuse(incoming, &mut self.packets)),
            Admission::Retry => match endpoint.quic.retry(incoming, &mut self.packets) {
                Ok(transmit) => Some(transmit),
                Err(error) => {
                    endpoint.quic.ignore(error.into_incoming());
                    None
                }
            },
            Admission::Accept(accepted) => {
                let Accepted { config, view, session, deadline, half_open, place } = *accepted;
                match endpoint.quic.accept(incoming, now, &mut self.packets, Some(config)) {
                    Ok((handle, quic)) => {
                        let handshake = Handshake::Server {
                            acceptor,
                            _half_open: half_open,
                            problem: None,
                            granted: None,
                        };
                        self.add_connection(index, handle, |key, socket_address| Parts {
                            key,
                            endpoint: index,
                            handle,
                            quic,
                            session,
                            view,
                            handshake,
                            deadline,
                            socket_address,
                            place,
                        });
                        None
                    }
                    Err(error) => error.response,
                }
            }
        };
        if let Some(transmit) = answer {
            let _ = wire.send(EndpointKey(index), &transmit, &self.packets[..transmit.size]);
        }
    }

    /// Lists those whose time has come.
    fn due(&mut self, now: Instant) {
        while let Some((owner, due)) = self.timers.pop(now) {
            match owner {
                Owner::Connection(key) => {
                    if let Some(connection) = self.get(key)
                        && connection.armed == Some(due)
                    {
                        connection.armed = None;
                        self.list(key);
                    }
                }
                Owner::Job(key) => {
                    if let Some(entry) = self.jobs.get_mut(key)
                        && entry.armed == Some(due)
                    {
                        entry.armed = None;
                        self.woken.push(key);
                    }
                }
            }
        }
    }

    /// Moves one connection on. A panic ends this connection, and nothing else.
    fn drive(&mut self, now: Instant, key: ConnectionKey, wire: &mut dyn Wire) {
        if catch_unwind(AssertUnwindSafe(|| self.drive_one(now, key, wire))).is_err() {
            self.give_up(now, key);
            // If it cannot even say so, it goes without a word.
            if catch_unwind(AssertUnwindSafe(|| self.drive_one(now, key, wire))).is_err() {
                self.bury(now, key, wire);
            }
        }
    }

    /// Ends a connection because of a defect of ours.
    fn give_up(&mut self, now: Instant, key: ConnectionKey) {
        if let Some(connection) = self.get(key) {
            connection.panicked(now);
            self.list(key);
        }
    }

    fn drive_one(&mut self, now: Instant, key: ConnectionKey, wire: &mut dyn Wire) {
        let Some(connection) = self.connections.get_mut(key.index as usize).filter(|found| found.key == key)
        else {
            return;
        };
        connection.is_listed = false;
        let woken = std::mem::take(&mut connection.is_woken);
        let endpoint = &mut self.endpoints[connection.endpoint];
        connection.advance(now);
        self.reader_is_behind |= connection.deliver(now, &mut self.batch);
        let home = EndpointKey(connection.endpoint);
        let segments = wire.max_segments(home);
        let mut more = true;
        for _ in 0..TRAINS_A_TURN {
            let Some(transmit) = connection.transmit(now, segments, woken, &mut self.packets) else {
                more = connection.take_ask_again();
                break;
            };
            if wire.send(home, &transmit, &self.packets[..transmit.size]) == Sent::Blocked {
                let bytes = self.packets[..transmit.size].to_vec();
                connection.hold(transmit, bytes);
                endpoint.blocked.push(key);
                more = false;
                break;
            }
        }
        connection.let_go(now, &mut self.batch);
        let mut is_drained = false;
        while let Some(event) = connection.quic.poll_endpoint_events() {
            is_drained |= event.is_drained();
            if let Some(answer) = endpoint.quic.handle_event(connection.handle, event) {
                connection.quic.handle_event(answer);
                more = true;
            }
        }
        if is_drained {
            self.remove(now, key, "the connection was lost", wire);
            return;
        }
        if let Some(due) = connection.due() {
            self.timers.arm(Owner::Connection(key), due, &mut connection.armed);
        }
        if more {
            self.list(key);
        }
    }

    /// Forgets a connection that QUIC has forgotten.
    fn remove(&mut self, now: Instant, key: ConnectionKey, reason: &str, wire: &mut dyn Wire) {
        let connection = self.connections.remove(key.index as usize);
        let home = EndpointKey(connection.endpoint);
        let endpoint = &mut self.endpoints[connection.endpoint];
        endpoint.handles[connection.handle.0] = None;
        let retiring = endpoint.retiring;
        connection.gone(now, &mut self.batch, reason);
        if retiring {
            self.retire(home, wire);
        }
    }

    /// Ends a connection at once, whatever state it is in.
    fn bury(&mut self, now: Instant, key: ConnectionKey, wire: &mut dyn Wire) {
        let Some(connection) = self.get(key) else { return };
        let (endpoint, handle) = (connection.endpoint, connection.handle);
        let _ = self.endpoints[endpoint].quic.handle_event(handle, EndpointEvent::drained());
        self.remove(now, key, "the session's lane gave it up", wire);
    }

    fn run_jobs(&mut self, now: Instant) {
        for key in std::mem::take(&mut self.woken) {
            let Some(entry) = self.jobs.get(key) else { continue };
            let after = catch_unwind(AssertUnwindSafe(|| entry.run(now)));
            let panicked = after.is_err().then_some(entry.owner);
            match after.unwrap_or(After::Ended) {
                After::Wait(None) => {}
                After::Wait(Some(due)) => {
                    if let Some(entry) = self.jobs.get_mut(key) {
                        self.timers.arm(Owner::Job(key), due, &mut entry.armed);
                    }
                }
                After::Ended => {
                    let entry = self.jobs.remove(key);
                    entry.job.stopped();
                }
            }
            if let Some(owner) = panicked {
                self.give_up(now, owner);
            }
        }
    }

    /// No turn follows: nobody may wait in vain.
    pub fn stop(&mut self, now: Instant) {
        for (_, connection) in std::mem::take(&mut self.connections) {
            connection.gone(now, &mut self.batch, "the session's lane ended");
        }
        for (_, entry) in std::mem::take(&mut self.jobs) {
            entry.job.stopped();
        }
        for (_, endpoint) in std::mem::take(&mut self.endpoints) {
            if let Some(acceptor) = endpoint.acceptor {
                acceptor.failed();
            }
        }
        *self = Self::default();
    }
}
