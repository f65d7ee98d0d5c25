//! The locks and atomics of the poller and of readiness. Only this module names them, because the
//! model of the poller (`tests/poller_model`) compiles the same files with those of its own
//! scheduler.

pub use std::sync::atomic::{AtomicBool, Ordering, fence};

pub use parking_lot::{Condvar, Mutex, MutexGuard};
