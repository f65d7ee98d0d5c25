//! What can be changed while a transport runs. Everything takes effect on what is queued, at once.

use std::time::Duration;

use super::Transport;
use crate::datagram::inbound::{DropPolicy, InboundConfig};
use crate::datagram::message::Limits;
use crate::datagram::outbound::{FullPolicy, OutboundConfig};
use crate::datagram::watermark::Marks;
use crate::runtime::clock;

impl Transport {
    /// The settings of the sending side.
    pub fn outgoing_config(&self) -> OutboundConfig {
        self.sending.look(|sending| sending.queue.config())
    }

    /// The settings of the receiving side.
    pub fn incoming_config(&self) -> InboundConfig {
        self.receiving.lock().queue.config()
    }

    /// How much may wait for sending. Under [`FullPolicy::Evict`] what is too much now is evicted; the other policies
    /// keep what they accepted. A high-water mark at or above the old limit follows to the new one.
    pub fn set_outgoing_limits(&self, limits: Limits) {
        let mut sending = self.sending();
        let OutboundConfig { limits: old, marks, .. } = sending.queue.config();
        sending.queue.set_limits(limits);
        if marks.high_datagrams >= old.datagrams.min(limits.datagrams.max(1)) {
            let marks_of_limit = Marks::of_datagrams(limits.datagrams);
            sending.queue.set_marks(Marks {
                high_bytes: marks.high_bytes,
                low_bytes: marks.low_bytes,
                ..marks_of_limit
            });
        }
        sending.queue.evict_beyond_limits(clock::now());
    }

    /// What happens to a datagram that finds no room; those that wait for room are judged anew.
    pub fn set_outgoing_policy(&self, policy: FullPolicy) {
        self.sending().queue.set_policy(policy);
    }

    /// Age at which a datagram is dropped instead of sent; none or zero: never.
    pub fn set_outgoing_max_age(&self, max_age: Option<Duration>) {
        let mut sending = self.sending();
        sending.queue.set_max_age(max_age);
        sending.queue.expire(clock::now());
    }

    /// High and low water of what waits for sending.
    pub fn set_outgoing_marks(&self, marks: Marks) {
        self.sending().queue.set_marks(marks);
    }

    /// How much may wait for being received. Under [`DropPolicy::Oldest`] what is too much now is dropped;
    /// [`DropPolicy::Newest`] keeps what it took.
    pub fn set_incoming_limits(&self, limits: Limits) {
        let mut receiving = self.receiving.lock();
        receiving.queue.set_limits(limits);
        receiving.queue.drop_beyond_limits(clock::now());
    }

    /// Which datagram goes when there is no room for one that arrives.
    pub fn set_incoming_policy(&self, policy: DropPolicy) {
        self.receiving.lock().queue.set_policy(policy);
    }

    /// Age at which a datagram is dropped instead of delivered; none or zero: never.
    pub fn set_incoming_max_age(&self, max_age: Option<Duration>) {
        let mut receiving = self.receiving.lock();
        receiving.queue.set_max_age(max_age);
        receiving.queue.expire(clock::now());
    }
}
