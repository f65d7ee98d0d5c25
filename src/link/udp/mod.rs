//! UDP sockets and the lanes that drive them.
//!
//! - `bind`, `handed_in`: how sockets are made; `lanes`: which lane gets them.
//! - `sockets`: a lane with its sockets; `newcomers`: when it admits connections; `leading`: threads
//!   that take its turns while they wait.

mod bind;
mod handed_in;
mod lanes;
mod leading;
mod newcomers;
mod sockets;

pub use bind::{bind, check_route, listen};
pub(crate) use lanes::{next_lane, next_lanes, wanted_lanes};
pub use sockets::{Prepared, UdpLane};
