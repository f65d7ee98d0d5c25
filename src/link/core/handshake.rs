//! The work of servers and clients between QUIC's handshake and the answer to CONNECT.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto::{ConnectionError, Incoming, ServerConfig};

use crate::error::Error;
use crate::link::congestion::PathView;
use crate::link::core::session::LinkSession;
use crate::link::h3::ConnectRequest;

/// What a server does with a new connection.
pub enum Admission {
    /// It is refused, and the peer is notified at once.
    Refuse,
    /// The peer must prove its address first.
    Retry,
    /// The handshake begins.
    Accept(Box<Accepted>),
}

/// A connection that a server admits.
pub struct Accepted {
    /// How QUIC is configured for it.
    pub config: Arc<ServerConfig>,
    /// The view that its congestion controller feeds.
    pub view: Arc<PathView>,
    /// The session that it may become.
    pub session: Arc<LinkSession>,
    /// The connection is closed if it has no session by then.
    pub deadline: Instant,
    /// Held while the handshake lasts.
    pub half_open: Box<dyn Send>,
    /// Held until the connection is closed.
    pub place: Box<dyn Send>,
}

/// A server as the lane sees it. The lane calls it in a turn, so it must not wait and must not ask
/// the lane for its core.
pub trait Acceptor: Send + Sync {
    /// Whether `incoming` may begin its handshake.
    fn admit(&self, now: Instant, incoming: &Incoming) -> Admission;
    /// Whether the session is granted. If not, the status with which to refuse it, and why.
    fn answer(&self, request: &ConnectRequest) -> Result<(), (u16, Error)>;
    /// A session is established.
    fn established(&self, session: &Arc<LinkSession>);
    /// The socket can no longer be used.
    fn failed(&self);
}

/// A client's request on a connection that is open.
pub struct Ask {
    /// What it asks for.
    pub request: ConnectRequest,
    /// Called once with the result.
    pub done: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

/// Called once with the result of QUIC's handshake.
pub type Connected = Box<dyn FnOnce(Result<(), ConnectionError>) + Send>;

/// The part of a connection's state that is needed only until its session is established.
pub(super) enum Handshake {
    Server {
        acceptor: Arc<dyn Acceptor>,
        _half_open: Box<dyn Send>,
        problem: Option<&'static str>,
        /// The request that is granted. The client is notified when the stream takes the answer.
        granted: Option<Box<ConnectRequest>>,
    },
    Client {
        connected: Option<Connected>,
        ask: Option<Box<Ask>>,
        asked: bool,
    },
}

impl Handshake {
    /// Notifies the waiting caller that the attempt has failed.
    pub(super) fn fail(self, remote: SocketAddr, lost: Option<&ConnectionError>, error: Error) {
        match self {
            Self::Server { .. } => tracing::debug!(%remote, %error, "a handshake failed"),
            Self::Client { connected: Some(connected), .. } => {
                connected(Err(lost.cloned().unwrap_or(ConnectionError::LocallyClosed)));
            }
            Self::Client { ask: Some(ask), .. } => (ask.done)(Err(error)),
            Self::Client { .. } => {}
        }
    }
}
