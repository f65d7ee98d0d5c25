//! Lanes, log, shutdown, and readiness of objects.
//!
//! A *lane* is an OS thread that moves sessions in turns (`link::core`) and sleeps in its own epoll
//! between them. Callers' threads push to queues and pop from them, and may lead a lane while they
//! wait. One lane is the default: it was faster for datagrams than a work-stealing pool, because a
//! connection's packets, timers and queues never change core. Work that may wait and is not part of
//! a turn runs on the `service` thread.
//!
//! Code that depends on the operating system is in `epoll` and `thread`.

pub mod clock;
mod dispatcher;
pub mod epoll;
pub mod hand_over;
pub mod lane;
pub mod log;
pub mod rarely;
pub mod readiness;
mod service;
pub mod swept;
pub mod sync;
mod thread;
pub mod wait;
pub mod waiters;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};
pub use dispatcher::{dispatch, on_dispatcher};
use lane::LaneThread;
use service::Service;
use swept::Swept;
pub use thread::Scheduling;

/// The most lanes.
pub const MAX_LANES: u32 = 256;

/// The longest time that a thread may spin before it sleeps.
pub const MAX_SPIN: Duration = Duration::from_millis(1);

/// How the library runs. The first use fixes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// Number of lanes, 1 to [`MAX_LANES`].
    pub lanes: u32,
    /// Whether waiting threads take turns of their lane meanwhile.
    pub lead: bool,
    /// How long such a thread spins before it sleeps, as long as that has helped recently.
    pub spin: Duration,
    /// The CPUs on which lanes run, dealt out in turn; none leaves the choice to the system.
    pub lane_cpus: Vec<u32>,
    /// How the system schedules lanes.
    pub lane_scheduling: Scheduling,
}

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            lanes: 1,
            lead: true,
            spin: Duration::from_micros(30),
            lane_cpus: Vec::new(),
            lane_scheduling: Scheduling::Inherited,
        }
    }
}

/// The state of the process, which every entry point checks first with one relaxed load.
static USABLE: AtomicU8 = AtomicU8::new(Usable::Yes as u8);

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Usable {
    Yes = 0,
    ShutDown = 1,
    Forked = 2,
}

/// Held while threads start. [`shutdown`] takes it before it looks for them.
static OPTIONS: Mutex<Option<RuntimeOptions>> = Mutex::new(None);
static RUNTIME: OnceCell<Runtime> = OnceCell::new();
static LIVE: Live = Live { count: Mutex::new(0), zero: Condvar::new() };

/// Exists even without lanes: a poller needs none.
static CLOSERS: Mutex<Swept<Weak<dyn CloseOnShutdown>>> = Mutex::new(Swept::new());

/// An object that is closed at shutdown: a server, a client session or a poller.
pub trait CloseOnShutdown: Send + Sync {
    /// Begins to close the object; returns at once.
    fn close_on_shutdown(&self);
}

/// The threads.
pub struct Runtime {
    options: RuntimeOptions,
    service: Service,
    /// Each starts with the first endpoint that needs it.
    lanes: Mutex<Vec<LaneThread>>,
}

/// Refuses use after [`shutdown`] and in a forked child.
pub fn check_usable() -> Result<()> {
    match USABLE.load(Ordering::Relaxed) {
        0 => Ok(()),
        1 => Err(Error::ShutDown),
        _ => Err(Error::Forked),
    }
}

/// Marks this process as a forked child. It has no lanes, so it may not use the library.
/// Async-signal-safe.
pub fn mark_forked() {
    USABLE.store(Usable::Forked as u8, Ordering::Relaxed);
}

/// Sets how the library runs. Works only before first use; later it fails with
/// [`Error::InvalidState`].
pub fn configure(options: RuntimeOptions) -> Result<()> {
    check_usable()?;
    if options.lanes == 0 || options.lanes > MAX_LANES {
        return Err(Error::InvalidArgument(Cow::Owned(format!("lanes must be 1 to {MAX_LANES}"))));
    }
    if options.spin > MAX_SPIN {
        return Err(Error::InvalidArgument(Cow::Borrowed("spin_us must be 0 to 1000")));
    }
    if options.lane_cpus.iter().any(|cpu| *cpu >= thread::MAX_CPUS) {
        return Err(Error::InvalidArgument(Cow::Owned(format!(
            "the numbers of CPUs are below {}",
            thread::MAX_CPUS
        ))));
    }
    if let Scheduling::Fifo(priority) | Scheduling::RoundRobin(priority) = options.lane_scheduling
        && !(1..=thread::MAX_PRIORITY).contains(&priority)
    {
        return Err(Error::InvalidArgument(Cow::Borrowed("a real-time priority is 1 to 99")));
    }
    let mut slot = OPTIONS.lock();
    if RUNTIME.get().is_some() {
        return Err(Error::InvalidState(Cow::Borrowed("the library is already running")));
    }
    *slot = Some(options);
    Ok(())
}

/// The runtime, started on first use. A failed start is reported, and the next call tries again.
pub fn get() -> Result<&'static Runtime> {
    check_usable()?;
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let options = OPTIONS.lock();
    // Read under the lock: a shutdown that took it before does not stop threads that start now.
    check_usable()?;
    RUNTIME.get_or_try_init(|| {
        Ok(Runtime {
            options: options.clone().unwrap_or_default(),
            service: Service::start()?,
            lanes: Mutex::default(),
        })
    })
}

impl Runtime {
    /// Its configuration.
    pub fn options(&self) -> &RuntimeOptions {
        &self.options
    }

    /// The thread for all work that is not a lane's turn.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Adds a lane. Its thread ends at shutdown, or at once after a shutdown.
    pub fn stop_at_shutdown(&self, lane: LaneThread) -> Result<()> {
        let mut kept = self.lanes.lock();
        // Read under the lock: a shutdown that took it before does not look again.
        check_usable().inspect_err(|_| lane.stop())?;
        kept.push(lane);
        Ok(())
    }
}

/// Makes a shutdown close `closer`, as long as that lives.
pub fn close_on_shutdown(closer: Weak<dyn CloseOnShutdown>) {
    {
        let mut closers = CLOSERS.lock();
        // Read under the lock: a shutdown that took it before does not look again.
        if check_usable().is_ok() {
            closers.push(closer, |closer| closer.strong_count() > 0);
            return;
        }
    }
    if let Some(closer) = closer.upgrade() {
        closer.close_on_shutdown();
    }
}

/// Closes everything, waits up to `timeout` until all sessions have sent their close, then ends the
/// lanes.
///
/// Returns [`Error::TimedOut`] if the lanes ended before every session had sent its close. After
/// this, every call of the library finds it shut down. A second call does nothing.
pub fn shutdown(timeout: Duration) -> Result<()> {
    match USABLE.compare_exchange(
        Usable::Yes as u8,
        Usable::ShutDown as u8,
        Ordering::Relaxed,
        Ordering::Relaxed,
    ) {
        Ok(_) => {}
        Err(state) if state == Usable::ShutDown as u8 => return Ok(()),
        Err(_) => return Err(Error::Forked),
    }
    let deadline = Instant::now() + timeout;
    let closers = std::mem::take(&mut *CLOSERS.lock());
    for closer in closers.into_iter().filter_map(|closer| closer.upgrade()) {
        closer.close_on_shutdown();
    }
    // Waits for objects that are starting now.
    drop(OPTIONS.lock());
    let Some(runtime) = RUNTIME.get() else { return Ok(()) };
    let clean = LIVE.wait_zero(deadline);
    for lane in runtime.lanes.lock().iter() {
        lane.stop();
    }
    runtime.service.stop();
    if clean { Ok(()) } else { Err(Error::TimedOut) }
}

/// Every session holds one until its close was sent. [`shutdown`] waits for the last one.
pub struct LiveGuard(());

impl LiveGuard {
    /// Counts one more session.
    pub fn new() -> Arc<Self> {
        *LIVE.count.lock() += 1;
        Arc::new(Self(()))
    }
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        let mut count = LIVE.count.lock();
        *count -= 1;
        if *count == 0 {
            LIVE.zero.notify_all();
        }
    }
}

struct Live {
    count: Mutex<usize>,
    zero: Condvar,
}

impl Live {
    fn wait_zero(&self, deadline: Instant) -> bool {
        let mut count = self.count.lock();
        while *count > 0 {
            if self.zero.wait_until(&mut count, deadline).timed_out() {
                return *count == 0;
            }
        }
        true
    }
}
