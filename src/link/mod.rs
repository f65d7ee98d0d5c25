//! QUIC and HTTP/3: endpoints, TLS and the session driver. The only room that names quinn and wtransport.
//!
//! - [`server`], [`client`]: how sessions come to be; [`config`]: what can be chosen about that.
//! - [`session`]: one session as its user sees it; `driver`: what runs it.
//! - [`datagram_path`]: the way of its datagrams; `early`: those that have none; `congestion`: what that way carries; `room`: how much of it is free.
//! - [`h3`]: the protocol, without I/O.
//! - [`tls`], [`secrets`], [`ids`], `udp`, `endpoint`: what a connection is made of.

pub mod client;
pub mod config;
mod congestion;
pub mod datagram_path;
mod driver;
mod early;
mod endpoint;
pub mod h3;
pub mod ids;
mod room;
pub mod secrets;
pub mod server;
pub mod session;
pub mod tls;
mod udp;

pub use datagram_path::{DatagramPath, HandOverError};
pub use server::Server;
pub use session::Session;
