//! QUIC and HTTP/3: endpoints, TLS, and the lanes that drive sessions. The only room that names
//! quinn-proto and wtransport.
//!
//! - [`server`], [`client`]: how sessions come to be; [`config`]: what can be chosen about that.
//! - [`session`]: one session as its user sees it; [`core`]: what moves it, in turns; [`lane`]:
//!   where the turns are taken.
//! - [`datagram_path`]: the way of its datagrams; `congestion`: what that way carries; `room`: how much of it is free.
//! - [`h3`]: the protocol, without I/O.
//! - [`tls`], [`secrets`], [`ids`], `udp`, `endpoint`: what a connection is made of.

pub mod client;
pub mod config;
pub mod congestion;
pub mod core;
pub mod endpoint;
pub mod h3;
pub mod ids;
mod room;
pub mod secrets;
pub mod server;
pub mod tls;
mod udp;

pub use core::datagram_path::DatagramPath;
pub use core::datagrams::{Datagrams, Feeder, HandOverError, Left};
pub use core::lane::Lane;
pub use core::session;
pub use core::session::LinkSession;
pub use core::{After, Job, JobHandle};
pub use server::Server;
