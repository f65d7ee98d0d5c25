//! The endpoints of a lane: how connections start on either side, and how endpoints end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto::{ClientConfig, ConnectError, ConnectionHandle, Incoming};
use slab::Slab;

use super::connection::{Connection, Parts};
use super::handshake::{Accepted, Acceptor, Admission, Connected, Handshake};
use super::steering::{Siblings, Steering};
use super::{ConnectionKey, Core, EndpointKey, Wire};
use crate::link::congestion::PathView;
use crate::link::core::session::LinkSession;
use crate::runtime::swept::Swept;

/// The most new connections that are looked at in a turn. The turn admits one of them, because a
/// handshake costs a signature.
pub(super) const ANSWERED_A_TURN: usize = 16;

/// The most new connections that may wait for their turn. More are ignored, and their clients try
/// again.
pub(super) const MOST_INCOMING: usize = 1024;

/// One UDP socket and the QUIC endpoint on it.
pub(super) struct Endpoint {
    pub(super) key: EndpointKey,
    pub(super) quic: quinn_proto::Endpoint,
    pub(super) address: SocketAddr,
    pub(super) acceptor: Option<Arc<dyn Acceptor>>,
    /// For a server with sockets on several lanes.
    pub(super) steering: Option<Steering>,
    /// Connections by QUIC's handle.
    pub(super) handles: Vec<Option<ConnectionKey>>,
    /// New connections that wait to be admitted, and when their packet came.
    pub(super) incoming: VecDeque<(Instant, Incoming)>,
    /// Connections of clients in the order in which they came; some of them have a session or have
    /// ended.
    half_open: Swept<ConnectionKey>,
    /// Connections whose packets the socket did not take.
    pub(super) blocked: Vec<ConnectionKey>,
    pub(super) retiring: bool,
}

impl Endpoint {
    /// Drops the first packet of a connection without an answer. Its client tries again.
    pub(super) fn ignore(&mut self, incoming: Incoming) {
        self.quic.ignore(incoming);
        if let Some(acceptor) = &self.acceptor {
            acceptor.ignored();
        }
    }

    /// Refuses the connections that wait to be admitted.
    fn refuse_all(&mut self, buffer: &mut Vec<u8>, wire: &mut dyn Wire) {
        for (_, incoming) in std::mem::take(&mut self.incoming) {
            buffer.clear();
            let transmit = self.quic.refuse(incoming, buffer);
            let _ = wire.send(self.key, &transmit, &buffer[..transmit.size]);
        }
    }
}

/// The endpoint with this key, unless it is gone.
pub(super) fn find(endpoints: &mut Slab<Endpoint>, key: EndpointKey) -> Option<&mut Endpoint> {
    endpoints.get_mut(key.index as usize).filter(|found| found.key == key)
}

impl Core {
    /// Adds an endpoint that is bound to `address`. A server's endpoint has an acceptor.
    pub fn add_endpoint(
        &mut self,
        quic: quinn_proto::Endpoint,
        address: SocketAddr,
        acceptor: Option<Arc<dyn Acceptor>>,
    ) -> EndpointKey {
        let entry = self.endpoints.vacant_entry();
        let key = EndpointKey { index: entry.key() as u32, serial: self.serial };
        self.serial = self.serial.wrapping_add(1);
        entry.insert(Endpoint {
            key,
            quic,
            address,
            acceptor,
            steering: None,
            handles: Vec::new(),
            incoming: VecDeque::new(),
            half_open: Swept::new(),
            blocked: Vec::new(),
            retiring: false,
        });
        key
    }

    /// Lets the endpoint, which is on the lane with this number, pass on the packets of its siblings.
    pub fn steer(&mut self, endpoint: EndpointKey, lane: usize, siblings: &Arc<Siblings>) {
        if let Some(found) = find(&mut self.endpoints, endpoint) {
            found.steering = Some(Steering::new(Arc::clone(siblings), lane));
        }
    }

    /// Begins to connect. `connected` gets the result of QUIC's handshake, and `place` is held
    /// until the connection is closed. The connection is closed if it has no session by `deadline`.
    #[allow(clippy::too_many_arguments)]
    pub fn connect(
        &mut self,
        now: Instant,
        endpoint: EndpointKey,
        config: ClientConfig,
        (address, name): (SocketAddr, &str),
        view: Arc<PathView>,
        session: Arc<LinkSession>,
        deadline: Instant,
        (place, connected): (Box<dyn Send>, Connected),
    ) -> Result<ConnectionKey, ConnectError> {
        let Some(home) = find(&mut self.endpoints, endpoint) else {
            return Err(ConnectError::EndpointStopping);
        };
        let index = endpoint.index as usize;
        let (handle, quic) = home.quic.connect(now, config, address, name)?;
        let handshake = Handshake::Client { connected: Some(connected), ask: None, asked: false };
        let parts = |key, socket_address| Parts {
            half_open: None,
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
            rate_limit: None,
        };
        Ok(self.add_connection(index, handle, parts))
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

    /// Whether new connections wait to be admitted.
    pub(crate) fn has_newcomers(&self) -> bool {
        self.endpoints.iter().any(|(_, endpoint)| !endpoint.incoming.is_empty())
    }

    /// Answers some of the new connections, and begins the handshake of one of them.
    pub(crate) fn admit(&mut self, now: Instant, wire: &mut dyn Wire) {
        for _ in 0..ANSWERED_A_TURN {
            let Some((index, came, incoming)) = self.next_incoming() else { return };
            if self.admit_one(now, index, (came, incoming), wire) {
                return;
            }
        }
    }

    /// The next new connection that waits. Endpoints take turns, so a flood at one of them does not
    /// keep clients out of the others.
    fn next_incoming(&mut self) -> Option<(usize, Instant, Incoming)> {
        let waits = |(index, endpoint): (usize, &Endpoint)| (!endpoint.incoming.is_empty()).then_some(index);
        let mut waiting = self.endpoints.iter().filter_map(waits);
        let first = waiting.next()?;
        let after = (first > self.admitted_last).then_some(first);
        let index = after.or_else(|| waiting.find(|index| *index > self.admitted_last)).unwrap_or(first);
        self.admitted_last = index;
        let (came, incoming) = self.endpoints[index].incoming.pop_front()?;
        Some((index, came, incoming))
    }

    /// Answers a new connection. Returns whether its handshake was begun.
    fn admit_one(
        &mut self,
        now: Instant,
        index: usize,
        (came, incoming): (Instant, Incoming),
        wire: &mut dyn Wire,
    ) -> bool {
        let endpoint = &mut self.endpoints[index];
        let Some(acceptor) = endpoint.acceptor.clone() else {
            endpoint.quic.ignore(incoming);
            return false;
        };
        self.packets.clear();
        let mut is_begun = false;
        let answer = match acceptor.admit(now, &incoming) {
            Admission::Refuse => Some(endpoint.quic.refuse(incoming, &mut self.packets)),
            Admission::Retry => match endpoint.quic.retry(incoming, &mut self.packets) {
                Ok(transmit) => Some(transmit),
                Err(error) => {
                    endpoint.ignore(error.into_incoming());
                    None
                }
            },
            Admission::Accept(accepted) => {
                let accepted = *accepted;
                if accepted.replaces_oldest {
                    self.evict_oldest(now, index, wire);
                }
                let Accepted { config, view, session, deadline, half_open, place, rate_limit, .. } = accepted;
                let endpoint = &mut self.endpoints[index];
                self.packets.clear();
                is_begun = true;
                match endpoint.quic.accept(incoming, now, &mut self.packets, Some(config)) {
                    Ok((handle, quic)) => {
                        let handshake = Handshake::Server {
                            acceptor,
                            began: came,
                            problem: None,
                            waiting: None,
                            is_answered: false,
                            granted: None,
                        };
                        let key = self.add_connection(index, handle, |key, socket_address| Parts {
                            half_open: Some(half_open),
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
                            rate_limit,
                        });
                        self.remember_half_open(index, key);
                        None
                    }
                    Err(error) => error.response,
                }
            }
        };
        if let Some(transmit) = answer {
            let _ = wire.send(self.endpoints[index].key, &transmit, &self.packets[..transmit.size]);
        }
        is_begun
    }

    fn remember_half_open(&mut self, index: usize, key: ConnectionKey) {
        let mut half_open = std::mem::take(&mut self.endpoints[index].half_open);
        half_open.push(key, |key| self.get(*key).is_some_and(|connection| connection.is_half_open()));
        self.endpoints[index].half_open = half_open;
    }

    /// Ends the connection that has waited longest for its session. It gets no notice, which would
    /// keep its memory for longer.
    fn evict_oldest(&mut self, now: Instant, index: usize, wire: &mut dyn Wire) {
        while let Some(oldest) = self.endpoints[index].half_open.pop_front() {
            if let Some(connection) = self.get(oldest)
                && connection.is_half_open()
            {
                connection.evict();
                return self.remove_now(now, oldest, wire);
            }
        }
    }

    pub(super) fn stop_listening(&mut self, now: Instant, key: EndpointKey, wire: &mut dyn Wire) {
        let Some(endpoint) = find(&mut self.endpoints, key) else { return };
        endpoint.acceptor = None;
        endpoint.quic.set_server_config(None);
        endpoint.refuse_all(&mut self.packets, wire);
        let keys: Vec<_> = endpoint.handles.iter().flatten().copied().collect();
        for half_open in keys {
            if let Some(connection) = self.get(half_open) {
                connection.abandon(now, crate::link::h3::error::H3_NO_ERROR);
                self.list(half_open);
            }
        }
        self.retire(key, wire);
    }

    /// Retires the endpoint. It is removed with its last connection.
    pub(super) fn retire(&mut self, key: EndpointKey, wire: &mut dyn Wire) {
        let Some(endpoint) = find(&mut self.endpoints, key) else { return };
        endpoint.retiring = true;
        if endpoint.quic.open_connections() == 0 && endpoint.handles.iter().all(Option::is_none) {
            endpoint.refuse_all(&mut self.packets, wire);
            drop(self.endpoints.remove(key.index as usize));
            wire.closed(key);
        }
    }

    /// Ends the connections of `endpoint`, whose socket is broken.
    pub(crate) fn fail_endpoint(&mut self, now: Instant, key: EndpointKey, wire: &mut dyn Wire) {
        let Some(endpoint) = find(&mut self.endpoints, key) else { return };
        let acceptor = endpoint.acceptor.clone();
        let keys: Vec<_> = endpoint.handles.iter().flatten().copied().collect();
        for lost in keys {
            self.remove_now(now, lost, wire);
        }
        if let Some(acceptor) = acceptor {
            acceptor.failed();
        }
        self.retire(key, wire);
    }

    /// The socket of `endpoint` takes packets again.
    pub fn writable(&mut self, endpoint: EndpointKey) {
        let Some(home) = find(&mut self.endpoints, endpoint) else { return };
        for key in std::mem::take(&mut home.blocked) {
            if let Some(connection) = self.get(key) {
                connection.is_blocked = false;
            }
            self.list(key);
        }
    }
}
