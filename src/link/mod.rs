//! QUIC and HTTP/3: endpoints, TLS, and the lanes that drive sessions. Only this module names
//! quinn-proto and wtransport.
//!
//! - [`server`], [`client`]: how sessions are made; [`config`]: their options.
//! - [`core`]: sessions and their connections, moved in turns.
//! - `congestion`: what the path carries; `budget`: how much QUIC takes now; [`memory`]: how much
//!   peers make us hold.
//! - [`h3`]: the protocol, without I/O.
//! - [`tls`], [`secrets`], [`ids`], `udp`, `endpoint`: the parts of a connection.

mod budget;
pub mod client;
pub mod config;
pub mod congestion;
pub mod core;
pub mod endpoint;
pub mod h3;
pub mod ids;
pub mod memory;
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
