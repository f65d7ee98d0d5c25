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

/// Buffer sizes that are asked for by default. Linux's 208 KiB loses packets in bursts that a 4 MiB
/// buffer holds. The kernel grants at most `net.core.rmem_max` / `wmem_max`, and less is not an
/// error.
const DEFAULT_BUFFER_BYTES: usize = 4 * 1024 * 1024;
