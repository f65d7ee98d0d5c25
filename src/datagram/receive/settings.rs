//! Settings that can be changed while a transport runs. They apply at once, also to queued
//! datagrams.

use std::time::Duration;

use super::ReceiveHalf;
use super::queue::{DropPolicy, ReceiveConfig};
use crate::datagram::message::Limits;
use crate::runtime::clock;

impl ReceiveHalf {
    /// The settings in force.
    pub fn config(&self) -> ReceiveConfig {
        self.state.lock().queue.config()
    }

    /// Sets the limits. Under [`DropPolicy::Oldest`] the queue drops datagrams beyond them at once;
    /// under [`DropPolicy::Newest`] it keeps all.
    pub fn set_limits(&self, limits: Limits) {
        let mut state = self.state.lock();
        state.queue.set_limits(limits);
        state.queue.drop_beyond_limits(clock::now());
    }

    /// Sets which datagram is dropped when the queue is full.
    pub fn set_policy(&self, policy: DropPolicy) {
        self.state.lock().queue.set_policy(policy);
    }

    /// Sets the age at which a datagram is dropped instead of delivered; none or zero: never.
    pub fn set_max_age(&self, max_age: Option<Duration>) {
        let mut state = self.state.lock();
        state.queue.set_max_age(max_age);
        state.queue.expire(clock::now());
    }
}
