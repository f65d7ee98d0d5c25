//! How objects become bytes and bytes become objects.
//!
//! To the library an object is bytes too: JSON text for the two serializers that come with it,
//! whatever the program likes for its own. All of it runs on the thread that sends or receives,
//! never on a lane.

use crate::error::{Error, Result};

use super::{json, message_pack};

/// Turns objects into what travels, and back.
pub trait Serializer: Send + Sync {
    /// Appends what travels for `object` to `wire`; [`Error::Serialization`] when it is none.
    fn serialize(&self, type_id: u16, object: &[u8], wire: &mut Vec<u8>) -> Result<()>;

    /// Appends the object that `wire` stands for to `object`; [`Error::Deserialization`] when it
    /// stands for none.
    fn deserialize(&self, type_id: u16, wire: &[u8], object: &mut Vec<u8>) -> Result<()>;
}

/// JSON on both sides. What travels, and what is received, is checked and compact.
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
