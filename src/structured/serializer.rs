//! Serializers: how objects become bytes and bytes become objects.
//!
//! For the library an object is bytes, too: JSON text for its own two serializers, any form for
//! those of the program. Serializers run on the thread that sends or receives, never on a lane.

use crate::error::{Error, Result};

use super::{json, message_pack};

/// Turns objects into bytes for the wire, and back.
pub trait Serializer: Send + Sync {
    /// Appends the wire form of `object` to `wire`; [`Error::Serialization`] if it has none.
    fn serialize(&self, type_id: u16, object: &[u8], wire: &mut Vec<u8>) -> Result<()>;

    /// Appends the object of the wire form `wire` to `object`; [`Error::Deserialization`] if there
    /// is none.
    fn deserialize(&self, type_id: u16, wire: &[u8], object: &mut Vec<u8>) -> Result<()>;
}

/// JSON on both sides. What is sent and received is checked and compact.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl Serializer for Json {
    fn serialize(&self, _: u16, object: &[u8], wire: &mut Vec<u8>) -> Result<()> {
        json::compact(object, wire).map_err(|refused| Error::Serialization(refused.to_string()))
    }

    fn deserialize(&self, _: u16, wire: &[u8], object: &mut Vec<u8>) -> Result<()> {
        json::compact(wire, object).map_err(|refused| Error::Deserialization(refused.to_string()))
    }
}

/// JSON text for the program, MessagePack on the wire.
#[derive(Debug, Clone, Copy, Default)]
pub struct MessagePack;

impl Serializer for MessagePack {
    fn serialize(&self, _: u16, object: &[u8], wire: &mut Vec<u8>) -> Result<()> {
        message_pack::from_json(object, wire).map_err(|refused| Error::Serialization(refused.to_string()))
    }

    fn deserialize(&self, _: u16, wire: &[u8], object: &mut Vec<u8>) -> Result<()> {
        message_pack::to_json(wire, object).map_err(|refused| Error::Deserialization(refused.to_string()))
    }
}
