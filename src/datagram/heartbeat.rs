//! Heartbeats: the payload, the job that sends it, and the watch for a peer that says nothing.
//!
//! The payload is `HEARTBEAT:` and the Unix time in whole seconds, ASCII decimal. This is the form pywebtransport 0.6.1
//! sends and recognises. A heartbeat is a datagram like any other: receivers get it in their queue and may ask
//! [`is_heartbeat`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::message::Priority;
use super::send::SendOptions;
use super::transport::Transport;
use super::unix_us;
use crate::error::{Error, Result};
use crate::link::{After, Job, JobHandle};
use crate::runtime::clock;
use crate::runtime::wait::Deadline;

/// What every heartbeat begins with.
pub const PREFIX: &[u8] = b"HEARTBEAT:";

/// No heartbeat is longer, in bytes.
pub const MAX_LENGTH: usize = 30;

/// Shorter intervals are refused: a heartbeat is no load generator.
pub const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// The heartbeat of the second `unix_secs`.
pub fn create_heartbeat(unix_secs: u64) -> Bytes {
    Bytes::from(format!("HEARTBEAT:{unix_secs}"))
}

/// The heartbeat of now.
pub fn create_heartbeat_now() -> Bytes {
    create_heartbeat(unix_us() / 1_000_000)
}

/// Whether a payload is a heartbeat. As in the reference only the beginning counts: what follows is not examined.
pub fn is_heartbeat(data: &[u8]) -> bool {
    data.starts_with(PREFIX)
}

/// How a transport beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatOptions {
    /// Time between two heartbeats; default 30 s. The first is sent at once.
    pub interval: Duration,
    /// After so many intervals in which no datagram of any kind arrived the peer is silent; 0, the default, watches
    /// nothing.
    pub silent_after: u32,
}

impl Default for HeartbeatOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), silent_after: 0 }
    }
}

/// A heart that beats; it ends when it is told, and with its transport.
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
    /// Sends a heartbeat now and in every interval, and watches the peer if asked to. One that already beats goes over
    /// to these options.
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
        // Under the lock that closing takes after it has closed the queue, so that none is left behind.
        if self.is_closed() {
            beating.stop();
            return Err(Error::Closed);
        }
        if let Some(before) = heartbeat.replace(beating) {
            before.stop();
        }
        Ok(())
    }

    /// Ends the heartbeat and the watch; whether there was one.
    pub fn stop_heartbeat(&self) -> bool {
        let stopped = self.heartbeat.lock().take().map(Beating::stop).is_some();
        self.peer_silent.store(false, Ordering::Relaxed);
        stopped
    }

    /// Whether the watch has not heard from the peer for the number of intervals it was given.
    pub fn is_peer_silent(&self) -> bool {
        self.peer_silent.load(Ordering::Relaxed)
    }

    /// Something arrived.
    pub(super) fn peer_spoke(&self) {
        if self.is_peer_silent() {
            self.peer_silent.store(false, Ordering::Relaxed);
        }
    }

    /// When the peer has been silent for too long, by what has arrived so far.
    fn silent_at(&self, started: Instant, patience: Duration) -> Option<Instant> {
        let heard = self.incoming.last_arrival().unwrap_or(started).max(started);
        heard.checked_add(patience)
    }

    fn peer_is_silent(&self) {
        // Not any more if the heartbeat was stopped meanwhile.
        if self.heartbeat.lock().is_some() && !self.peer_silent.swap(true, Ordering::Relaxed) {
            tracing::debug!("the peer is silent");
            self.watchers.notify();
        }
    }
}

/// What a lane does for a heartbeat.
struct Beat {
    transport: Weak<Transport>,
    options: HeartbeatOptions,
    started: Instant,
    stopped: AtomicBool,
    /// When the next heartbeat is due; beyond what the clock can express there is none.
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
            // From now, not from when it was due: after a pause of the machine there is no burst of heartbeats.
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
    // Never waits: this is a turn. One that finds no room is counted like any other, and the next one comes.
    if let Err(error) = transport.outgoing.send_later(&create_heartbeat_now(), &options, Deadline::Now) {
        tracing::debug!(%error, "a heartbeat was not sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_the_prefix_and_the_seconds_in_decimal() {
        assert_eq!(&create_heartbeat(1_760_000_000)[..], b"HEARTBEAT:1760000000");
        assert_eq!(&create_heartbeat(0)[..], b"HEARTBEAT:0");
        assert_eq!(&create_heartbeat(u64::MAX)[..], b"HEARTBEAT:18446744073709551615");
        assert_eq!(create_heartbeat(u64::MAX).len(), MAX_LENGTH);
    }

    #[test]
    fn a_created_heartbeat_is_recognised() {
        assert!(is_heartbeat(&create_heartbeat(1)));
        assert!(is_heartbeat(&create_heartbeat_now()));
    }

    #[test]
    fn only_the_beginning_of_the_payload_decides() {
        assert!(is_heartbeat(b"HEARTBEAT:"));
        assert!(is_heartbeat(b"HEARTBEAT:\xff"));
        assert!(!is_heartbeat(b""));
        assert!(!is_heartbeat(b"HEARTBEAT"));
        assert!(!is_heartbeat(b"heartbeat:1"));
        assert!(!is_heartbeat(b" HEARTBEAT:1"));
    }
}
