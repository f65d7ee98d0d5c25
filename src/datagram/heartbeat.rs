//! Heartbeats: the payload, the task that sends it, and the watch for a peer that says nothing.
//!
//! The payload is `HEARTBEAT:` and the Unix time in whole seconds, ASCII decimal. This is the form pywebtransport 0.6.1
//! sends and recognises. A heartbeat is a datagram like any other: receivers get it in their queue and may ask
//! [`is_heartbeat`].

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::message::Priority;
use super::transport::{SendOptions, Transport, unix_us};
use crate::error::{Error, Result};
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

/// A task that beats; it ends when it is told, and with its transport.
pub(super) struct Beating(Arc<Notify>);

impl Beating {
    pub(super) fn stop(self) {
        self.0.notify_one();
    }
}

impl Transport {
    /// Sends a heartbeat now and in every interval, and watches the peer if asked to. One that already beats goes over
    /// to these options.
    pub fn start_heartbeat(self: &Arc<Self>, options: HeartbeatOptions) -> Result<()> {
        if options.interval < MIN_INTERVAL {
            return Err(Error::InvalidArgument("a heartbeat's interval is at least a millisecond".into()));
        }
        let stop = Arc::new(Notify::new());
        {
            let mut heartbeat = self.heartbeat.lock();
            // Under the lock that closing takes after it has closed the queue, so that none is left behind.
            if self.is_closed() {
                return Err(Error::Closed);
            }
            if let Some(before) = heartbeat.replace(Beating(Arc::clone(&stop))) {
                before.stop();
            }
        }
        self.peer_silent.store(false, Ordering::Relaxed);
        self.session().spawn(beat(Arc::downgrade(self), options, stop));
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
        let heard = self.receiving.lock().last_arrival.unwrap_or(started).max(started);
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

async fn beat(transport: Weak<Transport>, options: HeartbeatOptions, stop: Arc<Notify>) {
    let started = Instant::now();
    let patience = options.interval.saturating_mul(options.silent_after);
    let mut next_beat = Some(started);
    loop {
        let wake_at = {
            let Some(transport) = transport.upgrade() else { return };
            let now = Instant::now();
            if next_beat.is_some_and(|at| at <= now) {
                send_one(&transport);
                // From now, not from when it was due: after a pause of the machine there is no burst of heartbeats.
                next_beat = now.checked_add(options.interval);
            }
            let silent_at = (!patience.is_zero()).then(|| transport.silent_at(started, patience)).flatten();
            if silent_at.is_some_and(|at| at <= now) {
                transport.peer_is_silent();
            }
            next_beat.into_iter().chain(silent_at.filter(|at| *at > now)).min()
        };
        tokio::select! {
            () = stop.notified() => return,
            () = tokio::time::sleep_until(wake_at.unwrap_or(started).into()), if wake_at.is_some() => {}
        }
    }
}

fn send_one(transport: &Transport) {
    let options = SendOptions { priority: Priority::clamped(1), ..SendOptions::default() };
    // Never waits: this is the lane. One that finds no room is counted like any other, and the next one comes.
    if let Err(error) = transport.send(&create_heartbeat_now(), &options, Deadline::Now) {
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
