//! The state of congestion control: the window, how much of it is used, the RTT, and when packets
//! leave.
//!
//! quinn reports that its datagram buffer drains only if the buffer was full. A controller sees
//! every packet sent. So a thin controller around the real algorithm tells our queue that there is
//! space again, and provides window and RTT without the connection's lock.
//!
//! The window is enforced here, too, and not left to quinn. While quinn 0.11 has something to send
//! that the window does not allow, it sends no acknowledgements either, against RFC 9002 section 7.
//! A side whose datagrams are stuck would then stop the other side as well, and two busy sides
//! would stop each other. So we hand nothing over that would have to wait.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{
    BbrConfig, Controller, ControllerFactory, ControllerMetrics, CubicConfig, NewRenoConfig,
};

use super::config::Congestion;

/// What the controller of one connection last knew.
///
/// Only the thread that hands over, one at a time, writes `handed_bytes` and `held_back`. The
/// controller writes the other figures, under the connection's lock.
#[derive(Debug, Default)]
pub struct PathView {
    window_bytes: AtomicU64,
    rtt_us: AtomicU64,
    mtu_bytes: AtomicU64,
    /// Bytes of packets that count against the window. The number is exact after each
    /// acknowledgement. Until the next one, packets that leave are added and packets that are given
    /// up as lost are subtracted.
    in_flight_bytes: AtomicU64,
    /// Whether an acknowledgement or a loss was seen since [`Self::doubt_in_flight`].
    in_flight_is_fresh: AtomicBool,
    /// Bytes handed to QUIC, and those of them that have left. The controller does not learn which
    /// packets contain only acknowledgements, which do not count. A packet that leaves while
    /// nothing is left to send is one of these.
    handed_bytes: AtomicU64,
    left_bytes: AtomicU64,
    /// Whether something waits that the window does not allow.
    held_back: AtomicBool,
    moved: AtomicBool,
    mtu: AtomicBool,
}

impl PathView {
    /// Whether packets have left, were acknowledged or were lost since the last call.
    pub(crate) fn take_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    /// Whether the path's MTU has changed since the last call.
    pub(crate) fn take_mtu_changed(&self) -> bool {
        self.mtu.swap(false, Ordering::Relaxed)
    }

    /// Bytes that the path carries in `time`, by window and RTT; `None` before the first
    /// acknowledgement.
    pub(crate) fn bytes_in(&self, time: Duration) -> Option<u64> {
        let rtt_us = self.rtt_us.load(Ordering::Relaxed);
        let time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.window_bytes.load(Ordering::Relaxed).saturating_mul(time_us).checked_div(rtt_us)
    }

    /// Full packets that may be sent now. QUIC sends none that would fill the window to the last
    /// byte.
    pub(crate) fn packets_allowed(&self) -> u64 {
        let in_flight = self.in_flight_bytes.load(Ordering::Relaxed);
        let free = self.window_bytes.load(Ordering::Relaxed).saturating_sub(in_flight.saturating_add(1));
        free / self.mtu_bytes.load(Ordering::Relaxed).max(1)
    }

    /// Whether the window has enough space again to wake a sender that waits for it. This is not so
    /// after each acknowledgement, which frees space for two packets, but early enough to keep most
    /// of the window in use.
    fn is_worth_waking(&self) -> bool {
        let window =
            self.window_bytes.load(Ordering::Relaxed) / self.mtu_bytes.load(Ordering::Relaxed).max(1);
        self.packets_allowed() >= (window / 4).clamp(1, 32)
    }

    /// Notes that `bytes` were handed to QUIC.
    pub fn hand_over(&self, bytes: usize) {
        let handed = self.handed_bytes.load(Ordering::Relaxed);
        self.handed_bytes.store(handed + bytes as u64, Ordering::Relaxed);
    }

    /// Notes whether something waits that the window does not allow. Only then may the window grow.
    pub(crate) fn hold_back(&self, held_back: bool) {
        self.held_back.store(held_back, Ordering::Relaxed);
    }

    /// Assumes that nothing is in flight, once until the next acknowledgement or loss.
    ///
    /// Some packets leave the window without notice to the controller: lost probes of the MTU, and
    /// the handshake's last packets. If nothing else was in flight, no acknowledgement would ever
    /// correct the number.
    pub(crate) fn doubt_in_flight(&self) {
        if self.in_flight_is_fresh.swap(false, Ordering::Relaxed) {
            self.in_flight_bytes.store(0, Ordering::Relaxed);
        }
    }
}

/// Makes observed controllers for one connection, a new one after each path change.
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
        // A new path: nothing is in flight on it.
        self.view.in_flight_bytes.store(0, Ordering::Relaxed);
        self.view.mtu_bytes.store(current_mtu.into(), Ordering::Relaxed);
        self.view.window_bytes.store(inner.window(), Ordering::Relaxed);
        Box::new(Observed { inner, view: Arc::clone(&self.view) })
    }
}

struct Observed {
    inner: Box<dyn Controller>,
    view: Arc<PathView>,
}

impl Observed {
    fn publish(&self, in_flight: u64) {
        self.view.in_flight_bytes.store(in_flight, Ordering::Relaxed);
        self.view.in_flight_is_fresh.store(true, Ordering::Relaxed);
        self.view.window_bytes.store(self.inner.window(), Ordering::Relaxed);
        if !self.view.held_back.load(Ordering::Relaxed) || self.view.is_worth_waking() {
            self.view.moved.store(true, Ordering::Relaxed);
        }
    }

    /// Corrects quinn's `app_limited`: quinn does not see the datagrams that we hold back.
    fn is_app_limited(&self, app_limited: bool) -> bool {
        app_limited && !self.view.held_back.load(Ordering::Relaxed)
    }
}

impl Controller for Observed {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
        let view = &*self.view;
        let left = view.left_bytes.load(Ordering::Relaxed);
        let unsent = view.handed_bytes.load(Ordering::Relaxed).saturating_sub(left);
        if unsent > 0 {
            view.left_bytes.store(left + unsent.min(bytes), Ordering::Relaxed);
            view.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        if !view.held_back.load(Ordering::Relaxed) {
            view.moved.store(true, Ordering::Relaxed);
        }
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.inner.on_ack(now, sent, bytes, self.is_app_limited(app_limited), rtt);
        let rtt_us = u64::try_from(rtt.get().as_micros()).unwrap_or(u64::MAX);
        self.view.rtt_us.store(rtt_us.max(1), Ordering::Relaxed);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, self.is_app_limited(app_limited), largest);
        self.publish(in_flight);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, persistent, lost_bytes);
        self.publish(self.view.in_flight_bytes.load(Ordering::Relaxed).saturating_sub(lost_bytes));
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
        let view = &*self.view;
        view.mtu_bytes.store(new_mtu.into(), Ordering::Relaxed);
        view.window_bytes.store(self.inner.window(), Ordering::Relaxed);
        // QUIC now drops datagrams that have become too large. They will not leave.
        view.left_bytes.store(view.handed_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        view.mtu.store(true, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: u64 = 1200;

    /// A controller whose window is ten packets, and its view.
    fn observed() -> (Box<dyn Controller>, Arc<PathView>) {
        let view = Arc::new(PathView::default());
        let factory = ObservedFactory::new(Congestion::NewReno, Arc::clone(&view));
        let controller = Arc::new(factory).build(Instant::now(), MTU as u16);
        assert_eq!(view.packets_allowed(), 9, "QUIC fills no window to the last byte");
        (controller, view)
    }

    fn send(controller: &mut dyn Controller, view: &PathView, packets: u64) {
        view.hand_over((packets * MTU) as usize);
        controller.on_sent(Instant::now(), packets * MTU, 0);
    }

    #[test]
    fn what_has_left_counts_until_it_is_acknowledged_or_lost() {
        let (mut controller, view) = observed();
        send(&mut *controller, &view, 8);
        assert_eq!(view.packets_allowed(), 1);
        controller.on_end_acks(Instant::now(), 5 * MTU, false, None);
        assert_eq!(view.packets_allowed(), 4);
        controller.on_congestion_event(Instant::now(), Instant::now(), false, 4 * MTU);
        let window = controller.window();
        assert!(window < 10 * MTU, "a loss makes it smaller");
        assert_eq!(view.packets_allowed(), (window - MTU - 1) / MTU);
    }

    #[test]
    fn packets_of_nothing_but_acknowledgements_do_not_count() {
        let (mut controller, view) = observed();
        for _ in 0..10_000 {
            controller.on_sent(Instant::now(), 40, 0);
        }
        assert_eq!(view.packets_allowed(), 9);
        // Datagrams that QUIC dropped because the MTU shrank will not leave. A packet that leaves
        // afterwards is something else.
        view.hand_over(5000);
        controller.on_mtu_update(MTU as u16);
        controller.on_sent(Instant::now(), 9 * MTU, 0);
        assert_eq!(view.packets_allowed(), 9);
    }

    #[test]
    fn what_is_in_flight_is_doubted_once_until_there_is_news() {
        let (mut controller, view) = observed();
        send(&mut *controller, &view, 9);
        view.doubt_in_flight();
        assert_eq!(view.packets_allowed(), 0, "nothing was acknowledged yet: QUIC's probes will find out");
        controller.on_end_acks(Instant::now(), 9 * MTU, false, None);
        assert_eq!(view.packets_allowed(), 0);
        view.doubt_in_flight();
        assert_eq!(view.packets_allowed(), 9);
        send(&mut *controller, &view, 9);
        view.doubt_in_flight();
        assert_eq!(view.packets_allowed(), 0);
    }

    #[test]
    fn a_new_path_has_nothing_in_flight() {
        let (mut controller, view) = observed();
        send(&mut *controller, &view, 9);
        let factory = ObservedFactory::new(Congestion::NewReno, Arc::clone(&view));
        let _ = Arc::new(factory).build(Instant::now(), MTU as u16);
        assert_eq!(view.packets_allowed(), 9);
    }

    #[test]
    fn who_waits_for_the_window_is_woken_when_a_quarter_is_free() {
        let (mut controller, view) = observed();
        let woken = || view.take_moved();
        send(&mut *controller, &view, 9);
        assert!(woken() && !woken());
        view.hold_back(true);
        controller.on_sent(Instant::now(), MTU, 0);
        controller.on_end_acks(Instant::now(), 8 * MTU, false, None);
        assert!(!woken());
        controller.on_end_acks(Instant::now(), 7 * MTU, false, None);
        assert!(woken());
        view.hold_back(false);
        controller.on_end_acks(Instant::now(), 9 * MTU, false, None);
        assert!(woken());
    }

    #[test]
    fn the_window_may_grow_while_something_is_held_back_for_it() {
        let view = Arc::new(PathView::default());
        let inner = Arc::new(NewRenoConfig::default()).build(Instant::now(), MTU as u16);
        let observed = Observed { inner, view: Arc::clone(&view) };
        assert!(observed.is_app_limited(true));
        view.hold_back(true);
        assert!(!observed.is_app_limited(true));
        view.hold_back(false);
        assert!(observed.is_app_limited(true) && !observed.is_app_limited(false));
    }
}
