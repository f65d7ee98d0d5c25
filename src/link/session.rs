//! One WebTransport session as its user sees it: state, addresses, statistics, closing.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use once_cell::sync::OnceCell;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;
use wtransport::quinn;

use super::congestion::PathView;
use super::datagram_path::DatagramPath;
use super::driver::{Broken, EndsOnPanic};
use super::early::Early;
use crate::error::{Error, Result};
use crate::runtime::readiness::{Pollable, Ready, Watchers};
use crate::runtime::wait::{Deadline, wait_for};
use crate::runtime::{CloseOnShutdown, Lane};

/// The longest close reason, in bytes of UTF-8 (draft-ietf-webtrans-http3 section 6).
pub const MAX_CLOSE_REASON_BYTES: usize = 1024;

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The handshake is under way.
    Connecting,
    /// Datagrams flow.
    Connected,
    /// Datagrams flow, and the peer has asked to end the session soon.
    Draining,
    /// Over.
    Closed,
}

/// Who ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// This side.
    Local,
    /// The other side, in its own words.
    Peer,
    /// The connection below: lost, timed out, or broken by a protocol error on either side.
    Transport,
}

/// The last words of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseInfo {
    /// Who ended it.
    pub by: ClosedBy,
    /// Application code; 0 where there is none.
    pub code: u32,
    /// Application reason, or what happened to the connection; at most [`MAX_CLOSE_REASON_BYTES`].
    pub reason: String,
    /// QUIC or HTTP/3 error code when `by` is [`ClosedBy::Transport`], else 0.
    pub transport_error: u64,
}

/// Figures of the connection under a session.
#[derive(Debug, Clone, Default)]
pub struct SessionStats {
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Least round-trip time seen.
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
    /// Largest UDP payload the path carries.
    pub path_mtu_bytes: u32,
}

/// What is known once a session is established.
pub struct Established {
    /// The connection; nobody outside `link` sees it.
    pub(super) connection: quinn::Connection,
    /// Window and RTT of its path.
    pub(super) view: Arc<PathView>,
    /// How the peer broke the protocol, once it did.
    pub(super) broken: Broken,
    /// Datagrams that came before it was established.
    pub(super) early: Mutex<Early>,
    /// What its UDP socket is bound to.
    pub(super) socket_address: SocketAddr,
    /// The CONNECT stream's id, which is the session's.
    pub id: u64,
    /// `:path` of the request.
    pub path: String,
    /// `:authority` of the request.
    pub authority: String,
}

/// One WebTransport session.
pub struct Session {
    shared: Mutex<Shared>,
    changed: Condvar,
    watchers: Watchers,
    lane: Lane,
    established: OnceCell<Established>,
    /// Tells the driver that `Shared::goodbye` is set.
    goodbye: Notify,
    pub(super) peer_streams_refused: AtomicU64,
}

struct Shared {
    phase: Phase,
    close: Option<CloseInfo>,
    /// What the driver has to say to the peer.
    goodbye: Option<(u32, String)>,
}

impl Session {
    pub(super) fn new(lane: Lane) -> Arc<Self> {
        Arc::new(Self {
            shared: Mutex::new(Shared { phase: Phase::Connecting, close: None, goodbye: None }),
            changed: Condvar::new(),
            watchers: Watchers::default(),
            lane,
            established: OnceCell::new(),
            goodbye: Notify::new(),
            peer_streams_refused: AtomicU64::new(0),
        })
    }

    /// Where the session is in its life.
    pub fn phase(&self) -> Phase {
        self.shared.lock().phase
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.phase() == Phase::Closed
    }

    /// What is known since it was established; [`Error::InvalidState`] before.
    pub fn established(&self) -> Result<&Established> {
        self.established.get().ok_or(Error::InvalidState(Cow::Borrowed("the session is not established")))
    }

    /// The peer's address now; it may change when the peer moves to another network.
    pub fn remote_address(&self) -> Result<SocketAddr> {
        let address = self.established()?.connection.remote_address();
        // On a dual-stack socket an IPv4 peer appears as ::ffff:a.b.c.d.
        Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The address this side's packets leave from; its IP address is unspecified where the system does not tell.
    pub fn local_address(&self) -> Result<SocketAddr> {
        let established = self.established()?;
        let ip = established.connection.local_ip().unwrap_or(established.socket_address.ip());
        Ok(SocketAddr::new(ip.to_canonical(), established.socket_address.port()))
    }

    /// The lane its tasks run on.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Runs a task of the established session on its lane. A panic in it ends the session.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match self.established.get() {
            Some(Established { connection, broken, .. }) => {
                EndsOnPanic(connection.clone(), Arc::clone(broken)).spawn(&self.lane, task);
            }
            None => self.lane.spawn(task),
        }
    }

    /// The way its datagrams take; the first of it begins with those that came before the session was established.
    pub fn datagram_path(&self) -> Result<DatagramPath> {
        let established = self.established()?;
        let Established { connection, view, broken, early, id, .. } = established;
        DatagramPath::new(connection.clone(), Arc::clone(view), Arc::clone(broken), early.lock().take(), *id)
    }

    /// Figures of the connection.
    pub fn stats(&self) -> Result<SessionStats> {
        let connection = &self.established()?.connection;
        let stats = connection.stats();
        Ok(SessionStats {
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
            peer_streams_refused: self.peer_streams_refused.load(Ordering::Relaxed),
            path_mtu_bytes: u32::from(stats.path.current_mtu),
        })
    }

    /// Ends the session: from now on it is closed for its users, and `code` and `reason` are on their way to the peer.
    ///
    /// A reason longer than [`MAX_CLOSE_REASON_BYTES`] is refused. Closing again does nothing.
    pub fn close(&self, code: u32, reason: &str) -> Result<()> {
        if reason.len() > MAX_CLOSE_REASON_BYTES {
            return Err(Error::InvalidArgument(Cow::Borrowed("a close reason has at most 1024 bytes")));
        }
        let closed =
            self.end(CloseInfo { by: ClosedBy::Local, code, reason: reason.to_owned(), transport_error: 0 });
        if closed {
            self.shared.lock().goodbye = Some((code, reason.to_owned()));
            self.goodbye.notify_one();
        }
        Ok(())
    }

    /// The last words, once the session is over.
    pub fn close_info(&self) -> Option<CloseInfo> {
        self.shared.lock().close.clone()
    }

    /// Waits until the session is over. Goodbyes leave in the background; `runtime::shutdown` waits for them.
    pub fn wait_closed(&self, deadline: Deadline) -> Result<CloseInfo> {
        wait_for(&mut self.shared.lock(), &self.changed, deadline, |shared| shared.close.clone().map(Ok))
    }

    pub(super) fn set_established(&self, established: Established) {
        // A session is established once; a second value can only come from a defect and changes nothing.
        let _ = self.established.set(established);
        self.advance(Phase::Connected);
    }

    pub(super) fn set_draining(&self) {
        self.advance(Phase::Draining);
    }

    /// Records the first last words; `false` when there were some already.
    pub(super) fn end(&self, info: CloseInfo) -> bool {
        {
            let mut shared = self.shared.lock();
            if shared.close.is_some() {
                return false;
            }
            shared.close = Some(info);
            shared.phase = Phase::Closed;
        }
        self.tell();
        true
    }

    /// Resolves when this side wants to end the session.
    pub(super) async fn wants_to_close(&self) -> (u32, String) {
        loop {
            if let Some(words) = self.shared.lock().goodbye.take() {
                return words;
            }
            self.goodbye.notified().await;
        }
    }

    fn advance(&self, phase: Phase) {
        {
            let mut shared = self.shared.lock();
            if phase <= shared.phase {
                return;
            }
            shared.phase = phase;
        }
        self.tell();
    }

    fn tell(&self) {
        self.changed.notify_all();
        self.watchers.notify();
    }
}

impl Pollable for Session {
    fn ready(&self) -> Ready {
        match self.phase() {
            Phase::Connecting => Ready::NONE,
            Phase::Connected | Phase::Draining => Ready::CONNECTED,
            Phase::Closed => Ready::CLOSED,
        }
    }

    fn possible(&self) -> Ready {
        Ready::CONNECTED | Ready::CLOSED
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

impl CloseOnShutdown for Session {
    fn close_on_shutdown(&self) {
        let _ = self.close(0, "");
    }
}
