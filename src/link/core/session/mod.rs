//! A WebTransport session as its user sees it: state, addresses, statistics, how a client waits for
//! it (`connecting`), and its end (`leaving`).

mod connecting;
mod leaving;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use once_cell::sync::OnceCell;
use parking_lot::{Condvar, Mutex};
use rustls::pki_types::CertificateDer;

use super::datagram_path::DatagramPath;
use super::datagrams::{DatagramState, Datagrams};
use super::lane::Lane;
use super::{ConnectionKey, Job, JobHandle};
use crate::error::{Error, Result};
use crate::link::h3::ConnectRequest;
use crate::link::memory::MemoryBudget;
use crate::link::tls::certificate_at;
use crate::runtime::readiness::{Pollable, Ready, Watchers};
use crate::runtime::waiters::{Lead, Waiters};
use crate::runtime::{CloseOnShutdown, clock};
use leaving::End;
pub use leaving::{CloseInfo, ClosedBy, MAX_CLOSE_REASON_BYTES};
pub(in crate::link) use leaving::{Signals, check_reason};

/// The phase of a session's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The handshake is under way.
    Connecting,
    /// Datagrams flow.
    Connected,
    /// Datagrams flow, and the peer has asked to end the session soon.
    Draining,
    /// The session is over.
    Closed,
}

/// Figures of the connection under a session.
#[derive(Debug, Clone, Default)]
pub struct SessionStats {
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Smallest round-trip time seen.
    pub min_rtt: Duration,
    /// Congestion window.
    pub congestion_window_bytes: u64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets lost.
    pub packets_lost: u64,
    /// Bytes in lost packets.
    pub bytes_lost: u64,
    /// Bytes of UDP payload sent.
    pub udp_bytes_sent: u64,
    /// Bytes of UDP payload received.
    pub udp_bytes_received: u64,
    /// UDP datagrams sent.
    pub udp_datagrams_sent: u64,
    /// UDP datagrams received.
    pub udp_datagrams_received: u64,
    /// Times the congestion window was reduced.
    pub congestion_events: u64,
    /// QUIC DATAGRAM frames sent.
    pub datagram_frames_sent: u64,
    /// QUIC DATAGRAM frames received.
    pub datagram_frames_received: u64,
    /// Streams that the peer opened and we refused; this library carries datagrams only.
    pub peer_streams_refused: u64,
    /// Largest UDP payload that the path carries.
    pub path_mtu_bytes: u32,
}

impl SessionStats {
    /// The figures that QUIC has. Refused streams are counted elsewhere.
    pub(in crate::link) fn of(connection: &quinn_proto::Connection) -> Self {
        let stats = connection.stats();
        Self {
            rtt: stats.path.rtt,
            min_rtt: connection.min_rtt(),
            congestion_window_bytes: stats.path.cwnd,
            packets_sent: stats.path.sent_packets,
            packets_lost: stats.path.lost_packets,
            bytes_lost: stats.path.lost_bytes,
            udp_bytes_sent: stats.udp_tx.bytes,
            udp_bytes_received: stats.udp_rx.bytes,
            udp_datagrams_sent: stats.udp_tx.datagrams,
            udp_datagrams_received: stats.udp_rx.datagrams,
            congestion_events: stats.path.congestion_events,
            datagram_frames_sent: stats.frame_tx.datagram,
            datagram_frames_received: stats.frame_rx.datagram,
            peer_streams_refused: 0,
            path_mtu_bytes: u32::from(stats.path.current_mtu),
        }
    }
}

/// What is known of a session that is established.
pub struct Established {
    /// Its connection in the lane's core.
    pub(in crate::link) key: ConnectionKey,
    /// The state of its datagrams, which can be read without the core.
    pub(in crate::link) state: Arc<DatagramState>,
    /// The address to which its UDP socket is bound.
    pub(in crate::link) socket_address: SocketAddr,
    /// The id of the CONNECT stream, which is also the session's id.
    pub id: u64,
    /// The client's request.
    pub request: Box<ConnectRequest>,
    /// The header fields of the server's response.
    pub response: Vec<(String, String)>,
    /// Whether this is the server's end.
    pub is_server: bool,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The peer's certificates, its own first; none for a client that showed none.
    pub peer_certificates: Vec<CertificateDer<'static>>,
}

impl Established {
    /// One of the peer's certificates, as DER.
    pub fn peer_certificate(&self, index: usize) -> Result<&[u8]> {
        certificate_at(&self.peer_certificates, index)
    }

    /// The header fields that the peer sent: those of the request for a server, those of the
    /// response for a client.
    pub fn peer_headers(&self) -> &[(String, String)] {
        if self.is_server { &self.request.headers } else { &self.response }
    }
}

/// What is left of a connection that is gone.
pub(in crate::link) struct Last {
    pub(in crate::link) stats: SessionStats,
    pub(in crate::link) remote: SocketAddr,
    pub(in crate::link) local_ip: Option<IpAddr>,
    /// Datagrams that arrived, for a reader that did not come in time.
    pub(in crate::link) unread: Vec<Bytes>,
}

/// One WebTransport session.
pub struct LinkSession {
    shared: Mutex<Shared>,
    changed: Condvar,
    /// Threads that wait until it is established.
    connecting: Waiters,
    watchers: Watchers,
    lane: Arc<Lane>,
    established: OnceCell<Established>,
    /// Where the memory counts that its peer makes us hold.
    memory: Option<Arc<MemoryBudget>>,
    peer_streams_refused: AtomicU64,
}

struct Shared {
    phase: Phase,
    was_connected: bool,
    /// Why a client could not establish it.
    failure: Option<Box<Error>>,
    end: End,
    /// Where its datagrams come from and go to, until its connection takes the sink.
    sink: Option<Arc<dyn Datagrams>>,
    last: Option<Box<Last>>,
}

impl LinkSession {
    /// A session on `lane` that is not established yet.
    pub fn new(lane: Arc<Lane>) -> Arc<Self> {
        Self::with_memory(lane, None)
    }

    /// The same; the memory that its peer makes us hold counts in `memory`.
    pub fn with_memory(lane: Arc<Lane>, memory: Option<Arc<MemoryBudget>>) -> Arc<Self> {
        Arc::new(Self {
            shared: Mutex::new(Shared {
                phase: Phase::Connecting,
                was_connected: false,
                failure: None,
                end: End::default(),
                sink: None,
                last: None,
            }),
            changed: Condvar::new(),
            connecting: Waiters::new(lane.lane_to_lead()),
            watchers: Watchers::default(),
            lane,
            established: OnceCell::new(),
            memory,
            peer_streams_refused: AtomicU64::new(0),
        })
    }

    /// The phase of the session's life.
    pub fn phase(&self) -> Phase {
        self.shared.lock().phase
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.phase() == Phase::Closed
    }

    /// What is known since the session was established. Before, this is [`Error::InvalidState`], and
    /// [`Error::Closed`] if it will never be.
    pub fn established(&self) -> Result<&Established> {
        self.established.get().ok_or_else(|| match self.phase() {
            Phase::Closed => Error::Closed,
            _ => Error::InvalidState(Cow::Borrowed("the session is not established yet")),
        })
    }

    /// The peer's current address. It may change when the peer moves to another network.
    pub fn remote_address(&self) -> Result<SocketAddr> {
        let (_, address, _) = self.look()?;
        // On a dual-stack socket, an IPv4 peer appears as ::ffff:a.b.c.d.
        Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The address from which this side's packets leave. Its IP address is unspecified where the
    /// system does not report it.
    pub fn local_address(&self) -> Result<SocketAddr> {
        let (_, _, local_ip) = self.look()?;
        let socket = self.established()?.socket_address;
        Ok(SocketAddr::new(local_ip.unwrap_or(socket.ip()).to_canonical(), socket.port()))
    }

    /// The lane that drives the session.
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Where the memory counts that its peer makes us hold.
    pub fn memory(&self) -> Option<Arc<MemoryBudget>> {
        self.memory.clone()
    }

    /// The path of its datagrams.
    pub(crate) fn datagram_path(&self) -> Result<DatagramPath> {
        let established = self.established()?;
        DatagramPath::new(
            Arc::clone(&self.lane),
            established.key,
            Arc::clone(&established.state),
            established.id,
        )
    }

    /// Attaches `sink`, which gets the session's datagrams from the first that arrived on. Once for
    /// each session.
    pub fn attach(&self, sink: Arc<dyn Datagrams>) -> Result<()> {
        let path = self.datagram_path()?;
        let mut shared = self.shared.lock();
        match &mut shared.last {
            None => {
                shared.sink = Some(sink);
                drop(shared);
                path.wake();
            }
            Some(last) => {
                let unread = std::mem::take(&mut last.unread);
                drop(shared);
                deliver_rest(&*sink, &unread);
            }
        }
        Ok(())
    }

    /// Adds a `job` that runs in turns of the session's lane, for the first time in the next one. A
    /// panic in it ends the session. Must not be called in a turn.
    pub fn add_job(&self, job: Arc<dyn Job>) -> Result<Arc<JobHandle>> {
        Ok(self.lane.add_job(self.established()?.key, job))
    }

    /// Figures of the connection.
    pub fn stats(&self) -> Result<SessionStats> {
        let (stats, _, _) = self.look()?;
        let peer_streams_refused = self.peer_streams_refused.load(Ordering::Relaxed);
        Ok(SessionStats { peer_streams_refused, ..stats })
    }

    /// Reads the figures from the core, or from the state that it left behind.
    fn look(&self) -> Result<(SessionStats, SocketAddr, Option<IpAddr>)> {
        let key = self.established()?.key;
        if let Some(seen) = self.lane.core().look(key) {
            return Ok(seen);
        }
        let shared = self.shared.lock();
        let last = shared.last.as_ref().ok_or(Error::Closed)?;
        Ok((last.stats.clone(), last.remote, last.local_ip))
    }

    /// Sets what is known of the session, so that its transport can be made.
    /// [`Self::set_connected`] follows.
    pub(in crate::link) fn set_established(&self, established: Established) {
        // A session is established once. A second value can only come from a defect and changes
        // nothing.
        let _ = self.established.set(established);
    }

    /// Says that the session is established. Returns `false` if its user has given it up before.
    pub(in crate::link) fn set_connected(&self) -> bool {
        self.advance(Phase::Connected)
    }

    pub(in crate::link) fn set_draining(&self) {
        self.advance(Phase::Draining);
    }

    /// Takes the sink, once.
    pub(in crate::link) fn take_sink(&self) -> Option<Arc<dyn Datagrams>> {
        self.shared.lock().sink.take()
    }

    /// Counts a stream that the peer opened and that was refused.
    pub(in crate::link) fn count_refused_stream(&self) {
        self.peer_streams_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps what is left of a connection that is gone.
    pub(in crate::link) fn set_last(&self, mut last: Last) {
        let mut shared = self.shared.lock();
        let sink = shared.sink.take();
        let unread = if sink.is_some() { std::mem::take(&mut last.unread) } else { Vec::new() };
        shared.last = Some(Box::new(last));
        drop(shared);
        if let Some(sink) = sink {
            deliver_rest(&*sink, &unread);
        }
    }

    fn advance(&self, phase: Phase) -> bool {
        {
            let mut shared = self.shared.lock();
            if phase <= shared.phase || shared.failure.is_some() {
                return false;
            }
            shared.phase = phase;
            shared.was_connected = true;
        }
        self.tell();
        true
    }

    fn tell(&self) {
        self.changed.notify_all();
        self.connecting.notify_all();
        self.watchers.notify();
    }
}

/// Delivers the last datagrams to a sink and ends it.
fn deliver_rest(sink: &dyn Datagrams, unread: &[Bytes]) {
    if !unread.is_empty() {
        sink.deliver(clock::now(), unread);
    }
    sink.ended();
}

impl Pollable for LinkSession {
    fn ready(&self) -> Ready {
        match self.phase() {
            Phase::Connecting => Ready::NONE,
            Phase::Connected => Ready::CONNECTED,
            Phase::Draining => Ready::CONNECTED | Ready::DRAINING,
            Phase::Closed => Ready::CLOSED,
        }
    }

    fn possible(&self) -> Ready {
        Ready::CONNECTED | Ready::DRAINING | Ready::CLOSED
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.lane.lane_to_lead()
    }
}

impl CloseOnShutdown for LinkSession {
    fn close_on_shutdown(&self) {
        if !self.fail(Error::ShutDown) {
            let _ = self.close(0, "");
        }
    }
}
