//! The HTTP/3 and WebTransport session state of a connection, without I/O or clock.
//!
//! A driver feeds it with the bytes of streams and datagrams, and sends the bytes that it returns:
//!
//! - [`session`]: the state machine: one connection, one session.
//! - [`connect`]: the CONNECT request and its response; [`subprotocol`]: what the client offers and
//!   the server picks.
//! - [`datagram`]: the session prefix of datagrams; the only hot path, and without state.
//! - [`settings`]: what both sides announce, and what follows from it.
//! - [`error`]: error codes, and the error that ends a connection.
//! - `uni`, `request`, `frame`, `capsule`, `fields`, `static_table`, `types`, `wire`: the layers
//!   below, from peer streams down to integers.
//!
//! Bound: at most [`session::MAX_BUFFERED_BYTES`] of a peer's bytes are kept, whatever it sends.

mod capsule;
pub mod connect;
pub mod datagram;
pub mod error;
mod fields;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod model;
mod request;
pub mod session;
pub mod settings;
mod static_table;
pub mod subprotocol;
mod types;
mod uni;
mod wire;

pub(crate) use capsule::close_bytes;
pub use capsule::drain_bytes;
pub use connect::{ConnectRequest, ConnectResponse, Protocol};
pub use datagram::{DatagramVerdict, QuarterStreamId};
pub use error::ConnectionError;
pub(crate) use fields::section_bytes;
pub use frame::goaway_bytes;
pub use session::{Event, SessionMachine, StreamVerdict};
pub use settings::{PeerSettings, Role};
