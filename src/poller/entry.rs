//! An object in a poller: its interest, and how its readiness is read.

use std::sync::Arc;

use super::{Event, Interest};
use crate::error::{Error, Result};
use crate::runtime::readiness::{Pollable, Ready};
use crate::runtime::sync::{AtomicBool, Mutex, Ordering};

/// An object in the poller.
pub(super) struct Entry {
    pub(super) object: u64,
    pub(super) pollable: Arc<dyn Pollable>,
    /// Whether it is on the ready list or no longer in the poller: in both cases no thread needs to
    /// add it to the list. Changed only under the poller's lock; read without it, so that repeated
    /// changes are cheap.
    pub(super) listed: AtomicBool,
    /// Whether a look may report it: not after the one report of a one-shot interest. Changed only
    /// under the lock of `watch`; read without it, so that changes of an object that nobody waits
    /// for are cheap.
    armed: AtomicBool,
    /// Held during a look, so that a look and a change of interest exclude each other.
    watch: Mutex<Watch>,
}

struct Watch {
    interest: Interest,
    cookie: u64,
    /// The number of size changes at the last report. It begins with 0, so that a change before the
    /// object was added is reported, too. A program that asks for the size and then adds the object
    /// misses nothing.
    size_changes: u64,
}

/// The result of a look.
pub(super) struct Found {
    pub(super) event: Event,
    /// Whether to report it again as long as it is ready.
    pub(super) again: bool,
}

impl Entry {
    /// Makes one that is not in a poller yet.
    pub(super) fn new(
        object: u64,
        pollable: Arc<dyn Pollable>,
        interest: Interest,
        cookie: u64,
    ) -> Result<Self> {
        check(&*pollable, interest)?;
        let watch = Watch { interest, cookie, size_changes: 0 };
        Ok(Self {
            object,
            pollable,
            listed: AtomicBool::new(true),
            armed: AtomicBool::new(true),
            watch: Mutex::new(watch),
        })
    }

    /// Whether a look may report it. If this says no to a thread that has made a change and a fence
    /// after it, the look that follows the next [`Self::watch_for`] sees the change.
    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    /// Changes its interest and arms it again. The caller makes a fence, then lists it.
    pub(super) fn watch_for(&self, interest: Interest, cookie: u64) -> Result<()> {
        check(&*self.pollable, interest)?;
        let mut watch = self.watch.lock();
        *watch = Watch { interest, cookie, ..*watch };
        self.armed.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Looks at the object, and reports it if one of its conditions is of interest.
    pub(super) fn look(&self) -> Option<Found> {
        let mut watch = self.watch.lock();
        if !self.is_armed() || self.pollable.watchers().is_retired() {
            return None;
        }
        let size_changes = self.pollable.size_changes();
        let changed = Ready::SIZE_CHANGED.when(size_changes != watch.size_changes);
        let ready = (self.pollable.ready() | changed) & (watch.interest.ready | Ready::CLOSED);
        if ready.is_empty() {
            return None;
        }
        if !(ready & changed).is_empty() {
            watch.size_changes = size_changes;
        }
        let again = !watch.interest.one_shot;
        self.armed.store(again, Ordering::SeqCst);
        Some(Found { event: Event { object: self.object, cookie: watch.cookie, ready }, again })
    }
}

fn check(pollable: &dyn Pollable, interest: Interest) -> Result<()> {
    let impossible = interest.ready.0 & !pollable.possible().0;
    if impossible == 0 {
        Ok(())
    } else {
        Err(Error::InvalidArgument(
            format!("this object is never ready for {impossible:#x} of the interest").into(),
        ))
    }
}
