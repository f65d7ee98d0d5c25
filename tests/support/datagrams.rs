//! A server with a self-signed certificate on loopback, and a client that trusts its hash.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wtgram::datagram::session::{Server, Session};
use wtgram::datagram::transport::{Transport, TransportOptions};
use wtgram::link::config::{ConnectOptions, ListenOptions, Trust};
use wtgram::runtime::wait::{Deadline, Timeout};

/// A guard against hanging, not a measure of speed: the machine may have other work.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Pair {
    pub server: Server,
    pub client: Session,
    pub accepted: Session,
}

impl Pair {
    /// Both sides with these options, without anything between them.
    pub fn open(options: &TransportOptions) -> Self {
        Self::open_through(options, |server| server)
    }

    /// The client connects to the address that `through` makes of the server's.
    pub fn open_through(options: &TransportOptions, through: impl FnOnce(SocketAddr) -> SocketAddr) -> Self {
        let listen = ListenOptions {
            host: Some(Ipv4Addr::LOCALHOST.into()),
            handshake_timeout: PATIENCE,
            ..ListenOptions::default()
        };
        let server = Server::listen(&listen, options).expect("a server can listen");
        let address = through(server.link.local_address());
        let trust = Trust::CertificateHashes(vec![server.link.certificate_hash()]);
        let connect = ConnectOptions { trust, timeout: PATIENCE, ..ConnectOptions::default() };
        let client =
            Session::connect(&format!("https://{address}/test"), &connect, options).expect("it connects");
        let accepted = server.accept(soon()).expect("the server accepts");
        Self { server, client, accepted }
    }

    /// The client's transport.
    pub fn from(&self) -> &Arc<Transport> {
        &self.client.datagrams
    }

    /// The server's transport.
    pub fn to(&self) -> &Arc<Transport> {
        &self.accepted.datagrams
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.client.link.close(0, "");
        self.server.link.close();
    }
}

/// A deadline for what must succeed.
pub fn soon() -> Deadline {
    after(PATIENCE)
}

/// A deadline so far from now.
pub fn after(time: Duration) -> Deadline {
    Timeout::After(time).deadline()
}

/// Waits until `condition` holds; fails when it does not in time.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The next datagram, which must come.
pub fn receive(transport: &Transport) -> Vec<u8> {
    let mut buffer = vec![0; 65536];
    let metadata = transport.incoming.receive(&mut buffer, soon()).expect("a datagram comes");
    buffer.truncate(metadata.size);
    buffer
}
