//! The state of a connection and its session: events of QUIC go in, packets of the session come
//! out.

mod arrivals;
mod asking;
mod departures;
mod leaving;
mod streams;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{ConnectionError, ConnectionHandle, Event as QuicEvent, Side, StreamId, Transmit};

use super::ConnectionKey;
use super::datagrams::{DatagramState, Datagrams, Feeding};
use super::handshake::{Acceptor, Handshake};
use super::rate_limit::RateLimit;
use crate::error::Error;
use crate::link::congestion::PathView;
use crate::link::core::session::{LinkSession, SessionStats};
use crate::link::h3::error::H3_NO_ERROR;
use crate::link::h3::{self, QuarterStreamId};
use crate::link::tls::{ConnectReset, HandshakeData};
use crate::runtime::LiveGuard;

/// How long a peer may take to acknowledge our CLOSE capsule. After that, we go on to close the
/// connection without the acknowledgement.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// How long the peer may then take to end the connection itself, so that its own close information
/// is not cut off. A CLOSE capsule may follow a STOP_SENDING for as long.
const LINGER: Duration = Duration::from_millis(250);

/// Bytes read from a stream at once. The stream's flow-control window limits how much can wait.
const CHUNK_BYTES: usize = 16 * 1024;

/// The most datagrams that are kept between CONNECT and the session's reader. A peer may send
/// datagrams together with CONNECT, and a server's first ones may overtake its answer.
const KEPT_DATAGRAMS: usize = 64;

/// The most datagrams that are delivered at once.
const DELIVERED_AT_ONCE: usize = 512;

/// The largest UDP payload that we offer to receive: the most that Ethernet carries.
const MAX_UDP_PAYLOAD_BYTES: usize = 1472;

/// The stage of a connection's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// QUIC's handshake is under way.
    Connecting,
    /// SETTINGS and CONNECT are under way.
    Asking,
    /// A server refused the request; the answer is on its way.
    Refusing,
    /// The session is established.
    Open,
    /// Our CLOSE capsule is on its way.
    Closing,
    /// The peer may have more to send, or wants to close the connection itself.
    Lingering,
    /// QUIC ends the connection.
    Closed,
}

/// Bytes of ours that a stream has not taken yet.
struct Unsent {
    stream: StreamId,
    bytes: Vec<u8>,
    sent: usize,
    finish: bool,
}

/// State that a connection needs rarely. It is freed when it is no longer needed.
#[derive(Default)]
struct Rare {
    unsent: Vec<Unsent>,
    /// Set when the peer has stopped reading the CONNECT stream: the instant until which we still
    /// wait, and the peer's code.
    give_up: Option<(Instant, u64)>,
    /// A transmit that the socket did not take.
    blocked: Option<(Transmit, Vec<u8>)>,
    /// Copies of the first datagrams of a session that has no reader yet. The originals would keep
    /// their packets in memory.
    early: Vec<Bytes>,
    /// The server whose program has yet to accept the session.
    unaccepted: Option<Arc<dyn Acceptor>>,
}

pub(super) struct Connection {
    pub(super) key: ConnectionKey,
    pub(super) endpoint: usize,
    pub(super) handle: ConnectionHandle,
    pub(super) quic: quinn_proto::Connection,
    pub(super) stage: Stage,
    /// Whether it is in the lane's list of connections with work.
    pub(super) is_listed: bool,
    /// Whether it got packets of the message that is being taken apart.
    pub(super) is_touched: bool,
    /// Whether its sink or its user has something new.
    pub(super) is_woken: bool,
    /// Whether its socket refused a train and has not taken packets since.
    pub(super) is_blocked: bool,
    pub(super) armed: Option<Instant>,
    h3: h3::SessionMachine,
    session: Arc<LinkSession>,
    state: Arc<DatagramState>,
    view: Arc<PathView>,
    sink: Option<Arc<dyn Datagrams>>,
    had_sink: bool,
    quarter: Option<QuarterStreamId>,
    connect: Option<StreamId>,
    /// How many bytes of the CONNECT stream were read.
    connect_read: u64,
    /// Where the peer's reset of the CONNECT stream waits, once QUIC is connected.
    connect_reset: Option<Arc<ConnectReset>>,
    socket_address: SocketAddr,
    /// Whether the session is to be closed when every datagram has left.
    leaving: bool,
    /// Our control stream, once it is open.
    control: Option<StreamId>,
    handshake: Option<Box<Handshake>>,
    /// The deadline of the stage.
    deadline: Option<Instant>,
    feeding: Feeding,
    taken: u64,
    /// Of the datagrams taken, those that no reader wanted; then those that QUIC dropped.
    dropped: u64,
    lost_by_quic: u64,
    /// Datagrams taken since QUIC's buffer was last seen empty.
    burst: usize,
    broken: Option<Box<h3::ConnectionError>>,
    /// Why a client's connection ended before the client asked for anything.
    pub(super) lost: Option<Box<Error>>,
    rare: Option<Box<Rare>>,
    live: Option<Arc<LiveGuard>>,
    /// Held until the connection is closed.
    place: Option<Box<dyn Send>>,
    /// Its place among the half-open connections, which it has until its session is established or
    /// its request waits for the program: the server counts it otherwise then.
    half_open: Option<Box<dyn Send>>,
    rate_limit: Option<Box<RateLimit>>,
}

/// The parts of a new connection.
pub(super) struct Parts {
    pub(super) key: ConnectionKey,
    pub(super) endpoint: usize,
    pub(super) handle: ConnectionHandle,
    pub(super) quic: quinn_proto::Connection,
    pub(super) session: Arc<LinkSession>,
    pub(super) view: Arc<PathView>,
    pub(super) handshake: Handshake,
    pub(super) deadline: Instant,
    pub(super) socket_address: SocketAddr,
    pub(super) place: Box<dyn Send>,
    pub(super) half_open: Option<Box<dyn Send>>,
    pub(super) rate_limit: Option<Box<RateLimit>>,
}

impl Connection {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            key,
            endpoint,
            handle,
            quic,
            session,
            view,
            handshake,
            deadline,
            socket_address,
            place,
            half_open,
            rate_limit,
        } = parts;
        let h3 = match quic.side() {
            Side::Client => h3::SessionMachine::client(),
            Side::Server => h3::SessionMachine::server(),
        };
        Self {
            key,
            endpoint,
            handle,
            quic,
            stage: Stage::Connecting,
            is_listed: false,
            is_touched: false,
            is_woken: false,
            is_blocked: false,
            armed: None,
            h3,
            session,
            state: Arc::default(),
            view,
            sink: None,
            had_sink: false,
            quarter: None,
            connect: None,
            connect_read: 0,
            connect_reset: None,
            socket_address,
            leaving: false,
            control: None,
            handshake: Some(Box::new(handshake)),
            deadline: Some(deadline),
            feeding: Feeding::default(),
            taken: 0,
            dropped: 0,
            lost_by_quic: 0,
            burst: 0,
            broken: None,
            lost: None,
            rare: None,
            live: Some(LiveGuard::new()),
            place: Some(place),
            half_open,
            rate_limit,
        }
    }

    pub(super) fn remote_address(&self) -> SocketAddr {
        self.quic.remote_address()
    }

    pub(super) fn local_ip(&self) -> Option<IpAddr> {
        self.quic.local_ip()
    }

    pub(super) fn stats(&self) -> SessionStats {
        SessionStats::of(&self.quic)
    }

    /// Handles timers, QUIC's events, and what follows from them: everything but datagrams and
    /// packets.
    pub(super) fn advance(&mut self, now: Instant) {
        while self.quic.poll_timeout().is_some_and(|due| due <= now) {
            self.quic.handle_timeout(now);
        }
        self.adopt();
        let lost = self.quic_events(now);
        self.open_control();
        self.ask_now();
        self.reset_connect();
        self.session_events(now);
        self.end_broken();
        if let Some(reason) = lost {
            self.lost(&reason);
        }
        self.send_signals(now);
        self.deadlines(now);
        if self.view.take_mtu_changed() {
            self.feeding.mtu_changed();
        }
        self.publish_size();
    }

    /// Handles QUIC's events. Returns the reason if the connection is lost.
    fn quic_events(&mut self, now: Instant) -> Option<ConnectionError> {
        let mut lost = None;
        while let Some(event) = self.quic.poll() {
            match event {
                QuicEvent::Connected if self.stage == Stage::Connecting => {
                    self.stage = Stage::Asking;
                    self.connect_reset = connect_reset(&self.quic);
                    if let Some(Handshake::Client { connected, .. }) = self.handshake.as_deref_mut()
                        && let Some(connected) = connected.take()
                    {
                        connected(Ok(()));
                    }
                }
                QuicEvent::ConnectionLost { reason } => lost = Some(reason),
                QuicEvent::Stream(event) => self.stream_event(now, event),
                _ => {}
            }
        }
        lost
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn forget_rare(&mut self) {
        if self.rare.as_ref().is_some_and(|rare| {
            rare.unsent.is_empty()
                && rare.give_up.is_none()
                && rare.blocked.is_none()
                && rare.early.is_empty()
                && rare.unaccepted.is_none()
        }) {
            self.rare = None;
        }
    }

    /// Handles the events that the HTTP/3 state has found in the peer's streams.
    fn session_events(&mut self, now: Instant) {
        while let Some(event) = self.next_event() {
            match self.stage {
                Stage::Asking => self.handshake_event(now, event),
                Stage::Open => self.open_event(now, event),
                _ => {}
            }
            // A client's request or a server's answer may have waited for this event.
            self.ask_now();
            self.grant(now);
        }
        self.grant(now);
        if self.stage == Stage::Asking && self.handshake.is_none() {
            self.close(now, H3_NO_ERROR, b"");
        }
    }

    /// When the connection needs a turn although nothing happens.
    pub(super) fn due(&mut self) -> Option<Instant> {
        let give_up = self.rare.as_ref().and_then(|rare| rare.give_up).map(|(at, _)| at);
        // Otherwise nothing is fed, and the instant for which feeding waited may be long past.
        let feeds = self.stage == Stage::Open
            && self.sink.is_some()
            && self.rare.as_ref().is_none_or(|rare| rare.blocked.is_none());
        let feeding = if feeds { self.feeding.due() } else { None };
        [self.quic.poll_timeout(), self.deadline, give_up, feeding].into_iter().flatten().min()
    }

    /// Notes that a command about the session was read: the next wake posts a command again.
    pub(super) fn command_read(&self) {
        self.state.woken.store(false, Ordering::Release);
        std::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// Where the crypto session of `quic` leaves the peer's reset of the CONNECT stream.
fn connect_reset(quic: &quinn_proto::Connection) -> Option<Arc<ConnectReset>> {
    let data = quic.crypto_session().handshake_data()?.downcast::<HandshakeData>().ok()?;
    Some(data.connect_reset)
}

/// The most bytes of a train. A train is one `sendmsg`, which takes at most the 65,507 bytes of a
/// UDP datagram.
const MAX_TRAIN_BYTES: usize = 65_000;
