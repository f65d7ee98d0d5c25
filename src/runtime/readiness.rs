//! The readiness of an object, and the watchers that are notified when it may have changed.

use std::ops::{BitAnd, BitOr, BitOrAssign};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::sync::{AtomicBool, Mutex, Ordering, fence};
use super::waiters::Lead;

/// A set of conditions that an object can be in; the bits of the C constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready(pub u32);

impl Ready {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A server has a session to accept.
    pub const ACCEPT: Self = Self(1);
    /// Something can be received.
    pub const READABLE: Self = Self(1 << 1);
    /// A datagram can be queued without evicting, rejecting or waiting.
    pub const WRITABLE: Self = Self(1 << 2);
    /// Closed, or for a session: its last words are known.
    pub const CLOSED: Self = Self(1 << 3);
    /// A session is established.
    pub const CONNECTED: Self = Self(1 << 4);
    /// The outgoing queue fell to its low-water mark.
    pub const LOW_WATER: Self = Self(1 << 5);
    /// The largest possible datagram changed.
    pub const SIZE_CHANGED: Self = Self(1 << 6);
    /// An outcome waits.
    pub const OUTCOME: Self = Self(1 << 7);
    /// An alert waits.
    pub const ALERT: Self = Self(1 << 8);
    /// The heartbeat's watch has not heard from the peer for too long.
    pub const PEER_SILENT: Self = Self(1 << 9);

    /// Whether no condition holds.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// `self` if `condition`, else nothing.
    pub fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

impl BitAnd for Ready {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Ready {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// An object that a poller can wait for.
pub trait Pollable: Send + Sync {
    /// What it is ready for now. A look changes nothing that another look would see.
    fn ready(&self) -> Ready;
    /// How often the largest possible datagram has changed. Each poller reports a change once.
    fn size_changes(&self) -> u64 {
        0
    }
    /// Everything it can ever be ready for.
    fn possible(&self) -> Ready;
    /// Those who hear of changes.
    fn watchers(&self) -> &Watchers;
    /// What a thread can lead that waits for a change.
    fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        None
    }
}

/// Hears that the readiness of an object may have changed.
///
/// Called with no lock of the object held, from lanes and callers alike; must be quick and must not call back.
pub trait Watcher: Send + Sync {
    /// Look again.
    fn changed(&self);
}

/// Names one watcher among those of all objects. Only [`Watchers::add`] makes them, so no two are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(u64);

impl Token {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A watcher on an object that others watch too; it ends when this is dropped.
pub struct Subscription {
    object: Arc<dyn Pollable>,
    token: Token,
}

impl Subscription {
    /// Lets `watcher` hear of changes of `object`.
    pub fn new(object: Arc<dyn Pollable>, watcher: Arc<dyn Watcher>) -> Self {
        let token = object.watchers().add(watcher);
        Self { object, token }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.object.watchers().remove(self.token);
    }
}

/// A watcher and the token that removes it.
type Listed = (Token, Arc<dyn Watcher>);

/// The watchers of one object. Notifying costs a fence and a load while there are none.
#[derive(Default)]
pub struct Watchers {
    any: AtomicBool,
    retired: AtomicBool,
    /// Replaced when it changes, so that nobody is told with the lock held: a watcher may be the
    /// last owner of a poller, which takes itself off this list.
    list: Mutex<Arc<Vec<Listed>>>,
}

impl Watchers {
    /// Adds a watcher, which is notified of every change that a look from now on does not see.
    pub fn add(&self, watcher: Arc<dyn Watcher>) -> Token {
        let token = Token::next();
        let mut list = self.list.lock();
        Arc::make_mut(&mut list).push((token, watcher));
        self.any.store(true, Ordering::SeqCst);
        drop(list);
        // With the one in `notify`: either the change finds the watcher, or the watcher's next look finds the change.
        fence(Ordering::SeqCst);
        token
    }

    /// Removes the watcher.
    pub fn remove(&self, token: Token) {
        let mut list = self.list.lock();
        let mut rest = Vec::clone(&list);
        rest.retain(|(held, _)| *held != token);
        self.any.store(!rest.is_empty(), Ordering::SeqCst);
        let before = std::mem::replace(&mut *list, Arc::new(rest));
        drop(list);
        drop(before);
    }

    /// The object's handle is released: all watchers drop it.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
        self.notify();
    }

    /// Whether [`Watchers::retire`] was called.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// Tells all watchers of a change that has been made, by whatever means: a relaxed store will do.
    pub fn notify(&self) {
        // A store may otherwise still be under way while what follows is read.
        fence(Ordering::SeqCst);
        if self.any.load(Ordering::SeqCst) {
            let list = Arc::clone(&self.list.lock());
            for (_, watcher) in list.iter() {
                watcher.changed();
            }
        }
    }
}
