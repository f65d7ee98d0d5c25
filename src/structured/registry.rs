//! The type ids that both sides agreed on.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// Type ids and what is known of each; it does not change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    limits: HashMap<u16, usize>,
}

/// One type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectType {
    /// Its id, 0 to 65,535.
    pub id: u32,
    /// The most bytes a serialized object of it may have, without the type id.
    pub max_bytes: Option<usize>,
}

impl Registry {
    /// A registry of these types; each id may occur once.
    pub fn new(types: impl IntoIterator<Item = ObjectType>) -> Result<Self> {
        let mut limits = HashMap::new();
        for ObjectType { id, max_bytes } in types {
            let id = u16::try_from(id)
                .map_err(|_| Error::InvalidArgument(format!("type id {id} is above 65535").into()))?;
            if limits.insert(id, max_bytes.unwrap_or(usize::MAX)).is_some() {
                return Err(Error::InvalidArgument(format!("type id {id} is registered twice").into()));
            }
        }
        Ok(Self { limits })
    }

    /// Whether `id` is registered.
    pub fn knows(&self, id: u16) -> bool {
        self.limits.contains_key(&id)
    }

    /// The most bytes a serialized object of type `id` may have; [`Error::UnknownType`] if the id
    /// is not registered.
    pub fn limit(&self, id: u32) -> Result<(u16, usize)> {
        u16::try_from(id)
            .ok()
            .and_then(|short| Some((short, *self.limits.get(&short)?)))
            .ok_or(Error::UnknownType(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[u32]) -> Result<Registry> {
        Registry::new(ids.iter().map(|id| ObjectType { id: *id, max_bytes: None }))
    }

    #[test]
    fn both_ends_of_the_range_are_ids_and_what_lies_beyond_is_none() {
        let registry = of(&[0, 65_535]).unwrap();
        assert!(registry.knows(0) && registry.knows(65_535) && !registry.knows(1));
        assert_eq!(registry.limit(65_535), Ok((65_535, usize::MAX)));
        assert_eq!(registry.limit(65_536), Err(Error::UnknownType(65_536)));
        assert!(matches!(of(&[65_536]), Err(Error::InvalidArgument(_))));
    }

    #[test]
    fn an_id_can_be_registered_once() {
        assert!(matches!(of(&[7, 8, 7]), Err(Error::InvalidArgument(_))));
    }
}
