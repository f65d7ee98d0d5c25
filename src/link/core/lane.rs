//! A lane: its core, the requests of other threads, and how to wake it.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;
use parking_lot::{Mutex, MutexGuard};

use super::{Arrival, Command, ConnectionKey, Core, EndpointKey, Job, JobHandle, Mailbox, Wire};
use crate::runtime::epoll::Sleep;
use crate::runtime::lane::Next;
use crate::runtime::waiters::Lead;

/// The owner of a lane's sockets.
pub trait Driver: Lead {
    /// Sends on this thread what a session has to send, if no other thread takes a turn. Returns
    /// whether it did. Must not be called in a turn, nor with a lock held that a turn takes.
    fn send_now(&self, key: ConnectionKey) -> bool;
}

/// A lane. A thread takes its turns (`udp`), or a test that simulates time and network.
pub struct Lane {
    index: usize,
    core: Mutex<Core>,
    mailbox: Mailbox,
    sleep: Option<Arc<Sleep>>,
    /// Held during each turn.
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

    /// The number of the lane, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The core, for rare operations. The lane takes no turn while the guard lives. Must not be
    /// called in a turn.
    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock()
    }

    /// Keeps the lane from taking turns until the guard is dropped. Unlike with the core's guard,
    /// the core can be asked for in the meantime.
    pub fn pause(&self) -> MutexGuard<'_, ()> {
        self.turns.lock()
    }

    /// Like [`Self::pause`], but `None` if a turn is taken now.
    pub(in crate::link) fn try_pause(&self) -> Option<MutexGuard<'_, ()>> {
        self.turns.try_lock()
    }

    /// Like [`Self::pause`], but `None` if it would take longer than `patience`.
    pub(in crate::link) fn try_pause_for(&self, patience: Duration) -> Option<MutexGuard<'_, ()>> {
        self.turns.try_lock_for(patience)
    }

    /// The owner of the sockets; `None` in simulated time.
    pub fn driver(&self) -> Option<Arc<dyn Driver>> {
        self.driver.get().and_then(Weak::upgrade)
    }

    /// The lane, for a thread to lead while it waits for something that the lane brings.
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

    /// Stops admitting connections at `endpoint` and ends those without a session. Its socket
    /// closes with the last of the others.
    pub fn stop_listening(&self, endpoint: EndpointKey) {
        self.post(Command::StopListening(endpoint));
    }

    /// Lets `endpoint`, which refuses new connections, end with the last of those that it has.
    pub fn retire(&self, endpoint: EndpointKey) {
        self.post(Command::Retire(endpoint));
    }

    pub(in crate::link) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Posts a request to the lane. May be called on any thread and in any turn.
    pub(in crate::link) fn post(&self, command: Command) {
        if self.mailbox.post(command) {
            self.wake();
        }
    }

    /// Passes on packets for the socket of `endpoint` that arrived at another lane. May be called in
    /// any turn.
    pub(super) fn pass(&self, endpoint: EndpointKey, arrival: Arrival) {
        if self.mailbox.pass(endpoint, arrival) {
            self.wake();
        }
    }

    /// Feeds the datagrams of a session to QUIC on the calling thread if the lane takes no turn
    /// now. Returns whether it did. The datagrams leave in the lane's next turn. Must not be called
    /// in a turn.
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

    /// Adds a `job` of a session that runs in turns of this lane, for the first time in the next
    /// one. Must not be called in a turn.
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
