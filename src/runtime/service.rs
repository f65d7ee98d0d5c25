//! The service thread: tokio, for work that is not part of a lane's turn. It resolves names,
//! staggers attempts to connect, and takes samples for monitors.

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::thread;
use super::wait::Deadline;
use super::waiters::{Lead, Waiters};
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

    /// Runs `task` on the service thread and waits for its result on the calling thread, which must
    /// be neither this one nor a lane's. Meanwhile the calling thread leads `lane` if it can.
    pub fn run<F, T>(&self, lane: Option<Arc<dyn Lead>>, task: F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let awaited = Arc::new(Awaited { result: Mutex::new(None), waiters: Waiters::new(lane) });
        let promise = Promise(Arc::clone(&awaited));
        self.spawn(async move { promise.keep(task.await) });
        awaited.waiters.wait_for(&awaited.result, Deadline::Never, Option::take)
    }

    pub(super) fn stop(&self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

/// The result of a task, and the thread that waits for it.
struct Awaited<T> {
    result: Mutex<Option<Result<T>>>,
    waiters: Waiters,
}

/// The task's side of it. If it is dropped without a result (a panic, or the end of the thread),
/// the waiting thread gets an error.
struct Promise<T>(Arc<Awaited<T>>);

impl<T> Promise<T> {
    fn keep(self, result: Result<T>) {
        *self.0.result.lock() = Some(result);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.0.result.lock().get_or_insert(Err(Error::Closed));
        self.0.waiters.notify_all();
    }
}
