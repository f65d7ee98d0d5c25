//! Queues, accounting and the datagram transport.

pub mod heartbeat;
pub mod inbound;
pub mod message;
pub mod outbound;
pub mod stats;
pub mod watermark;

#[cfg(test)]
mod random_steps;
pub mod session;
pub mod transport;
