//! Queues, accounting and the datagram transport.
//!
//! - [`transport`]: the datagrams of a session; [`session`]: both together, and how programs come by them.
//! - [`channel`]: what the upper rooms see of a transport.
//! - [`outbound`], [`inbound`], [`message`], [`stats`], [`watermark`]: queues and figures, without clock or threads.
//! - [`census`]: all transports of the process together.
//! - [`heartbeat`]: the one payload that the library itself knows; [`json`]: what is accepted as JSON.
//! - [`diagnosis`], [`debug_state`], [`throughput`]: tools that look at a transport, or try it.

pub mod census;
pub mod channel;
pub mod debug_state;
pub mod diagnosis;
pub mod heartbeat;
pub mod inbound;
pub mod json;
pub mod message;
pub mod outbound;
pub mod session;
pub mod stats;
pub mod throughput;
pub mod transport;
pub mod watermark;

#[cfg(test)]
mod random_steps;
