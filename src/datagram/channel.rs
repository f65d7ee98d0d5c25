//! Channels, which carry datagrams of a session for upper layers. The transport is a channel. The
//! reliability layer is a channel over a channel. Broadcaster and structured transport use any
//! channel.

use std::time::Duration;

use super::message::Metadata;
use crate::datagram::options::SendOptions;
use crate::error::Result;
use crate::runtime::readiness::Pollable;
use crate::runtime::wait::Deadline;

/// Carries datagrams of a session.
pub trait Channel: Pollable {
    /// Sends one datagram. A channel that can wait for space waits until `deadline`.
    fn send(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()>;

    /// Waits until `deadline` for the next datagram and replaces the contents of `buffer` with it.
    fn receive(&self, buffer: &mut Vec<u8>, deadline: Deadline) -> Result<Metadata>;

    /// Counts the time that a reader of this channel waited elsewhere before it received a datagram
    /// without waiting.
    fn record_waited(&self, waited: Duration);

    /// Whether the channel is closed for sending.
    fn is_closed(&self) -> bool;

    /// The largest payload that can be sent now, in bytes.
    fn max_datagram_size(&self) -> Result<usize>;

    /// Closes the channel and wakes the threads that wait on it.
    fn close(&self);
}
