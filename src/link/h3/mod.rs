//! The HTTP/3 and WebTransport session state of one connection, without I/O or clock.
//!
//! A driver feeds it what streams and datagrams bring and writes out the bytes it hands back:
//!
//! - [`session`]: the state machine: one connection, one session.
//! - [`connect`]: the CONNECT request and its response.
//! - [`datagram`]: the session prefix of datagrams; the only hot path, and free of state.
//! - [`settings`]: what both sides announce, and what follows from it.
//! - [`error`]: error codes and the error that ends a connection.
//! - `uni`, `request`, `frame`, `capsule`, `fields`, `static_table`, `types`, `wire`: the layers
//!   beneath, from peer streams down to integers.
//!
//! Bounds: no more than [`session::MAX_BUFFERED_BYTES`] of a peer's bytes are ever kept, whatever it sends.

mod capsule;
pub mod connect;
pub mod datagram;
pub mod error;
mod fields;
mod frame;
#[cfg(test)]
mod model;
mod request;
pub mod session;
pub mod settings;
mod static_table;
mod types;
mod uni;
mod wire;

pub(crate) use capsule::close_bytes;
pub use capsule::drain_bytes;
pub use connect::{ConnectRequest, ConnectResponse, Protocol};
pub use datagram::{DatagramVerdict, QuarterStreamId};
pub use error::ConnectionError;
pub use frame::goaway_bytes;
pub use session::{Event, SessionMachine, StreamVerdict};
pub use settings::{PeerSettings, Role};
