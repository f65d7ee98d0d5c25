//! A poller: one wait for many objects, with one file descriptor for event loops.
//!
//! It is level-triggered. The watcher of an object puts it on the ready list when its readiness may
//! have changed. A wait looks at the objects on the list, reports those that are ready, and removes
//! the others. The descriptor is readable while the list is not empty. `tests/poller_model` states
//! and tests these rules.
//!
//! One thread at a time looks, without the lock of the list. So lanes that list objects never wait
//! for a look, and a look may notify others. Meanwhile one of the waiting threads leads the lane of
//! a watched object.

mod entry;
mod signal;

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, VecDeque};
use std::os::fd::RawFd;
use std::sync::{Arc, Weak};

use crate::error::{Error, Result};
use crate::runtime::readiness::{Pollable, Ready, Subscription, Watcher};
use crate::runtime::sync::{Condvar, Mutex, MutexGuard, Ordering, fence};
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::{Lead, Leader};
use crate::runtime::{CloseOnShutdown, close_on_shutdown};
use entry::{Entry, Found};
use signal::Signal;

/// The interest in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Conditions to report; [`Ready::CLOSED`] is reported in any case.
    pub ready: Ready,
    /// Report once, then not again until the interest is set again.
    pub one_shot: bool,
}

/// An object that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The number under which the object was added.
    pub object: u64,
    /// The caller's data.
    pub cookie: u64,
    /// What it is ready for.
    pub ready: Ready,
}

/// The poller.
pub struct Poller {
    state: Mutex<State>,
    changed: Condvar,
    leader: Leader,
    /// Held by the thread that looks, so that no other thread takes "being looked at" for "not
    /// ready". The memory is reused.
    looking: Mutex<Vec<Arc<Entry>>>,
}

struct State {
    members: HashMap<u64, Member>,
    listed: VecDeque<Arc<Entry>>,
    /// The number of waits that [`Poller::wake`] still has to end.
    wakes: usize,
    closed: bool,
    /// The lane that one of the waiting threads leads.
    led: Option<Arc<dyn Lead>>,
    signal: Signal,
}

/// Must be dropped without the poller's lock: it may be the last owner of its object.
struct Member {
    entry: Arc<Entry>,
    _subscription: Subscription,
}

impl Poller {
    /// A poller without objects.
    pub fn new() -> Result<Arc<Self>> {
        let poller = Arc::new(Self {
            state: Mutex::new(State {
                members: HashMap::new(),
                listed: VecDeque::new(),
                wakes: 0,
                closed: false,
                led: None,
                signal: Signal::new()?,
            }),
            changed: Condvar::new(),
            leader: Leader::default(),
            looking: Mutex::new(Vec::new()),
        });
        close_on_shutdown(Arc::downgrade(&poller) as _);
        Ok(poller)
    }

    /// Adds `pollable` under the number `object`. It is reported if it is ready already.
    pub fn add(
        self: &Arc<Self>,
        object: u64,
        pollable: Arc<dyn Pollable>,
        interest: Interest,
        cookie: u64,
    ) -> Result<()> {
        let entry = Arc::new(Entry::new(object, Arc::clone(&pollable), interest, cookie)?);
        let hook = Hook { poller: Arc::downgrade(self), entry: Arc::downgrade(&entry) };
        // Subscribes first: the first look sees changes from before the object is a member.
        let subscription = Subscription::new(pollable, Arc::new(hook));
        let member = Member { entry: Arc::clone(&entry), _subscription: subscription };
        self.admit(member).map_err(|(refused, _)| refused)?;
        self.list(&entry);
        if entry.pollable.watchers().is_retired() {
            self.forget(&entry);
        }
        Ok(())
    }

    /// Adds an entry. If that is refused, the caller drops it without the lock.
    fn admit(&self, member: Member) -> std::result::Result<(), (Error, Member)> {
        let mut state = self.state.lock();
        if state.closed {
            return Err((Error::Closed, member));
        }
        match state.members.entry(member.entry.object) {
            MapEntry::Occupied(_) => {
                Err((Error::InvalidState("the object is already in this poller".into()), member))
            }
            MapEntry::Vacant(place) => {
                member.entry.listed.store(false, Ordering::SeqCst);
                place.insert(member);
                Ok(())
            }
        }
    }

    /// Changes the interest in `object`, and arms a one-shot interest again.
    pub fn modify(&self, object: u64, interest: Interest, cookie: u64) -> Result<()> {
        let entry = self.state.lock().member(object)?;
        entry.watch_for(interest, cookie)?;
        // A change that finds the entry not yet armed is seen by the look.
        fence(Ordering::SeqCst);
        self.list(&entry);
        Ok(())
    }

    /// Removes `object`. A wait that has begun before may still report it.
    pub fn remove(&self, object: u64) -> Result<()> {
        let removed = {
            let mut state = self.state.lock();
            let entry = state.member(object)?;
            state.remove(&entry)
        };
        drop(removed);
        Ok(())
    }

    /// Waits until `deadline` for something to be ready, fills `events`, and returns the number of
    /// events: 0 only after [`Poller::wake`].
    pub fn wait(&self, events: &mut [Event], deadline: Deadline) -> Result<usize> {
        if events.is_empty() {
            return Err(Error::InvalidArgument("there is no room for events".into()));
        }
        let mut last = deadline == Deadline::Now;
        loop {
            let (count, mut state) = self.collect(events);
            if state.closed {
                return Err(Error::Closed);
            }
            let woken = count > 0 || state.wakes > 0;
            if woken || last {
                state.wakes -= usize::from(state.wakes > 0);
                state.settle();
                self.leave(state);
                return if woken { Ok(count) } else { Err(deadline.missed()) };
            }
            state.settle();
            state = self.lead(state, deadline);
            // Objects that were listed since the look are looked at before a thread sleeps.
            last =
                if state.has_news() { deadline.is_over() } else { deadline.sleep(&mut state, &self.changed) };
        }
    }

    /// Leads the lane of a watched object on this thread until the list has entries. Only one lane
    /// is led for a poller.
    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>, deadline: Deadline) -> MutexGuard<'a, State> {
        if state.led.is_some() || state.has_news() {
            return state;
        }
        let mut members = state.members.values();
        let Some(lane) = members.find_map(|member| member.entry.pollable.lane_to_lead()) else {
            return state;
        };
        state.led = Some(Arc::clone(&lane));
        drop(state);
        self.leader.lead(&*lane, deadline, &mut || self.state.lock().has_news());
        state = self.state.lock();
        state.led = None;
        state
    }

    /// Wakes one of the waiting threads, and the leading one. Call it without the lock.
    fn wake_one(&self) {
        self.changed.notify_one();
        self.wake_leader();
    }

    fn wake_leader(&self) {
        self.leader.wake(|| self.state.lock().led.clone());
    }

    /// Looks at all listed objects until `events` is full. Objects that are still ready go to the
    /// end of the list, so that none starves the others.
    fn collect(&self, events: &mut [Event]) -> (usize, MutexGuard<'_, State>) {
        let mut batch = self.looking.lock();
        let mut state = self.state.lock();
        let mut count = 0;
        let mut left = state.listed.len();
        while left > 0 && count < events.len() && !state.listed.is_empty() {
            let size = left.min(events.len() - count).min(state.listed.len());
            left -= size;
            batch.extend(state.listed.drain(..size));
            for entry in batch.iter() {
                entry.listed.store(false, Ordering::SeqCst);
            }
            drop(state);
            // Removed from the list before the look: a change that the look does not see lists the
            // object again.
            fence(Ordering::SeqCst);
            let reported = count;
            batch.retain(|entry| {
                // It is looked at again only if another one has left the list meanwhile.
                if events[..reported].iter().any(|event| event.object == entry.object) {
                    return true;
                }
                let Some(Found { event, again }) = entry.look() else { return false };
                events[count] = event;
                count += 1;
                again
            });
            state = self.state.lock();
            batch.retain(|entry| !state.list(entry));
            if !batch.is_empty() {
                // It was changed or removed meanwhile. This may drop a removed object, so it must
                // not run under the lock.
                drop(state);
                batch.clear();
                state = self.state.lock();
            }
        }
        (count, state)
    }

    /// A thread that leaves notifies the next waiting one if anything is left: no thread sleeps
    /// while an object is ready.
    fn leave(&self, state: MutexGuard<'_, State>) {
        let more = !state.listed.is_empty() || state.wakes > 0;
        drop(state);
        if more {
            self.wake_one();
        }
    }

    /// Makes one present or future wait return, with no events if there are none.
    pub fn wake(&self) {
        let mut state = self.state.lock();
        state.wakes = state.wakes.saturating_add(1);
        state.signal.ring();
        drop(state);
        self.wake_one();
    }

    /// The descriptor that is readable while something is ready. The poller owns it: callers only
    /// poll it.
    pub fn descriptor(&self) -> RawFd {
        self.state.lock().signal.descriptor()
    }

    /// Ends every wait. Objects can no longer be added.
    pub fn close(&self) {
        let members = {
            let mut state = self.state.lock();
            state.closed = true;
            state.signal.ring();
            for member in state.members.values() {
                member.entry.listed.store(true, Ordering::SeqCst);
            }
            let listed = std::mem::take(&mut state.listed);
            (std::mem::take(&mut state.members), listed)
        };
        drop(members);
        self.changed.notify_all();
        self.wake_leader();
    }

    /// The object may have become ready.
    fn list(&self, entry: &Arc<Entry>) {
        if entry.listed.load(Ordering::SeqCst) {
            return;
        }
        {
            let mut state = self.state.lock();
            if !state.list(entry) {
                return;
            }
            // Also when others are on the list: an edge-triggered event loop must be notified of
            // each new object.
            state.signal.ring();
        }
        self.wake_one();
    }

    /// The object's handle was released.
    fn forget(&self, entry: &Arc<Entry>) {
        let removed = self.state.lock().remove(entry);
        drop(removed);
    }
}

impl State {
    /// Whether there is something to look at for a waiting thread.
    fn has_news(&self) -> bool {
        !self.listed.is_empty() || self.wakes > 0 || self.closed
    }

    fn member(&self, object: u64) -> Result<Arc<Entry>> {
        if self.closed {
            return Err(Error::Closed);
        }
        let member = self.members.get(&object);
        let unknown = || Error::InvalidState("the object is not in this poller".into());
        member.map(|member| Arc::clone(&member.entry)).ok_or_else(unknown)
    }

    /// Adds it to the end of the list, if it is a member and not listed.
    fn list(&mut self, entry: &Arc<Entry>) -> bool {
        let new = !entry.listed.swap(true, Ordering::SeqCst);
        if new {
            self.listed.push_back(Arc::clone(entry));
        }
        new
    }

    /// Removes it, if it is a member. The caller drops the returned entry without the lock.
    fn remove(&mut self, entry: &Arc<Entry>) -> Option<Member> {
        if !self.members.get(&entry.object).is_some_and(|member| Arc::ptr_eq(&member.entry, entry)) {
            return None;
        }
        if entry.listed.swap(true, Ordering::SeqCst) {
            self.listed.retain(|listed| !Arc::ptr_eq(listed, entry));
            self.settle();
        }
        self.members.remove(&entry.object)
    }

    /// Makes the descriptor readable if and only if the list is not empty.
    fn settle(&mut self) {
        self.signal.set(self.has_news());
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.close();
    }
}

impl CloseOnShutdown for Poller {
    fn close_on_shutdown(&self) {
        self.close();
    }
}

struct Hook {
    poller: Weak<Poller>,
    entry: Weak<Entry>,
}

impl Watcher for Hook {
    fn changed(&self) {
        if let (Some(poller), Some(entry)) = (self.poller.upgrade(), self.entry.upgrade()) {
            if entry.pollable.watchers().is_retired() {
                poller.forget(&entry);
            } else if entry.is_armed() {
                poller.list(&entry);
            }
        }
    }
}
