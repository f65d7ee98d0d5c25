//! Turns of the session's lane: they feed QUIC as many datagrams as it takes.

use std::time::Duration;

use bytes::Bytes;

use super::SendHalf;
use super::queue::{HandOver, Taker};
use super::state::Attention;
use crate::link::core::datagrams::MOST_FED;
use crate::link::{Feeder, HandOverError, Left};
use crate::runtime::clock;

/// The search for expired datagrams takes a few nanoseconds for each that waits. While the path is
/// blocked, ten times as long passes between two searches, so that a queue of any length cannot
/// keep the lane busy.
const EXPIRY_REST_PER_DATAGRAM: Duration = Duration::from_nanos(100);

impl Taker for Feeder<'_> {
    fn admits(&mut self, framed_len: usize) -> bool {
        Self::admits(self, framed_len)
    }

    fn take(&mut self, framed: Bytes) -> HandOver {
        match self.hand_over(framed) {
            Ok(()) => HandOver::Sent,
            Err(HandOverError::TooLarge) => HandOver::TooLarge,
            Err(HandOverError::Unsupported) => HandOver::Failed,
            Err(HandOverError::Closed) => HandOver::Closed,
        }
    }
}

impl SendHalf {
    pub(in crate::datagram) fn feed(&self, feeder: &mut Feeder<'_>) -> Left {
        let mut state = self.lock();
        // Not the time of the turn: datagrams that were queued since the turn began may have
        // expired, too.
        let now = clock::now();
        let queue = &mut state.queue;
        if queue.is_closed() {
            return Left::Nothing;
        }
        let before = queue.counters().queued.datagrams;
        queue.expire(now);
        let any = queue.hand_over(now, MOST_FED, feeder) > 0;
        let waiting = !queue.is_empty();
        // While the path is blocked, nothing else looks at the clock; outcomes should be on time.
        let until = if !any && waiting { queue.next_expiry() } else { None };
        let rest = EXPIRY_REST_PER_DATAGRAM.saturating_mul(before.try_into().unwrap_or(u32::MAX));
        let look_at = until.map(|until| until.max(now + rest));
        state.lane = match (any, waiting) {
            (true, _) => Attention::Busy,
            (false, false) => Attention::Idle,
            (false, true) => Attention::Blocked { until },
        };
        if waiting { Left::Waiting(look_at) } else { Left::Nothing }
    }
}
