//! Queues, accounting and the datagram transport.
//!
//! - [`transport`]: the datagrams of a session; [`session`]: both together, and how programs come by them.
//! - [`channel`]: what the upper rooms see of a transport.
//! - [`outbound`], [`inbound`], [`message`], [`stats`], [`watermark`]: queues and figures, without clock or threads.
//! - [`census`]: all transports of the process together.
//! - [`heartbeat`]: the one payload that the library itself knows.

pub mod census;
pub mod channel;
pub mod heartbeat;
pub mod inbound;
pub mod message;
pub mod outbound;
pub mod session;
pub mod stats;
pub mod transport;
pub mod watermark;

#[cfg(test)]
mod random_steps;
