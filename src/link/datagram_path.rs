//! The way a session's datagrams take through QUIC: batches in, one at a time out, and how much room there is.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use wtransport::quinn::{self, SendDatagramError};

use super::congestion::PathView;
use super::driver::{Broken, break_off};
use super::early;
use super::h3::error::H3_DATAGRAM_ERROR;
use super::h3::{ConnectionError, DatagramVerdict, QuarterStreamId};
use super::room::Room;
use crate::error::{Error, Result};

/// QUIC's receive buffer, in bytes; a pump empties it every time the lane turns.
pub(super) const QUIC_RECEIVE_BUFFER_BYTES: usize = 1024 * 1024;

/// The largest UDP payload we offer to receive: what Ethernet carries.
const MAX_UDP_PAYLOAD_BYTES: usize = 1472;

/// QUIC's own FIFO, in bytes: the most that can stand in it on the fastest path.
pub(super) const QUIC_SEND_BUFFER_BYTES: usize = 1024 * 1024;

/// What quinn counts for each datagram in its buffers beside the payload.
const QUIC_OVERHEAD_BYTES: usize = std::mem::size_of::<Bytes>();

/// Datagrams that may be handed over after one look at [`DatagramPath::room`].
pub const HAND_OVER_BATCH: usize = 512;

/// Kept free in QUIC's FIFO, so that its per-datagram overhead and one datagram more than asked for always fit: it
/// would make room by dropping its oldest, without a word.
const HAND_OVER_MARGIN_BYTES: usize = HAND_OVER_BATCH * QUIC_OVERHEAD_BYTES + 64 * 1024;

/// What QUIC's FIFO may hold, in time: long enough that a lane never starves the path between two turns, short
/// enough that a datagram of higher priority is not stuck behind a standing queue that nothing can overtake.
const STANDING: Duration = Duration::from_millis(2);

thread_local! {
    /// Where a lane gathers a batch: one buffer for all its sessions, so that an idle session holds none.
    static SCRATCH: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body` with the lane's scratch, empty. Whatever a receiver that panicked left in it belongs to another session.
fn with_scratch<T>(body: impl FnOnce(&mut Vec<Bytes>) -> T) -> T {
    SCRATCH.with_borrow_mut(|batch| {
        batch.clear();
        let result = body(batch);
        batch.clear();
        result
    })
}

/// Bytes that stand in QUIC's FIFO, of whose buffer `free` are left.
fn standing(free: usize) -> usize {
    QUIC_SEND_BUFFER_BYTES.saturating_sub(free + QUIC_OVERHEAD_BYTES)
}

/// A session's datagrams below all queues. One at a time sends, and exactly one task receives.
pub struct DatagramPath {
    connection: quinn::Connection,
    view: Arc<PathView>,
    broken: Broken,
    quarter: QuarterStreamId,
    /// What came before the path, until the first look.
    early: Mutex<Vec<Bytes>>,
    /// Nobody takes anything any more: what arrives is dropped.
    ended: AtomicBool,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    taken: AtomicU64,
    foreign: AtomicU64,
    receive_dropped: AtomicU64,
    handed: AtomicU64,
    send_dropped: AtomicU64,
    /// Taken since QUIC's buffer was last seen empty.
    burst: AtomicUsize,
}

/// What the path itself lost or refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathCounts {
    /// Datagrams that carried another stream's id.
    pub foreign: u64,
    /// Datagrams that arrived and that nobody took: QUIC's receive buffer was full, the client had not asked for the session
    /// yet, or its transport was closed.
    pub receive_dropped_by_quic: u64,
    /// Datagrams that QUIC accepted and dropped unsent: the path's MTU shrank, or the connection ended.
    pub send_dropped_by_quic: u64,
}

/// Why QUIC did not take a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOverError {
    /// Larger than the path or the peer carries now.
    TooLarge,
    /// The peer takes no datagrams.
    Unsupported,
    /// The connection is over.
    Closed,
}

impl DatagramPath {
    pub(super) fn new(
        connection: quinn::Connection,
        view: Arc<PathView>,
        broken: Broken,
        early: Vec<Bytes>,
        session_id: u64,
    ) -> Result<Self> {
        let quarter = QuarterStreamId::of(session_id)
            .ok_or_else(|| Error::Protocol(format!("{session_id} is not a session id")))?;
        // What was dropped before is counted at the first look.
        let counts = Counts { burst: AtomicUsize::new(usize::MAX / 2), ..Counts::default() };
        let (early, ended) = (Mutex::new(early), AtomicBool::new(false));
        Ok(Self { connection, view, broken, quarter, early, ended, counts })
    }

    /// Waits for datagrams, takes what is ready (at most `most`) and gives their payloads to `deliver`.
    ///
    /// Safe to cancel: nothing that was taken is lost. An error means that the connection is over.
    pub async fn receive(&self, most: usize, deliver: impl FnOnce(&[Bytes])) -> Result<()> {
        let first = self.connection.read_datagram().await.map_err(|_| Error::Closed)?;
        with_scratch(|batch| {
            let result = self.take(first, batch).and_then(|()| self.take_ready(most, batch));
            deliver(batch);
            result
        })
    }

    /// Gives what is ready now, at most `most`, to `deliver`, without waiting. To be called once before all else: it also
    /// gives what came before this path was there.
    pub fn receive_ready(&self, most: usize, deliver: impl FnOnce(&[Bytes])) {
        with_scratch(|batch| {
            let early = std::mem::take(&mut *self.early.lock());
            let early = early.into_iter().try_for_each(|datagram| self.take(datagram, batch));
            let _ = early.and_then(|()| self.take_ready(most, batch));
            deliver(batch);
        });
    }

    /// From now on what arrives is dropped; resolves when nothing can arrive.
    pub fn drop_arrivals(&self) -> impl Future<Output = ()> + Send + 'static {
        self.ended.store(true, Ordering::Relaxed);
        early::drop_all(self.connection.clone())
    }

    fn take_ready(&self, most: usize, batch: &mut Vec<Bytes>) -> Result<()> {
        let mut context = Context::from_waker(Waker::noop());
        while batch.len() < most {
            // Nobody is woken by this look: `receive` waits properly.
            match pin!(self.connection.read_datagram()).poll(&mut context) {
                Poll::Ready(Ok(datagram)) => self.take(datagram, batch)?,
                Poll::Ready(Err(_)) => break,
                Poll::Pending => {
                    self.count_receive_drops();
                    break;
                }
            }
        }
        Ok(())
    }

    /// Counts what QUIC's receive buffer dropped, at a moment when that buffer is empty.
    ///
    /// The lane is one thread: nothing can arrive between the look that found the buffer empty and this one. A burst
    /// that fits the buffer cannot have lost anything, and is not looked at.
    fn count_receive_drops(&self) {
        let burst = self.counts.burst.swap(0, Ordering::Relaxed);
        if burst >= QUIC_RECEIVE_BUFFER_BYTES / (2 * MAX_UDP_PAYLOAD_BYTES) {
            self.count_not_taken();
        }
    }

    fn count_not_taken(&self) {
        let arrived = self.connection.stats().frame_rx.datagram;
        let dropped = arrived.saturating_sub(self.counts.taken.load(Ordering::Relaxed));
        self.counts.receive_dropped.store(dropped, Ordering::Relaxed);
    }

    fn take(&self, datagram: Bytes, batch: &mut Vec<Bytes>) -> Result<()> {
        self.counts.taken.fetch_add(1, Ordering::Relaxed);
        self.counts.burst.fetch_add(1, Ordering::Relaxed);
        match self.quarter.strip(datagram) {
            DatagramVerdict::Ours(payload) => batch.push(payload),
            DatagramVerdict::Foreign => {
                self.counts.foreign.fetch_add(1, Ordering::Relaxed);
            }
            DatagramVerdict::Malformed => {
                // RFC 9297 section 2.1: a connection error.
                let reason = "a datagram without a quarter stream id";
                let error = ConnectionError::new(H3_DATAGRAM_ERROR, reason);
                break_off(&self.connection, &self.broken, error);
                return Err(Error::Closed);
            }
        }
        Ok(())
    }

    /// The session whose datagrams take this path.
    pub fn session_id(&self) -> u64 {
        self.quarter.session_id()
    }

    /// Bytes that the session prefix takes of each datagram.
    pub fn prefix_len(&self) -> usize {
        self.quarter.prefix().len()
    }

    /// The session prefix and `payload` in one buffer: what [`DatagramPath::hand_over`] takes.
    pub fn frame(&self, payload: &[u8]) -> Bytes {
        let prefix = self.quarter.prefix();
        let mut framed = BytesMut::with_capacity(prefix.len() + payload.len());
        framed.put_slice(prefix);
        framed.put_slice(payload);
        framed.freeze()
    }

    /// Frames many datagrams into few buffers.
    pub fn framer(&self) -> Framer<'_> {
        Framer { prefix: self.quarter.prefix(), chunk: BytesMut::new() }
    }

    /// The largest payload that can be sent now; [`Error::Unsupported`] when not even an empty one can.
    pub fn max_payload(&self) -> Result<usize> {
        self.connection
            .max_datagram_size()
            .and_then(|limit| limit.checked_sub(self.prefix_len()))
            .ok_or(Error::Unsupported)
    }

    /// What may be handed over now, as at most [`HAND_OVER_BATCH`] datagrams: no more than the congestion window allows
    /// to leave at once, and than what lets QUIC's FIFO stay below [`STANDING`].
    ///
    /// At least one full packet when the FIFO and the path are empty, so that every path moves and small datagrams share
    /// packets.
    pub fn room(&self) -> Room {
        let free = self.connection.datagram_send_buffer_space();
        let standing = standing(free);
        let packet = self.connection.max_datagram_size().unwrap_or(0);
        let carried = self.view.bytes_in(STANDING).unwrap_or(0);
        let in_time = usize::try_from(carried).unwrap_or(usize::MAX).max(packet).saturating_sub(standing);
        let allowed = usize::try_from(self.view.packets_allowed()).unwrap_or(usize::MAX);
        let packets = allowed.saturating_sub(standing.div_ceil(packet.max(1)));
        Room::new(in_time.min(free.saturating_sub(HAND_OVER_MARGIN_BYTES)), packets, packet)
    }

    /// Whether something waits that [`DatagramPath::room`] had to turn away because of the congestion window.
    pub fn hold_back(&self, held_back: bool) {
        self.view.hold_back(held_back);
    }

    /// To be said when the window has been full for longer than it takes a path to answer.
    pub fn doubt_in_flight(&self) {
        self.view.doubt_in_flight();
    }

    /// Gives a framed datagram to QUIC. Only within [`DatagramPath::room`]: QUIC evicts its oldest otherwise.
    pub fn hand_over(&self, framed: Bytes) -> Result<(), HandOverError> {
        let bytes = framed.len();
        self.view.hand_over(bytes);
        let taken = self.connection.send_datagram(framed);
        if taken.is_err() {
            self.view.take_back(bytes);
        }
        match taken {
            Ok(()) => {
                self.counts.handed.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(SendDatagramError::TooLarge) => Err(HandOverError::TooLarge),
            Err(SendDatagramError::UnsupportedByPeer | SendDatagramError::Disabled) => {
                Err(HandOverError::Unsupported)
            }
            Err(SendDatagramError::ConnectionLost(_)) => Err(HandOverError::Closed),
        }
    }

    /// Gives a framed datagram to QUIC if it can leave at once; whether it did.
    ///
    /// On any thread, unlike [`DatagramPath::hand_over`], but never two at once for one session. The calling thread may
    /// have to wait for the lane to finish encrypting a packet of this connection.
    pub fn hand_over_if_empty(&self, framed: &Bytes) -> bool {
        let free = self.connection.datagram_send_buffer_space();
        standing(free) == 0 && self.view.packets_allowed() > 0 && self.hand_over(framed.clone()).is_ok()
    }

    /// Returns when packets have left, were acknowledged or lost since the last return: there may be more room.
    pub async fn packets_moved(&self) {
        self.view.packets_moved().await;
    }

    /// Returns when the path's MTU has changed since the last return, and with it [`DatagramPath::max_payload`].
    pub async fn mtu_changed(&self) {
        self.view.mtu_changed().await;
    }

    /// What was lost below our queues, as of the last moment at which QUIC's buffers were empty.
    pub fn counts(&self) -> PathCounts {
        // In this order a datagram handed over meanwhile can only be missed, never counted as dropped.
        let handed = self.counts.handed.load(Ordering::Relaxed);
        let free = self.connection.datagram_send_buffer_space();
        let over = self.connection.close_reason().is_some();
        if over || standing(free) == 0 {
            let sent = self.connection.stats().frame_tx.datagram;
            self.counts.send_dropped.fetch_max(handed.saturating_sub(sent), Ordering::Relaxed);
        }
        if self.ended.load(Ordering::Relaxed) {
            self.count_not_taken();
        }
        PathCounts {
            foreign: self.counts.foreign.load(Ordering::Relaxed),
            receive_dropped_by_quic: self.counts.receive_dropped.load(Ordering::Relaxed),
            send_dropped_by_quic: self.counts.send_dropped.load(Ordering::Relaxed),
        }
    }
}

/// Bytes that a [`Framer`] allocates at once. A datagram that stays behind in a queue keeps its whole chunk, so a chunk is
/// no more than that.
const CHUNK_BYTES: usize = 16 * 1024;

/// Puts datagrams behind their session prefix, many in one allocation: allocating on the caller's thread what the lane
/// frees was measured as a third of what sending costs beyond QUIC.
pub struct Framer<'a> {
    prefix: &'a [u8],
    chunk: BytesMut,
}

impl Framer<'_> {
    /// The session prefix and `payload`: what [`DatagramPath::hand_over`] takes.
    pub fn frame(&mut self, payload: &[u8]) -> Bytes {
        let needed = self.prefix.len() + payload.len();
        if self.chunk.capacity() < needed {
            self.chunk = BytesMut::with_capacity(needed.max(CHUNK_BYTES));
        }
        self.chunk.put_slice(self.prefix);
        self.chunk.put_slice(payload);
        self.chunk.split().freeze()
    }
}
