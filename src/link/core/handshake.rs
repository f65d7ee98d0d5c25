//! The work of servers and clients between QUIC's handshake and the answer to CONNECT.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto::{ConnectionError, Incoming, ServerConfig};

use crate::error::Error;
use crate::link::congestion::PathView;
use crate::link::core::session::LinkSession;
use crate::link::h3::ConnectRequest;

/// What a server does with a connection that wants in.
pub enum Admission {
    /// The peer is told at once that it is refused.
    Refuse,
    /// The peer must prove its address first.
    Retry,
    /// The handshake begins.
    Accept(Box<Accepted>),
}

/// A connection that a server lets in.
pub struct Accepted {
    /// How QUIC is configured for it.
    pub config: Arc<ServerConfig>,
    /// What its congestion controller shows.
    pub view: Arc<PathView>,
    /// The session it may become.
    pub session: Arc<LinkSession>,
    /// Without a session by then it is closed.
    pub deadline: Instant,
    /// Held while the handshake lasts.
    pub half_open: Box<dyn Send>,
    /// Held until the connection is closed.
    pub place: Box<dyn Send>,
}

/// A server, as the lane asks and tells it. Called in a turn: it may not wait, and may not ask the lane for its core.
pub trait Acceptor: Send + Sync {
    /// Whether `incoming` may begin its handshake.
    fn admit(&self, now: Instant, incoming: &Incoming) -> Admission;
    /// Whether the session is granted; else the status to refuse it with, and why.
    fn answer(&self, request: &ConnectRequest) -> Result<(), (u16, Error)>;
    /// A session is established.
    fn established(&self, session: &Arc<LinkSession>);
    /// The socket can be used no more.
    fn failed(&self);
}

/// A client's request on a connection that is open.
pub struct Ask {
    /// What it asks for.
    pub request: ConnectRequest,
    /// Hears once what came of it.
    pub done: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

/// Hears once whether QUIC's handshake succeeded.
pub type Connected = Box<dyn FnOnce(Result<(), ConnectionError>) + Send>;

/// The part of a connection's state that is gone once its session is established.
pub(super) enum Handshake {
    Server {
        acceptor: Arc<dyn Acceptor>,
        _half_open: Box<dyn Send>,
        problem: Option<&'static str>,
        /// Granted, and told to the client when the stream takes the answer.
        granted: Option<Box<ConnectRequest>>,
    },
    Client {
        connected: Option<Connected>,
        ask: Option<Box<Ask>>,
        asked: bool,
    },
}

impl Handshake {
    /// Tells the caller that waits that the attempt failed.
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
