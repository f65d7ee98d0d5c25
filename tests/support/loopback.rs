//! A server and a client session of the library on loopback, for tests over real sessions.

use std::net::Ipv4Addr;
use std::time::Duration;

use wtgram::datagram::session::{Server, Session};
use wtgram::datagram::transport::TransportOptions;
use wtgram::link::config::{ConnectOptions, ListenOptions, Trust};
use wtgram::runtime::wait::Timeout;

/// A guard against hanging, not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Both ends of a session, and the server it belongs to.
pub struct Pair {
    /// The client's end.
    pub client: Session,
    /// The server's end.
    pub accepted: Session,
    /// The server.
    pub server: Server,
}

impl Pair {
    /// A session with default options.
    pub fn new() -> Self {
        Self::with(&TransportOptions::default())
    }

    /// A session whose both transports have `options`.
    pub fn with(options: &TransportOptions) -> Self {
        let listen = ListenOptions {
            host: Some(Ipv4Addr::LOCALHOST.into()),
            handshake_timeout: PATIENCE,
            ..ListenOptions::default()
        };
        let server = Server::listen(&listen, options).expect("the server can listen");
        let trust = Trust::CertificateHashes(vec![server.link.certificate_hash()]);
        let connect = ConnectOptions { trust, timeout: PATIENCE, ..ConnectOptions::default() };
        let url = format!("https://{}/", server.link.local_address());
        let client = Session::connect(&url, &connect, options).expect("the client can connect");
        let accepted = server.accept(Timeout::After(PATIENCE).deadline()).expect("the session arrives");
        Self { client, accepted, server }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.client.link.close(0, "");
        self.server.link.close();
    }
}
