//! Handles: numbers that name objects.
//!
//! A handle is `type (8 bits) | slot (24 bits) | generation (32 bits)`. A slot's generation changes
//! with every object, so a stale handle is recognized. A slot without unused generations is
//! retired. A lookup takes one uncontended read lock, that of the slot; the table has no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use once_cell::sync::OnceCell;
use parking_lot::{Mutex, RwLock};

use super::failure::Failure;
use crate::error::Error;
use crate::runtime::readiness::Pollable;

/// Slots of the first segment. Each further segment is twice as large.
const FIRST_SEGMENT: usize = 64;
const SEGMENTS: usize = 18;
const SLOT_BITS: u32 = 24;
const MAX_SLOTS: usize = 1 << SLOT_BITS;

/// Makes a struct that has only an `id` the [`Handle`] of a type of objects, with its own table,
/// and says what a poller watches of such an object, if it can. (The structs are in files that
/// cbindgen reads.)
macro_rules! names {
    ($handle:ty => $object:ty, $number:ident $(, polled as |$it:ident| $polled:expr)?) => {
        impl $crate::ffi::boundary::handle::Handle for $handle {
            type Object = $object;
            const TYPE: u8 = $crate::ffi::boundary::handle::types::$number;
            fn table() -> &'static $crate::ffi::boundary::handle::Table<$object> {
                static OBJECTS: $crate::ffi::boundary::handle::Table<$object> = $crate::ffi::boundary::handle::Table::new();
                &OBJECTS
            }
            fn from_id(id: u64) -> Self {
                Self { id }
            }
            fn id(self) -> u64 {
                self.id
            }
            $(fn polled(
                $it: &std::sync::Arc<$object>,
            ) -> Option<std::sync::Arc<dyn $crate::runtime::readiness::Pollable>> {
                Some(std::sync::Arc::clone($polled) as _)
            })?
        }
    };
}
pub(in crate::ffi) use names;

/// A handle type of the C interface.
pub(in crate::ffi) trait Handle: Copy {
    /// The type of its objects.
    type Object: Send + Sync + 'static;
    /// The type's number, in the top bits of every handle.
    const TYPE: u8;

    fn table() -> &'static Table<Self::Object>;
    fn from_id(id: u64) -> Self;
    fn id(self) -> u64;

    /// What a poller watches; nothing for objects that cannot be in a poller.
    fn polled(_object: &Arc<Self::Object>) -> Option<Arc<dyn Pollable>> {
        None
    }

    /// Gives `object` a handle.
    fn new(object: Arc<Self::Object>) -> Result<Self, Failure> {
        Ok(Self::from_id(u64::from(Self::TYPE) << 56 | Self::table().insert(object)?))
    }

    /// The object of this handle.
    fn get(self) -> Result<Arc<Self::Object>, Failure> {
        self.local().and_then(|local| Self::table().get(local)).ok_or(Failure::InvalidHandle)
    }

    /// Releases the handle and removes its object from all pollers.
    fn take(self) -> Option<Arc<Self::Object>> {
        let object = self.local().and_then(|local| Self::table().remove(local))?;
        if let Some(polled) = Self::polled(&object) {
            polled.watchers().retire();
        }
        Some(object)
    }

    /// The part of the id that the table knows; nothing for a handle of another type.
    fn local(self) -> Option<u64> {
        (self.id() >> 56 == u64::from(Self::TYPE)).then_some(self.id() & ((1 << 56) - 1))
    }
}

/// The numbers of the types, in one place. For the ABI, they only have to differ.
pub(in crate::ffi) mod types {
    pub(in crate::ffi) const SERVER: u8 = 1;
    pub(in crate::ffi) const SESSION: u8 = 2;
    pub(in crate::ffi) const TRANSPORT: u8 = 3;
    pub(in crate::ffi) const POLLER: u8 = 4;
    pub(in crate::ffi) const RELIABILITY: u8 = 5;
    pub(in crate::ffi) const STRUCTURED: u8 = 6;
    pub(in crate::ffi) const BROADCASTER: u8 = 7;
    pub(in crate::ffi) const MONITOR: u8 = 8;
    pub(in crate::ffi) const REQUEST: u8 = 9;
}

/// The objects of one type.
pub(in crate::ffi) struct Table<T> {
    segments: [OnceCell<Box<[Slot<T>]>>; SEGMENTS],
    free: Mutex<Free>,
}

struct Slot<T> {
    generation: AtomicU32,
    object: RwLock<Option<Arc<T>>>,
}

struct Free {
    slots: Vec<u32>,
    /// The number of slots that were ever used.
    used: usize,
}

impl<T> Table<T> {
    pub(in crate::ffi) const fn new() -> Self {
        Self {
            segments: [const { OnceCell::new() }; SEGMENTS],
            free: Mutex::new(Free { slots: Vec::new(), used: 0 }),
        }
    }

    fn insert(&self, object: Arc<T>) -> Result<u64, Failure> {
        let index = {
            let mut free = self.free.lock();
            match free.slots.pop() {
                Some(index) => index as usize,
                None if free.used == MAX_SLOTS => {
                    return Err(Error::LimitReached("handles of this type".into()).into());
                }
                None => {
                    free.used += 1;
                    free.used - 1
                }
            }
        };
        let (segment, offset) = place(index);
        let slots = self.segments[segment].get_or_init(|| {
            let empty = || Slot { generation: AtomicU32::new(1), object: RwLock::new(None) };
            (0..FIRST_SEGMENT << segment).map(|_| empty()).collect()
        });
        let slot = &slots[offset];
        *slot.object.write() = Some(object);
        Ok((index as u64) << 32 | u64::from(slot.generation.load(Ordering::Relaxed)))
    }

    fn slot(&self, local: u64) -> Option<(&Slot<T>, u32)> {
        let (segment, offset) = place((local >> 32) as usize);
        let slot = self.segments.get(segment)?.get()?.get(offset)?;
        Some((slot, local as u32))
    }

    fn get(&self, local: u64) -> Option<Arc<T>> {
        let (slot, generation) = self.slot(local)?;
        let object = slot.object.read();
        // Under the lock, because removing an object changes both.
        if slot.generation.load(Ordering::Relaxed) == generation { object.clone() } else { None }
    }

    fn remove(&self, local: u64) -> Option<Arc<T>> {
        let (slot, generation) = self.slot(local)?;
        let mut object = slot.object.write();
        if slot.generation.load(Ordering::Relaxed) != generation {
            return None;
        }
        let taken = object.take()?;
        // Generation 0 is never used: a handle of zero is "none". A slot that would return to it is
        // retired.
        let next = generation.wrapping_add(1);
        slot.generation.store(next, Ordering::Relaxed);
        drop(object);
        if next != 0 {
            self.free.lock().slots.push((local >> 32) as u32);
        }
        Some(taken)
    }
}

/// Segment and offset of a slot: segment `n` holds `64 << n` slots.
fn place(index: usize) -> (usize, usize) {
    let shifted = index + FIRST_SEGMENT;
    let segment =
        (usize::BITS - 1 - shifted.leading_zeros()) as usize - FIRST_SEGMENT.trailing_zeros() as usize;
    (segment, shifted - (FIRST_SEGMENT << segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_its_place() {
        let mut expected = (0, 0);
        for index in 0..100_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == FIRST_SEGMENT << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(place(MAX_SLOTS - 1).0 < SEGMENTS + 1);
    }

    #[test]
    fn a_removed_object_is_gone_and_its_slot_gets_another_generation() {
        let table = Table::new();
        let first = table.insert(Arc::new(1)).unwrap();
        assert_eq!(table.get(first).as_deref(), Some(&1));
        assert_eq!(table.remove(first).as_deref(), Some(&1));
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        let second = table.insert(Arc::new(2)).unwrap();
        assert_eq!(second >> 32, first >> 32);
        assert_ne!(second, first);
        assert_eq!(table.get(first), None);
        assert_eq!(table.get(second).as_deref(), Some(&2));
    }

    #[test]
    fn a_slot_is_retired_before_its_generation_wraps() {
        let table = Table::new();
        let first = table.insert(Arc::new(1)).unwrap();
        let (slot, _) = table.slot(first).unwrap();
        slot.generation.store(u32::MAX, Ordering::Relaxed);
        let last = (first & !0xffff_ffff) | u64::from(u32::MAX);
        assert!(table.remove(last).is_some());
        let next = table.insert(Arc::new(2)).unwrap();
        assert_ne!(next >> 32, first >> 32);
        assert_eq!(table.get(first & !0xffff_ffff), None);
    }

    #[test]
    fn arbitrary_numbers_name_nothing() {
        let table: Table<u8> = Table::new();
        for local in [0, 1, u64::MAX >> 8, 1 << 32, (MAX_SLOTS as u64 - 1) << 32 | 1] {
            assert!(table.get(local).is_none());
            assert!(table.remove(local).is_none());
        }
    }
}
