//! One payload for many transports: framed once for each session id, shared by reference, never waiting.

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::sending::refused;
use super::sending_side::{Call, Sending};
use super::{SendOptions, Transport};
use crate::datagram::message::Outgoing;
use crate::datagram::outbound::{PushError, Pushed};
use crate::error::Result;
use crate::runtime::clock;

/// A payload behind its session prefix. Transports of the same session id can share it; clones share the bytes.
#[derive(Debug, Clone)]
pub struct Framed {
    bytes: Bytes,
    prefix_len: u8,
}

impl Framed {
    /// Payload bytes.
    pub fn size(&self) -> usize {
        self.bytes.len().saturating_sub(usize::from(self.prefix_len))
    }
}

impl Transport {
    /// The id of its session, the same for most transports: that of the first stream of a connection.
    pub fn session_id(&self) -> u64 {
        self.path.session_id()
    }

    /// Reads from each part of memory that [`Self::send_framed`] uses, and does nothing with it: reads that do not wait
    /// for each other are served at once.
    pub fn look_ahead(&self) {
        black_box((
            self.path.session_id(),
            self.max_payload.load(Ordering::Relaxed),
            self.sending.is_locked(),
        ));
    }

    /// Frames `payload` for this transport, and for others of the same session id.
    pub fn frame(&self, payload: &[u8]) -> Framed {
        Framed { bytes: self.path.frame(payload), prefix_len: self.path.prefix_len() as u8 }
    }

    /// Sends what [`Self::frame`] made, without copying it and without waiting for room: when the policy is to wait, a
    /// full queue is counted as a rejection.
    ///
    /// Where nothing waits and the lane is free, it goes to QUIC on the calling thread. Not in a turn.
    pub fn send_framed(&self, framed: &Framed, options: &SendOptions) -> Result<Pushed> {
        let checked = self.check_size(framed.size());
        let now = clock::now();
        let mut sending = self.sending();
        let admitted = sending.admit(checked, framed.size(), options);
        let result = admitted.and_then(|()| self.take_in_framed(&mut sending, framed, options, now));
        sending.time.record(now.elapsed());
        sending.call_lane(Call::Feed);
        result
    }

    fn take_in_framed(
        &self,
        sending: &mut Sending,
        framed: &Framed,
        options: &SendOptions,
        now: Instant,
    ) -> Result<Pushed> {
        let Framed { bytes, prefix_len } = framed.clone();
        let item = Outgoing::new(bytes, prefix_len, options.priority, now, options.ttl, options.report_id);
        sending.queue.push(now, item).map_err(|error| {
            if let PushError::Full(back) = &error {
                let _ = sending.queue.count_rejected(back.size(), options.report_id);
            }
            refused(&error)
        })
    }
}
