//! Acknowledged datagrams over any channel. Each message arrives at most once, in the order in
//! which the network delivers (there is no head-of-line blocking), and its sender learns exactly
//! one outcome.
//!
//! Everything except the driver is sans-IO: bytes, lengths and `now` go in, frames and deadlines
//! come out. [`Machine`] is the whole of it. The modules are
//!
//! - [`frame`]: the bytes of frames, and which of them are the reference's;
//! - [`ack`]: one acknowledgement of many sequences;
//! - [`negotiation`]: whether the peer understands more than the reference, which opening of its
//!   layer it is, and whether plain frames belong to its layer or to its program;
//! - [`rtt`], [`reorder`], [`throttle`]: when a message counts as lost, and how fast it may be sent
//!   again;
//! - [`path_clock`]: time that does not count towards giving up;
//! - [`sender`] over [`waiting`] and [`outstanding`], [`receiver`] over [`seen`]: the two halves;
//! - [`limits`]: bounds that both halves keep;
//! - [`outcome`], [`stats`]: reports and counters;
//! - [`layer`]: the driver, which alone knows transport, clock and threads.
//!
//! # The reference
//!
//! The peer to understand is pywebtransport 0.9.1. Its behavior, and the consequences here:
//!
//! - It numbers from 0 for each opening of its layer and never wraps: `struct.pack("!I")` fails at
//!   2³². Its receiver only compares numbers for equality, so it accepts any first number and a
//!   wrap. A second layer on a session should therefore continue where the first ended
//!   ([`Machine::next_sequence`]); otherwise the reference takes its messages for copies of the
//!   first layer's.
//! - It acknowledges each `DATA` before anything else, and takes one for a copy if its number is
//!   among the last 1,024 *arrivals*. To such a peer, the sender keeps the distance between its
//!   oldest unresolved and its newest message under 512, so that the peer cannot forget a message
//!   that may still arrive again.
//! - It has no window: it sends without limit, looks every `ack_timeout` for messages older than
//!   that, and gives up after `max_retries`. The receiver's memory of 131,072 numbers covers all
//!   that the reference can have in progress.
//! - It ignores types other than `DATA` and `ACK`, datagrams shorter than their type, `DATA`
//!   shorter than four bytes, and acknowledgements it does not wait for. It reads an `ACK` with
//!   Python's `int()`, which accepts signs, spaces, underscores and digits of other scripts; this
//!   parser accepts only ASCII digits.
//! - Opened again, it starts at 0 again. The receiver remembers a hash of the payloads of numbers 0
//!   to 63, so that it recognizes a number with a different payload as a new message
//!   ([`receiver`]).
//!
//! # The meaning of "at most once" when a layer is opened again
//!
//! It holds within one opening of the receiving layer. If the *peer* opens its layer again,
//! messages in progress are transmitted to the new one, which cannot know whether the old one
//! delivered them.

pub mod ack;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
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
