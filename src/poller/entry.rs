//! An object in a poller: its interest, and how its readiness is read.

use std::sync::Arc;

use super::{Event, Interest};
use crate::error::{Error, Result};
use crate::runtime::readiness::{Pollable, Ready};
use crate::runtime::sync::{AtomicBool, Mutex};

/// An object that is watched.
pub(super) struct Entry {
    pub(super) object: u64,
    pub(super) pollable: Arc<dyn Pollable>,
    /// On the ready list, or not in the poller: in either case nobody needs to put it on the list.
    /// Changed only under the poller's lock; read without it to make a repeated change cheap.
    pub(super) listed: AtomicBool,
    /// Held during a look, so that a look and a change of interest never mix.
    watch: Mutex<Watch>,
}

struct Watch {
    interest: Interest,
    cookie: u64,
    armed: bool,
    /// The number of size changes that was reported. It begins with 0: a change before the object was added is reported
    /// too, so that a program which asks for the size and then adds the object misses nothing.
    size_changes: u64,
}

/// What a look has found.
pub(super) struct Found {
    pub(super) event: Event,
    /// Whether it is to be reported as long as it is ready.
    pub(super) again: bool,
}

impl Entry {
    /// One that is not in a poller yet.
    pub(super) fn new(
        object: u64,
        pollable: Arc<dyn Pollable>,
        interest: Interest,
        cookie: u64,
    ) -> Result<Self> {
        check(&*pollable, interest)?;
        let watch = Watch { interest, cookie, armed: true, size_changes: 0 };
        Ok(Self { object, pollable, listed: AtomicBool::new(true), watch: Mutex::new(watch) })
    }

    /// Changes what it is watched for, and arms it again.
    pub(super) fn watch_for(&self, interest: Interest, cookie: u64) -> Result<()> {
        check(&*self.pollable, interest)?;
        let mut watch = self.watch.lock();
        *watch = Watch { interest, cookie, armed: true, ..*watch };
        Ok(())
    }

    /// Looks at the object; reports it if it is ready for what it is watched for.
    pub(super) fn look(&self) -> Option<Found> {
        let mut watch = self.watch.lock();
        if !watch.armed || self.pollable.watchers().is_retired() {
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
        watch.armed = !watch.interest.one_shot;
        Some(Found { event: Event { object: self.object, cookie: watch.cookie, ready }, again: watch.armed })
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
