//! Threads that lead a lane: they take its turns while they wait for something that a turn brings,
//! so no other thread has to wake them.
//!
//! One thread at a time leads a lane. It takes the sockets out of the epoll in which the lane's
//! thread sleeps, polls them for a moment, then sleeps in its own epoll, and takes turns. The
//! lane's thread keeps its other work: other threads write to its eventfd for requests, and it
//! wakes for the timer that it knew of. When the leader is done, it gives the sockets back, and
//! wakes the lane's thread if a timer is now due before that thread would wake.
//!
//! A leader is a thread of the program. Its signals are blocked except while it sleeps, when it
//! holds no lock, so a signal handler may call the library. It cannot be canceled while it leads
//! (`ffi/boundary/guard.rs`).

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow};
use parking_lot::Mutex;

use super::UdpLane;
use crate::link::core::ConnectionKey;
use crate::link::core::lane::Driver;
use crate::runtime::epoll::Event;
use crate::runtime::hand_over;
use crate::runtime::lane::Next;
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::Lead;

/// How long a leader waits for a turn of another thread to end before it checks whether it still
/// has to wait.
const TURN_PATIENCE: Duration = Duration::from_millis(1);

/// How late a timer may be if only the lane's thread can serve it and that thread already sleeps.
/// To wake the thread costs more.
const LATE: Duration = Duration::from_millis(1);

/// The state of leading a lane.
pub(super) struct Leading {
    /// Held by the leader.
    events: Mutex<Vec<Event>>,
    is_allowed: bool,
    spin: Duration,
    /// How often polling without sleep has paid off lately, from 0 to [`MOST_PAID`].
    paid: AtomicU32,
    /// How many waits in a row were short although no leader polled, while none does.
    short: AtomicU32,
    is_over: AtomicBool,
}

/// The highest value of [`Leading::paid`]. Polling that finds something adds 1. Polling in vain
/// takes 2 off.
const MOST_PAID: u32 = 8;

/// So many short waits without polling make a leader poll once more. They do not say that polling
/// would pay: where the other end has no other CPU than the leader's, it cannot answer as long as
/// the leader polls, and then answers at once.
const SHORT_BEFORE_TRIAL: u32 = 64;

impl Leading {
    /// Threads may lead if `is_allowed`, and poll for up to `spin` before they sleep.
    pub(super) fn new(is_allowed: bool, spin: Duration) -> Self {
        Self {
            events: Mutex::default(),
            is_allowed,
            spin,
            paid: AtomicU32::new(MOST_PAID),
            short: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Notes that the lane's thread has ended.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Notes whether the leader polled in this wait, and whether polling found something.
    fn learn(&self, polled: bool, found: bool, waited: Duration) {
        let (paid, is_short) = (self.paid.load(Ordering::Relaxed), waited <= self.spin);
        let paid = match (polled, found) {
            (true, true) => (paid + 1).min(MOST_PAID),
            (true, false) if is_short => paid, // a timer ended it
            (true, false) => paid.saturating_sub(2),
            (false, _) => {
                let short = if is_short { self.short.load(Ordering::Relaxed) + 1 } else { 0 };
                self.short.store(short % SHORT_BEFORE_TRIAL, Ordering::Relaxed);
                u32::from(short == SHORT_BEFORE_TRIAL)
            }
        };
        self.paid.store(paid, Ordering::Relaxed);
    }

    /// How long to poll before sleeping.
    fn spin(&self) -> Duration {
        if self.paid.load(Ordering::Relaxed) > 0 { self.spin } else { Duration::ZERO }
    }
}

/// Blocks all signals of this thread until it is dropped.
struct SignalsBlocked(SigSet);

impl SignalsBlocked {
    fn new() -> Option<Self> {
        SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).ok().map(Self)
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        let _ = self.0.thread_set_mask();
    }
}

/// The sockets of a lane while a leader has them.
struct Detached<'a>(&'a UdpLane);

impl<'a> Detached<'a> {
    fn new(lane: &'a UdpLane) -> Self {
        hand_over::place();
        lane.sleep.set_attached(false);
        hand_over::place();
        Self(lane)
    }
}

impl Drop for Detached<'_> {
    fn drop(&mut self) {
        hand_over::place();
        self.0.sleep.set_attached(true);
        hand_over::place();
        self.0.wake_for_timer();
    }
}

impl Lead for UdpLane {
    fn lead(&self, deadline: Deadline, is_asleep: &AtomicBool, is_done: &mut dyn FnMut() -> bool) {
        if !self.leading.is_allowed {
            return;
        }
        let Some(mut events) = self.leading.events.try_lock() else { return };
        let Some(signals) = SignalsBlocked::new() else { return };
        let _detached = Detached::new(self);
        let mut due = self.sockets.lock().schedule.due;
        while !self.leading.is_over.load(Ordering::SeqCst) {
            self.sleep.look(&mut events);
            if events.is_empty() {
                let started = Instant::now();
                let limit = match (deadline, due) {
                    (Deadline::Now, _) => Some(started),
                    (Deadline::At(deadline), due) => Some(due.map_or(deadline, |due| due.min(deadline))),
                    (Deadline::Never, due) => due,
                };
                let polled = self.spin(started, limit, &mut events);
                let found = !events.is_empty();
                if !found {
                    is_asleep.store(true, Ordering::SeqCst);
                    if is_done() {
                        is_asleep.store(false, Ordering::SeqCst);
                        return;
                    }
                    hand_over::place();
                    let timeout = limit.map(|limit| limit.saturating_duration_since(Instant::now()));
                    self.sleep.wait_leading(timeout, &signals.0, &mut events);
                    is_asleep.store(false, Ordering::SeqCst);
                    hand_over::place();
                }
                self.leading.learn(polled, found, started.elapsed());
            }
            let is_due = due.is_some_and(|due| due <= Instant::now());
            if (is_due || !events.is_empty())
                && let Some(next) = self.try_turn(&events, TURN_PATIENCE)
            {
                due = match next {
                    Next::Now | Next::AfterOthers => Some(Instant::now()),
                    Next::At(due) => Some(due),
                    Next::Never => None,
                };
            }
            if is_done() || deadline.is_over() {
                return;
            }
        }
    }

    fn wake_leader(&self) {
        self.sleep.wake_leader();
    }
}

impl UdpLane {
    /// Polls for events until `limit`, as long as that is worth it. Returns whether it polled.
    fn spin(&self, started: Instant, limit: Option<Instant>, events: &mut Vec<Event>) -> bool {
        let end = started + self.leading.spin();
        let end = limit.map_or(end, |limit| limit.min(end));
        let polls = started < end;
        while events.is_empty() && Instant::now() < end {
            // Never `sched_yield`: beside busy threads it takes as long as they run.
            std::hint::spin_loop();
            self.sleep.look(events);
        }
        polls
    }

    /// Wakes the lane's thread if there is something to do long before it would wake by itself.
    pub(super) fn wake_for_timer(&self) {
        let mut sockets = self.sockets.lock();
        let schedule = &mut sockets.schedule;
        let is_early = match (schedule.due, schedule.lane_sleeps_until) {
            (Some(due), Some(until)) => due + LATE < until || (schedule.is_work_left && due < until),
            (due, None) => due.is_some(),
            (None, Some(_)) => false,
        };
        if is_early {
            schedule.lane_sleeps_until = schedule.due;
            drop(sockets);
            self.sleep.wake();
        }
    }
}

impl Driver for UdpLane {
    fn send_now(&self, key: ConnectionKey) -> bool {
        if !self.leading.is_allowed {
            return false;
        }
        hand_over::place();
        let Some(_turn) = self.lane.try_pause() else { return false };
        let Some(_signals) = SignalsBlocked::new() else { return false };
        let mut sockets = self.sockets.lock();
        let mut core = self.lane.core();
        let now = Instant::now();
        let (is_work_left, due) = core.send_now(now, key, &mut *sockets);
        sockets.schedule.is_work_left = is_work_left;
        sockets.schedule.due = if is_work_left { Some(now) } else { due };
        drop((core, sockets));
        self.wake_for_timer();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPIN: Duration = Duration::from_micros(30);
    const SHORT: Duration = Duration::from_micros(20);
    const LONG: Duration = Duration::from_micros(55);

    /// A wait of a leader: what polling brings, and how long it takes without.
    fn wait(leading: &Leading, found: bool) {
        let polls = leading.spin() > Duration::ZERO;
        leading.learn(polls, polls && found, if polls && !found { LONG } else { SHORT });
    }

    fn polls(leading: &Leading, waits: u32, found: bool) -> u32 {
        let count = |_| {
            let polls = leading.spin() > Duration::ZERO;
            wait(leading, found);
            u32::from(polls)
        };
        (0..waits).map(count).sum()
    }

    #[test]
    fn polling_in_vain_stops_also_where_waits_without_it_are_short_and_is_tried_again() {
        let leading = Leading::new(true, SPIN);
        assert_eq!(polls(&leading, MOST_PAID / 2, false), MOST_PAID / 2);
        assert_eq!(polls(&leading, 10 * (SHORT_BEFORE_TRIAL + 1), false), 10);
        // Now it pays: the next trial is the last.
        polls(&leading, SHORT_BEFORE_TRIAL, true);
        assert_eq!(polls(&leading, 1000, true), 1000);
        // One failure among many successes changes nothing.
        assert_eq!(polls(&leading, 1, false) + polls(&leading, 1000, true), 1001);
    }

    #[test]
    fn long_waits_try_nothing_and_timers_teach_nothing() {
        let leading = Leading::new(true, SPIN);
        leading.learn(true, false, SHORT);
        assert_eq!(leading.paid.load(Ordering::Relaxed), MOST_PAID);
        polls(&leading, MOST_PAID / 2, false);
        for _ in 0..SHORT_BEFORE_TRIAL {
            leading.learn(false, false, SHORT);
            leading.learn(false, false, LONG);
        }
        assert_eq!(leading.spin(), Duration::ZERO);
    }
}
