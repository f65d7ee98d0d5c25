//! The readiness of an object, and watchers that are notified of changes.

use std::ops::{BitAnd, BitOr, BitOrAssign};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::sync::{AtomicBool, Mutex, Ordering, fence};
use super::waiters::Lead;

/// A set of conditions of an object, with the bits of the C constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready(pub u32);

impl Ready {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// A server has a session to accept.
    pub const ACCEPT: Self = Self(1);
    /// A datagram, message or object can be received.
    pub const READABLE: Self = Self(1 << 1);
    /// A datagram can be queued without evicting, rejecting or waiting.
    pub const WRITABLE: Self = Self(1 << 2);
    /// Closed. For a session: its close information is known.
    pub const CLOSED: Self = Self(1 << 3);
    /// The session is established.
    pub const CONNECTED: Self = Self(1 << 4);
    /// The outgoing queue fell to its low-water mark.
    pub const LOW_WATER: Self = Self(1 << 5);
    /// The largest possible datagram has changed.
    pub const SIZE_CHANGED: Self = Self(1 << 6);
    /// An outcome can be fetched.
    pub const OUTCOME: Self = Self(1 << 7);
    /// An alert can be fetched.
    pub const ALERT: Self = Self(1 << 8);
    /// The heartbeat's watch reports a silent peer.
    pub const PEER_SILENT: Self = Self(1 << 9);
    /// The peer has asked to end the session soon.
    pub const DRAINING: Self = Self(1 << 10);
    /// Every message of a reliability layer has its outcome.
    pub const SETTLED: Self = Self(1 << 11);

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
    /// The present readiness. The call changes nothing that another call would see.
    fn ready(&self) -> Ready;
    /// How often the largest possible datagram has changed. Each poller reports a change once.
    fn size_changes(&self) -> u64 {
        0
    }
    /// All conditions that it can have.
    fn possible(&self) -> Ready;
    /// The watchers to notify of changes.
    fn watchers(&self) -> &Watchers;
    /// The lane that a thread may lead while it waits for a change, if there is one.
    fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        None
    }
}

/// Is notified when the readiness of an object may have changed.
///
/// Called without a lock of the object, by lanes and callers. Must be quick and must not call the
/// object.
pub trait Watcher: Send + Sync {
    /// The readiness may have changed.
    fn changed(&self);
}

/// Identifies one watcher among those of all objects. Only [`Watchers::add`] makes them, so no two
/// are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(u64);

impl Token {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Removes a watcher when it is dropped.
pub struct Subscription {
    object: Arc<dyn Pollable>,
    token: Token,
}

impl Subscription {
    /// Notifies `watcher` of changes of `object`.
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

/// The watchers of one object. With none, a notification costs a fence and a load.
#[derive(Default)]
pub struct Watchers {
    any: AtomicBool,
    retired: AtomicBool,
    /// Replaced on each change, so that watchers are notified without the lock: a watcher may be
    /// the last owner of a poller, which removes itself from this list.
    list: Mutex<Arc<Vec<Listed>>>,
}

impl Watchers {
    /// Adds a watcher. It is notified of every change that a look after this call does not see.
    pub fn add(&self, watcher: Arc<dyn Watcher>) -> Token {
        let token = Token::next();
        let mut list = self.list.lock();
        Arc::make_mut(&mut list).push((token, watcher));
        self.any.store(true, Ordering::SeqCst);
        drop(list);
        // Pairs with the fence in `notify`: the change finds the watcher, or the watcher's next
        // look finds the change.
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

    /// Says that the object's handle was released. All watchers are notified and remove the object.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
        self.notify();
    }

    /// Whether [`Watchers::retire`] was called.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// Notifies all watchers of a change that was made before, even by a relaxed store.
    pub fn notify(&self) {
        // Otherwise the store could still be under way when the list is read.
        fence(Ordering::SeqCst);
        if self.any.load(Ordering::SeqCst) {
            let list = Arc::clone(&self.list.lock());
            for (_, watcher) in list.iter() {
                watcher.changed();
            }
        }
    }
}
