//! What upper layers use: something that carries datagrams of a session. The transport is a
//! channel; the reliability layer is a channel over a channel; broadcaster and structured transport
//! use any.

use std::time::Duration;

use super::message::Metadata;
use crate::datagram::options::SendOptions;
use crate::error::Result;
use crate::runtime::readiness::Pollable;
use crate::runtime::wait::Deadline;

/// Carries datagrams of a session.
pub trait Channel: Pollable {
    /// Sends one, waiting for room until `deadline` where the channel waits at all.
    fn send(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()>;

    /// Waits until `deadline` for the next one and puts it in place of what `buffer` holds.
    fn receive(&self, buffer: &mut Vec<u8>, deadline: Deadline) -> Result<Metadata>;

    /// Counts the time that a reader of this channel has waited elsewhere for what it then received without waiting.
    fn record_waited(&self, waited: Duration);

    /// Whether it is closed for sending.
    fn is_closed(&self) -> bool;

    /// The largest payload that can be sent now, in bytes.
    fn max_datagram_size(&self) -> Result<usize>;

    /// Closes it and wakes the threads that wait on it.
    fn close(&self);
}
