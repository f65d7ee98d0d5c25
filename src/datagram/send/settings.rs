//! Settings that can be changed while a transport runs. They apply at once, also to queued
//! datagrams.

use std::time::Duration;

use super::SendHalf;
use super::queue::{FullPolicy, SendConfig};
use super::watermark::Marks;
use crate::datagram::message::Limits;
use crate::runtime::clock;

impl SendHalf {
    /// The settings in force.
    pub fn config(&self) -> SendConfig {
        self.look(|state| state.queue.config())
    }

    /// Sets the limits. Under [`FullPolicy::Evict`] the queue evicts datagrams beyond them at once;
    /// under the other policies it keeps all. A high-water mark at or above the old limit moves to
    /// the new one.
    pub fn set_limits(&self, limits: Limits) {
        let mut state = self.lock();
        let SendConfig { limits: old, marks, .. } = state.queue.config();
        state.queue.set_limits(limits);
        if marks.high_datagrams >= old.datagrams.min(limits.datagrams.max(1)) {
            let marks_of_limit = Marks::of_datagrams(limits.datagrams);
            state.queue.set_marks(Marks {
                high_bytes: marks.high_bytes,
                low_bytes: marks.low_bytes,
                ..marks_of_limit
            });
        }
        state.queue.evict_beyond_limits(clock::now());
    }

    /// Sets what happens when the queue is full. It also applies to datagrams that already wait for
    /// space.
    pub fn set_policy(&self, policy: FullPolicy) {
        self.lock().queue.set_policy(policy);
    }

    /// Sets the age at which a datagram is dropped instead of sent; none or zero: never.
    pub fn set_max_age(&self, max_age: Option<Duration>) {
        let mut state = self.lock();
        state.queue.set_max_age(max_age);
        state.queue.expire(clock::now());
    }

    /// Sets the high-water and low-water marks.
    pub fn set_marks(&self, marks: Marks) {
        self.lock().queue.set_marks(marks);
    }

    /// The high-water mark, in datagrams.
    pub(crate) fn high_water_datagrams(&self) -> usize {
        self.config().marks.high_datagrams
    }
}
