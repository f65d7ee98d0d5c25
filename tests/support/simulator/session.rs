//! A server and a client session of the library with the link simulator between them.

use std::net::Ipv4Addr;
use std::time::Duration;

use wtgram::datagram::options::TransportOptions;
use wtgram::datagram::session::{Server, Session};
use wtgram::link::config::{ConnectOptions, ConnectionOptions, ListenOptions, Trust};
use wtgram::runtime::wait::Timeout;

use crate::simulator::{Conditions, Simulator};

/// Both ends of a session and the link between them, which does nothing to packets at first.
pub struct LossyPair {
    pub client: Session,
    pub accepted: Session,
    pub server: Server,
    pub link: Simulator,
}

/// A guard against hanging, not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(60);

impl LossyPair {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, &ConnectionOptions::default())
    }

    pub fn with(seed: u64, connection: &ConnectionOptions) -> Self {
        let options = TransportOptions::default();
        let listen = ListenOptions {
            handshake_timeout: PATIENCE,
            host: Some(Ipv4Addr::LOCALHOST.into()),
            connection: connection.clone(),
            ..ListenOptions::default()
        };
        let server = Server::listen(&listen, &options).expect("the server can listen");
        let link = Simulator::start(server.link.local_address(), seed, Conditions::default())
            .expect("the link starts");
        let trust = Trust::CertificateHashes(vec![server.link.certificate_hash()]);
        let connect = ConnectOptions {
            trust,
            timeout: PATIENCE,
            connection: connection.clone(),
            ..ConnectOptions::default()
        };
        let client = Session::connect(&format!("https://{}/", link.address()), &connect, &options)
            .expect("the client can connect");
        let accepted = server.accept(Timeout::After(PATIENCE).deadline()).expect("the session arrives");
        Self { client, accepted, server, link }
    }
}

impl Drop for LossyPair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (name, session) in [("client", &self.client), ("server", &self.accepted)] {
                eprintln!("{name}: closed {:?}; {:?}", session.link.close_info(), session.link.stats());
            }
        }
        let _ = self.client.link.close(0, "");
        self.server.link.close();
    }
}
