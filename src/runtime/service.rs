//! The service thread: tokio, for work that is not part of a lane's turn. It runs attempts to
//! connect, and takes samples for monitors.

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::thread;
use crate::error::{Error, Result};

/// One OS thread with a current-thread tokio runtime.
pub struct Service {
    handle: Handle,
    stop: Arc<Notify>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Service {
    /// Starts the thread.
    pub(super) fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Only name look-ups block. A few threads that end when idle are enough.
            .max_blocking_threads(8)
            .thread_name("wtgram-resolver")
            .build()
            .map_err(|error| Error::io("starting the runtime", &error))?;
        let handle = runtime.handle().clone();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn("wtgram-service".into(), move || {
            runtime.block_on(stopped.notified());
            runtime.shutdown_background();
        })
        .map_err(|error| Error::io("starting the service thread", &error))?;
        Ok(Self { handle, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Runs `task` on the service thread. A panic ends only this task.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.handle.spawn(task));
    }

    pub(super) fn stop(&self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}
