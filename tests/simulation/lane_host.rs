//! A host with a lane of ours and one socket: the real core over the simulated network.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::{
    ClientConfig, ConnectionError, Endpoint, EndpointConfig, Incoming, ServerConfig, Transmit,
};
use wtgram::error::Error;
use wtgram::link::config::ConnectionOptions;
use wtgram::link::core::{
    Accepted, Acceptor, Admission, Answer, Arrival, Ask, Asked, ConnectionKey, EndpointKey, Sent, Wire,
};
use wtgram::link::h3::ConnectRequest;
use wtgram::link::{Lane, LinkSession, endpoint};
use wtgram::runtime::lane::Next;

use support::invented::network::Packet;
use support::invented::world::{Host, Record};
use support::invented::{Dice, identity};

/// How long a handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a full socket stays full.
const FULL_FOR: Duration = Duration::from_millis(1);

/// The host.
pub struct LaneHost {
    address: SocketAddr,
    pub lane: Arc<Lane>,
    endpoint: EndpointKey,
    wire: SimulatedWire,
    attempts: Vec<Attempt>,
}

/// A client's attempt to establish a session.
struct Attempt {
    key: ConnectionKey,
    path: String,
    session: Arc<LinkSession>,
    state: Arc<Mutex<AttemptState>>,
}

/// What is known of an attempt.
#[derive(Default)]
struct AttemptState {
    connected: Option<bool>,
    asked: bool,
    outcome: Option<Result<(), Error>>,
}

impl LaneHost {
    /// A host at `address`. Its socket takes trains of `segments` packets and is full one time in
    /// `full_one_in`.
    pub fn new(
        address: SocketAddr,
        config: EndpointConfig,
        server: Option<(ServerConfig, Arc<dyn Acceptor>)>,
        lane: Arc<Lane>,
        (segments, full_one_in, dice): (usize, Option<u64>, Dice),
    ) -> Self {
        let (server, acceptor) = server.unzip();
        let quic = Endpoint::new(Arc::new(config), server.map(Arc::new), true, None);
        let endpoint = lane.core().add_endpoint(quic, address, acceptor);
        let wire = SimulatedWire {
            address,
            segments,
            full_one_in,
            dice,
            full_until: None,
            now: Instant::now(),
            packets: Vec::new(),
        };
        Self { address, lane, endpoint, wire, attempts: Vec::new() }
    }

    /// Starts to connect; [`Self::news`] returns the result.
    pub fn connect(&mut self, now: Instant, mut config: ClientConfig, server: SocketAddr, path: String) {
        let (transport, view) =
            endpoint::transport_config(&ConnectionOptions::default(), false).expect("default options");
        config.transport_config(transport);
        let session = LinkSession::new(Arc::clone(&self.lane));
        let state = Arc::new(Mutex::new(AttemptState::default()));
        let heard = Arc::clone(&state);
        let connected = Box::new(move |result: Result<(), _>| {
            heard.lock().expect("state").connected = Some(result.is_ok());
        });
        let key = self
            .lane
            .core()
            .connect(
                now,
                self.endpoint,
                config,
                (server, identity::NAME),
                view,
                Arc::clone(&session),
                now + HANDSHAKE,
                (Box::new(()), connected),
            )
            .expect("an attempt");
        self.attempts.push(Attempt { key, path, session, state });
    }

    /// The attempts that have ended since the last call: the path that each asked for, and the
    /// session or the error.
    pub fn news(&mut self) -> Vec<(String, Result<Arc<LinkSession>, Error>)> {
        let mut news = Vec::new();
        self.attempts.retain(|attempt| {
            let mut state = attempt.state.lock().expect("state");
            let outcome = match (state.outcome.take(), state.connected) {
                (Some(outcome), _) => outcome,
                (None, Some(false)) => Err(Error::Closed),
                (None, _) => return true,
            };
            news.push((attempt.path.clone(), outcome.map(|()| Arc::clone(&attempt.session))));
            false
        });
        news
    }

    /// Asks for sessions on connections that are open.
    fn ask(&mut self, now: Instant) {
        for attempt in &self.attempts {
            let mut state = attempt.state.lock().expect("state");
            if state.connected != Some(true) || std::mem::replace(&mut state.asked, true) {
                continue;
            }
            drop(state);
            let request = ConnectRequest::new(identity::NAME, &attempt.path, &[]).expect("a request");
            let heard = Arc::clone(&attempt.state);
            let done = Box::new(move |outcome| heard.lock().expect("state").outcome = Some(outcome));
            self.lane.core().ask(now, attempt.key, Ask { request, done });
        }
    }

    /// Accepts no new sessions; existing ones continue.
    pub fn stop_listening(&mut self) {
        self.lane.stop_listening(self.endpoint);
    }

    /// The connections and timers that are left.
    pub fn leftovers(&self) -> (usize, usize) {
        let core = self.lane.core();
        (core.connections(), core.timers())
    }
}

impl Host for LaneHost {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn receive(&mut self, now: Instant, packet: Packet) {
        self.wire.now = now;
        let arrival = Arrival {
            from: packet.from,
            local_ip: None,
            ecn: packet.ecn,
            stride: packet.bytes.len(),
            packets: BytesMut::from(&packet.bytes[..]),
        };
        self.lane.core().receive(now, self.endpoint, arrival, &mut self.wire);
    }

    fn turn(&mut self, now: Instant, out: &mut Vec<Packet>, _: &mut Record) -> Option<Instant> {
        self.wire.now = now;
        if self.wire.full_until.is_some_and(|until| until <= now) {
            self.wire.full_until = None;
            self.lane.core().writable(self.endpoint);
        }
        self.ask(now);
        let next = self.lane.turn(now, &mut self.wire);
        let next = match next {
            Next::Now | Next::AfterOthers => Some(now),
            Next::At(at) => Some(at.max(now)),
            Next::Never => None,
        };
        out.append(&mut self.wire.packets);
        // The turn may have opened connections, whose sessions another turn asks for.
        let asks = self.attempts.iter().any(|attempt| {
            let state = attempt.state.lock().expect("state");
            state.connected == Some(true) && !state.asked
        });
        [next, self.wire.full_until, asks.then_some(now)].into_iter().flatten().min()
    }
}

/// Collects the core's packets.
struct SimulatedWire {
    address: SocketAddr,
    segments: usize,
    full_one_in: Option<u64>,
    dice: Dice,
    full_until: Option<Instant>,
    now: Instant,
    packets: Vec<Packet>,
}

impl Wire for SimulatedWire {
    fn send(&mut self, _: EndpointKey, transmit: &Transmit, contents: &[u8]) -> Sent {
        if self.full_until.is_none() && self.full_one_in.is_some_and(|times| self.dice.one_in(times)) {
            self.full_until = Some(self.now + FULL_FOR);
        }
        if self.full_until.is_some() {
            return Sent::Blocked;
        }
        for segment in contents.chunks(transmit.segment_size.unwrap_or(contents.len())) {
            self.packets.push(Packet {
                from: self.address,
                to: transmit.destination,
                ecn: transmit.ecn,
                bytes: segment.to_vec(),
            });
        }
        Sent::Gone
    }

    fn max_segments(&self, _: EndpointKey) -> usize {
        self.segments
    }

    fn closed(&mut self, _: EndpointKey) {}
}

/// A server: the requests it accepts, and the sessions it has.
pub struct Listener {
    config: ServerConfig,
    lane: Arc<Lane>,
    demands_retry: bool,
    established: Established,
    /// Sessions that were established since the last look.
    pub arrived: Mutex<Vec<Arc<LinkSession>>>,
}

/// What a server does at once with a new session.
pub type Established = Box<dyn Fn(&Arc<LinkSession>) + Send + Sync>;

/// Requests for this path and paths below it are refused.
pub const FORBIDDEN: &str = "/forbidden";

impl Listener {
    pub fn new(
        config: ServerConfig,
        lane: Arc<Lane>,
        demands_retry: bool,
        established: Established,
    ) -> Arc<Self> {
        Arc::new(Self { config, lane, demands_retry, established, arrived: Mutex::default() })
    }
}

impl Acceptor for Listener {
    fn ignored(&self) {}

    fn admit(&self, now: Instant, incoming: &Incoming) -> Admission {
        if self.demands_retry && !incoming.remote_address_validated() && incoming.may_retry() {
            return Admission::Retry;
        }
        let (transport, view) =
            endpoint::transport_config(&ConnectionOptions::default(), true).expect("default options");
        let mut config = self.config.clone();
        config.transport_config(transport);
        Admission::Accept(Box::new(Accepted {
            config: Arc::new(config),
            view,
            session: LinkSession::new(Arc::clone(&self.lane)),
            deadline: now + HANDSHAKE,
            half_open: Box::new(()),
            place: Box::new(()),
            replaces_oldest: false,
            rate_limit: None,
        }))
    }

    fn answer(&self, asked: Asked<'_>) -> Answer {
        if asked.request.path.starts_with(FORBIDDEN) {
            return Answer::Reject { status: 403, headers: Vec::new() };
        }
        Answer::Accept { headers: Vec::new() }
    }

    fn refused_unread(&self) {}

    fn established(&self, session: &Arc<LinkSession>, _: Duration, _: bool) -> Option<Duration> {
        (self.established)(session);
        self.arrived.lock().expect("arrived").push(Arc::clone(session));
        None
    }

    fn not_accepted(&self, _: &Arc<LinkSession>) {}

    fn handshake_failed(&self, _: Option<&ConnectionError>, _: &Error) {}

    fn failed(&self) {
        unreachable!("a simulated socket does not break");
    }
}
