//! The two tasks on the session's lane: from our queue to QUIC, and from QUIC to our queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::Transport;
use super::sending_side::Pump;
use crate::datagram::outbound::HandOver;
use crate::link::HandOverError;
use crate::link::datagram_path::HAND_OVER_BATCH;

/// Datagrams moved in one turn of a pump: enough to share locks and wake-ups, few enough that a turn stays short.
const BATCH: usize = HAND_OVER_BATCH;

/// Batches taken before other tasks of the lane get their turn; more than QUIC's buffer can hold at once.
const DRAIN_ROUNDS: usize = 64;

/// Looking for expired datagrams takes a few nanoseconds for each that waits. A blocked pump lets ten times as much
/// pass between two looks, so that a queue as long as the caller likes cannot keep the lane busy.
const EXPIRY_REST_PER_DATAGRAM: Duration = Duration::from_nanos(100);

/// How long the congestion window may be full with no packet sent, acknowledged or lost before what is said to be in
/// flight is doubted. Longer than paths take to answer; a probe timeout that has backed off further is no reason to send.
const DOUBT_AFTER: Duration = Duration::from_secs(1);

/// Moves datagrams from the queue to QUIC. Dropping it, for whatever reason, ends the sending side.
pub(super) struct SendPump(pub(super) Arc<Transport>);

impl SendPump {
    pub(super) async fn run(self) {
        let transport = &*self.0;
        let mut batch = Vec::new();
        let mut settled = Vec::new();
        let mut still_since = None;
        loop {
            let mut room = transport.path.room();
            let now = Instant::now();
            let (waiting, look_at) = {
                let mut sending = transport.sending();
                let queue = &mut sending.queue;
                if queue.is_closed() {
                    return;
                }
                let before = queue.counters().queued.datagrams;
                queue.expire(now);
                queue.pop_batch(now, BATCH, |framed_len| room.admits(framed_len), &mut batch);
                let waiting = !queue.is_empty();
                // Nobody else looks at the clock while the path is blocked, and an outcome should be on time.
                let until = if batch.is_empty() && waiting { queue.next_expiry() } else { None };
                let rest = EXPIRY_REST_PER_DATAGRAM.saturating_mul(before.try_into().unwrap_or(u32::MAX));
                let look_at = until.map(|until| until.max(now + rest));
                sending.pump = match (batch.is_empty(), waiting) {
                    (false, _) => Pump::Busy,
                    (true, false) => Pump::Idle,
                    (true, true) => Pump::Blocked { until },
                };
                (waiting, look_at)
            };
            let held_back = waiting && room.window_is_full();
            transport.path.hold_back(held_back);
            if batch.is_empty() {
                // An idle pump keeps neither the memory of a burst nor room for what only a blocked one waits for.
                if waiting {
                    let doubt_at = held_back.then(|| *still_since.get_or_insert(now) + DOUBT_AFTER);
                    let until = [look_at, doubt_at].into_iter().flatten().min();
                    if Box::pin(self.room_or_news(until)).await == Woken::PacketsMoved {
                        still_since = None;
                    } else if doubt_at.is_some_and(|at| at <= Instant::now()) {
                        transport.path.doubt_in_flight();
                        still_since = None;
                    }
                } else {
                    (batch, settled) = (Vec::new(), Vec::new());
                    self.news().await;
                }
                continue;
            }
            still_since = None;
            settled.extend(batch.drain(..).map(|mut item| {
                let outcome = transport.path.hand_over(std::mem::take(&mut item.payload));
                let outcome = match outcome {
                    Ok(()) => HandOver::Sent,
                    Err(HandOverError::TooLarge) => HandOver::TooLarge,
                    Err(HandOverError::Unsupported) => HandOver::Failed,
                    Err(HandOverError::Closed) => HandOver::Closed,
                };
                (item, outcome)
            }));
            transport.sending().queue.settle(settled.drain(..));
            // QUIC's driver shares this thread: it gets its turn before more is brought.
            tokio::task::yield_now().await;
        }
    }
}

impl SendPump {
    /// Waits for something new in the queue, and follows the path's MTU.
    async fn news(&self) {
        tokio::select! {
            () = self.0.sending.work() => {}
            () = self.0.path.mtu_changed() => self.0.refresh_size(),
        }
    }

    /// Waits for news, for packets that move, or until `until`.
    async fn room_or_news(&self, until: Option<Instant>) -> Woken {
        tokio::select! {
            () = self.0.path.packets_moved() => Woken::PacketsMoved,
            () = self.news() => Woken::Otherwise,
            () = sleep_until(until.unwrap_or_else(Instant::now).into()), if until.is_some() => Woken::Otherwise,
        }
    }
}

/// What ended the wait of a blocked pump.
#[derive(PartialEq, Eq)]
enum Woken {
    PacketsMoved,
    Otherwise,
}

impl Drop for SendPump {
    fn drop(&mut self) {
        self.0.end_sending();
    }
}

/// Moves datagrams from QUIC to the queue. Dropping it, for whatever reason, ends the receiving side.
pub(super) struct ReceivePump(pub(super) Arc<Transport>);

impl ReceivePump {
    pub(super) async fn run(self) {
        let transport = &*self.0;
        self.drain();
        loop {
            tokio::select! {
                result = transport.path.receive(BATCH, |batch| transport.arrived(batch)) => {
                    if result.is_err() {
                        return;
                    }
                    self.drain();
                }
                () = transport.ending.notified() => {
                    // What arrived before the end is still worth reading.
                    transport.path.receive_ready(usize::MAX, |batch| transport.arrived(batch));
                    // A task of its own: it outlives the transport.
                    transport.session.spawn(transport.path.drop_arrivals());
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

impl ReceivePump {
    /// Empties QUIC's buffer before QUIC gets its next turn, which may bring more than that buffer holds.
    fn drain(&self) {
        let transport = &*self.0;
        for _ in 0..DRAIN_ROUNDS {
            let mut count = 0;
            transport.path.receive_ready(BATCH, |batch| {
                count = batch.len();
                transport.arrived(batch);
            });
            if count < BATCH {
                break;
            }
        }
        // With fewer cores than busy threads the reader may not run while this thread does. It is cheaper to let it
        // than to drop what it would have read.
        if transport.reader_is_behind() {
            std::thread::yield_now();
        }
    }
}

impl Drop for ReceivePump {
    fn drop(&mut self) {
        self.0.end_receiving();
    }
}
