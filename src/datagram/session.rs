//! A session with its transport, and a server that makes both.

use std::net::SocketAddr;
use std::sync::Arc;

use super::transport::Transport;
use crate::datagram::options::TransportOptions;
use crate::error::Result;
use crate::link::config::{ConnectOptions, ListenOptions};
use crate::link::h3::ConnectRequest;
use crate::link::server::requests;
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
        let transport = transport.clone();
        client::connect(url, connect, move |link| Self::of(link, &transport))
    }

    fn of(link: Arc<link::LinkSession>, options: &TransportOptions) -> Result<Self> {
        let datagrams = Transport::open(Arc::clone(&link), options).inspect_err(|_| {
            let _ = link.close(0, "");
        })?;
        Ok(Self { link, datagrams })
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
    link: Arc<requests::Request>,
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
