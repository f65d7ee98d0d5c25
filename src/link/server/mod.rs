//! A server: one port, many sessions, a socket on each of its lanes.
//!
//! - [`Server`]: listens, hands out sessions, closes; `acceptor`: what its lanes ask it.
//! - `gate`: which connections are admitted; `rules`: which requests are accepted; [`requests`]:
//!   those that the program answers.
//! - [`stats`]: what it counts.

mod acceptor;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod gate;
pub mod requests;
mod rules;
pub mod stats;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use quinn_proto::ServerConfig;

use super::config::{ConnectionOptions, IdentitySource, Limits, ListenOptions, MAX_HANDSHAKE_TIMEOUT};
use super::core::lane::Lane;
use super::core::session::{LinkSession, check_reason};
use super::core::{EndpointKey, Siblings};
use super::h3::subprotocol;
use super::memory::MemoryBudget;
use super::secrets::Secrets;
use super::tls::{Extensions, Identities, ServerCrypto, server_config};
use super::{endpoint, udp};
use crate::error::{Error, Result};
use crate::runtime::rarely::Rarely;
use crate::runtime::readiness::{Pollable, Ready, Subscription, Watcher, Watchers};
use crate::runtime::swept::Swept;
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::{Lead, Waiters};
use crate::runtime::{self, CloseOnShutdown};
use acceptor::LaneAcceptor;
use gate::Gate;
use requests::Request;
use rules::Rules;
use stats::{Counters, ServerStats};

/// The most sessions that may wait for `accept`.
const MAX_BACKLOG: usize = 65_536;

/// Makes the value that `accept` hands out for a session, as soon as the session is established.
type Prepare<T> = Box<dyn Fn(Arc<LinkSession>) -> Result<T> + Send + Sync>;

/// A listening server. Its `accept` hands out what it makes of each session.
pub struct Server<T = Arc<LinkSession>> {
    /// Its lanes, each with the endpoint in its core.
    endpoints: OnceCell<Vec<(Arc<Lane>, EndpointKey)>>,
    /// The lane that a thread leads while it waits for sessions; none if there are several.
    lead: Option<Arc<dyn Lead>>,
    me: Weak<Self>,
    /// The configuration of every connection, except for the transport part: each connection has
    /// its own.
    config: ServerConfig,
    options: ConnectionOptions,
    handshake_timeout: Duration,
    accept_timeout: Option<Duration>,
    limits: Limits,
    rules: Rules,
    /// Whether the program answers requests.
    asks: bool,
    /// In the order of preference.
    subprotocols: Vec<String>,
    gate: Gate,
    counters: Arc<Counters>,
    /// Datagrams and bytes that a session may send in a second.
    session_rate: (Option<u64>, Option<u64>),
    /// Datagrams dropped because a session sent more than that.
    over_rate: Arc<AtomicU64>,
    /// Log lines about origins that it refused.
    refused_origins: Rarely,
    identities: Arc<Identities>,
    local_address: SocketAddr,
    prepare: Prepare<T>,
    backlog: Mutex<VecDeque<Waiting<T>>>,
    requests: Mutex<VecDeque<Arc<Request>>>,
    backlog_limit: usize,
    arrived: Waiters,
    watchers: Watchers,
    sessions: Mutex<Swept<Weak<LinkSession>>>,
    /// Whether it admits no more connections.
    stopped: AtomicBool,
    /// The code and reason with which it was closed.
    closed_with: OnceCell<(u32, String)>,
}

/// An established session that waits for `accept`, until it ends.
struct Waiting<T> {
    session: Arc<LinkSession>,
    prepared: T,
    _ended: Subscription,
}

impl Server {
    /// Binds the socket and starts to listen.
    pub fn listen(options: &ListenOptions) -> Result<Arc<Self>> {
        Self::listen_with(options, Ok)
    }
}

impl<T: Send + 'static> Server<T> {
    /// Like [`Server::listen`], but with what `prepare` makes of each session on its lane, before
    /// anything else happens on it.
    pub fn listen_with(
        options: &ListenOptions,
        prepare: impl Fn(Arc<LinkSession>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Arc<Self>> {
        let sockets = udp::listen(options, udp::wanted_lanes(options)?)?;
        let homes = udp::next_lanes(sockets.len())?;
        let sockets = sockets.into_iter().map(udp::Prepared::new).collect::<Result<Vec<_>>>()?;
        let address = sockets[0].local_address()?;
        let lanes: Vec<_> = homes.iter().map(|home| Arc::clone(home.lane())).collect();
        let may_fragment = sockets.iter().any(udp::Prepared::may_fragment);
        let server = Self::on_lanes(options, &lanes, address, may_fragment, prepare)?;
        for ((home, socket), (_, endpoint)) in homes.iter().zip(sockets).zip(server.endpoints()) {
            if let Err(error) = home.open(*endpoint, socket) {
                server.close();
                return Err(error);
            }
        }
        let closer: Weak<dyn CloseOnShutdown> = Arc::downgrade(&server) as _;
        runtime::close_on_shutdown(closer);
        Ok(server)
    }

    /// A server whose packets come and go through a socket of each of `lanes`. All have
    /// `local_address`, and may be simulated. `may_fragment` says that the sockets let the network
    /// fragment packets.
    pub(in crate::link) fn on_lanes(
        options: &ListenOptions,
        lanes: &[Arc<Lane>],
        local_address: SocketAddr,
        may_fragment: bool,
        prepare: impl Fn(Arc<LinkSession>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Arc<Self>> {
        if options.handshake_timeout.is_zero() || options.handshake_timeout > MAX_HANDSHAKE_TIMEOUT {
            return Err(Error::InvalidArgument(
                "the handshake timeout must be more than 0 and at most a day".into(),
            ));
        }
        if options.accept_backlog == 0 || options.accept_backlog > MAX_BACKLOG {
            return Err(Error::InvalidArgument("the accept backlog must be 1 to 65536".into()));
        }
        // Checks the names.
        subprotocol::available(&options.subprotocols)?;
        let gate = Gate::new(&options.limits)?;
        let rules =
            Rules::new(&options.allowed_origins, &options.allowed_authorities, &options.allowed_paths)?;
        let identities = Identities::of(options)?;
        let crypto = Arc::new(ServerCrypto::new(server_config(&identities, options)?, Extensions::default()));
        // Checks the connection options once, before anything depends on them.
        let (transport, _) = endpoint::transport_config(&options.connection, true)?;
        let secrets = Secrets::random()?;
        let mut config = secrets.server_config(crypto);
        config.transport_config(transport);
        let lead = if let [lane] = lanes { lane.lane_to_lead() } else { None };
        let server = Arc::new_cyclic(|me| Self {
            endpoints: OnceCell::new(),
            lead: lead.clone(),
            me: Weak::clone(me),
            config: config.clone(),
            options: options.connection.clone(),
            handshake_timeout: options.handshake_timeout,
            accept_timeout: options.limits.accept_timeout,
            limits: options.limits.clone(),
            rules,
            asks: options.asks,
            subprotocols: options.subprotocols.clone(),
            gate,
            counters: Arc::default(),
            session_rate: (options.limits.datagrams_per_second, options.limits.bytes_per_second),
            over_rate: Arc::default(),
            identities,
            local_address,
            prepare: Box::new(prepare),
            backlog: Mutex::default(),
            requests: Mutex::default(),
            backlog_limit: options.accept_backlog,
            arrived: Waiters::new(lead),
            watchers: Watchers::default(),
            sessions: Mutex::default(),
            refused_origins: Rarely::default(),
            stopped: AtomicBool::new(false),
            closed_with: OnceCell::new(),
        });
        let endpoints: Vec<_> = lanes
            .iter()
            .map(|lane| {
                let config = Some(config.clone());
                let quic = endpoint::quic(&secrets, lane.index(), &options.label, config, may_fragment);
                let acceptor = LaneAcceptor { server: Arc::clone(&server), lane: Arc::clone(lane) };
                let endpoint = lane.core().add_endpoint(quic, local_address, Some(Arc::new(acceptor)));
                (Arc::clone(lane), endpoint)
            })
            .collect();
        if endpoints.len() > 1 {
            let siblings = Arc::new(Siblings::new(secrets.id_key(&options.label), &endpoints));
            for (lane, endpoint) in &endpoints {
                lane.core().steer(*endpoint, lane.index(), &siblings);
            }
        }
        let _ = server.endpoints.set(endpoints);
        Ok(server)
    }

    /// Its lanes, each with the endpoint in its core.
    fn endpoints(&self) -> &[(Arc<Lane>, EndpointKey)] {
        self.endpoints.get().map_or(&[], Vec::as_slice)
    }

    /// The address on which it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// SHA-256 of its certificate, as a browser's `serverCertificateHashes` takes it.
    pub fn certificate_hash(&self) -> [u8; 32] {
        self.identities.certificate_hash()
    }

    /// SHA-256 of the certificate that takes its place when it renews itself.
    pub fn next_certificate_hash(&self) -> Result<[u8; 32]> {
        self.identities.next_certificate_hash()
    }

    /// The hashes of what a client is shown that asks for `name`: see
    /// [`Identities::certificate_hashes`].
    pub fn certificate_hashes(&self, name: Option<&str>) -> Vec<[u8; 32]> {
        self.identities.certificate_hashes(name)
    }

    /// Shows another identity to new connections: to those that ask for `name`, or to all that ask
    /// for none that is known. On an error, nothing changes.
    pub fn set_identity(&self, name: Option<&str>, source: &IdentitySource) -> Result<()> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        self.identities.set(name, source)
    }

    /// Shows the default to new connections that ask for `name`, instead of an identity of its own.
    pub fn remove_identity(&self, name: &str) -> Result<()> {
        self.identities.remove(name)
    }

    /// Waits until `deadline` for the next established session.
    ///
    /// Sessions that have ended in the meantime are not handed out. Neither are those that
    /// [`Server::close`] closed. Fails with [`Error::Closed`] when no session can come any more.
    pub fn accept(&self, deadline: Deadline) -> Result<T> {
        if self.asks {
            return Err(Error::InvalidState("this server asks the program about each request".into()));
        }
        self.arrived.wait_for(&self.backlog, deadline, |backlog| {
            if self.is_closed() {
                return Some(Err(Error::Closed));
            }
            let next = std::iter::from_fn(|| backlog.pop_front()).find(|next| !next.session.is_closed());
            let none = || self.is_stopped().then_some(Err(Error::Closed));
            next.map(|next| Ok(next.prepared)).or_else(none)
        })
    }

    /// What the server has counted.
    pub fn stats(&self) -> ServerStats {
        ServerStats {
            connections: self.gate.connections() as u64,
            half_open: self.gate.half_open() as u64,
            datagrams_over_rate: self.over_rate.load(Ordering::Relaxed),
            datagrams_over_memory: self.memory().dropped(),
            memory_bytes: self.memory().held() as u64,
            ..self.counters.stats()
        }
    }

    /// The memory that its clients make it hold.
    pub fn memory(&self) -> &Arc<MemoryBudget> {
        self.gate.memory()
    }

    /// Whether the server is closed.
    pub fn is_closed(&self) -> bool {
        self.closed_with.get().is_some()
    }

    /// Admits no more connections from now on, and grants no more requests. Its sessions go on, and
    /// those that wait for [`Self::accept`] can still be accepted. Its socket closes with the last
    /// connection. Calling it again does nothing.
    pub fn stop_listening(&self) {
        if self.stopped.swap(true, Ordering::SeqCst) || self.is_closed() {
            return;
        }
        for (lane, endpoint) in self.endpoints() {
            lane.retire(*endpoint);
        }
        // After this, no turn adds anything to the backlog.
        self.tell();
    }

    /// Whether [`Self::stop_listening`] was called.
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Stops listening and closes every session with code 0, as [`Self::close_with`] does.
    pub fn close(&self) {
        let _ = self.close_with(0, "");
    }

    /// Stops listening and closes every session with `code` and `reason`. Returns at once; the CLOSE
    /// capsules leave in the background.
    ///
    /// A reason that is too long is refused. Closing again does nothing.
    pub fn close_with(&self, code: u32, reason: &str) -> Result<()> {
        check_reason(reason)?;
        if self.closed_with.set((code, reason.to_owned())).is_err() {
            return Ok(());
        }
        // A session that is remembered from now on finds the server closed.
        let sessions = std::mem::take(&mut *self.sessions.lock());
        for session in sessions.into_iter().filter_map(|session| session.upgrade()) {
            let _ = session.close(code, reason);
        }
        for (lane, endpoint) in self.endpoints() {
            lane.stop_listening(*endpoint);
        }
        self.tell();
        Ok(())
    }

    /// Closes a session that was established while the server was closed.
    fn close_late(&self, session: &LinkSession) {
        if let Some((code, reason)) = self.closed_with.get() {
            let _ = session.close(*code, reason);
        }
    }

    fn tell(&self) {
        // Threads that have just looked are waiting now.
        drop(self.backlog.lock());
        drop(self.requests.lock());
        self.arrived.notify_all();
        self.watchers.notify();
    }

    /// Takes a session out of the backlog, so that another gets its place. Who drops it does so
    /// without the lock: that ends what was prepared, and may notify others.
    fn leave_backlog(&self, session: &Arc<LinkSession>) -> Option<Waiting<T>> {
        let mut backlog = self.backlog.lock();
        let place = backlog.iter().position(|waiting| Arc::ptr_eq(&waiting.session, session))?;
        backlog.remove(place)
    }

    fn remember(&self, session: &Arc<LinkSession>) {
        let goes_on = |session: &Weak<LinkSession>| session.upgrade().is_some_and(|one| !one.is_closed());
        self.sessions.lock().push(Arc::downgrade(session), goes_on);
    }
}

impl<T: Send + 'static> Pollable for Server<T> {
    fn ready(&self) -> Ready {
        if self.is_closed() {
            return Ready::CLOSED;
        }
        let waits = !self.backlog.lock().is_empty() || !self.requests.lock().is_empty();
        Ready::ACCEPT.when(waits) | Ready::CLOSED.when(self.is_stopped())
    }

    fn possible(&self) -> Ready {
        Ready::ACCEPT | Ready::CLOSED
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.lead.clone()
    }
}

impl<T: Send + 'static> CloseOnShutdown for Server<T> {
    fn close_on_shutdown(&self) {
        self.close();
    }
}

/// Removes a session that ends from the backlog of its server.
struct LeavesBacklog<T> {
    server: Weak<Server<T>>,
    session: Weak<LinkSession>,
}

impl<T: Send + 'static> Watcher for LeavesBacklog<T> {
    fn changed(&self) {
        if let (Some(server), Some(session)) = (self.server.upgrade(), self.session.upgrade())
            && session.is_closed()
        {
            drop(server.leave_backlog(&session));
        }
    }
}

#[cfg(test)]
mod tests;
