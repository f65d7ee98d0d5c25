//! One payload for many transports: prefixed once for each session id, shared by reference, sent
//! without waiting.

use std::hint::black_box;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::SendHalf;
use super::queue::Pushed;
use crate::datagram::message::Content;
use crate::datagram::options::SendOptions;
use crate::error::Result;

/// A payload with its session prefix. Transports with the same session id can share it; clones
/// share the bytes.
#[derive(Debug, Clone)]
pub struct Prefixed {
    bytes: Bytes,
    prefix_len: usize,
}

impl SendHalf {
    /// Reads from each part of memory that [`Self::send_framed`] uses and ignores the values. The
    /// processor serves such reads together, because they do not depend on each other.
    pub(crate) fn look_ahead(&self) {
        black_box((self.path.session_id(), self.max_payload.load(Ordering::Relaxed), self.state.is_locked()));
    }

    /// Frames `payload` for this transport and all others with the same session id.
    pub fn frame(&self, payload: &[u8]) -> Prefixed {
        Prefixed { bytes: self.path.frame(payload), prefix_len: self.path.prefix().len() }
    }

    /// Sends the result of [`Self::frame`] without a copy and without a wait: with the policy to
    /// wait, a full queue counts as a rejection.
    ///
    /// If nothing waits and the lane is free, the bytes go to QUIC on the calling thread. Not to be
    /// called in a turn.
    pub fn send_framed(&self, framed: &Prefixed, options: &SendOptions) -> Result<Pushed> {
        self.send_shared(Content::Shared { framed: &framed.bytes, prefix_len: framed.prefix_len }, options)
    }
}
