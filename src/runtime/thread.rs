//! Threads on which signal handlers of the program never run, and where and how threads are
//! scheduled.

use std::io;
use std::thread::{Builder, JoinHandle};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::Pid;

/// How the system schedules a thread (sched(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheduling {
    /// As the thread that starts it.
    #[default]
    Inherited,
    /// `SCHED_FIFO` with this priority, 1 to 99.
    Fifo(u8),
    /// `SCHED_RR` with this priority, 1 to 99.
    RoundRobin(u8),
}

/// The highest priority of real-time scheduling on Linux.
pub const MAX_PRIORITY: u8 = 99;

/// One more than the highest number of a CPU that can be asked for.
pub const MAX_CPUS: u32 = CpuSet::count() as u32;

/// Starts a thread with all signals blocked from its first instruction, because it inherits the
/// mask of the thread that starts it.
pub fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let thread = Builder::new().name(name).spawn(body);
    before.thread_set_mask()?;
    thread
}

/// Keeps this thread on the CPU with this number, which is below [`MAX_CPUS`].
pub fn pin(cpu: u32) -> io::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu as usize)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cpus)?)
}

/// Schedules this thread like this from now on.
pub fn schedule(how: Scheduling) -> io::Result<()> {
    let (policy, priority) = match how {
        Scheduling::Inherited => return Ok(()),
        Scheduling::Fifo(priority) => (libc::SCHED_FIFO, priority),
        Scheduling::RoundRobin(priority) => (libc::SCHED_RR, priority),
    };
    let parameters = libc::sched_param { sched_priority: priority.into() };
    #[allow(unsafe_code)] // No library that we use has this call.
    // SAFETY: the thread is this one, and the parameters outlive the call, which only reads them.
    let error = unsafe { libc::pthread_setschedparam(libc::pthread_self(), policy, &parameters) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}
