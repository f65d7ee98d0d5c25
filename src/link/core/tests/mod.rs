//! Tests with cores that talk to each other over a small simulated network, in simulated time.

mod asking;
mod leaving;
mod listening;
mod paths;
mod reset_at;
mod resets;
mod shares;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use quinn_proto::{ClientConfig, ConnectionError, EcnCodepoint, Incoming, ServerConfig, Transmit};

use super::datagrams::{Datagrams, Feeder, Left};
use super::{Accepted, Acceptor, Admission, Answer, Arrival, Ask, Asked, EndpointKey, Sent, Wire};
use crate::error::Error;
use crate::link::config::{ConnectOptions, ConnectionOptions, IdentitySource, ListenOptions, Trust};
use crate::link::h3::ConnectRequest;
use crate::link::ids::Label;
use crate::link::secrets::Secrets;
use crate::link::tls::{self, ClientCrypto, Extensions, Identities, ServerCrypto};
use crate::link::{DatagramPath, Lane, LinkSession, endpoint};
use crate::runtime::clock::WallClock;
use crate::runtime::lane::Next;

/// The time that every packet takes on its way, unless a test says otherwise.
const DELAY: Duration = Duration::from_millis(1);

/// A limit against hanging tests, in simulated time.
const PATIENCE: Duration = Duration::from_secs(600);

/// The most turns that a host takes at one instant. A host that takes more never rests.
const MOST_TURNS: usize = 10_000;

pub(in crate::link) fn at(host: u8, port: u16) -> SocketAddr {
    ([10, 0, 0, host], port).into()
}

/// The packets that one `send` of a socket gave to the network.
#[derive(Debug, Clone)]
pub(in crate::link) struct Train {
    pub(in crate::link) from: SocketAddr,
    pub(in crate::link) to: SocketAddr,
    ecn: Option<EcnCodepoint>,
    /// The length of each packet but the last.
    stride: usize,
    pub(in crate::link) bytes: Vec<u8>,
}

impl Train {
    fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.stride)
    }
}

/// The sockets of a host.
pub(in crate::link) struct Sockets {
    segments: usize,
    addresses: HashMap<EndpointKey, SocketAddr>,
    /// The same, the other way round: a test may have thousands.
    endpoints: HashMap<SocketAddr, EndpointKey>,
    sent: Vec<Train>,
    /// Whether they take no packets.
    are_full: bool,
    /// How often they refused packets.
    refusals: usize,
}

impl Sockets {
    pub(in crate::link) fn open(&mut self, endpoint: EndpointKey, address: SocketAddr) {
        assert!(self.addresses.insert(endpoint, address).is_none(), "it is opened once");
        assert!(self.endpoints.insert(address, endpoint).is_none(), "an address has one socket");
    }

    /// How many sockets are open.
    pub(in crate::link) fn count(&self) -> usize {
        self.addresses.len()
    }
}

impl Wire for Sockets {
    fn send(&mut self, endpoint: EndpointKey, transmit: &Transmit, contents: &[u8]) -> Sent {
        if self.are_full {
            self.refusals += 1;
            return Sent::Blocked;
        }
        let stride = transmit.segment_size.unwrap_or(contents.len());
        let (from, to) = (self.addresses[&endpoint], transmit.destination);
        self.sent.push(Train { from, to, ecn: transmit.ecn, stride, bytes: contents.to_vec() });
        Sent::Gone
    }

    fn max_segments(&self, _: EndpointKey) -> usize {
        self.segments
    }

    fn closed(&mut self, endpoint: EndpointKey) {
        let address = self.addresses.remove(&endpoint).expect("it is closed once");
        self.endpoints.remove(&address);
    }
}

/// A machine with a lane and as many sockets as it needs. Several are one machine with several
/// lanes if they have sockets with the same address.
pub(in crate::link) struct Host {
    pub(in crate::link) lane: Arc<Lane>,
    secrets: Secrets,
    pub(in crate::link) sockets: Sockets,
    next: Next,
}

impl Host {
    fn new(secrets: Secrets) -> Self {
        Self::with_lane(secrets, 0)
    }

    fn with_lane(secrets: Secrets, lane: usize) -> Self {
        let sockets = Sockets {
            segments: 43,
            addresses: HashMap::new(),
            endpoints: HashMap::new(),
            sent: Vec::new(),
            are_full: false,
            refusals: 0,
        };
        Self { lane: Lane::new(lane, None), secrets, sockets, next: Next::Never }
    }

    fn open(&mut self, address: SocketAddr, server: Option<(ServerConfig, Arc<Door>)>) -> EndpointKey {
        let (config, door) = server.unzip();
        let quic = endpoint::quic(&self.secrets, 0, &Label::default(), config, false);
        let endpoint = self.lane.core().add_endpoint(quic, address, door.map(|door| door as _));
        self.sockets.open(endpoint, address);
        endpoint
    }

    fn socket(&self, address: SocketAddr) -> Option<EndpointKey> {
        self.sockets.endpoints.get(&address).copied()
    }

    fn receive(&mut self, now: Instant, train: &Train) {
        let Some(endpoint) = self.socket(train.to) else { return };
        let arrival = Arrival {
            from: train.from,
            local_ip: None,
            ecn: train.ecn,
            packets: BytesMut::from(&train.bytes[..]),
            stride: train.stride,
        };
        self.lane.core().receive(now, endpoint, arrival, &mut self.sockets);
    }

    /// Takes one turn.
    fn turn(&mut self, now: Instant) {
        self.next = self.lane.turn(now, &mut self.sockets);
    }

    /// Takes turns until there is nothing to do.
    fn settle(&mut self, now: Instant) {
        for _ in 0..MOST_TURNS {
            self.turn(now);
            if !matches!(self.next, Next::Now | Next::AfterOthers) {
                return;
            }
        }
        panic!("a host never rests");
    }
}

/// What the network does to a train. It loses the train if this returns `false`.
pub(in crate::link) type Rule = Box<dyn FnMut(&mut Train) -> bool>;

/// Which of so many sockets gets a train.
pub(in crate::link) type Choice = Box<dyn FnMut(&Train, usize) -> usize>;

/// Hosts, and the trains between them.
pub(in crate::link) struct Network {
    started: Instant,
    pub(in crate::link) now: Instant,
    delay: Duration,
    /// Whether hosts do all their work after each packet, and not only after each train.
    by_packet: bool,
    pub(in crate::link) hosts: Vec<Host>,
    flight: Vec<Train>,
    pub(in crate::link) rule: Rule,
    /// To which of several sockets with the same address a train goes.
    pub(in crate::link) chooses: Choice,
    identities: Arc<Identities>,
    /// The hash of the certificate that clients trust.
    pub(in crate::link) trusted: [u8; 32],
}

/// The host of clients, and the host of servers.
const CLIENT: usize = 0;
pub(in crate::link) const SERVER: usize = 1;

/// Where the first server listens.
fn server() -> SocketAddr {
    at(1, 443)
}

impl Network {
    /// A host for clients and one with a server at [`server`], whose door is returned.
    pub(in crate::link) fn new() -> (Self, Arc<Door>) {
        let now = Instant::now();
        let identities =
            Identities::new(&IdentitySource::SelfSigned { names: Vec::new() }, WallClock::default()).unwrap();
        let hosts = vec![Host::new(Secrets::random().unwrap()), Host::new(Secrets::random().unwrap())];
        let rule = Box::new(|_: &mut Train| true);
        let mut network = Self {
            started: now,
            now,
            delay: DELAY,
            by_packet: false,
            hosts,
            flight: Vec::new(),
            rule,
            // As in a system, the address that it comes from decides.
            chooses: Box::new(|train, sockets| usize::from(train.from.port()) % sockets),
            trusted: identities.certificate_hash(),
            identities,
        };
        let door = network.serve(server());
        (network, door)
    }

    /// Adds lanes with these numbers. Returns them.
    pub(in crate::link) fn add_lanes(&mut self, numbers: impl Iterator<Item = usize>) -> Vec<Arc<Lane>> {
        let secrets = Secrets::random().unwrap();
        let first = self.hosts.len();
        self.hosts.extend(numbers.map(|number| Host::with_lane(secrets.clone(), number)));
        self.hosts[first..].iter().map(|host| Arc::clone(&host.lane)).collect()
    }

    /// Opens a server's socket.
    fn serve(&mut self, address: SocketAddr) -> Arc<Door> {
        self.serve_with(address, Extensions::default())
    }

    fn serve_with(&mut self, address: SocketAddr, extensions: Extensions) -> Arc<Door> {
        let host = &mut self.hosts[SERVER];
        let tls = tls::server_config(&self.identities, &ListenOptions::default()).unwrap();
        let crypto = ServerCrypto::new(tls, extensions);
        let config = host.secrets.server_config(Arc::new(crypto));
        let door = Arc::new(Door {
            lane: Arc::clone(&host.lane),
            config: config.clone(),
            demands_retry: false.into(),
            refuses: false.into(),
            admitted: AtomicU64::default(),
            ignored: AtomicU64::default(),
            sessions: Mutex::default(),
            took: Mutex::default(),
        });
        host.open(address, Some((config, Arc::clone(&door))));
        door
    }

    /// Begins to connect from `from` to `to`. The first packets leave in the next turn of the
    /// clients.
    pub(in crate::link) fn attempt(&mut self, from: SocketAddr, to: SocketAddr) -> Attempt {
        let trust = Trust::CertificateHashes(vec![self.trusted]);
        let (tls, _) = tls::client_config(&ConnectOptions { trust, ..ConnectOptions::default() }).unwrap();
        let mut config = ClientConfig::new(Arc::new(ClientCrypto::new(tls, Extensions::default())));
        let (transport, view) = endpoint::transport_config(&ConnectionOptions::default(), false).unwrap();
        config.transport_config(transport);
        let host = &mut self.hosts[CLIENT];
        let endpoint = host.socket(from).unwrap_or_else(|| host.open(from, None));
        let session = LinkSession::new(Arc::clone(&host.lane));
        let state = Arc::new(Mutex::new(Progress::default()));
        let heard = Arc::clone(&state);
        let key = host
            .lane
            .core()
            .connect(
                self.now,
                endpoint,
                config,
                (to, "localhost"),
                view,
                Arc::clone(&session),
                self.now + PATIENCE,
                (
                    Box::new(()),
                    Box::new(move |result| {
                        let mut heard = heard.lock();
                        heard.connected = result.is_ok();
                        heard.lost = result.err();
                    }),
                ),
            )
            .unwrap();
        Attempt { key, session, state }
    }

    /// A session from `from` to the server at `door`: the client's end and the server's end.
    fn session(&mut self, from: SocketAddr, to: SocketAddr, door: &Door) -> (Arc<Pipe>, Arc<Pipe>) {
        let client = self.client(from, to);
        self.run_until("the session is accepted", |_| !door.sessions.lock().is_empty());
        (client, Pipe::of(door.sessions.lock().remove(0)))
    }

    /// A client's end of a session from `from` to `to`.
    pub(in crate::link) fn client(&mut self, from: SocketAddr, to: SocketAddr) -> Arc<Pipe> {
        let attempt = self.asking(from, to);
        self.run_until("the session is established", |_| attempt.is_established());
        Pipe::of(attempt.session)
    }

    /// A client that is connected from `from` to `to` and asks for a session with its next packet.
    pub(in crate::link) fn asking(&mut self, from: SocketAddr, to: SocketAddr) -> Attempt {
        let attempt = self.attempt(from, to);
        self.ask(&attempt);
        attempt
    }

    /// Asks for a session as soon as the client is connected.
    fn ask(&mut self, attempt: &Attempt) {
        self.run_until("QUIC is connected", |_| attempt.state.lock().connected);
        let request = ConnectRequest::new("localhost", "/", &[]).unwrap();
        let heard = Arc::clone(&attempt.state);
        let done = Box::new(move |outcome: Result<(), Error>| heard.lock().answer = Some(outcome));
        self.hosts[CLIENT].lane.core().ask(self.now, attempt.key, Ask { request, done });
    }

    /// Delivers the trains that are on their way, which takes the network's delay.
    fn deliver(&mut self) {
        self.now += self.delay;
        for mut train in std::mem::take(&mut self.flight) {
            if !(self.rule)(&mut train) {
                continue;
            }
            if self.by_packet {
                for packet in train.packets() {
                    let one = Train { stride: packet.len(), bytes: packet.to_vec(), ..train.clone() };
                    self.receive(&one);
                    self.settle();
                }
            } else {
                self.receive(&train);
            }
        }
        self.collect();
    }

    /// Puts a train on its way.
    pub(in crate::link) fn inject(&mut self, train: Train) {
        self.flight.push(train);
    }

    /// Gives a train to a socket of its destination.
    fn receive(&mut self, train: &Train) {
        let now = self.now;
        let mut homes: Vec<_> =
            self.hosts.iter_mut().filter(|host| host.socket(train.to).is_some()).collect();
        if !homes.is_empty() {
            let chosen = (self.chooses)(train, homes.len());
            homes[chosen].receive(now, train);
        }
    }

    /// Lets all hosts do all their work, also what they give each other.
    fn settle(&mut self) {
        for _ in 0..MOST_TURNS {
            self.hosts.iter_mut().for_each(|host| host.settle(self.now));
            if self.hosts.iter().all(|host| host.lane.mailbox().may_sleep()) {
                return;
            }
        }
        panic!("the hosts never rest");
    }

    /// Puts the trains that the hosts have sent on their way.
    fn collect(&mut self) {
        for host in &mut self.hosts {
            self.flight.append(&mut host.sockets.sent);
        }
    }

    /// Delivers the trains that are on their way and lets all hosts do all their work.
    fn step(&mut self) {
        self.deliver();
        self.settle();
        self.collect();
    }

    /// Steps from one event to the next until `holds`.
    pub(in crate::link) fn run_until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        while !holds(self) {
            assert!(self.now - self.started < PATIENCE, "not in time: {what}");
            self.step();
            if self.flight.is_empty() {
                self.now = self.due().map_or(self.now, |due| due.max(self.now));
            }
        }
    }

    /// When the next host has something to do by itself.
    fn due(&self) -> Option<Instant> {
        let due = self.hosts.iter().filter_map(|host| match host.next {
            Next::At(at) => Some(at),
            _ => None,
        });
        due.min()
    }

    /// Lets `time` pass.
    pub(in crate::link) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
            if self.flight.is_empty() {
                // Nothing happens until then.
                self.now = self.due().map_or(end, |due| due.min(end)).max(self.now);
            }
        }
    }
}

/// A client's attempt and its progress.
pub(in crate::link) struct Attempt {
    key: super::ConnectionKey,
    session: Arc<LinkSession>,
    state: Arc<Mutex<Progress>>,
}

#[derive(Default)]
struct Progress {
    connected: bool,
    lost: Option<quinn_proto::ConnectionError>,
    /// The server's answer to the request.
    answer: Option<Result<(), Error>>,
}

impl Attempt {
    /// Whether QUIC's handshake has failed.
    pub(in crate::link) fn is_lost(&self) -> bool {
        self.state.lock().lost.is_some()
    }

    pub(in crate::link) fn is_established(&self) -> bool {
        self.answer() == Some(Ok(()))
    }

    pub(in crate::link) fn answer(&self) -> Option<Result<(), Error>> {
        self.state.lock().answer.clone()
    }
}

/// A server that admits every client.
pub(in crate::link) struct Door {
    lane: Arc<Lane>,
    config: ServerConfig,
    demands_retry: AtomicBool,
    refuses: AtomicBool,
    admitted: AtomicU64,
    ignored: AtomicU64,
    sessions: Mutex<Vec<Arc<LinkSession>>>,
    /// How long the last session took to be established.
    took: Mutex<Option<Duration>>,
}

impl Acceptor for Door {
    fn admit(&self, now: Instant, incoming: &Incoming) -> Admission {
        if self.refuses.load(Ordering::Relaxed) {
            return Admission::Refuse;
        }
        if self.demands_retry.load(Ordering::Relaxed) && !incoming.remote_address_validated() {
            return Admission::Retry;
        }
        self.admitted.fetch_add(1, Ordering::Relaxed);
        let (transport, view) = endpoint::transport_config(&ConnectionOptions::default(), true).unwrap();
        let mut config = self.config.clone();
        config.transport_config(transport);
        Admission::Accept(Box::new(Accepted {
            config: Arc::new(config),
            view,
            session: LinkSession::new(Arc::clone(&self.lane)),
            deadline: now + PATIENCE,
            half_open: Box::new(()),
            place: Box::new(()),
            replaces_oldest: false,
            rate_limit: None,
        }))
    }

    fn answer(&self, _: Asked<'_>) -> Answer {
        Answer::Accept { headers: Vec::new() }
    }

    fn refused_unread(&self) {}

    fn established(&self, session: &Arc<LinkSession>, took: Duration, _: bool) -> Option<Duration> {
        *self.took.lock() = Some(took);
        self.sessions.lock().push(Arc::clone(session));
        None
    }

    fn ignored(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    fn not_accepted(&self, _: &Arc<LinkSession>) {}

    fn handshake_failed(&self, _: Option<&ConnectionError>, _: &Error) {}

    fn failed(&self) {}
}

/// One end of a session and its user.
pub(in crate::link) struct Pipe {
    session: Arc<LinkSession>,
    path: OnceCell<DatagramPath>,
    /// Datagrams to send, framed.
    outgoing: Mutex<VecDeque<Bytes>>,
    /// A datagram that is sent again and again.
    endless: Mutex<Option<Bytes>>,
    fed: AtomicU64,
    incoming: Mutex<Vec<Bytes>>,
}

impl Pipe {
    pub(in crate::link) fn of(session: Arc<LinkSession>) -> Arc<Self> {
        let pipe = Arc::new(Self {
            path: OnceCell::new(),
            session: Arc::clone(&session),
            outgoing: Mutex::default(),
            endless: Mutex::default(),
            fed: AtomicU64::default(),
            incoming: Mutex::default(),
        });
        let _ = pipe.path.set(session.datagram_path().unwrap());
        session.attach(Arc::clone(&pipe) as _).unwrap();
        pipe
    }

    fn path(&self) -> &DatagramPath {
        self.path.get().unwrap()
    }

    /// Sends `payload` once.
    pub(in crate::link) fn send(&self, payload: &[u8]) {
        self.outgoing.lock().push_back(self.path().frame(payload));
        self.path().wake();
    }

    /// Sends as many datagrams of `bytes` bytes as it may.
    fn flood(&self, bytes: usize) {
        *self.endless.lock() = Some(self.path().frame(&vec![7; bytes]));
        self.path().wake();
    }

    fn fed(&self) -> u64 {
        self.fed.load(Ordering::Relaxed)
    }

    pub(in crate::link) fn received(&self) -> Vec<Bytes> {
        self.incoming.lock().clone()
    }

    pub(in crate::link) fn close(&self) {
        self.session.close(0, "").unwrap();
    }

    fn remote(&self) -> SocketAddr {
        self.session.remote_address().unwrap()
    }
}

impl Datagrams for Pipe {
    fn feed(&self, feeder: &mut Feeder<'_>) -> Left {
        let mut outgoing = self.outgoing.lock();
        let endless = self.endless.lock().clone();
        while let Some(next) = outgoing.front().or(endless.as_ref()) {
            if !feeder.admits(next.len()) {
                return Left::Waiting(None);
            }
            let next = outgoing.pop_front().or_else(|| endless.clone()).unwrap();
            if feeder.hand_over(next).is_err() {
                return Left::Nothing;
            }
            self.fed.fetch_add(1, Ordering::Relaxed);
        }
        Left::Nothing
    }

    fn deliver(&self, _: Instant, payloads: &[Bytes]) {
        self.incoming.lock().extend(payloads.iter().map(|one| Bytes::copy_from_slice(one)));
    }

    fn reader_is_behind(&self) -> bool {
        false
    }

    fn size_changed(&self) {}

    fn is_closed(&self) -> bool {
        false
    }

    fn ended(&self) {}
}
