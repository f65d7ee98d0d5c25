//! Queues, accounting and the datagram transport.
//!
//! - [`send`], [`receive`]: the two halves of a transport, with their queues; [`transport`]: both, and the session.
//! - [`session`]: a session with its transport, and how programs come by them.
//! - [`channel`]: what the upper rooms see of a transport.
//! - [`message`], [`stats`]: one datagram, and the figures of many; [`pool`]: memory that queues share.
//! - [`census`]: all transports of the process together.
//! - [`heartbeat`]: the one payload that the library itself knows; [`json`]: what is accepted as JSON.
//! - [`diagnosis`], [`debug_state`], [`throughput`]: tools that look at a transport, or try it.

pub mod census;
pub mod channel;
pub mod debug_state;
pub mod diagnosis;
pub mod heartbeat;
pub mod json;
pub mod message;
pub mod options;
pub mod pool;
pub mod receive;
pub mod send;
pub mod session;
pub mod stats;
pub mod throughput;
pub mod transport;

#[cfg(test)]
mod random_steps;
