//! Threads on which signal handlers of the program never run.

use std::io;
use std::thread::{Builder, JoinHandle};

use nix::sys::signal::{SigSet, SigmaskHow};

/// Starts a thread with all signals blocked from its first instruction, because it inherits the
/// mask of the thread that starts it.
pub fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let thread = Builder::new().name(name).spawn(body);
    before.thread_set_mask()?;
    thread
}
