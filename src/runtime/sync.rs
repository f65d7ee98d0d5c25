//! The locks and atomics of the poller and of readiness. They are named here alone, because the poller's model test
//! (`tests/poller_model`) compiles the same files over those of a scheduler of its own.

pub use std::sync::atomic::{AtomicBool, Ordering, fence};

pub use parking_lot::{Condvar, Mutex, MutexGuard};
