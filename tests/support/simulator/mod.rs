//! A link between a real client and a real server that treats UDP packets as networks do. It loses
//! them, singly and in bursts, doubles them, lets them overtake one another, delays them, queues
//! them for a slow line, refuses large ones, and swallows everything for a while.
//!
//! - [`conditions`]: what is done to the packets of one direction;
//! - [`link`]: one direction, sans-IO: a packet's size and the time go in, its arrival comes out,
//!   all counted;
//! - [`relay`]: two of them between UDP sockets, changeable while it runs;
//! - [`console`]: the same by JSON commands, for tests in other languages (`main.rs` is the
//!   program).
//!
//! Every decision depends on the seed, the direction and the packet's number in it, not on earlier
//! decisions. So the same seed and the same traffic give the same decisions, and changing one
//! condition does not shift the others.

pub mod conditions;
pub mod console;
pub mod link;
pub mod relay;
pub mod session;

pub use conditions::{Bursts, Conditions};
pub use link::{Counters, Direction};
pub use relay::Simulator;
