//! Delivery in the turns of the session's lane.

use std::time::Instant;

use bytes::Bytes;

use super::routes::Offered;
use super::{ReceiveHalf, State};
use crate::runtime::clock;

impl State {
    fn count_routed(&mut self, size: usize) {
        self.routed.add(size);
        self.routed_sizes.record(size);
        self.queue.claim_sequence();
    }
}

impl ReceiveHalf {
    /// Takes the datagrams that arrived.
    pub(in crate::datagram) fn deliver(&self, now: Instant, batch: &[Bytes]) {
        let routes = self.routes.read().clone();
        let mut offered = Vec::new();
        if !routes.is_empty() {
            offered = batch.iter().map(|one| routes.offer(now, one)).collect();
        }
        let mut state = self.state.lock();
        state.last_arrival = Some(now);
        for (one, offered) in batch.iter().zip(&offered) {
            match offered {
                Offered::Left => {}
                Offered::Taken => state.count_routed(one.len()),
                Offered::Dropped => state.queue.count_dropped_elsewhere(one.len()),
            }
        }
        if state.ended {
            return;
        }
        let was_empty = state.queue.queued().datagrams == 0;
        let is_left = |index: usize| offered.get(index).is_none_or(|offered| *offered == Offered::Left);
        let ours = batch.iter().enumerate().filter(|(index, _)| is_left(*index)).map(|(_, one)| &one[..]);
        let kept = state.queue.push_batch(now, clock::unix_us(), ours);
        drop(state);
        match kept {
            0 => {}
            1 => self.readable.notify_one(),
            _ => self.readable.notify_all(),
        }
        if was_empty && kept > 0 {
            self.watchers.notify();
        }
    }

    /// Whether the queue is more than half full.
    pub(in crate::datagram) fn reader_is_behind(&self) -> bool {
        let state = self.state.lock();
        let (queued, limits) = (state.queue.queued(), state.queue.config().limits);
        queued.datagrams > limits.datagrams as u64 / 2 || queued.bytes > limits.bytes as u64 / 2
    }

    /// No more datagrams will arrive.
    pub(in crate::datagram) fn end(&self) {
        self.state.lock().ended = true;
        self.readable.notify_all();
        self.watchers.notify();
    }
}
