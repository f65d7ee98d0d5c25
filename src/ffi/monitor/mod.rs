//! Monitor
//!
//! Takes a sample of a transport at regular intervals and raises alerts. Call order:
//! `wtgram_monitor_options_init`, `wtgram_monitor_open`, then `wtgram_monitor_next_alert` or
//! `wtgram_monitor_get_samples`, and `wtgram_monitor_free`.

pub mod alert;
pub mod prometheus;
pub mod sample;

use std::sync::Arc;
use std::time::Duration;

use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::{free, guard};
use crate::ffi::boundary::handle::{Handle, names};
use crate::ffi::boundary::pointer::{
    Versioned, give, init, init_sized, invalid, micros, optional_duration, read_options,
};
use crate::ffi::connection::narrow;
use crate::ffi::handles::{wtgram_monitor, wtgram_transport};
use crate::ffi::status::wtgram_status;
use crate::monitor::rules::Thresholds;
use crate::monitor::{Monitor, MonitorOptions};

names!(wtgram_monitor => Monitor, MONITOR, polled as |monitor| monitor);

/// Options of a monitor.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_monitor_options {
    /// Size of this struct, set by `wtgram_monitor_options_init`.
    pub struct_size: usize,
    /// Time between samples in microseconds, at least 10000. Default 5 s.
    pub interval_us: i64,
    /// Number of samples kept, 1 to 65536. Default 100.
    pub max_samples: u64,
    /// Number of alerts kept, 1 to 65536. Default 50.
    pub max_alerts: u64,
    /// Alert when the outgoing queue is above this part of its high-water mark. Default 0.9.
    pub queue_size_threshold: f64,
    /// Alert when the send success rate is below this. Default 0.8.
    pub success_rate_threshold: f64,
    /// Number of samples needed for a trend. Default 10.
    pub trend_window: u64,
    /// Alert when the round-trip time rises by at least this, in microseconds. Default 10 ms.
    pub rtt_rise_us: i64,
    /// Alert when the part of lost packets rises by at least this. Default 0.01.
    pub loss_rise: f64,
    /// Alert when nothing arrived from the peer for this long, in microseconds; 0 for never.
    /// Default 15 s.
    pub silence_us: i64,
}

// SAFETY: repr(C), begins with its size, plain numbers.
unsafe impl Versioned for wtgram_monitor_options {
    const FIRST_SIZE: usize = 72;
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

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_monitor_options_init(options: *mut wtgram_monitor_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_monitor_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_monitor_options_init_sized(
    options: *mut wtgram_monitor_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
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

/// Starts to take samples of a transport, the first one after one interval. A transport can have
/// several monitors.
///
/// @param transport The transport.
/// @param options Options; NULL for the defaults.
/// @param monitor Gets the handle. Free it with `wtgram_monitor_free`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: an option is out of range, for example an interval below 10
///   ms.
/// - `WTGRAM_ERROR_CLOSED`: the transport is closed.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many monitors.
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

/// Stores whether the monitor takes samples: neither it nor its transport is closed.
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

/// Stops taking samples. Calls that wait on the monitor return `WTGRAM_ERROR_CLOSED`. You can still
/// read samples and alerts. Closing again has no effect.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_monitor_close(monitor: wtgram_monitor) -> wtgram_status {
    guard(|| {
        monitor.get()?.close();
        Ok(())
    })
}

/// Closes the monitor and releases its handle. Handles that are zero or released are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_monitor_free(monitor: wtgram_monitor) {
    free(monitor, |monitor| monitor.close());
}

fn write_all<'a, C: From<&'a T>, T>(places: &mut [C], items: &'a [T]) {
    for (place, item) in places.iter_mut().zip(items) {
        *place = item.into();
    }
}
