//! Samples
//!
//! The figures of a transport at one time.

use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{elements_mut, give, micros};
use crate::ffi::handles::wtgram_monitor;
use crate::ffi::monitor::write_all;
use crate::ffi::status::wtgram_status;
use crate::monitor::sample::Sample;

/// A sample of a transport. Counters are totals since the transport was created.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_sample {
    /// Unix time in microseconds.
    pub timestamp_us: i64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Payload bytes sent.
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Datagrams sent divided by those sent and failed; 1 if there were none.
    pub send_success_rate: f64,
    /// Mean time of a send call, in microseconds.
    pub avg_send_time_us: f64,
    /// Datagrams in the outgoing queue.
    pub outgoing_queue_size: u64,
    /// Datagrams in the incoming queue.
    pub incoming_queue_size: u64,
    /// Outgoing datagrams evicted for newer ones.
    pub evicted: u64,
    /// Outgoing datagrams dropped because of their age.
    pub expired: u64,
    /// Incoming datagrams dropped: no space, too old, or in QUIC's buffer.
    pub inbound_dropped: u64,
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: i64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets lost.
    pub packets_lost: u64,
    /// Part of the packets since the previous sample that was lost, 0 to 1.
    pub loss: f64,
    /// Time since anything arrived from the peer, in microseconds.
    pub silence_us: i64,
    /// Reserved; 0.
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

/// Copies the newest samples, oldest first. They stay in the monitor. Works also after its end.
///
/// @param monitor The monitor.
/// @param samples Array for the samples.
/// @param limit Number of elements in `samples`; 0 with NULL to get only the count.
/// @param count Gets the number of samples in the monitor, which may be more than `limit`.
///
/// # Safety
/// `samples` points to `limit` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_monitor_get_samples(
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
