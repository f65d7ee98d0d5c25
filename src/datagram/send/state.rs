//! The queue behind its lock. A change cannot forget to notify waiting threads: releasing the lock
//! compares the queue's state with the state before ([`Signs`]) and notifies them.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use super::SendHalf;
use super::queue::{SendQueue, Signs};
use crate::datagram::stats::TimeSpent;
use crate::error::{Error, Result};
use crate::runtime::wait::Deadline;

/// What the lane knows about the queue, so that it is woken only when necessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attention {
    /// It will look at the queue again without a wake-up.
    Busy,
    /// The queue was empty.
    Idle,
    /// QUIC has no space. The lane looks again when it has, or at `until`, when a datagram expires.
    Blocked {
        /// The earliest expiry it knows of.
        until: Option<Instant>,
    },
}

/// The order of the fields matters, as in [`SendHalf`].
#[repr(C)]
pub(in crate::datagram) struct State {
    pub(super) lane: Attention,
    pub time: TimeSpent,
    /// When a datagram was sent last.
    sent_at: Option<Instant>,
    /// The state of the queue when the lock was last released.
    told: Signs,
    pub queue: SendQueue,
}

/// A datagram is a lone one if the one before it was sent this long ago: a train of many datagrams
/// costs less than as many packets.
const LONE_AFTER: Duration = Duration::from_micros(5);

impl State {
    pub(super) fn new(queue: SendQueue) -> Self {
        let told = queue.signs();
        Self { lane: Attention::Idle, time: TimeSpent::default(), sent_at: None, told, queue }
    }

    /// Whether a datagram that is sent `now` is a lone one.
    pub(super) fn is_lone(&mut self, now: Instant) -> bool {
        let before = self.sent_at.replace(now);
        before.is_none_or(|before| now.saturating_duration_since(before) >= LONE_AFTER)
    }

    pub(super) fn note_sent(&mut self, now: Instant) {
        self.sent_at = Some(now);
    }

    /// Whether the state of the queue requires a call of the lane.
    fn lane_has_news(&mut self) -> bool {
        let news = match self.lane {
            Attention::Busy => false,
            Attention::Idle => !self.queue.is_empty() || self.queue.is_closed(),
            Attention::Blocked { until } => {
                let sooner = |next| until.is_none_or(|until| next < until);
                self.queue.next_expiry().is_some_and(sooner) || self.queue.is_closed()
            }
        };
        if news {
            self.lane = Attention::Busy;
        }
        news
    }

    /// Computes which notifications are due. The caller must send them.
    fn news(&mut self) -> News {
        let signs = self.queue.signs();
        let others = signs.invite_after(self.told);
        self.told = signs;
        News { lane: self.lane_has_news(), others }
    }
}

/// How to call a lane that does not look at the queue by itself.
#[derive(Clone, Copy)]
pub(super) enum Call {
    /// Wakes the lane.
    Wake,
    /// Feeds the queue to QUIC on this thread if the lane is free. The lane's next turn sends the
    /// packets.
    Feed,
    /// Sends the queue on this thread if the lane is free.
    Send,
}

/// The notifications that are due.
#[derive(Clone, Copy, Default)]
struct News {
    lane: bool,
    /// Threads that wait for space or outcomes, and watchers.
    others: bool,
}

/// What a thread waits for.
#[derive(Clone, Copy)]
pub(super) enum For {
    Room,
    Outcomes,
}

/// The state, locked.
pub(in crate::datagram) struct Guard<'a> {
    // In this order: the lock is free when the others are notified.
    state: MutexGuard<'a, State>,
    has_waited: bool,
    telling: Telling<'a>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(half: &'a SendHalf) -> Self {
        let telling = Telling { half, news: News::default(), call: Call::Wake };
        Self { state: half.state.lock(), has_waited: false, telling }
    }

    /// Whether this thread has slept in [`Self::wait_for`].
    pub(super) fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Sets how the guard calls the lane when it is dropped, if a call is due then. Not to be used
    /// in a turn.
    pub(super) fn call_lane(&mut self, call: Call) {
        self.telling.call = call;
    }

    /// Waits until `attempt` returns something. It runs with the lock held. Before this thread
    /// sleeps, the others are notified of its changes.
    pub(super) fn wait_for<R>(
        &mut self,
        what: For,
        deadline: Deadline,
        mut attempt: impl FnMut(&mut State) -> Option<Result<R>>,
    ) -> Result<R> {
        let condvar = match what {
            For::Room => &self.telling.half.writable,
            For::Outcomes => &self.telling.half.reported,
        };
        loop {
            if let Some(result) = attempt(&mut self.state) {
                return result;
            }
            if deadline == Deadline::Now {
                return Err(Error::WouldBlock);
            }
            let news = self.state.news();
            if news.lane || news.others {
                MutexGuard::unlocked(&mut self.state, || self.telling.tell(news));
                continue;
            }
            self.has_waited = true;
            match deadline {
                Deadline::At(instant) => {
                    if condvar.wait_until(&mut self.state, instant).timed_out() {
                        return attempt(&mut self.state).unwrap_or(Err(Error::TimedOut));
                    }
                }
                _ => condvar.wait(&mut self.state),
            }
        }
    }
}

impl Deref for Guard<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.telling.news = self.state.news();
    }
}

struct Telling<'a> {
    half: &'a SendHalf,
    news: News,
    call: Call,
}

impl Telling<'_> {
    fn tell(&self, news: News) {
        match (news.lane, self.call) {
            (false, _) => {}
            (true, Call::Wake) => self.half.path.wake(),
            (true, Call::Feed) => self.half.path.feed(),
            (true, Call::Send) => self.half.path.send_now(),
        }
        if news.others {
            self.half.writable.notify_all();
            self.half.reported.notify_all();
            self.half.watchers.notify();
        }
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.tell(self.news);
    }
}
