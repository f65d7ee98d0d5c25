//! What the congestion controller knows, made visible: the window, the RTT, and when packets leave.
//!
//! quinn tells nobody when its datagram buffer drains unless the buffer was full. A controller is told of every
//! packet sent, so a thin one around the real algorithm is where our queue learns that there is room again, and
//! where it reads window and RTT without taking the connection's lock.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{
    BbrConfig, Controller, ControllerFactory, ControllerMetrics, CubicConfig, NewRenoConfig,
};
use tokio::sync::Notify;

use super::config::Congestion;

/// What the controller of one connection last knew.
#[derive(Debug, Default)]
pub struct PathView {
    window_bytes: AtomicU64,
    rtt_us: AtomicU64,
    sent: Notify,
    mtu: Notify,
}

impl PathView {
    /// Returns when packets have left since the last return. One waiter.
    pub async fn packets_sent(&self) {
        self.sent.notified().await;
    }

    /// Returns when the path's MTU has changed since the last return. One waiter.
    pub async fn mtu_changed(&self) {
        self.mtu.notified().await;
    }

    /// Bytes the path carries in `time`, by window and RTT; `None` before the first acknowledgement.
    pub fn bytes_in(&self, time: Duration) -> Option<u64> {
        let rtt_us = self.rtt_us.load(Ordering::Relaxed);
        let time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.window_bytes.load(Ordering::Relaxed).saturating_mul(time_us).checked_div(rtt_us)
    }
}

/// Makes observed controllers for one connection (a new one after each path change).
pub struct ObservedFactory {
    algorithm: Arc<dyn ControllerFactory + Send + Sync>,
    view: Arc<PathView>,
}

impl ObservedFactory {
    /// A factory of `congestion` controllers that report to `view`.
    pub fn new(congestion: Congestion, view: Arc<PathView>) -> Self {
        let algorithm: Arc<dyn ControllerFactory + Send + Sync> = match congestion {
            Congestion::Cubic => Arc::new(CubicConfig::default()),
            Congestion::Bbr => Arc::new(BbrConfig::default()),
            Congestion::NewReno => Arc::new(NewRenoConfig::default()),
        };
        Self { algorithm, view }
    }
}

impl ControllerFactory for ObservedFactory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = Arc::clone(&self.algorithm).build(now, current_mtu);
        self.view.window_bytes.store(inner.window(), Ordering::Relaxed);
        Box::new(Observed { inner, view: Arc::clone(&self.view) })
    }
}

struct Observed {
    inner: Box<dyn Controller>,
    view: Arc<PathView>,
}

impl Observed {
    fn publish_window(&self) {
        self.view.window_bytes.store(self.inner.window(), Ordering::Relaxed);
    }
}

impl Controller for Observed {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
        self.view.sent.notify_one();
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
        let rtt_us = u64::try_from(rtt.get().as_micros()).unwrap_or(u64::MAX);
        self.view.rtt_us.store(rtt_us.max(1), Ordering::Relaxed);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
        self.publish_window();
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, persistent, lost_bytes);
        self.publish_window();
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
        self.publish_window();
        self.view.mtu.notify_one();
    }

    fn window(&self) -> u64 {
        self.inner.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), view: Arc::clone(&self.view) })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.inner.into_any()
    }
}
