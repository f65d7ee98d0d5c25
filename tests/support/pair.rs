//! A server and a client of ours on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wtgram::datagram::options::TransportOptions;
use wtgram::datagram::session::{Server, Session};
use wtgram::datagram::transport::Transport;
use wtgram::error::Result;
use wtgram::link::config::{ConnectOptions, ListenOptions, Trust};
use wtgram::link::session::CloseInfo;
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

/// A deadline this long from now.
pub fn after(time: Duration) -> Deadline {
    Timeout::After(time).deadline()
}

/// Waits until `condition` holds; fails if it does not in time.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The next datagram, which must arrive.
pub fn receive(transport: &Transport) -> Vec<u8> {
    let mut buffer = vec![0; 65536];
    let metadata = transport.incoming.receive(&mut buffer, soon()).expect("a datagram comes");
    buffer.truncate(metadata.size);
    buffer
}

pub fn within(time: Duration) -> Deadline {
    Timeout::After(time).deadline()
}

pub fn on_loopback() -> ListenOptions {
    ListenOptions {
        host: Some(Ipv4Addr::LOCALHOST.into()),
        handshake_timeout: PATIENCE,
        ..ListenOptions::default()
    }
}

/// A server on 127.0.0.1 with a port and an identity of its own.
pub fn listen() -> Server {
    listen_with(&on_loopback())
}

pub fn listen_with(options: &ListenOptions) -> Server {
    Server::listen(options, &TransportOptions::default()).expect("listening on a free port")
}

pub fn address(server: &Server) -> SocketAddr {
    server.link.local_address()
}

pub fn url_at(host: &str, server: &Server) -> String {
    format!("https://{host}:{}/test", address(server).port())
}

pub fn trusting(server: &Server) -> ConnectOptions {
    trusting_hash(server.link.certificate_hash())
}

pub fn trusting_hash(hash: [u8; 32]) -> ConnectOptions {
    ConnectOptions {
        trust: Trust::CertificateHashes(vec![hash]),
        timeout: PATIENCE,
        bind_host: None::<IpAddr>,
        ..ConnectOptions::default()
    }
}

pub fn connect(url: &str, options: &ConnectOptions) -> Result<Session> {
    Session::connect(url, options, &TransportOptions::default())
}

/// A client session and its other end.
pub fn pair(server: &Server) -> (Session, Session) {
    let client = connect(&url_at("127.0.0.1", server), &trusting(server)).expect("a session");
    (client, server.accept(soon()).expect("the same session"))
}

/// Sends a datagram, and checks that it arrives as it was sent.
pub fn exchange(from: &Session, to: &Session) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let payload = NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    from.datagrams.outgoing.send(&payload, &Default::default(), soon()).expect("sent");
    let mut buffer = [0; 2048];
    let received = to.datagrams.incoming.receive(&mut buffer, soon()).expect("received");
    assert_eq!(&buffer[..received.size], payload);
}

pub fn wait_closed(session: &Session) -> CloseInfo {
    session.link.wait_closed(soon()).expect("the session ends in time")
}

/// A wire between one client and a server. After it is cut, packets vanish in both directions.
pub struct Wire {
    pub address: SocketAddr,
    cut: Arc<AtomicBool>,
    retries: Arc<AtomicU64>,
}

impl Wire {
    pub fn to(server: SocketAddr) -> Self {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP socket");
        let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP socket");
        back.connect(server).expect("an address");
        let wire = Self {
            address: front.local_addr().expect("bound"),
            cut: Arc::default(),
            retries: Arc::default(),
        };
        let client = Arc::new(Mutex::new(None));
        let (front, back) = (Arc::new(front), Arc::new(back));
        {
            let (front, back, cut, client) = (front.clone(), back.clone(), wire.cut.clone(), client.clone());
            std::thread::spawn(move || {
                let mut packet = [0; 65_536];
                while let Ok((length, from)) = front.recv_from(&mut packet) {
                    *client.lock().expect("not poisoned") = Some(from);
                    if cut.load(Ordering::SeqCst) {
                        return;
                    }
                    let _ = back.send(&packet[..length]);
                }
            });
        }
        let (cut, retries) = (wire.cut.clone(), wire.retries.clone());
        std::thread::spawn(move || {
            let mut packet = [0; 65_536];
            while let Ok(length) = back.recv(&mut packet) {
                if cut.load(Ordering::SeqCst) {
                    return;
                }
                // A long header of type 3 (RFC 9000 section 17.2.5).
                if packet[0] & 0xf0 == 0xf0 {
                    retries.fetch_add(1, Ordering::SeqCst);
                }
                if let Some(client) = *client.lock().expect("not poisoned") {
                    let _ = front.send_to(&packet[..length], client);
                }
            }
        });
        wire
    }

    /// Retry packets that the server has sent.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::SeqCst)
    }

    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

/// Runs each of `waits` on its own thread, lets them block, and checks that `wake` ends them all.
pub fn wakes_all(waits: Vec<Box<dyn FnOnce() + Send>>, wake: impl FnOnce()) {
    let threads: Vec<_> = waits.into_iter().map(std::thread::spawn).collect();
    std::thread::sleep(Duration::from_millis(100));
    assert!(threads.iter().all(|thread| !thread.is_finished()), "all of them wait");
    wake();
    eventually("all of them are awake", || threads.iter().all(|thread| thread.is_finished()));
    for thread in threads {
        thread.join().expect("no panic");
    }
}
