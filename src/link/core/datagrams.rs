//! The datagrams of a session in a lane's turn. They are fed to QUIC just in time for the train
//! that is written next, and those that arrived are delivered.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{Connection, SendDatagramError};

use crate::link::budget::Budget;
use crate::link::congestion::PathView;

/// The size of QUIC's receive buffer in bytes. It is emptied after each UDP message. The worst
/// message, with some 16,000 datagrams of one byte at 34 bytes each, fits, so QUIC drops nothing.
pub const QUIC_RECEIVE_BUFFER_BYTES: usize = 1024 * 1024;

/// The size of QUIC's own FIFO in bytes: far more than a train.
pub const QUIC_SEND_BUFFER_BYTES: usize = 1024 * 1024;

/// Bytes that QUIC counts for each datagram in its buffers in addition to the payload.
const QUIC_OVERHEAD_BYTES: usize = size_of::<Bytes>();

/// The most datagrams that are fed at once: a train of small ones.
pub const MOST_FED: usize = 1024;

/// Bytes kept free in QUIC's FIFO, so that its overhead and one datagram more than asked for always
/// fit. Otherwise QUIC would silently drop its oldest datagrams to make space.
const MARGIN_BYTES: usize = MOST_FED * QUIC_OVERHEAD_BYTES + 64 * 1024;

/// How much QUIC's FIFO may hold, in time. So a datagram of higher priority does not wait behind a
/// standing queue that nothing can overtake.
const STANDING: Duration = Duration::from_millis(2);

/// How long the congestion window may be full, with no packet sent, acknowledged or lost, before
/// the number of bytes in flight is doubted. It is longer than paths take to answer. A probe
/// timeout that has backed off further is no reason to send.
const DOUBT_AFTER: Duration = Duration::from_secs(1);

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

/// What waits in a sink after QUIC was fed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing waits. A thread that queues something wakes the lane.
    Nothing,
    /// Something waits for space. The sink wants to be asked again at that instant at the latest.
    Waiting(Option<Instant>),
}

/// Where the datagrams of a session come from and go to. The lane calls all functions in its turn,
/// so none of them may wait or ask the lane for its core.
pub trait Datagrams: Send + Sync {
    /// Hands over the datagrams that wait, as far as there is space.
    fn feed(&self, feeder: &mut Feeder<'_>) -> Left;
    /// Takes payloads that arrived.
    fn deliver(&self, now: Instant, payloads: &[Bytes]);
    /// Whether so much waits to be read that the reader should get time to run.
    fn reader_is_behind(&self) -> bool;
    /// The largest datagram that can be sent has changed.
    fn size_changed(&self);
    /// Whether the sink is closed and wants nothing more.
    fn is_closed(&self) -> bool;
    /// Nothing will be delivered or asked for again.
    fn ended(&self);
}

/// State of a connection's datagrams that any thread may read without a lock.
#[derive(Debug, Default)]
pub struct DatagramState {
    /// The largest frame payload that can be sent now, plus 1; 0 when the peer takes none.
    max_size: AtomicUsize,
    /// Datagrams that carried another stream's id.
    pub(super) foreign: AtomicU64,
    /// Datagrams that arrived and that QUIC's receive buffer dropped, or that no reader wanted.
    pub(super) receive_dropped: AtomicU64,
    /// Datagrams that arrived and were dropped because the peer sends faster than it may.
    pub(super) over_rate: AtomicU64,
    /// Datagrams that QUIC took and dropped unsent.
    pub(super) send_dropped: AtomicU64,
    /// Whether a command to the lane is on its way.
    pub(in crate::link) woken: AtomicBool,
}

/// What the path itself lost or refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathCounts {
    /// Datagrams that carried another stream's id.
    pub foreign: u64,
    /// Datagrams that arrived and were dropped before we took them.
    pub receive_dropped_by_quic: u64,
    /// Datagrams that arrived and were dropped because the peer sends faster than it may.
    pub receive_over_rate: u64,
    /// Datagrams that QUIC accepted and dropped unsent, because the path's MTU shrank or the
    /// connection ended.
    pub send_dropped_by_quic: u64,
}

impl DatagramState {
    /// The largest datagram that can be sent now, session prefix included; `None` when the peer
    /// takes none.
    pub fn max_size(&self) -> Option<usize> {
        self.max_size.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Sets the largest size. Returns whether it has changed.
    pub(super) fn set_max_size(&self, size: Option<usize>) -> bool {
        let size = size.map_or(0, |size| size + 1);
        if self.max_size.load(Ordering::Relaxed) == size {
            return false;
        }
        self.max_size.store(size, Ordering::Relaxed);
        true
    }

    /// The counts of lost datagrams.
    pub fn counts(&self) -> PathCounts {
        PathCounts {
            foreign: self.foreign.load(Ordering::Relaxed),
            receive_dropped_by_quic: self.receive_dropped.load(Ordering::Relaxed),
            receive_over_rate: self.over_rate.load(Ordering::Relaxed),
            send_dropped_by_quic: self.send_dropped.load(Ordering::Relaxed),
        }
    }
}

/// Bytes that wait in QUIC's FIFO.
pub(super) fn standing(quic: &mut Connection) -> usize {
    let free = quic.datagrams().send_buffer_space();
    QUIC_SEND_BUFFER_BYTES.saturating_sub(free + QUIC_OVERHEAD_BYTES)
}

/// Takes datagrams for one train.
pub struct Feeder<'a> {
    quic: &'a mut Connection,
    view: &'a PathView,
    room: Budget,
    handed: u64,
    refused: u64,
}

impl Feeder<'_> {
    /// Whether a datagram of `len` bytes, session prefix included, may be handed over, too. If so,
    /// it is counted.
    pub(crate) fn admits(&mut self, len: usize) -> bool {
        self.room.admits(len)
    }

    /// Gives QUIC a datagram that was admitted.
    pub fn hand_over(&mut self, framed: Bytes) -> Result<(), HandOverError> {
        let bytes = framed.len();
        let taken = self.quic.datagrams().send(framed, true);
        self.refused += u64::from(taken.is_err());
        match taken {
            Ok(()) => {
                self.view.hand_over(bytes);
                self.handed += 1;
                Ok(())
            }
            Err(SendDatagramError::TooLarge) => Err(HandOverError::TooLarge),
            // None blocks, because there is space.
            Err(_) => Err(HandOverError::Unsupported),
        }
    }
}

/// The sending side of one connection between two turns.
#[derive(Debug, Default)]
pub(super) struct Feeding {
    handed: u64,
    /// QUIC may have dropped some of what it took. This is counted when its FIFO is empty.
    recount: bool,
    /// Something waits because of the congestion window.
    held_back: bool,
    /// The sink was fed from, but nothing leaves after which it would be asked for more: QUIC
    /// refused all that it was offered, or sends none of it now.
    ask_again: bool,
    /// QUIC was given something since the last train was written.
    fed: bool,
    still_since: Option<Instant>,
    look_at: Option<Instant>,
    is_more_left: bool,
}

impl Feeding {
    /// When there is something to do although nothing happens.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.look_at, self.still_since.map(|since| since + DOUBT_AFTER)].into_iter().flatten().min()
    }

    /// Returns and clears whether the sink has to be asked again although nothing leaves.
    pub(super) fn take_ask_again(&mut self) -> bool {
        std::mem::take(&mut self.ask_again)
    }

    /// Notes whether QUIC has written a train for which it was fed. If not, QUIC's own window is
    /// full although ours is not.
    pub(super) fn written(&mut self, any: bool) {
        self.ask_again |= std::mem::take(&mut self.fed) && !any;
    }

    /// Notes that the path's MTU has changed: QUIC drops what no longer fits.
    pub(super) fn mtu_changed(&mut self) {
        self.recount = true;
    }

    /// Feeds QUIC for a train of at most `train` packets. Returns whether QUIC was given anything.
    /// `woken` says that the sink has something new.
    ///
    /// It feeds no more than the congestion window allows to leave at once, and no more than keeps
    /// QUIC's FIFO below [`STANDING`]. It feeds at least one full packet when the FIFO and the path
    /// are empty, so that every path moves and small datagrams share packets.
    pub(super) fn feed(
        &mut self,
        now: Instant,
        quic: &mut Connection,
        view: &PathView,
        sink: &dyn Datagrams,
        train: usize,
        woken: bool,
    ) -> bool {
        // A sink that handed something over the last time expects to be asked again.
        if self.held_back
            && let Some(since) = self.still_since
        {
            if view.take_moved() {
                self.still_since = None;
            } else if since + DOUBT_AFTER <= now {
                view.doubt_in_flight();
                self.still_since = None;
            } else if !woken && self.look_at.is_none_or(|at| at > now) {
                return false;
            }
        }
        let standing = standing(quic);
        let free = quic.datagrams().send_buffer_space();
        let packet = quic.datagrams().max_size().unwrap_or(0);
        let carried = view.bytes_in(STANDING).unwrap_or(0);
        let in_time = usize::try_from(carried).unwrap_or(usize::MAX).max(packet).saturating_sub(standing);
        let allowed = usize::try_from(view.packets_allowed()).unwrap_or(usize::MAX);
        let packets = allowed.min(train).saturating_sub(standing.div_ceil(packet.max(1)));
        let room = Budget::new(in_time.min(free.saturating_sub(MARGIN_BYTES)), packets, packet);
        let mut feeder = Feeder { quic, view, room, handed: 0, refused: 0 };
        let left = sink.feed(&mut feeder);
        let Feeder { room, handed, refused, .. } = feeder;
        self.handed += handed;
        self.ask_again = handed == 0 && refused > 0;
        self.fed |= handed > 0;
        let waits = matches!(left, Left::Waiting(_));
        // Only the window is worth waiting for, not the train: the next train follows this one.
        self.held_back = waits && room.window_is_full() && allowed <= train;
        view.hold_back(self.held_back);
        self.still_since = match (handed, self.held_back) {
            (0, true) => Some(self.still_since.unwrap_or(now)),
            _ => None,
        };
        self.is_more_left = waits;
        self.look_at = match left {
            Left::Waiting(look_at) if handed == 0 => look_at,
            _ => None,
        };
        handed > 0
    }

    /// Whether something was left in the sink when QUIC was fed last.
    pub(super) fn is_more_left(&self) -> bool {
        self.is_more_left
    }

    /// Counts the datagrams that QUIC dropped unsent, when it holds none. `over` says that QUIC
    /// will send none of those that it holds.
    pub(super) fn count_drops(&mut self, quic: &mut Connection, state: &DatagramState, over: bool) {
        if over || (self.recount && standing(quic) == 0) {
            self.recount = false;
            let sent = quic.stats().frame_tx.datagram;
            state.send_dropped.store(self.handed.saturating_sub(sent), Ordering::Relaxed);
        }
    }
}
