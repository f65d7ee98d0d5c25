//! The thread that runs callbacks of the program, so that no lane runs them.

use std::borrow::Cow;

use crossbeam_channel::{Sender, bounded};
use once_cell::sync::OnceCell;

use super::thread;
use crate::error::{Error, Result};

/// The most calls that may wait. More are refused, so that a slow callback cannot use up memory.
const CAPACITY: usize = 4096;

const THREAD: &str = "wtgram-callback";

type Call = Box<dyn FnOnce() + Send>;

static DISPATCHER: OnceCell<Sender<Call>> = OnceCell::new();

/// Runs `call` on the dispatcher thread, after all earlier calls.
///
/// Errors: the thread cannot be started, or [`Error::LimitReached`] when too many calls wait.
pub fn dispatch(call: Call) -> Result<()> {
    let sender = DISPATCHER.get_or_try_init(start)?;
    sender.try_send(call).map_err(|_| Error::LimitReached(Cow::Borrowed("callbacks waiting to run")))
}

/// Whether this is the dispatcher thread. A function that waits for callbacks must not be called on
/// it.
pub fn on_dispatcher() -> bool {
    std::thread::current().name() == Some(THREAD)
}

fn start() -> Result<Sender<Call>> {
    let (sender, receiver) = bounded::<Call>(CAPACITY);
    thread::spawn(THREAD.into(), move || {
        for call in receiver {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
        }
    })
    .map_err(|error| Error::io("starting the callback thread", &error))?;
    Ok(sender)
}
