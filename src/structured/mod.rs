//! Typed objects over any channel: a type id of two bytes, then the object as a serializer writes
//! it.
//!
//! - [`registry`]: the registered type ids.
//! - [`serializer`]: turns objects into bytes; [`json`] and [`message_pack`] come with the library.
//! - [`objects`]: sends and receives objects; [`inbox`]: its own queue, if it has one.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod inbox;
pub mod json;
pub mod message_pack;
pub mod objects;
pub mod registry;
pub mod serializer;
