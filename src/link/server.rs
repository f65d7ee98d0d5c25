//! A server: one UDP socket, many sessions.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use quinn_proto::{Incoming, ServerConfig};

use super::config::{ConnectionOptions, ListenOptions, MAX_HANDSHAKE_TIMEOUT};
use super::core::lane::Lane;
use super::core::session::LinkSession;
use super::core::{Accepted, Acceptor, Admission, EndpointKey};
use super::h3::ConnectRequest;
use super::secrets::Secrets;
use super::tls::{Extensions, Identity, ServerCrypto};
use super::{endpoint, udp};
use crate::error::{Error, Result};
use crate::runtime::readiness::{Pollable, Ready, Subscription, Watcher, Watchers};
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::{Lead, Waiters};
use crate::runtime::{self, CloseOnShutdown};

/// With this many connections that have not completed their handshake, a client must prove its
/// address first.
const RETRY_ABOVE_HALF_OPEN: usize = 64;

/// The most sessions that may wait for `accept`.
const MAX_BACKLOG: usize = 65_536;

/// Makes the value that `accept` hands out for a session, as soon as the session is established.
type Prepare<T> = Box<dyn Fn(Arc<LinkSession>) -> Result<T> + Send + Sync>;

/// A listening server. Its `accept` hands out what it makes of each session.
pub struct Server<T = Arc<LinkSession>> {
    /// Its endpoint in the core of `lane`.
    endpoint: OnceCell<EndpointKey>,
    lane: Arc<Lane>,
    me: Weak<Self>,
    /// The configuration of every connection, except for the transport part: each connection has
    /// its own.
    config: ServerConfig,
    options: ConnectionOptions,
    handshake_timeout: Duration,
    max_sessions: usize,
    certificate_hash: [u8; 32],
    local_address: SocketAddr,
    prepare: Prepare<T>,
    backlog: Mutex<VecDeque<Waiting<T>>>,
    backlog_limit: usize,
    arrived: Waiters,
    watchers: Watchers,
    sessions: Mutex<Vec<Weak<LinkSession>>>,
    /// Connections from their first packet to their last.
    connections: Counter,
    /// Those of them whose session is not established yet.
    half_open: Counter,
    closed: AtomicBool,
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
        if options.handshake_timeout.is_zero() || options.handshake_timeout > MAX_HANDSHAKE_TIMEOUT {
            return Err(Error::InvalidArgument(
                "the handshake timeout must be more than 0 and at most a day".into(),
            ));
        }
        if options.accept_backlog == 0 || options.accept_backlog > MAX_BACKLOG {
            return Err(Error::InvalidArgument("the accept backlog must be 1 to 65536".into()));
        }
        let identity = Identity::load(&options.identity)?;
        let crypto = Arc::new(ServerCrypto::new(identity.server_config()?, Extensions::default()));
        // Checks the connection options once, before anything depends on them.
        let (transport, _) = endpoint::transport_config(&options.connection, true)?;
        let secrets = Secrets::random()?;
        let mut config = secrets.server_config(crypto);
        config.transport_config(transport);
        let home = udp::next_lane()?;
        let lane = Arc::clone(home.lane());
        let socket = udp::bind(options.host, options.port, &options.connection)?;
        let local_address =
            socket.local_addr().map_err(|error| Error::io("reading the bound address", &error))?;
        let socket = udp::Prepared::new(socket)?;
        let quic = endpoint::quic(&secrets, lane.index(), Some(config.clone()), socket.may_fragment());
        let certificate_hash = identity.certificate_hash()?;
        let server = Arc::new_cyclic(|me| Self {
            endpoint: OnceCell::new(),
            lane: Arc::clone(&lane),
            me: Weak::clone(me),
            config,
            options: options.connection.clone(),
            handshake_timeout: options.handshake_timeout,
            max_sessions: options.max_sessions.unwrap_or(usize::MAX),
            certificate_hash,
            local_address,
            prepare: Box::new(prepare),
            backlog: Mutex::default(),
            backlog_limit: options.accept_backlog,
            arrived: Waiters::new(lane.lane_to_lead()),
            watchers: Watchers::default(),
            sessions: Mutex::new(Vec::new()),
            connections: Counter::default(),
            half_open: Counter::default(),
            closed: AtomicBool::new(false),
        });
        let acceptor = Arc::clone(&server) as Arc<dyn Acceptor>;
        let endpoint = lane.core().add_endpoint(quic, local_address, Some(acceptor));
        let _ = server.endpoint.set(endpoint);
        if let Err(error) = home.open(endpoint, socket) {
            server.close();
            return Err(error);
        }
        let closer: Weak<dyn CloseOnShutdown> = Arc::downgrade(&server) as _;
        runtime::close_on_shutdown(closer);
        Ok(server)
    }

    /// The address on which it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// SHA-256 of its certificate, as a browser's `serverCertificateHashes` takes it.
    pub fn certificate_hash(&self) -> [u8; 32] {
        self.certificate_hash
    }

    /// Waits until `deadline` for the next established session.
    ///
    /// Sessions that have ended in the meantime are not handed out. Neither are those that
    /// [`Server::close`] closed.
    pub fn accept(&self, deadline: Deadline) -> Result<T> {
        self.arrived.wait_for(&self.backlog, deadline, |backlog| {
            if self.is_closed() {
                return Some(Err(Error::Closed));
            }
            let next = std::iter::from_fn(|| backlog.pop_front()).find(|next| !next.session.is_closed());
            next.map(|next| Ok(next.prepared))
        })
    }

    /// Whether the server is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Stops listening and closes every session with code 0. Returns at once; the CLOSE capsules
    /// leave in the background.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let sessions = std::mem::take(&mut *self.sessions.lock());
        for session in sessions.iter().filter_map(Weak::upgrade) {
            let _ = session.close(0, "");
        }
        if let Some(endpoint) = self.endpoint.get() {
            self.lane.stop_listening(*endpoint);
        }
        self.tell();
    }

    fn tell(&self) {
        drop(self.backlog.lock());
        self.arrived.notify_all();
        self.watchers.notify();
    }

    /// Puts an established session into the backlog, where it waits for `accept`.
    fn enqueue(&self, session: &Arc<LinkSession>) -> Result<()> {
        let prepared = (self.prepare)(Arc::clone(session))?;
        let watcher = Arc::new(LeavesBacklog(Weak::clone(&self.me)));
        let ended = Subscription::new(Arc::clone(session) as _, watcher);
        {
            let mut backlog = self.backlog.lock();
            if backlog.len() >= self.backlog_limit {
                return Err(Error::LimitReached("the accept backlog is full".into()));
            }
            backlog.push_back(Waiting { session: Arc::clone(session), prepared, _ended: ended });
        }
        self.tell();
        // The session may have ended before it was in the backlog.
        self.drop_ended();
        Ok(())
    }

    /// Removes sessions that have ended from the backlog, so that others get their places.
    fn drop_ended(&self) {
        let ended: VecDeque<_> = {
            let mut backlog = self.backlog.lock();
            let (ended, waiting) = backlog.drain(..).partition(|one| one.session.is_closed());
            *backlog = waiting;
            ended
        };
        // Not under the lock: this ends what was prepared, and may notify others.
        drop(ended);
    }

    fn remember(&self, session: &Arc<LinkSession>) {
        let mut sessions = self.sessions.lock();
        if sessions.len() == sessions.capacity() {
            sessions.retain(|session| session.upgrade().is_some_and(|session| !session.is_closed()));
        }
        sessions.push(Arc::downgrade(session));
    }
}

impl<T: Send + 'static> Acceptor for Server<T> {
    fn admit(&self, now: Instant, incoming: &Incoming) -> Admission {
        if self.connections.count() >= self.max_sessions {
            return Admission::Refuse;
        }
        if self.half_open.count() >= RETRY_ABOVE_HALF_OPEN
            && !incoming.remote_address_validated()
            && incoming.may_retry()
        {
            // Under load, a forged address gets no state.
            return Admission::Retry;
        }
        let Ok((transport, view)) = endpoint::transport_config(&self.options, true) else {
            return Admission::Refuse;
        };
        let mut config = self.config.clone();
        config.transport_config(transport);
        Admission::Accept(Box::new(Accepted {
            config: Arc::new(config),
            view,
            session: LinkSession::new(Arc::clone(&self.lane)),
            deadline: now + self.handshake_timeout,
            half_open: Box::new(self.half_open.one_more()),
            place: Box::new(self.connections.one_more()),
        }))
    }

    fn answer(&self, _request: &ConnectRequest) -> Result<(), (u16, Error)> {
        if self.backlog.lock().len() >= self.backlog_limit {
            return Err((503, Error::LimitReached("the accept backlog is full".into())));
        }
        Ok(())
    }

    fn established(&self, session: &Arc<LinkSession>) {
        self.remember(session);
        if self.enqueue(session).is_err() || self.is_closed() {
            let _ = session.close(0, "");
        }
    }

    fn failed(&self) {
        self.close();
    }
}

impl<T: Send + 'static> Pollable for Server<T> {
    fn ready(&self) -> Ready {
        if self.is_closed() { Ready::CLOSED } else { Ready::ACCEPT.when(!self.backlog.lock().is_empty()) }
    }

    fn possible(&self) -> Ready {
        Ready::ACCEPT | Ready::CLOSED
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.lane.lane_to_lead()
    }
}

impl<T: Send + 'static> CloseOnShutdown for Server<T> {
    fn close_on_shutdown(&self) {
        self.close();
    }
}

/// Removes sessions that end from the backlog of their server.
struct LeavesBacklog<T>(Weak<Server<T>>);

impl<T: Send + 'static> Watcher for LeavesBacklog<T> {
    fn changed(&self) {
        if let Some(server) = self.0.upgrade() {
            server.drop_ended();
        }
    }
}

/// A counter of objects that exist.
#[derive(Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more, for as long as the returned value lives.
    fn one_more(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.0))
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
