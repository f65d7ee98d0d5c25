//! Typed objects over any channel: a type id of two bytes, then the object as a serializer writes
//! it.
//!
//! - [`registry`]: which type ids there are.
//! - [`serializer`]: how objects become bytes; [`json`] and [`message_pack`] are the two that come
//!   with the library.
//! - [`objects`]: sends and receives them; [`inbox`] is its own queue where it has one.

pub mod inbox;
pub mod json;
pub mod message_pack;
pub mod objects;
pub mod registry;
pub mod serializer;
