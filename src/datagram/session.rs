//! A session with its transport, and a server that makes both.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::pki_types::CertificateDer;

use super::transport::Transport;
use crate::datagram::options::TransportOptions;
use crate::error::{Error, Result};
use crate::link::config::{ConnectOptions, ListenOptions};
use crate::link::h3::ConnectRequest;
use crate::link::server::requests;
use crate::link::session::Phase;
use crate::link::{self, client};
use crate::runtime::wait::Deadline;

/// An established session and its transport.
pub struct Session {
    /// The session.
    pub link: Arc<link::LinkSession>,
    /// Its datagrams.
    pub datagrams: Arc<Transport>,
}

impl Session {
    /// Establishes a client session. Waits until it is established or the attempt has failed.
    pub fn connect(url: &str, connect: &ConnectOptions, transport: &TransportOptions) -> Result<Self> {
        let connecting = Connecting::start(url, connect, transport)?;
        connecting.link.wait_connected(Deadline::Never)?;
        connecting.established()
    }

    /// Begins to end the session in order: asks the peer to end it soon, accepts no more datagrams,
    /// and closes it with `code` and `reason` as soon as those that wait have left. A
    /// [close](link::LinkSession::close) ends it earlier.
    ///
    /// Fails with [`InvalidState`](crate::error::Error::InvalidState) if this has begun already.
    pub fn start_drain_and_close(&self, code: u32, reason: &str) -> Result<()> {
        self.link.close_when_sent(code, reason, || self.datagrams.outgoing.end_after_this())
    }

    /// Ends the session in order, as [`Self::start_drain_and_close`] says, and waits for it. At the
    /// `deadline` the session is closed all the same.
    ///
    /// `Ok` says that everything has left. Fails with [`Closed`](crate::error::Error::Closed) if the
    /// session was closed before, for another reason.
    pub fn drain_and_close(&self, code: u32, reason: &str, deadline: Deadline) -> Result<()> {
        self.start_drain_and_close(code, reason)?;
        self.link.wait_sent(deadline)
    }

    fn of(link: Arc<link::LinkSession>, options: &TransportOptions) -> Result<Self> {
        let datagrams = Transport::open(Arc::clone(&link), options).inspect_err(|_| {
            let _ = link.close(0, "");
        })?;
        Ok(Self { link, datagrams })
    }
}

/// A client session from the start of the attempt to establish it.
pub struct Connecting {
    /// The session. Closing it ends the attempt.
    pub link: Arc<link::LinkSession>,
    transport: Arc<OnceCell<Arc<Transport>>>,
}

impl Connecting {
    /// Begins to establish a client session, and returns at once.
    pub fn start(url: &str, connect: &ConnectOptions, transport: &TransportOptions) -> Result<Self> {
        let (cell, options) = (Arc::new(OnceCell::new()), transport.clone());
        let prepared = Arc::clone(&cell);
        let link = client::start(url, connect, move |link| {
            let transport = Transport::open(Arc::clone(link), &options)?;
            // This runs once, so the cell is empty.
            let _ = prepared.set(transport);
            Ok(())
        })?;
        Ok(Self { link, transport: cell })
    }

    /// The session's transport. While the session is not established this is
    /// [`Error::InvalidState`], and [`Error::Closed`] if it will never be.
    pub fn datagrams(&self) -> Result<&Arc<Transport>> {
        match self.link.phase() {
            Phase::Connecting => {
                Err(Error::InvalidState(Cow::Borrowed("the session is not established yet")))
            }
            _ => self.transport.get().ok_or(Error::Closed),
        }
    }

    /// The session with its transport, as soon as there is one. Otherwise fails as
    /// [`Self::datagrams`] does.
    pub fn established(&self) -> Result<Session> {
        let datagrams = Arc::clone(self.datagrams()?);
        Ok(Session { link: Arc::clone(&self.link), datagrams })
    }
}

impl From<Session> for Connecting {
    fn from(session: Session) -> Self {
        Self { link: session.link, transport: Arc::new(OnceCell::with_value(session.datagrams)) }
    }
}

/// A server whose sessions have transports, which receive datagrams as soon as a session is
/// established.
pub struct Server {
    /// The server.
    pub link: Arc<link::Server<Session>>,
}

impl Server {
    /// Starts to listen.
    pub fn listen(listen: &ListenOptions, transport: &TransportOptions) -> Result<Self> {
        let transport = transport.clone();
        let link = link::Server::listen_with(listen, move |link| Session::of(link, &transport))?;
        Ok(Self { link })
    }

    /// Waits until `deadline` for the next established session.
    pub fn accept(&self, deadline: Deadline) -> Result<Session> {
        self.link.accept(deadline)
    }

    /// Waits until `deadline` for the next request that the program answers.
    pub fn next_request(&self, deadline: Deadline) -> Result<Request> {
        Ok(Request { link: self.link.next_request(deadline)?, server: Arc::clone(&self.link) })
    }
}

/// A request that the program answers. It is rejected when it is dropped unanswered.
pub struct Request {
    /// The request. A poller can wait for its end.
    pub link: Arc<requests::Request>,
    server: Arc<link::Server<Session>>,
}

impl Request {
    /// What the client asks for.
    pub fn asked(&self) -> &ConnectRequest {
        &self.link.request
    }

    /// The client's address.
    pub fn remote_address(&self) -> SocketAddr {
        self.link.remote
    }

    /// The subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> Vec<String> {
        self.link.subprotocols()
    }

    /// The certificates that the client has shown, its own first.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.link.peer_certificates
    }

    /// The HTTP status with which the server's rules would refuse it.
    pub fn refusal(&self) -> Option<u16> {
        self.link.refusal
    }

    /// Accepts it; see [`link::Server::accept_request`].
    pub fn accept(&self, headers: &[(String, String)], subprotocol: Option<&str>) -> Result<Session> {
        self.server.accept_request(&self.link, headers, subprotocol)
    }

    /// Rejects it; see [`link::Server::reject_request`].
    pub fn reject(&self, status: u16, headers: &[(String, String)]) -> Result<()> {
        self.server.reject_request(&self.link, status, headers)
    }
}
