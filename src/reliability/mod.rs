//! Acknowledged datagrams over any channel: each message arrives at most once, in the order in which the
//! network delivers (there is no head-of-line blocking), and its sender learns exactly one outcome.
//!
//! Everything here except the driver is sans-IO: bytes, lengths and `now` come in, frames and deadlines come
//! out. [`Machine`] is the whole of it; its parts are
//!
//! - [`frame`]: the bytes, and what of them is the reference's;
//! - [`ack`]: one acknowledgement of many sequences;
//! - [`negotiation`]: whether the peer understands more than the reference, which opening of its
//!   layer it is, and whether plain frames are its layer's or its program's;
//! - [`rtt`], [`reorder`], [`throttle`]: when a message counts as lost, and how fast it may be sent again;
//! - [`path_clock`]: time that does not count towards giving up;
//! - [`sender`] over [`waiting`] and [`outstanding`], [`receiver`] over [`seen`]: the two halves;
//! - [`outcome`], [`stats`]: what is reported;
//! - [`layer`]: the driver, which alone knows transport, clock and threads.
//!
//! # The reference
//!
//! pywebtransport 0.9.1 is the peer to understand. What it does, and what follows here:
//!
//! - It numbers from 0 for each opening of its layer and never wraps: `struct.pack("!I")` fails at 2³². Any
//!   starting number and a wrap are fine with its receiver, which only compares numbers for equality. A layer
//!   opened a second time on a session should therefore go on where the first ended
//!   ([`Machine::next_sequence`]), or the reference takes its messages for copies of the first layer's.
//! - It acknowledges each `DATA` before anything else, and takes one as a copy if its number is among the
//!   last 1,024 *arrivals*. Against such a peer the sender keeps the distance between its oldest unresolved and
//!   its newest message under 512, so that the peer cannot forget what may still arrive again.
//! - It has no window: it sends without limit, looks every `ack_timeout` for messages older than that, and
//!   gives up after `max_retries`. The receiver's memory of 131,072 numbers covers what it can have under way.
//! - It ignores types other than `DATA` and `ACK`, datagrams shorter than their type, `DATA` shorter than four
//!   bytes, and acknowledgements it does not wait for. It reads an `ACK` with Python's `int()`, which takes
//!   signs, spaces, underscores and other scripts' digits; this parser takes ASCII digits only.
//! - Opened again, it starts at 0 again. The payloads of numbers 0 to 63 are remembered by a hash, so that a
//!   number with a different payload is seen for what it is ([`receiver`]).
//!
//! # What "at most once" means when a layer is opened again
//!
//! It holds within one opening of the receiving layer. Messages that were under way while the *peer* opened
//! its layer again are transmitted to the new one, which cannot know whether the old one delivered them.

pub mod ack;
pub mod frame;
pub mod layer;
pub mod limits;
pub mod machine;
pub mod negotiation;
pub mod outcome;
pub mod outstanding;
pub mod path_clock;
pub mod receiver;
pub mod reorder;
pub mod rtt;
pub mod seen;
pub mod sender;
pub mod stats;
pub mod throttle;
pub mod waiting;

#[cfg(test)]
mod simulation;

pub use machine::{Machine, Options, Verdict};
pub use outcome::{MessageOutcome, Report};
pub use receiver::Received;
pub use stats::Stats;
