//! A lane as the thread that leads it sees it: none of its work, and all of its sleep.

use crate::runtime::sync::{AtomicBool, Condvar, Mutex, Ordering};
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::Lead;

/// At most one thread leads it.
pub struct Lane {
    is_led: AtomicBool,
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Lane {
    pub fn new() -> Self {
        Self { is_led: AtomicBool::new(false), woken: Mutex::new(false), changed: Condvar::new() }
    }
}

impl Lead for Lane {
    fn lead(&self, deadline: Deadline, is_asleep: &AtomicBool, is_done: &mut dyn FnMut() -> bool) {
        if self.is_led.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut is_over = false;
        while !is_over {
            is_asleep.store(true, Ordering::SeqCst);
            if is_done() {
                is_asleep.store(false, Ordering::SeqCst);
                break;
            }
            let mut woken = self.woken.lock();
            while !*woken && !is_over {
                is_over = deadline.sleep(&mut woken, &self.changed);
            }
            *woken = false;
            drop(woken);
            is_asleep.store(false, Ordering::SeqCst);
            is_over |= is_done();
        }
        self.is_led.store(false, Ordering::SeqCst);
    }

    fn wake_leader(&self) {
        *self.woken.lock() = true;
        self.changed.notify_one();
    }
}
