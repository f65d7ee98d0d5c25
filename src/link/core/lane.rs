//! A lane: its core, the requests of other threads, and how to wake it.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;
use parking_lot::{Mutex, MutexGuard};

use super::{Command, ConnectionKey, Core, EndpointKey, Job, JobHandle, Mailbox, Wire};
use crate::runtime::epoll::Sleep;
use crate::runtime::lane::Next;
use crate::runtime::waiters::Lead;

/// Whoever has the sockets of a lane.
pub trait Driver: Lead {
    /// Sends what a session has to send on this thread, if no other takes a turn; whether it did.
    /// Not in a turn, and with no lock held that a turn takes.
    fn send_now(&self, key: ConnectionKey) -> bool;
}

/// A lane. Its turns are taken by a thread (`udp`), or by a test that invents time and network.
pub struct Lane {
    index: usize,
    core: Mutex<Core>,
    mailbox: Mailbox,
    sleep: Option<Arc<Sleep>>,
    /// Held in each turn.
    turns: Mutex<()>,
    driver: OnceCell<Weak<dyn Driver>>,
}

impl Lane {
    /// A lane whose thread, if it has one, sleeps in `sleep`.
    pub fn new(index: usize, sleep: Option<Arc<Sleep>>) -> Arc<Self> {
        Arc::new(Self {
            index,
            core: Mutex::new(Core::default()),
            mailbox: Mailbox::default(),
            sleep,
            turns: Mutex::default(),
            driver: OnceCell::new(),
        })
    }

    /// Which lane it is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The core, for what is rare: the lane takes no turn meanwhile. Never in a turn.
    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock()
    }

    /// Lets the lane take no turn until the guard is dropped. Unlike with the core's guard, the
    /// lane can be asked for its core meanwhile.
    pub fn pause(&self) -> MutexGuard<'_, ()> {
        self.turns.lock()
    }

    /// The same, if no turn is taken now.
    pub(in crate::link) fn try_pause(&self) -> Option<MutexGuard<'_, ()>> {
        self.turns.try_lock()
    }

    /// The same, if it takes no longer than `patience`.
    pub(in crate::link) fn try_pause_for(&self, patience: Duration) -> Option<MutexGuard<'_, ()>> {
        self.turns.try_lock_for(patience)
    }

    /// Whoever has the sockets; none in invented time.
    pub fn driver(&self) -> Option<Arc<dyn Driver>> {
        self.driver.get().and_then(Weak::upgrade)
    }

    /// What a thread can lead that waits for something that this lane brings.
    pub fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.driver().map(|driver| driver as Arc<dyn Lead>)
    }

    pub(in crate::link) fn set_driver(&self, driver: Weak<dyn Driver>) {
        let _ = self.driver.set(driver);
    }

    /// Takes a turn at `now`.
    pub fn turn(&self, now: Instant, wire: &mut dyn Wire) -> Next {
        let _turn = self.pause();
        self.core.lock().turn(now, &self.mailbox, wire)
    }

    /// Lets nobody new in at `endpoint`, and those without a session go; its socket closes with the last of the others.
    pub fn stop_listening(&self, endpoint: EndpointKey) {
        self.post(Command::StopListening(endpoint));
    }

    pub(in crate::link) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Asks something of the lane, from any thread and in any turn.
    pub(in crate::link) fn post(&self, command: Command) {
        if self.mailbox.post(command) {
            self.wake();
        }
    }

    /// Feeds the datagrams of a session to QUIC on the calling thread if the lane takes no turn right now; whether it
    /// did. They leave in the lane's next turn. Never in a turn.
    pub(in crate::link) fn feed_now(&self, key: ConnectionKey) -> bool {
        let Some(mut core) = self.core.try_lock() else { return false };
        core.feed_now(Instant::now(), key);
        drop(core);
        if self.mailbox.take_sleeper() {
            self.wake();
        }
        true
    }

    /// Ends the lane's sleep.
    pub(in crate::link) fn wake(&self) {
        if let Some(sleep) = &self.sleep {
            sleep.wake();
        }
    }

    /// Has `job` of a session done in turns of this lane, for the first time in the next. Never in a turn.
    pub(in crate::link) fn add_job(
        self: &Arc<Self>,
        owner: ConnectionKey,
        job: Arc<dyn Job>,
    ) -> Arc<JobHandle> {
        let handle = self.core.lock().add_job(self, owner, job);
        handle.wake();
        handle
    }
}
