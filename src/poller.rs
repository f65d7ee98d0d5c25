//! One thing to wait on for many objects, with one descriptor for programs that have a loop of their own.
//!
//! Level-triggered. An object whose readiness may have changed is put on the ready list by its watcher; waiting looks
//! at those on the list, reports what is ready, and takes off the list what is not; objects whose handle is gone leave.
//! The descriptor is readable while the list is not empty.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};
use crate::runtime::readiness::{Pollable, Ready, Watcher};
use crate::runtime::wait::{Deadline, wait_for};

/// What an object is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Conditions to report; [`Ready::CLOSED`] is reported in any case.
    pub ready: Ready,
    /// After one report, say nothing until the interest is set anew.
    pub one_shot: bool,
}

/// One object that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The number under which the object was added.
    pub object: u64,
    /// What the caller wanted to find again.
    pub cookie: u64,
    /// What it is ready for.
    pub ready: Ready,
}

/// The poller.
pub struct Poller {
    token: u64,
    state: Mutex<State>,
    changed: Condvar,
    signal: Signal,
}

struct State {
    entries: HashMap<u64, Arc<Entry>>,
    ready: VecDeque<Arc<Entry>>,
    woken: bool,
    closed: bool,
}

struct Entry {
    object: u64,
    pollable: Arc<dyn Pollable>,
    watch: Mutex<Watch>,
    /// On the ready list. Changed only under the poller's lock; read without it to make a repeated change cheap.
    listed: AtomicBool,
}

struct Watch {
    interest: Interest,
    cookie: u64,
    armed: bool,
}

impl Poller {
    /// A poller that watches nothing yet.
    pub fn new() -> Result<Arc<Self>> {
        static TOKENS: AtomicU64 = AtomicU64::new(1);
        Ok(Arc::new(Self {
            token: TOKENS.fetch_add(1, Ordering::Relaxed),
            state: Mutex::new(State {
                entries: HashMap::new(),
                ready: VecDeque::new(),
                woken: false,
                closed: false,
            }),
            changed: Condvar::new(),
            signal: Signal::new()?,
        }))
    }

    /// Watches `pollable` under the number `object`. One that is ready already is reported.
    pub fn add(
        self: &Arc<Self>,
        object: u64,
        pollable: Arc<dyn Pollable>,
        interest: Interest,
        cookie: u64,
    ) -> Result<()> {
        check(&*pollable, interest)?;
        let watch = Mutex::new(Watch { interest, cookie, armed: true });
        let entry = Arc::new(Entry { object, pollable, watch, listed: AtomicBool::new(false) });
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(Error::Closed);
            }
            if state.entries.contains_key(&object) {
                return Err(Error::InvalidState("the object is already in this poller".into()));
            }
            state.entries.insert(object, Arc::clone(&entry));
        }
        let hook = Hook { poller: Arc::downgrade(self), entry: Arc::downgrade(&entry) };
        entry.pollable.watchers().add(self.token, Arc::new(hook));
        self.list(&entry);
        Ok(())
    }

    /// Changes what `object` is watched for, and arms a one-shot interest anew.
    pub fn modify(&self, object: u64, interest: Interest, cookie: u64) -> Result<()> {
        let entry = self.state.lock().entries.get(&object).cloned().ok_or_else(unknown)?;
        check(&*entry.pollable, interest)?;
        *entry.watch.lock() = Watch { interest, cookie, armed: true };
        self.list(&entry);
        Ok(())
    }

    /// Stops watching `object`.
    pub fn remove(&self, object: u64) -> Result<()> {
        let entry = {
            let mut state = self.state.lock();
            let entry = state.entries.remove(&object).ok_or_else(unknown)?;
            state.ready.retain(|listed| !Arc::ptr_eq(listed, &entry));
            self.settle(&mut state);
            entry
        };
        entry.pollable.watchers().remove(self.token);
        Ok(())
    }

    /// Waits until `deadline` for something to be ready and fills `events`; returns how many. 0 only after
    /// [`Poller::wake`].
    pub fn wait(&self, events: &mut [Event], deadline: Deadline) -> Result<usize> {
        if events.is_empty() {
            return Err(Error::InvalidArgument("there is no room for events".into()));
        }
        wait_for(&mut self.state.lock(), &self.changed, deadline, |state| {
            if state.closed {
                return Some(Err(Error::Closed));
            }
            let count = collect(state, events);
            let woken = std::mem::take(&mut state.woken);
            self.settle(state);
            (count > 0 || woken).then_some(Ok(count))
        })
    }

    /// Makes one present or future wait return, with no events if there are none.
    pub fn wake(&self) {
        let mut state = self.state.lock();
        state.woken = true;
        self.signal.raise();
        drop(state);
        self.changed.notify_all();
    }

    /// The descriptor that is readable while something is ready. Owned by the poller: only to be polled.
    pub fn descriptor(&self) -> RawFd {
        self.signal.descriptor()
    }

    /// Ends every wait; nothing can be added any more.
    pub fn close(&self) {
        let entries = {
            let mut state = self.state.lock();
            state.closed = true;
            state.ready.clear();
            self.signal.raise();
            std::mem::take(&mut state.entries)
        };
        for entry in entries.values() {
            entry.pollable.watchers().remove(self.token);
        }
        self.changed.notify_all();
    }

    fn list(&self, entry: &Arc<Entry>) {
        if entry.listed.load(Ordering::SeqCst) {
            return;
        }
        {
            let mut state = self.state.lock();
            if state.closed || entry.listed.swap(true, Ordering::SeqCst) {
                return;
            }
            state.ready.push_back(Arc::clone(entry));
            // Also when others are on the list: an edge-triggered poller above must hear of every newcomer.
            self.signal.raise();
        }
        self.changed.notify_one();
    }

    /// The descriptor says what the list says.
    fn settle(&self, state: &mut State) {
        if state.ready.is_empty() && !state.woken && !state.closed {
            self.signal.lower();
        }
    }
}

/// Takes events off the list. What is still ready goes to its end, so that no object can starve the others.
fn collect(state: &mut State, events: &mut [Event]) -> usize {
    let mut count = 0;
    for _ in 0..state.ready.len() {
        if count == events.len() {
            break;
        }
        let Some(entry) = state.ready.pop_front() else { break };
        // Off the list before the look: a change after the look lists it again.
        entry.listed.store(false, Ordering::SeqCst);
        if entry.pollable.watchers().is_retired() {
            state.entries.remove(&entry.object);
            continue;
        }
        let mut watch = entry.watch.lock();
        let wanted = watch.interest.ready | Ready::CLOSED;
        let ready = if watch.armed { entry.pollable.ready() & wanted } else { Ready::NONE };
        if ready.is_empty() {
            continue;
        }
        events[count] = Event { object: entry.object, cookie: watch.cookie, ready };
        count += 1;
        if watch.interest.one_shot {
            watch.armed = false;
            continue;
        }
        drop(watch);
        if !entry.listed.swap(true, Ordering::SeqCst) {
            state.ready.push_back(entry);
        }
    }
    count
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.close();
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

fn unknown() -> Error {
    Error::InvalidState("the object is not in this poller".into())
}

struct Hook {
    poller: Weak<Poller>,
    entry: Weak<Entry>,
}

impl Watcher for Hook {
    fn changed(&self) {
        if let (Some(poller), Some(entry)) = (self.poller.upgrade(), self.entry.upgrade()) {
            poller.list(&entry);
        }
    }
}

/// The descriptor: an eventfd, non-blocking and closed on exec.
struct Signal(EventFd);

impl Signal {
    fn new() -> Result<Self> {
        EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
            .map(Self)
            .map_err(|errno: Errno| Error::io("making an eventfd", &errno.into()))
    }

    fn raise(&self) {
        // Fails only when the counter is full, and then it is readable already.
        let _ = self.0.write(1);
    }

    fn lower(&self) {
        // Fails only when it is not raised.
        let _ = self.0.read();
    }

    fn descriptor(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
