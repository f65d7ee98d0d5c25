//! A monitor of a transport: it takes samples at an interval, and reports when a condition starts
//! and when it ends.
//!
//! - [`sample`]: the figures of a sample; [`rules`]: the conditions, without clock and threads;
//!   [`trend`]: the direction of a figure.
//! - [`timer`]: one timer for all monitors.
//! - [`prometheus`]: the same figures for a monitoring system.

pub mod prometheus;
pub mod rules;
pub mod sample;
mod timer;
pub mod trend;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::datagram::transport::Transport;
use crate::error::{Error, Result};
use crate::runtime::readiness::{Pollable, Ready, Subscription, Watcher, Watchers};
use crate::runtime::wait::{Deadline, wait_for};
use rules::{Alert, Rules, Thresholds};
use sample::{Observer, Sample};

/// The most samples or alerts that a monitor can keep: 11 MiB of samples.
pub const MAX_KEPT: usize = 1 << 16;

/// The shortest time between samples. Each takes some microseconds of the service thread.
pub const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// How a monitor works; the defaults are the reference's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MonitorOptions {
    /// Time between samples.
    pub interval: Duration,
    /// Samples that are kept.
    pub samples: usize,
    /// Alerts that are kept, and alerts that wait to be fetched.
    pub alerts: usize,
    /// When to raise an alert.
    pub thresholds: Thresholds,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), samples: 100, alerts: 50, thresholds: Thresholds::default() }
    }
}

/// A monitor of one transport.
pub struct Monitor {
    transport: Arc<Transport>,
    options: MonitorOptions,
    observer: Mutex<Observer>,
    shared: Arc<Shared>,
    _subscription: Subscription,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    watchers: Watchers,
    ended: AtomicBool,
}

struct State {
    samples: VecDeque<Sample>,
    alerts: VecDeque<Alert>,
    unread: VecDeque<Alert>,
    /// Alerts that were not fetched in time, since the last one that was.
    missed: u64,
    rules: Rules,
}

impl Monitor {
    /// Starts to watch `transport`. The first sample comes after one interval.
    pub fn open(transport: Arc<Transport>, options: MonitorOptions) -> Result<Arc<Self>> {
        if options.interval < MIN_INTERVAL {
            let least = MIN_INTERVAL.as_millis();
            return Err(Error::InvalidArgument(
                format!("the interval of a monitor is at least {least} ms").into(),
            ));
        }
        if [options.samples, options.alerts].iter().any(|kept| !(1..=MAX_KEPT).contains(kept)) {
            return Err(Error::InvalidArgument(
                format!("a monitor keeps 1 to {MAX_KEPT} samples and alerts").into(),
            ));
        }
        if transport.is_closed() {
            return Err(Error::Closed);
        }
        let (observer, before) = Observer::new(&transport)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                samples: VecDeque::new(),
                alerts: VecDeque::new(),
                unread: VecDeque::new(),
                missed: 0,
                rules: Rules::new(options.thresholds, before, options.samples),
            }),
            changed: Condvar::new(),
            watchers: Watchers::default(),
            ended: AtomicBool::new(false),
        });
        let watch = Arc::new(Watch { shared: Arc::clone(&shared), transport: Arc::downgrade(&transport) });
        let subscription = Subscription::new(Arc::clone(&transport) as _, Arc::clone(&watch) as _);
        let monitor = Arc::new(Self {
            transport,
            options,
            observer: Mutex::new(observer),
            shared,
            _subscription: subscription,
        });
        // The transport may have closed before the watch was added.
        watch.changed();
        timer::start(&monitor)?;
        Ok(monitor)
    }

    /// Whether it takes samples: neither it nor its transport is closed.
    pub fn is_monitoring(&self) -> bool {
        !self.shared.has_ended()
    }

    /// The newest `limit` samples, oldest first.
    pub fn samples(&self, limit: usize) -> Vec<Sample> {
        self.newest_samples(limit).0
    }

    /// The newest `limit` samples, oldest first, and how many are kept.
    pub fn newest_samples(&self, limit: usize) -> (Vec<Sample>, usize) {
        newest(&self.shared.state.lock().samples, limit)
    }

    /// The newest `limit` alerts, oldest first, whether they were fetched or not.
    pub fn alerts(&self, limit: usize) -> Vec<Alert> {
        self.newest_alerts(limit).0
    }

    /// The newest `limit` alerts, oldest first, and how many are kept.
    pub(crate) fn newest_alerts(&self, limit: usize) -> (Vec<Alert>, usize) {
        newest(&self.shared.state.lock().alerts, limit)
    }

    /// Waits until `deadline` for an alert that was not fetched yet. Also returns how many alerts
    /// before it were not fetched in time.
    pub fn next_alert(&self, deadline: Deadline) -> Result<(Alert, u64)> {
        wait_for(&mut self.shared.state.lock(), &self.shared.changed, deadline, |state| {
            match state.unread.pop_front() {
                Some(alert) => Some(Ok((alert, std::mem::take(&mut state.missed)))),
                None => self.shared.has_ended().then_some(Err(Error::Closed)),
            }
        })
    }

    /// Takes no more samples, and notifies threads that wait for an alert. Samples and alerts can
    /// still be read.
    pub fn close(&self) {
        self.shared.end();
    }

    /// Takes a sample and checks it.
    fn sample(&self, now: Instant) {
        let sample = {
            let mut observer = self.observer.lock();
            observer.look(&self.transport, now)
        };
        let mut state = self.shared.state.lock();
        if self.shared.has_ended() {
            return;
        }
        keep(&mut state.samples, sample, self.options.samples);
        let alerts = state.rules.check(&sample);
        let any = !alerts.is_empty();
        for alert in alerts {
            keep(&mut state.alerts, alert.clone(), self.options.alerts);
            state.missed += u64::from(keep(&mut state.unread, alert, self.options.alerts));
        }
        drop(state);
        if any {
            self.shared.changed.notify_all();
            self.shared.watchers.notify();
        }
    }
}

/// Adds to a ring; returns whether the oldest item was removed.
fn keep<T>(ring: &mut VecDeque<T>, item: T, most: usize) -> bool {
    let full = ring.len() >= most;
    if full {
        ring.pop_front();
    }
    ring.push_back(item);
    full
}

fn newest<T: Clone>(ring: &VecDeque<T>, limit: usize) -> (Vec<T>, usize) {
    (ring.iter().skip(ring.len().saturating_sub(limit)).cloned().collect(), ring.len())
}

impl Shared {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn end(&self) {
        {
            // Under the lock, so that no thread starts to sleep between its look and this.
            let _state = self.state.lock();
            self.ended.store(true, Ordering::Relaxed);
        }
        self.changed.notify_all();
        self.watchers.notify();
    }
}

impl Pollable for Monitor {
    fn ready(&self) -> Ready {
        let alert = !self.shared.state.lock().unread.is_empty();
        Ready::ALERT.when(alert) | Ready::CLOSED.when(self.shared.has_ended())
    }

    fn possible(&self) -> Ready {
        Ready::ALERT | Ready::CLOSED
    }

    fn watchers(&self) -> &Watchers {
        &self.shared.watchers
    }
}

/// Ends the monitor with its transport.
struct Watch {
    shared: Arc<Shared>,
    transport: Weak<Transport>,
}

impl Watcher for Watch {
    fn changed(&self) {
        // A transport notifies often; it closes once.
        if !self.shared.has_ended() && self.transport.upgrade().is_none_or(|transport| transport.is_closed())
        {
            self.shared.end();
        }
    }
}
