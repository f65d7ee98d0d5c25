//! One timer for all monitors, on the service thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Monitor;
use crate::error::Result;
use crate::runtime;

/// The timer; the first monitor starts it.
static TIMER: OnceCell<Arc<Timer>> = OnceCell::new();

#[derive(Default)]
struct Timer {
    due: Mutex<Due>,
    /// A new entry may be due before the sleep of the task ends.
    sooner: Notify,
}

#[derive(Default)]
struct Due {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    monitors: std::collections::HashMap<u64, Weak<Monitor>>,
    next: u64,
    /// With this many entries it is time to look for those that are gone.
    sweep_at: usize,
}

/// With fewer entries a sweep is not worth it.
const SWEEP_LEAST: usize = 64;

/// Lets `monitor` take samples until it ends.
pub(super) fn start(monitor: &Arc<Monitor>) -> Result<()> {
    let service = runtime::get()?.service();
    let timer = TIMER.get_or_init(|| {
        let timer = Arc::new(Timer::default());
        service.spawn(Arc::clone(&timer).run());
        timer
    });
    let mut due = timer.due.lock();
    due.sweep();
    let number = due.next;
    due.next += 1;
    due.monitors.insert(number, Arc::downgrade(monitor));
    due.add(number, monitor, Instant::now());
    drop(due);
    timer.sooner.notify_one();
    Ok(())
}

impl Due {
    /// Forgets monitors that are gone, which may be due only hours from now. The next sweep comes
    /// when as many were added as were left.
    fn sweep(&mut self) {
        if self.monitors.len() < self.sweep_at.max(SWEEP_LEAST) {
            return;
        }
        self.monitors.retain(|_, monitor| monitor.strong_count() > 0);
        let Self { heap, monitors, .. } = self;
        heap.retain(|Reverse((_, number))| monitors.contains_key(number));
        self.sweep_at = 2 * self.monitors.len();
    }

    fn add(&mut self, number: u64, monitor: &Monitor, now: Instant) {
        match now.checked_add(monitor.options.interval) {
            Some(when) => self.heap.push(Reverse((when, number))),
            // Beyond the range of the clock: never.
            None => drop(self.monitors.remove(&number)),
        }
    }
}

impl Timer {
    async fn run(self: Arc<Self>) {
        loop {
            let next = self.due.lock().heap.peek().map(|Reverse((when, _))| *when);
            match next {
                None => self.sooner.notified().await,
                Some(when) => tokio::select! {
                    () = tokio::time::sleep_until(when.into()) => self.tick(),
                    () = self.sooner.notified() => {}
                },
            }
        }
    }

    fn tick(&self) {
        let now = Instant::now();
        while let Some((number, monitor)) = self.pop(now) {
            let Some(monitor) = monitor.upgrade().filter(|monitor| monitor.is_monitoring()) else {
                self.due.lock().monitors.remove(&number);
                continue;
            };
            monitor.sample(now);
            // From now, not from when it was due: after a pause there is one sample, not all those
            // missed.
            self.due.lock().add(number, &monitor, now);
        }
    }

    fn pop(&self, now: Instant) -> Option<(u64, Weak<Monitor>)> {
        let mut due = self.due.lock();
        let Reverse((when, number)) = *due.heap.peek()?;
        if when > now {
            return None;
        }
        due.heap.pop();
        Some((number, due.monitors.get(&number).cloned().unwrap_or_default()))
    }
}
