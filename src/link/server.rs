//! A server: one UDP socket, many sessions.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;
use tokio::time::timeout;
use wtransport::quinn::{Endpoint, Incoming, ServerConfig};

use super::config::{ConnectionOptions, ListenOptions, MAX_HANDSHAKE_TIMEOUT};
use super::driver::{Driver, varint};
use super::early::Early;
use super::h3::error::{H3_NO_ERROR, H3_REQUEST_CANCELLED};
use super::h3::{self, Event, Role};
use super::secrets::Secrets;
use super::session::{Established, Session};
use super::tls::{Extensions, Identity, ServerCrypto};
use super::{endpoint, udp};
use crate::error::{Error, Result};
use crate::runtime::readiness::{Pollable, Ready, Subscription, Watcher, Watchers};
use crate::runtime::wait::{Deadline, wait_for};
use crate::runtime::{self, CloseOnShutdown, Lane};

/// From this many connections on that have not completed their handshake, a client must prove its address first.
const RETRY_ABOVE_HALF_OPEN: usize = 64;

/// Most sessions that may wait for `accept`.
const MAX_BACKLOG: usize = 65_536;

/// What a server makes of each session as soon as it is established, for `accept` to hand out.
type Prepare<T> = Box<dyn Fn(Arc<Session>) -> Result<T> + Send + Sync>;

/// A listening server, whose `accept` hands out what it makes of each session.
pub struct Server<T = Arc<Session>> {
    endpoint: Endpoint,
    lane: Lane,
    /// Of every connection, but for its transport part: each connection has its own.
    config: ServerConfig,
    options: ConnectionOptions,
    handshake_timeout: Duration,
    max_sessions: usize,
    certificate_hash: [u8; 32],
    local_address: SocketAddr,
    prepare: Prepare<T>,
    backlog: Mutex<VecDeque<Waiting<T>>>,
    backlog_limit: usize,
    arrived: Condvar,
    watchers: Watchers,
    sessions: Mutex<Vec<Weak<Session>>>,
    /// Connections from their first packet to their last.
    connections: Counter,
    /// Those of them whose session is not established.
    half_open: Counter,
    closed: AtomicBool,
    closing: watch::Sender<bool>,
}

/// An established session that waits for `accept`, until it ends.
struct Waiting<T> {
    session: Arc<Session>,
    prepared: T,
    _ended: Subscription,
}

impl Server {
    /// Binds the socket and begins to listen.
    pub fn listen(options: &ListenOptions) -> Result<Arc<Self>> {
        Self::listen_with(options, Ok)
    }
}

impl<T: Send + 'static> Server<T> {
    /// The same, with what `prepare` makes of each session on its lane, before anything else happens on it.
    pub fn listen_with(
        options: &ListenOptions,
        prepare: impl Fn(Arc<Session>) -> Result<T> + Send + Sync + 'static,
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
        // Checks the connection options once, before anybody depends on them.
        let (transport, _) = endpoint::transport_config(&options.connection, true)?;
        let secrets = Secrets::random()?;
        let mut config = secrets.server_config(crypto);
        config.transport_config(transport);
        let lane = runtime::get()?.lane();
        let socket = udp::bind(options.host, options.port, &options.connection)?;
        let local_address =
            socket.local_addr().map_err(|error| Error::io("reading the bound address", &error))?;
        let endpoint = endpoint::open(&lane, socket, &secrets, Some(config.clone()))?;
        let server = Arc::new(Self {
            endpoint,
            lane: lane.clone(),
            config,
            options: options.connection.clone(),
            handshake_timeout: options.handshake_timeout,
            max_sessions: options.max_sessions.unwrap_or(usize::MAX),
            certificate_hash: identity.certificate_hash()?,
            local_address,
            prepare: Box::new(prepare),
            backlog: Mutex::default(),
            backlog_limit: options.accept_backlog,
            arrived: Condvar::new(),
            watchers: Watchers::default(),
            sessions: Mutex::new(Vec::new()),
            connections: Counter::default(),
            half_open: Counter::default(),
            closed: AtomicBool::new(false),
            closing: watch::Sender::new(false),
        });
        let closer: Weak<dyn CloseOnShutdown> = Arc::downgrade(&server) as _;
        runtime::close_on_shutdown(closer);
        lane.spawn(Listening(Arc::clone(&server)).run());
        Ok(server)
    }

    /// The address it listens on.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// SHA-256 of its certificate, as a browser's `serverCertificateHashes` takes it.
    pub fn certificate_hash(&self) -> [u8; 32] {
        self.certificate_hash
    }

    /// Waits until `deadline` for the next established session.
    ///
    /// Sessions that have ended meanwhile are not handed out, nor are those that [`Server::close`] closed.
    pub fn accept(&self, deadline: Deadline) -> Result<T> {
        wait_for(&mut self.backlog.lock(), &self.arrived, deadline, |backlog| {
            if self.is_closed() {
                return Some(Err(Error::Closed));
            }
            let next = std::iter::from_fn(|| backlog.pop_front()).find(|next| !next.session.is_closed());
            next.map(|next| Ok(next.prepared))
        })
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Stops listening and closes every session with code 0. Returns at once; goodbyes leave in the background.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let sessions = std::mem::take(&mut *self.sessions.lock());
        for session in sessions.iter().filter_map(Weak::upgrade) {
            let _ = session.close(0, "");
        }
        self.closing.send_replace(true);
        self.tell();
    }

    fn tell(&self) {
        drop(self.backlog.lock());
        self.arrived.notify_all();
        self.watchers.notify();
    }

    fn admit(self: &Arc<Self>, incoming: Incoming) {
        if self.connections.count() >= self.max_sessions {
            incoming.refuse();
        } else if self.half_open.count() >= RETRY_ABOVE_HALF_OPEN
            && !incoming.remote_address_validated()
            && incoming.may_retry()
        {
            // Under load nobody gets state for a forged address.
            let _ = incoming.retry();
        } else {
            let (place, half_open) = (self.connections.one_more(), self.half_open.one_more());
            self.lane.spawn(Arc::clone(self).serve(incoming, place, half_open));
        }
    }

    async fn serve(self: Arc<Self>, incoming: Incoming, place: Counted, half_open: Counted) {
        let remote = incoming.remote_address();
        let connecting = endpoint::transport_config(&self.options, true).and_then(|(transport, view)| {
            let mut config = self.config.clone();
            config.transport_config(transport);
            let connecting =
                incoming.accept_with(Arc::new(config)).map_err(|error| Error::Protocol(error.to_string()))?;
            Ok((connecting, view))
        });
        let Ok((connecting, view)) = connecting else { return };
        let session = Session::new(self.lane.clone());
        let mut started = None;
        let mut closing = self.closing.subscribe();
        let handshake = timeout(self.handshake_timeout, async {
            let connection = connecting.await.map_err(|error| Error::Protocol(error.to_string()))?;
            let driver = Driver::new(connection.clone(), h3::Session::server(), Arc::clone(&session));
            started = Some((Arc::clone(&driver), driver.ends_on_panic()));
            let control = driver.open().await?;
            let mut problem = None;
            let mut early = Early::default();
            let asked = early.before_connect(&connection, async {
                loop {
                    match driver.event().await? {
                        Event::Request { stream_id, request } => return Ok((stream_id, request)),
                        Event::PeerSettings(settings) => problem = settings.problem(Role::Server),
                        Event::Draining => {}
                        _ => return Err(Error::Protocol("the client withdrew its request".into())),
                    }
                }
            });
            let (stream_id, request) = asked.await?;
            let mut connect = driver.take_reply(stream_id)?;
            let refusal = match problem {
                // draft-ietf-webtrans-http3 section 3.1: such requests are malformed.
                Some(problem) => Some((400, Error::Protocol(problem.to_owned()))),
                None if self.backlog.lock().len() >= self.backlog_limit => {
                    Some((503, Error::LimitReached("the accept backlog is full".into())))
                }
                None => None,
            };
            if let Some((status, error)) = refusal {
                let answer = driver.with_state(|state| state.reject(status, &[]))?;
                let _ = connect.write_all(&answer).await;
                let _ = connect.finish();
                let _ = connect.stopped().await;
                return Err(error);
            }
            let answer = driver.with_state(|state| state.accept(&[]))?;
            early
                .before_session(&connection, connect.write_all(&answer))
                .await
                .map_err(|error| Error::Protocol(format!("the client left: {error}")))?;
            session.set_established(Established {
                connection,
                view,
                broken: driver.broken(),
                early: Mutex::new(early),
                socket_address: self.local_address,
                id: stream_id,
                path: request.path.clone(),
                authority: request.authority.clone(),
            });
            Ok((driver, connect, control))
        });
        // Closing does not wait for those who may never ask.
        let established = tokio::select! {
            established = handshake => established,
            _ = closing.wait_for(|closing| *closing) => Ok(Err(Error::Closed)),
        };
        drop(half_open);
        match established {
            Ok(Ok((driver, connect, control))) => {
                self.remember(&session);
                if self.enqueue(&session).is_err() || self.is_closed() {
                    let _ = session.close(0, "");
                }
                // A task of its own: this one is as large as a handshake needs, which is nothing to keep for years.
                driver.run(connect, control, place);
            }
            Ok(Err(error)) => {
                tracing::debug!(%remote, %error, "a handshake failed");
                if let Some((driver, _)) = started {
                    driver.connection().close(varint(H3_NO_ERROR), b"");
                }
            }
            Err(_) => {
                tracing::debug!(%remote, "a handshake took too long");
                if let Some((driver, _)) = started {
                    driver.connection().close(varint(H3_REQUEST_CANCELLED), b"no session in time");
                }
            }
        }
    }

    /// Lets an established session wait for `accept`.
    fn enqueue(self: &Arc<Self>, session: &Arc<Session>) -> Result<()> {
        let prepared = (self.prepare)(Arc::clone(session))?;
        let watcher = Arc::new(LeavesBacklog(Arc::downgrade(self)));
        let ended = Subscription::new(Arc::clone(session) as _, watcher);
        {
            let mut backlog = self.backlog.lock();
            if backlog.len() >= self.backlog_limit {
                return Err(Error::LimitReached("the accept backlog is full".into()));
            }
            backlog.push_back(Waiting { session: Arc::clone(session), prepared, _ended: ended });
        }
        self.tell();
        // It may have ended before it was in there.
        self.drop_ended();
        Ok(())
    }

    /// Sessions that have ended give their places in the backlog to others.
    fn drop_ended(&self) {
        let ended: VecDeque<_> = {
            let mut backlog = self.backlog.lock();
            let (ended, waiting) = backlog.drain(..).partition(|one| one.session.is_closed());
            *backlog = waiting;
            ended
        };
        // Not under the lock: what was prepared ends here, and may tell others.
        drop(ended);
    }

    fn remember(&self, session: &Arc<Session>) {
        let mut sessions = self.sessions.lock();
        if sessions.len() == sessions.capacity() {
            sessions.retain(|session| session.upgrade().is_some_and(|session| !session.is_closed()));
        }
        sessions.push(Arc::downgrade(session));
    }
}

/// Takes connections. Dropping it, for whatever reason (the socket may fail), closes the server, so that nobody waits
/// for a session that cannot come.
struct Listening<T: Send + 'static>(Arc<Server<T>>);

impl<T: Send + 'static> Listening<T> {
    async fn run(self) {
        let server = &self.0;
        let mut closing = server.closing.subscribe();
        loop {
            let incoming = tokio::select! {
                incoming = server.endpoint.accept() => incoming,
                _ = closing.wait_for(|closing| *closing) => None,
            };
            let Some(incoming) = incoming else { break };
            server.admit(incoming);
        }
        server.close();
        // No new connections; those that are saying goodbye may finish.
        server.endpoint.set_server_config(None);
        server.endpoint.wait_idle().await;
        server.endpoint.close(varint(H3_NO_ERROR), b"");
    }
}

impl<T: Send + 'static> Drop for Listening<T> {
    fn drop(&mut self) {
        self.0.close();
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
}

impl<T: Send + 'static> CloseOnShutdown for Server<T> {
    fn close_on_shutdown(&self) {
        self.close();
    }
}

/// Takes sessions that end out of the backlog of their server.
struct LeavesBacklog<T>(Weak<Server<T>>);

impl<T: Send + 'static> Watcher for LeavesBacklog<T> {
    fn changed(&self) {
        if let Some(server) = self.0.upgrade() {
            server.drop_ended();
        }
    }
}

/// How many of a kind there are.
#[derive(Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more, for as long as what it returns lives.
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
