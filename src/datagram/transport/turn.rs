//! What the session's lane does in its turns: from our queue to QUIC, and from QUIC to our queue.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Transport;
use super::sending_side::Attention;
use crate::datagram::message::Outgoing;
use crate::datagram::outbound::HandOver;
use crate::link::core::datagrams::MOST_FED;
use crate::link::{Datagrams, Feeder, HandOverError, Left};
use crate::runtime::clock;

/// Looking for expired datagrams takes a few nanoseconds for each that waits. While the path is blocked ten times as much
/// passes between two looks, so that a queue as long as the caller likes cannot keep the lane busy.
const EXPIRY_REST_PER_DATAGRAM: Duration = Duration::from_nanos(100);

thread_local! {
    /// Where a lane gathers a train: one pair of buffers for all its sessions, so that an idle session holds none.
    static SCRATCH: RefCell<Scratch> = const { RefCell::new((Vec::new(), Vec::new())) };
}

type Scratch = (Vec<Outgoing>, Vec<(Outgoing, HandOver)>);

impl Datagrams for Transport {
    fn feed(&self, feeder: &mut Feeder<'_>) -> Left {
        SCRATCH.with_borrow_mut(|(batch, settled)| {
            // What a panic left in it belongs to another session.
            batch.clear();
            settled.clear();
            self.feed_with(feeder, batch, settled)
        })
    }

    fn deliver(&self, now: Instant, payloads: &[Bytes]) {
        self.arrived(now, payloads);
    }

    fn reader_is_behind(&self) -> bool {
        Self::reader_is_behind(self)
    }

    fn size_changed(&self) {
        self.refresh_size();
    }

    fn is_closed(&self) -> bool {
        self.is_ending.load(Ordering::SeqCst)
    }

    fn ended(&self) {
        self.end_sending();
        self.end_receiving();
    }
}

impl Transport {
    fn feed_with(
        &self,
        feeder: &mut Feeder<'_>,
        batch: &mut Vec<Outgoing>,
        settled: &mut Vec<(Outgoing, HandOver)>,
    ) -> Left {
        let left = {
            let mut sending = self.sending();
            // Not the turn's time: what was queued since the turn began may have expired since, too.
            let now = clock::now();
            let queue = &mut sending.queue;
            if queue.is_closed() {
                return Left::Nothing;
            }
            let before = queue.counters().queued.datagrams;
            queue.expire(now);
            queue.pop_batch(now, MOST_FED, |framed_len| feeder.admits(framed_len), batch);
            let waiting = !queue.is_empty();
            // Nobody else looks at the clock while the path is blocked, and an outcome should be on time.
            let until = if batch.is_empty() && waiting { queue.next_expiry() } else { None };
            let rest = EXPIRY_REST_PER_DATAGRAM.saturating_mul(before.try_into().unwrap_or(u32::MAX));
            let look_at = until.map(|until| until.max(now + rest));
            sending.lane = match (batch.is_empty(), waiting) {
                (false, _) => Attention::Busy,
                (true, false) => Attention::Idle,
                (true, true) => Attention::Blocked { until },
            };
            if waiting { Left::Waiting(look_at) } else { Left::Nothing }
        };
        if !batch.is_empty() {
            settled.extend(batch.drain(..).map(|mut item| {
                let outcome = match feeder.hand_over(std::mem::take(&mut item.payload)) {
                    Ok(()) => HandOver::Sent,
                    Err(HandOverError::TooLarge) => HandOver::TooLarge,
                    Err(HandOverError::Unsupported) => HandOver::Failed,
                    Err(HandOverError::Closed) => HandOver::Closed,
                };
                (item, outcome)
            }));
            self.sending().queue.settle(settled.drain(..));
        }
        left
    }
}
