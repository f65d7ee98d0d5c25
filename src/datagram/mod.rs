//! Queues, statistics and the transport.
//!
//! - [`send`], [`receive`]: the two halves of a transport, with their queues; [`transport`]: both,
//!   and the session.
//! - [`session`]: a session with its transport; [`options`]: options of transports and datagrams.
//! - [`channel`]: a transport as upper layers see it.
//! - [`message`], [`stats`]: one datagram, and the figures of many; [`pool`]: memory that queues
//!   share.
//! - [`totals`]: the figures of all transports of the process.
//! - [`heartbeat`]: the only payload that the library itself makes; [`json`]: accepted JSON.
//! - [`diagnosis`], [`debug_state`], [`throughput`]: tools for a transport.

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
pub mod totals;
pub mod transport;

#[cfg(test)]
mod random_steps;
