//! The work of servers and clients between QUIC's handshake and the answer to CONNECT.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_proto::{ConnectionError, Incoming, ServerConfig};
use rustls::pki_types::CertificateDer;

use crate::error::Error;
use crate::link::congestion::PathView;
use crate::link::core::session::LinkSession;
use crate::link::core::{ConnectionKey, RateLimit};
use crate::link::h3::ConnectRequest;
use crate::link::tls::certificate_refused_here;
use crate::runtime::rarely::Rarely;

/// Log lines about clients' certificates that were refused.
static REFUSED_CERTIFICATES: Rarely = Rarely::new();

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
    /// Held while the handshake lasts, but not while the request waits for the program.
    pub half_open: Box<dyn Send>,
    /// Held until the connection is closed.
    pub place: Box<dyn Send>,
    /// Whether the connection takes the place of the endpoint's oldest half-open one, which ends.
    pub replaces_oldest: bool,
    /// How fast its datagrams may arrive.
    pub rate_limit: Option<Box<RateLimit>>,
}

/// A request that needs an answer.
pub struct Asked<'a> {
    /// Its connection.
    pub key: ConnectionKey,
    /// The client's address.
    pub remote: SocketAddr,
    /// What the client asks for.
    pub request: &'a ConnectRequest,
    /// The session that the connection may become.
    pub session: &'a Arc<LinkSession>,
    /// The certificates that the client has shown, its own first.
    pub peer_certificates: Vec<CertificateDer<'static>>,
}

/// A server's answer to a request.
pub enum Answer {
    /// The session is granted.
    Accept {
        /// Header fields of the response.
        headers: Vec<(String, String)>,
    },
    /// The request is refused.
    Reject {
        /// The HTTP status.
        status: u16,
        /// Header fields of the response.
        headers: Vec<(String, String)>,
    },
    /// [`Core::answer`](super::Core::answer) follows.
    Later {
        /// Held until then, or until the connection ends.
        waits: Box<dyn Send>,
    },
}

/// A server as the lane sees it. The lane calls it in a turn, so it must not wait and must not ask
/// the lane for its core.
pub trait Acceptor: Send + Sync {
    /// The first packet of a connection was dropped, because too many wait to be looked at.
    fn ignored(&self);
    /// Whether `incoming` may begin its handshake.
    fn admit(&self, now: Instant, incoming: &Incoming) -> Admission;
    /// The answer to a request.
    fn answer(&self, asked: Asked<'_>) -> Answer;
    /// A request was refused because it has more header fields than are read.
    fn refused_unread(&self);
    /// A session is established, after `took` since its first packet. `is_answered` says that its
    /// request was answered later. Returns how long the session may wait for its program, if there
    /// is a limit.
    fn established(&self, session: &Arc<LinkSession>, took: Duration, is_answered: bool) -> Option<Duration>;
    /// A session has waited as long as it may.
    fn not_accepted(&self, session: &Arc<LinkSession>);
    /// A handshake has failed, because QUIC lost the connection or for another reason.
    fn handshake_failed(&self, lost: Option<&ConnectionError>, error: &Error);
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
        began: Instant,
        problem: Option<&'static str>,
        /// The request that waits for an answer.
        waiting: Option<(Box<ConnectRequest>, Box<dyn Send>)>,
        /// Whether the request had to wait for its answer.
        is_answered: bool,
        /// The client is notified when the stream takes the answer.
        granted: Option<Granted>,
    },
    Client {
        connected: Option<Connected>,
        ask: Option<Box<Ask>>,
        asked: bool,
    },
}

/// A request that is granted, and the header fields of the answer.
pub(super) struct Granted {
    pub(super) request: Box<ConnectRequest>,
    pub(super) response: Vec<(String, String)>,
}

impl Handshake {
    /// Notifies the waiting caller that the attempt has failed.
    pub(super) fn fail(self, remote: SocketAddr, lost: Option<&ConnectionError>, error: Error) {
        match self {
            Self::Server { acceptor, .. } => {
                match lost.and_then(certificate_refused_here) {
                    Some(reason) => {
                        if let Some(others) = REFUSED_CERTIFICATES.allows(Instant::now()) {
                            tracing::info!(%remote, reason, others, "a client's certificate was refused");
                        }
                    }
                    None => tracing::debug!(%remote, %error, "a handshake failed"),
                }
                acceptor.handshake_failed(lost, &error);
            }
            Self::Client { connected: Some(connected), .. } => {
                connected(Err(lost.cloned().unwrap_or(ConnectionError::LocallyClosed)));
            }
            Self::Client { ask: Some(ask), .. } => (ask.done)(Err(error)),
            Self::Client { .. } => {}
        }
    }
}
