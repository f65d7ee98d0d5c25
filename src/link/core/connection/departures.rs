//! Trains of packets that leave, and the datagrams in them.

use std::time::Instant;

use quinn_proto::Transmit;

use super::{Connection, MAX_TRAIN_BYTES, Stage};

impl Connection {
    /// Writes the next train; `None` when there is nothing to write. `woken` says that the sink has
    /// something new.
    pub(in crate::link::core) fn transmit(
        &mut self,
        now: Instant,
        segments: usize,
        woken: bool,
        buffer: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if let Some(rare) = &mut self.rare
            && let Some((transmit, bytes)) = rare.blocked.take()
        {
            self.forget_rare();
            *buffer = bytes;
            return Some(transmit);
        }
        let train = self.feed(now, segments, woken);
        buffer.clear();
        let transmit = self.quic.poll_transmit(now, train, buffer);
        self.feeding.written(transmit.is_some());
        if transmit.is_none() {
            self.feeding.count_drops(&mut self.quic, &self.state, false);
        }
        transmit
    }

    /// Feeds QUIC for one train. Returns the most packets that the train may have.
    pub(super) fn feed(&mut self, now: Instant, segments: usize, woken: bool) -> usize {
        let mtu = usize::from(self.quic.current_mtu()).max(1);
        let train = segments.min(MAX_TRAIN_BYTES / mtu).max(1);
        if self.stage == Stage::Open
            && let Some(sink) = &self.sink
        {
            self.feeding.feed(now, &mut self.quic, &self.view, &**sink, train, woken);
        }
        train
    }

    /// Whether its sink has to be asked again in the next turn although nothing leaves in this one.
    pub(in crate::link::core) fn take_ask_again(&mut self) -> bool {
        self.feeding.take_ask_again()
    }

    /// Feeds QUIC before the turn that sends the datagrams.
    pub(in crate::link::core) fn feed_now(&mut self, now: Instant) {
        self.adopt();
        self.feed(now, usize::MAX, true);
    }

    /// Keeps a train that the socket did not take. It leaves first when the socket takes packets
    /// again.
    pub(in crate::link::core) fn hold(&mut self, transmit: Transmit, bytes: Vec<u8>) {
        self.rare().blocked = Some((transmit, bytes));
    }

    /// Notifies the sink if the size of the largest datagram changed.
    pub(super) fn publish_size(&mut self) {
        if self.stage >= Stage::Open && self.stage != Stage::Closed {
            let size = self.quic.datagrams().max_size();
            if self.state.set_max_size(size)
                && let Some(sink) = &self.sink
            {
                sink.size_changed();
            }
        }
    }
}
