//! The job that sends heartbeats, and the check for a silent peer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Transport;
use crate::datagram::heartbeat::{HeartbeatOptions, MIN_INTERVAL, create_heartbeat_now};
use crate::datagram::message::Priority;
use crate::datagram::options::SendOptions;
use crate::error::{Error, Result};
use crate::link::{After, Job, JobHandle};
use crate::runtime::clock;
use crate::runtime::wait::Deadline;

/// A heartbeat that runs until it is stopped or its transport ends.
pub(super) struct Beating {
    beat: Arc<Beat>,
    handle: Arc<JobHandle>,
}

impl Beating {
    pub(super) fn stop(self) {
        self.beat.stopped.store(true, Ordering::SeqCst);
        self.handle.wake();
    }
}

impl Transport {
    /// Sends a heartbeat now and in every interval, and watches the peer if asked to. If one runs,
    /// it gets these options.
    pub fn start_heartbeat(self: &Arc<Self>, options: HeartbeatOptions) -> Result<()> {
        if options.interval < MIN_INTERVAL {
            return Err(Error::InvalidArgument("a heartbeat's interval is at least a millisecond".into()));
        }
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let started = clock::now();
        let beat = Arc::new(Beat {
            transport: Arc::downgrade(self),
            options,
            started,
            stopped: AtomicBool::new(false),
            next: Mutex::new(Some(started)),
        });
        self.peer_silent.store(false, Ordering::Relaxed);
        let handle = self.session().add_job(Arc::clone(&beat) as Arc<dyn Job>)?;
        let beating = Beating { beat, handle };
        let mut heartbeat = self.heartbeat.lock();
        // Under the lock that closing takes after it has closed the queue, so that no heartbeat is
        // left behind.
        if self.is_closed() {
            beating.stop();
            return Err(Error::Closed);
        }
        if let Some(before) = heartbeat.replace(beating) {
            before.stop();
        }
        Ok(())
    }

    /// Stops the heartbeat and the watch. Returns whether there was one.
    pub fn stop_heartbeat(&self) -> bool {
        let stopped = self.heartbeat.lock().take().map(Beating::stop).is_some();
        self.peer_silent.store(false, Ordering::Relaxed);
        stopped
    }

    /// Whether the watch reports a silent peer.
    pub fn is_peer_silent(&self) -> bool {
        self.peer_silent.load(Ordering::Relaxed)
    }

    /// Notes that a datagram arrived.
    pub(super) fn peer_spoke(&self) {
        if self.is_peer_silent() {
            self.peer_silent.store(false, Ordering::Relaxed);
        }
    }

    /// When the peer will count as silent, if nothing more arrives.
    fn silent_at(&self, started: Instant, patience: Duration) -> Option<Instant> {
        let heard = self.incoming.last_arrival().unwrap_or(started).max(started);
        heard.checked_add(patience)
    }

    fn peer_is_silent(&self) {
        // Not if the heartbeat was stopped meanwhile.
        if self.heartbeat.lock().is_some() && !self.peer_silent.swap(true, Ordering::Relaxed) {
            tracing::debug!("the peer is silent");
            self.watchers.notify();
        }
    }
}

/// The lane's job for a heartbeat.
struct Beat {
    transport: Weak<Transport>,
    options: HeartbeatOptions,
    started: Instant,
    stopped: AtomicBool,
    /// When the next heartbeat is due; none beyond the range of the clock.
    next: Mutex<Option<Instant>>,
}

impl Job for Beat {
    fn run(&self, now: Instant) -> After {
        let Some(transport) = self.transport.upgrade().filter(|_| !self.stopped.load(Ordering::SeqCst))
        else {
            return After::Ended;
        };
        let mut next = self.next.lock();
        if next.is_some_and(|at| at <= now) {
            send_one(&transport);
            // Counted from now and not from when it was due: after a pause of the machine there is
            // no burst of heartbeats.
            *next = now.checked_add(self.options.interval);
        }
        let patience = self.options.interval.saturating_mul(self.options.silent_after);
        let silent_at = (!patience.is_zero()).then(|| transport.silent_at(self.started, patience)).flatten();
        if silent_at.is_some_and(|at| at <= now) {
            transport.peer_is_silent();
        }
        After::Wait(next.into_iter().chain(silent_at.filter(|at| *at > now)).min())
    }

    fn stopped(&self) {}
}

fn send_one(transport: &Transport) {
    let options = SendOptions { priority: Priority::clamped(1), ..SendOptions::default() };
    // Never waits, because this is a turn. If the queue is full, the heartbeat is counted like any
    // other datagram.
    if let Err(error) = transport.outgoing.send_later(&create_heartbeat_now(), &options, Deadline::Now) {
        tracing::debug!(%error, "a heartbeat was not sent");
    }
}
