//! WebTransport datagrams for C, C++ and Go.
//!
//! The map, from the ground up; arrows run one way, each room knows only those above it in this list (and of the
//! upper five, none knows another):
//!
//! - [`error`]: the one error type; [`text`]: what people may read of a peer's words.
//! - `runtime`: threads of lanes, the service thread (tokio), logging, shutdown, what others wait on.
//! - `link`: QUIC and HTTP/3; the only room that names quinn-proto and wtransport.
//! - `datagram`: the transport, with a send half and a receive half, and its accounts.
//! - `reliability`: acknowledged datagrams over any channel.
//! - `structured`: typed objects over any channel.
//! - `broadcaster`: one datagram to many channels.
//! - `monitor`: samples, alerts and Prometheus text of transports.
//! - `poller`: one thing to wait on for all of them.
//! - `ffi`: the C interface, which only translates. `unsafe` lives there and nowhere else.

pub mod broadcaster;
pub mod datagram;
pub mod error;
pub mod ffi;
pub mod link;
pub mod monitor;
pub mod poller;
pub mod reliability;
pub mod runtime;
pub mod structured;
pub mod text;
