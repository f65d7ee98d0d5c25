//! Alerts
//!
//! An alert says that a condition started or ended.

use std::ffi::c_char;

use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{deadline, elements_mut, give};
use crate::ffi::handles::wtgram_monitor;
use crate::ffi::monitor::write_all;
use crate::ffi::status::wtgram_status;
use crate::monitor::rules::Alert;

/// What an alert is about. In brackets: the unit of `value`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_alert_kind {
    /// The outgoing queue is above `queue_size_threshold` (datagrams).
    WTGRAM_ALERT_HIGH_QUEUE_SIZE = 1,
    /// The send success rate is below `success_rate_threshold` (part of 1).
    WTGRAM_ALERT_LOW_SUCCESS_RATE = 2,
    /// The mean send time increases: in the samples kept, at least `trend_window`, the mean of the
    /// later half is more than a quarter above that of the earlier half (seconds).
    WTGRAM_ALERT_INCREASING_SEND_TIME = 3,
    /// Outgoing datagrams were evicted since the previous sample (datagrams).
    WTGRAM_ALERT_EVICTIONS = 4,
    /// Outgoing datagrams expired since the previous sample (datagrams).
    WTGRAM_ALERT_EXPIRIES = 5,
    /// Incoming datagrams were dropped since the previous sample (datagrams).
    WTGRAM_ALERT_INBOUND_DROPS = 6,
    /// The round-trip time increases like the send time above, and by at least `rtt_rise_us`
    /// (seconds).
    WTGRAM_ALERT_RTT_RISE = 7,
    /// The loss increases like the send time above, and by at least `loss_rise` (part of 1).
    WTGRAM_ALERT_LOSS_RISE = 8,
    /// Nothing arrived from the peer for `silence_us`, not even acknowledgements (seconds).
    WTGRAM_ALERT_SILENT_PEER = 9,
}

/// Size of an alert's message with its NUL, in bytes.
pub const WTGRAM_ALERT_MESSAGE_CAPACITY: usize = 128;

/// A condition started or ended. There is one alert for each change.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_alert {
    /// Time of the sample, Unix time in microseconds.
    pub timestamp_us: i64,
    /// A `wtgram_alert_kind`.
    pub kind: u32,
    /// 1: the condition started; 0: it ended.
    pub began: u32,
    /// The measured value; `wtgram_alert_kind` names its unit.
    pub value: f64,
    /// The value it was compared with.
    pub threshold: f64,
    /// Only from `wtgram_monitor_next_alert`: number of earlier alerts that were dropped because
    /// nobody fetched them in time.
    pub missed: u64,
    /// Reserved; 0.
    pub reserved: [u64; 3],
    /// The alert as an English sentence, NUL-terminated.
    pub message: [c_char; WTGRAM_ALERT_MESSAGE_CAPACITY],
}

impl From<&Alert> for wtgram_alert {
    fn from(alert: &Alert) -> Self {
        let mut message = [0; WTGRAM_ALERT_MESSAGE_CAPACITY];
        for (place, byte) in
            message.iter_mut().zip(alert.message.bytes().take(WTGRAM_ALERT_MESSAGE_CAPACITY - 1))
        {
            *place = byte as c_char;
        }
        Self {
            timestamp_us: i64::try_from(alert.timestamp_us).unwrap_or(i64::MAX),
            kind: alert.kind as u32,
            began: alert.began.into(),
            value: alert.value,
            threshold: alert.threshold,
            missed: 0,
            reserved: [0; 3],
            message,
        }
    }
}

/// Copies the newest alerts, oldest first, whether they were fetched or not. They stay in the
/// monitor. Works also after its end.
///
/// @param monitor The monitor.
/// @param alerts Array for the alerts.
/// @param limit Number of elements in `alerts`; 0 with NULL to get only the count.
/// @param count Gets the number of alerts in the monitor, which may be more than `limit`.
///
/// # Safety
/// `alerts` points to `limit` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_monitor_get_alerts(
    monitor: wtgram_monitor,
    alerts: *mut wtgram_alert,
    limit: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(count, || {
            let (monitor, places) = (monitor.get()?, elements_mut(alerts, limit)?);
            let (alerts, count) = monitor.newest_alerts(limit);
            write_all(places, &alerts);
            Ok(count)
        })
    }
}

/// Waits for the next alert. At most `max_alerts` wait to be fetched; then the oldest is dropped
/// and counted in `missed`. Several threads may wait; each alert goes to one of them.
///
/// @param monitor The monitor.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param alert Gets the alert.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_CLOSED`: the monitor or its transport is closed and every alert has been
///   fetched.
///
/// # Safety
/// `alert` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_monitor_next_alert(
    monitor: wtgram_monitor,
    timeout_us: i64,
    alert: *mut wtgram_alert,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(alert, || {
            let (alert, missed) = monitor.get()?.next_alert(deadline(timeout_us)?)?;
            Ok(wtgram_alert { missed, ..(&alert).into() })
        })
    }
}
