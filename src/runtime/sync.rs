//! The locks and atomics of the poller and of readiness. Only this module names them, because the
//! model of the poller (`tests/poller_model`) compiles the same files with the locks and atomics of
//! its scheduler.

pub use std::sync::atomic::{AtomicBool, Ordering, fence};

pub use parking_lot::{Condvar, Mutex, MutexGuard};
