//! A lane: one OS thread, one current-thread tokio runtime.

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::thread;
use crate::error::{Error, Result};

/// Turns that a lane takes after it was told to stop, so that what was written last also leaves.
const LAST_TURNS: usize = 8;

/// A handle to a lane; clones name the same thread.
#[derive(Clone)]
pub struct Lane {
    index: usize,
    handle: Handle,
    stop: Arc<Notify>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Lane {
    /// Starts the thread `wtgram-<index>`.
    pub(super) fn start(index: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Name look-ups are the only blocking work; a few threads that leave when idle are enough.
            .max_blocking_threads(8)
            .thread_name("wtgram-resolver")
            .build()
            .map_err(|error| Error::io("starting the runtime", &error))?;
        let handle = runtime.handle().clone();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(format!("wtgram-{index}"), move || {
            runtime.block_on(async {
                stopped.notified().await;
                for _ in 0..LAST_TURNS {
                    tokio::task::yield_now().await;
                }
            });
            runtime.shutdown_background();
        })
        .map_err(|error| Error::io("starting a lane", &error))?;
        Ok(Self { index: index as usize, handle, stop, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Which lane it is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Runs `task` on the lane.
    ///
    /// A panic inside is contained by tokio: it ends that task only, and whatever the task owned is dropped. The tasks of a
    /// session run by `link::Session::spawn`, which ends the session then.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.handle.spawn(task));
    }

    /// Runs `task` on the lane and waits for its result on the calling thread.
    ///
    /// Must not be called on a lane; nothing in the library does, because user code never runs there.
    pub fn run<F, T>(&self, task: F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        self.spawn(async move {
            let _ = sender.send(task.await);
        });
        // The sender is dropped without a value only when the task panicked or the lane was stopped.
        receiver.recv().unwrap_or(Err(Error::Closed))
    }

    /// Makes this lane the current tokio runtime while `body` runs, for constructors that ask for it.
    pub fn enter<T>(&self, body: impl FnOnce() -> T) -> T {
        let _guard = self.handle.enter();
        body()
    }

    pub(super) fn stop(&self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}
