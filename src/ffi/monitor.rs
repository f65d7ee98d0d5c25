//! `wtgram_monitor_*` and `wtgram_prometheus_*`.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use super::guard::{Failure, free, guard};
use super::handle::{Handle, names};
use super::library::init;
use super::pointer::{
    Versioned, clear, deadline, elements_mut, give, invalid, micros, optional_duration, read_options,
    write_text,
};
use super::status::wtgram_status;
use super::transport::{narrow, wtgram_transport};
use crate::monitor::rules::{Alert, Thresholds};
use crate::monitor::sample::Sample;
use crate::monitor::{Monitor, MonitorOptions, prometheus};

/// Watches a transport. `{0}` is none. It becomes closed when the transport does, and is freed by its owner.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_monitor {
    /// The number of the handle.
    pub id: u64,
}

names!(wtgram_monitor => Monitor, MONITOR, polled as |monitor| monitor);

/// Options of a monitor.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_monitor_options {
    /// Size of this struct, filled by `wtgram_monitor_options_init`.
    pub struct_size: usize,
    /// Time between samples, in microseconds, at least 10000. Default 5 s.
    pub interval_us: i64,
    /// Samples that are kept, 1 to 65536. Default 100.
    pub max_samples: u64,
    /// Alerts that are kept, and that may wait for being fetched, 1 to 65536. Default 50.
    pub max_alerts: u64,
    /// Of the outgoing queue's high-water mark, the part above which the queue is high. Default 0.9.
    pub queue_size_threshold: f64,
    /// The send success rate below which it is low. Default 0.8.
    pub success_rate_threshold: f64,
    /// The fewest samples that make a trend. Default 10.
    pub trend_window: u64,
    /// The least rise of the round-trip time that alerts, in microseconds. Default 10 ms.
    pub rtt_rise_us: i64,
    /// The least rise of the loss that alerts, as a part of all packets. Default 0.01.
    pub loss_rise: f64,
    /// From how long a silence on the peer is silent, in microseconds; 0 for never. Default 15 s.
    pub silence_us: i64,
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl Versioned for wtgram_monitor_options {
    const FIRST_SIZE: usize = 80;
    fn initial() -> Self {
        let MonitorOptions { interval, samples, alerts, thresholds } = MonitorOptions::default();
        Self {
            struct_size: size_of::<Self>(),
            interval_us: micros(interval),
            max_samples: samples as u64,
            max_alerts: alerts as u64,
            queue_size_threshold: thresholds.queue_size,
            success_rate_threshold: thresholds.success_rate,
            trend_window: thresholds.trend_window as u64,
            rtt_rise_us: micros(thresholds.rtt_rise),
            loss_rise: thresholds.loss_rise,
            silence_us: micros(thresholds.silence),
        }
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_monitor_options_init(options: *mut wtgram_monitor_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

fn options(raw: wtgram_monitor_options) -> Result<MonitorOptions, Failure> {
    let parts = [raw.queue_size_threshold, raw.success_rate_threshold, raw.loss_rise];
    if parts.iter().any(|part| !part.is_finite() || *part < 0.0) {
        return Err(invalid("a threshold is negative or not a number"));
    }
    Ok(MonitorOptions {
        interval: optional_duration(raw.interval_us)?.unwrap_or(Duration::ZERO),
        samples: narrow(raw.max_samples),
        alerts: narrow(raw.max_alerts),
        thresholds: Thresholds {
            queue_size: raw.queue_size_threshold,
            success_rate: raw.success_rate_threshold,
            trend_window: narrow(raw.trend_window),
            rtt_rise: optional_duration(raw.rtt_rise_us)?.unwrap_or(Duration::ZERO),
            loss_rise: raw.loss_rise,
            silence: optional_duration(raw.silence_us)?.unwrap_or(Duration::ZERO),
        },
    })
}

/// Begins to watch a transport; the first sample comes after one interval. A transport can have any number of monitors.
///
/// `options`: NULL for the defaults.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`: also an interval below 10 ms; `CLOSED`: the transport is; `LIMIT_REACHED`;
/// `INVALID_HANDLE`; `FORKED`.
///
/// # Safety
/// `options` is NULL or points to a struct of its `struct_size`; `monitor` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_monitor_open(
    transport: wtgram_transport,
    options: *const wtgram_monitor_options,
    monitor: *mut wtgram_monitor,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(monitor, || {
            let options = self::options(read_options(options)?)?;
            Handle::new(Monitor::open(Arc::clone(&transport.get()?.transport), options)?)
        })
    }
}

/// Whether it takes samples: neither it nor its transport is closed.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `monitoring` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_monitor_is_monitoring(
    monitor: wtgram_monitor,
    monitoring: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(monitoring, || Ok(monitor.get()?.is_monitoring())) }
}

/// One look at a transport. Counts are totals since the transport was created.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_sample {
    /// When, in Unix microseconds.
    pub timestamp_us: i64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Payload bytes sent.
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Sent over sent and failed; 1 with no attempts.
    pub send_success_rate: f64,
    /// Mean time in a send operation, in microseconds; a fraction of one, mostly.
    pub avg_send_time_us: f64,
    /// Datagrams that wait for being sent.
    pub outgoing_queue_size: u64,
    /// Datagrams that wait for being received.
    pub incoming_queue_size: u64,
    /// Outgoing datagrams that made room for others.
    pub evicted: u64,
    /// Outgoing datagrams that became too old.
    pub expired: u64,
    /// Incoming datagrams that were dropped: no room, too old, or in QUIC's buffer.
    pub inbound_dropped: u64,
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: i64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets lost.
    pub packets_lost: u64,
    /// Of the packets sent since the previous sample, the part that was lost, 0 to 1.
    pub loss: f64,
    /// How long nothing at all has arrived from the peer, in microseconds.
    pub silence_us: i64,
    /// Zero.
    pub reserved: [u64; 7],
}

impl From<&Sample> for wtgram_sample {
    fn from(sample: &Sample) -> Self {
        Self {
            timestamp_us: i64::try_from(sample.timestamp_us).unwrap_or(i64::MAX),
            datagrams_sent: sample.datagrams_sent,
            datagrams_received: sample.datagrams_received,
            bytes_sent: sample.bytes_sent,
            bytes_received: sample.bytes_received,
            send_success_rate: sample.send_success_rate,
            avg_send_time_us: sample.avg_send_time.as_secs_f64() * 1e6,
            outgoing_queue_size: sample.outgoing_queue_size,
            incoming_queue_size: sample.incoming_queue_size,
            evicted: sample.evicted,
            expired: sample.expired,
            inbound_dropped: sample.inbound_dropped,
            rtt_us: micros(sample.rtt),
            packets_sent: sample.packets_sent,
            packets_lost: sample.packets_lost,
            loss: sample.loss,
            silence_us: micros(sample.silence),
            reserved: [0; 7],
        }
    }
}

/// Copies the newest samples, oldest first; they stay. Also after the end.
///
/// `samples`, `limit`: where they go, and how many at most. `count`: how many there are, which may be more than `limit`;
/// with NULL and 0 this is all that you get.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `samples` points to `limit` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_monitor_samples(
    monitor: wtgram_monitor,
    samples: *mut wtgram_sample,
    limit: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(count, || {
            let (monitor, places) = (monitor.get()?, elements_mut(samples, limit)?);
            let (samples, count) = monitor.newest_samples(limit);
            write_all(places, &samples);
            Ok(count)
        })
    }
}

fn write_all<'a, C: From<&'a T>, T>(places: &mut [C], items: &'a [T]) {
    for (place, item) in places.iter_mut().zip(items) {
        *place = item.into();
    }
}

/// What an alert is about.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_alert_kind {
    /// The outgoing queue is above `queue_size_threshold` of its high-water mark. The figure: datagrams.
    WTGRAM_ALERT_HIGH_QUEUE_SIZE = 1,
    /// The send success rate since the transport's beginning is below `success_rate_threshold`.
    WTGRAM_ALERT_LOW_SUCCESS_RATE = 2,
    /// The mean send time is increasing: over all samples that are kept, once there are `trend_window`, the mean of the later
    /// half is more than a quarter above that of the earlier. The figure: seconds.
    WTGRAM_ALERT_INCREASING_SEND_TIME = 3,
    /// Outgoing datagrams made room for others since the previous sample. The figure: how many.
    WTGRAM_ALERT_EVICTIONS = 4,
    /// Outgoing datagrams became too old since the previous sample. The figure: how many.
    WTGRAM_ALERT_EXPIRIES = 5,
    /// Incoming datagrams were dropped since the previous sample. The figure: how many.
    WTGRAM_ALERT_INBOUND_DROPS = 6,
    /// The round-trip time is increasing as for the send time, and by `rtt_rise_us` at least. The figure: seconds.
    WTGRAM_ALERT_RTT_RISE = 7,
    /// The loss is increasing as for the send time, and by `loss_rise` at least. The figure: a part of 1.
    WTGRAM_ALERT_LOSS_RISE = 8,
    /// Nothing has arrived from the peer for `silence_us`, not even acknowledgements. The figure: seconds.
    WTGRAM_ALERT_SILENT_PEER = 9,
}

/// Bytes for the message of an alert, its NUL included.
pub const WTGRAM_ALERT_MESSAGE_LENGTH: usize = 128;

/// A condition began, or ended. While it stands, nothing is said.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_alert {
    /// When the sample was taken that told, in Unix microseconds.
    pub timestamp_us: i64,
    /// A `wtgram_alert_kind`.
    pub kind: u32,
    /// 1: the condition began; 0: it ended.
    pub began: u32,
    /// The figure that `kind` is about.
    pub value: f64,
    /// What the figure was compared with.
    pub threshold: f64,
    /// Of `wtgram_monitor_next_alert` only: alerts before this one that nobody fetched in time.
    pub missed: u64,
    /// Zero.
    pub reserved: [u64; 3],
    /// The same in English, with a NUL.
    pub message: [c_char; WTGRAM_ALERT_MESSAGE_LENGTH],
}

impl From<&Alert> for wtgram_alert {
    fn from(alert: &Alert) -> Self {
        let mut message = [0; WTGRAM_ALERT_MESSAGE_LENGTH];
        for (place, byte) in
            message.iter_mut().zip(alert.message.bytes().take(WTGRAM_ALERT_MESSAGE_LENGTH - 1))
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

/// Copies the newest alerts, oldest first, whether they were fetched or not; they stay. Also after the end.
///
/// `alerts`, `limit`: where they go, and how many at most. `count`: how many there are, which may be more than `limit`;
/// with NULL and 0 this is all that you get.
///
/// Statuses: as for `wtgram_monitor_samples`.
///
/// # Safety
/// `alerts` points to `limit` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_monitor_alerts(
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

/// Waits for an alert that was not fetched yet. `max_alerts` may wait; then the oldest is dropped, and counted in `missed`.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `CLOSED`: it or its transport is closed, and all alerts were fetched;
/// `INVALID_HANDLE`; `INVALID_ARGUMENT`; `FORKED`. Any number of threads may wait; an alert goes to one of them.
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

/// Takes no more samples. Calls that wait on it return `CLOSED`; what it has can still be read. Closing again does nothing.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_monitor_close(monitor: wtgram_monitor) -> wtgram_status {
    guard(|| {
        monitor.get()?.close();
        Ok(())
    })
}

/// Closes it and makes its handle name nothing. None and stale handles are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_monitor_free(monitor: wtgram_monitor) {
    free(monitor, |monitor| monitor.close());
}

/// Writes the figures of one transport and its path as OpenMetrics text 1.0, which Prometheus reads, labelled with the peer's
/// address. An HTTP server gives it out as `application/openmetrics-text; version=1.0.0; charset=utf-8`.
///
/// `text`, `capacity`: where it goes, with a NUL. `length`: its bytes without the NUL.
///
/// Statuses: `WTGRAM_OK`; `BUFFER_TOO_SMALL`: `length` says what is needed; the text grows with its numbers, so leave some
/// room; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `text` points to `capacity` writable bytes; `length` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_prometheus_transport(
    transport: wtgram_transport,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { clear(length) };
    guard(|| {
        let metrics = prometheus::transport(&transport.get()?.transport)?;
        // SAFETY: the caller's promise.
        unsafe { write_text(&metrics, text, capacity, length) }
    })
}

/// The same for all transports that this process has and had together. Counters never fall.
///
/// Parameters and statuses: as for `wtgram_prometheus_transport`.
///
/// # Safety
/// As for `wtgram_prometheus_transport`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_prometheus_process(
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { clear(length) };
    // SAFETY: the caller's promise.
    guard(|| unsafe { write_text(&prometheus::process()?, text, capacity, length) })
}
