//! Memory that the queues of all transports of a lane share. An idle transport holds none. A busy
//! one gets what another has just returned, which is still in the cache.

use parking_lot::Mutex;

/// Spare memory that a shelf keeps, in bytes.
const KEPT_BYTES: usize = 2 * 1024 * 1024;

/// Lanes that have their own shelves. Further lanes share these.
const LANES: usize = 16;

/// Memory that can be reused.
pub trait Reusable: Default {
    /// Its size in bytes.
    fn capacity_bytes(&self) -> usize;
}

/// Spare memory of one kind, for each lane.
pub struct Pool<T>([Shelf<T>; LANES]);

#[allow(clippy::new_without_default, reason = "a pool is a static")]
impl<T> Pool<T> {
    /// Empty shelves.
    pub const fn new() -> Self {
        Self([const { Shelf::new() }; LANES])
    }

    /// The shelf of a lane.
    pub(crate) const fn of_lane(&self, lane: usize) -> &Shelf<T> {
        &self.0[lane % LANES]
    }
}

/// Spare memory of one kind. It has no contents.
pub struct Shelf<T>(Mutex<Spare<T>>);

struct Spare<T> {
    items: Vec<T>,
    bytes: usize,
}

impl<T> Shelf<T> {
    const fn new() -> Self {
        Self(Mutex::new(Spare { items: Vec::new(), bytes: 0 }))
    }
}

impl<T: Reusable> Shelf<T> {
    /// Takes the memory that was returned last, if there is any.
    pub fn take(&self) -> Option<T> {
        self.take_if(|_| true)
    }

    /// Takes it only if it fits.
    pub fn take_if(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut spare = self.0.lock();
        let item = spare.items.pop_if(|item| fits(item))?;
        spare.bytes -= item.capacity_bytes();
        Some(item)
    }

    /// Returns memory, which must be empty. Frees it if the shelf is full.
    pub fn give(&self, item: T) {
        let bytes = item.capacity_bytes();
        let mut spare = self.0.lock();
        if bytes > 0 && spare.bytes + bytes <= KEPT_BYTES {
            spare.bytes += bytes;
            spare.items.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Reusable for Vec<u16> {
        fn capacity_bytes(&self) -> usize {
            self.capacity() * 2
        }
    }

    #[test]
    fn the_last_that_was_given_back_is_the_first_to_be_used_again() {
        static POOL: Pool<Vec<u16>> = Pool::new();
        let shelf = POOL.of_lane(3);
        assert!(shelf.take().is_none());
        shelf.give(Vec::with_capacity(10));
        shelf.give(Vec::with_capacity(20));
        assert_eq!(shelf.take().map(|item| item.capacity()), Some(20));
        assert!(POOL.of_lane(4).take().is_none());
        assert!(shelf.take_if(|item| item.capacity() < 10).is_none());
        assert_eq!(shelf.take().map(|item| item.capacity()), Some(10));
        assert!(shelf.take().is_none());
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        static POOL: Pool<Vec<u16>> = Pool::new();
        let shelf = POOL.of_lane(0);
        for _ in 0..5 {
            shelf.give(Vec::with_capacity(KEPT_BYTES / 4 / 2));
        }
        shelf.give(Vec::new());
        assert_eq!(std::iter::from_fn(|| shelf.take()).count(), 4);
    }
}
