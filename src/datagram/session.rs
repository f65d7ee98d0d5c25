//! A session with its transport, and a server that makes both.

use std::sync::Arc;

use super::transport::Transport;
use crate::datagram::options::TransportOptions;
use crate::error::Result;
use crate::link::config::{ConnectOptions, ListenOptions};
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
}
