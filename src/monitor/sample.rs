//! A sample of a transport.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::datagram::transport::Transport;
use crate::error::Result;

/// A snapshot of a transport. Counts are totals since the transport was created.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// When it was taken, in Unix microseconds.
    pub timestamp_us: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Payload bytes sent.
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Sent over sent and failed.
    pub send_success_rate: f64,
    /// Mean time in a send operation.
    pub avg_send_time: Duration,
    /// Datagrams that wait to be sent.
    pub outgoing_queue_size: u64,
    /// The high-water mark of the outgoing queue.
    pub outgoing_high_water: u64,
    /// Datagrams that wait to be received.
    pub incoming_queue_size: u64,
    /// Outgoing datagrams that were evicted for newer ones.
    pub evicted: u64,
    /// Outgoing datagrams that expired.
    pub expired: u64,
    /// Incoming datagrams that were dropped: no space, too old, or in QUIC's buffer.
    pub inbound_dropped: u64,
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets lost.
    pub packets_lost: u64,
    /// The lost part of the packets sent since the previous sample.
    pub loss: f64,
    /// How long nothing at all has arrived from the peer, as far as samples can show.
    pub silence: Duration,
}

/// What must be remembered from one sample to the next.
#[derive(Debug)]
pub struct Observer {
    packets_sent: u64,
    packets_lost: u64,
    udp_received: u64,
    last_arrival: Instant,
}

impl Observer {
    /// Starts to observe. The returned sample has the counts from before.
    pub fn new(transport: &Transport) -> Result<(Self, Sample)> {
        let path = transport.session().stats()?;
        let now = Instant::now();
        let mut observer = Self {
            packets_sent: path.packets_sent,
            packets_lost: path.packets_lost,
            udp_received: path.udp_datagrams_received,
            last_arrival: now,
        };
        let sample = observer.look(transport, now);
        Ok((observer, sample))
    }

    /// Takes a sample.
    pub fn look(&mut self, transport: &Transport, now: Instant) -> Sample {
        let stats = transport.stats();
        // A session that was once established always has figures.
        let path = transport.session().stats().unwrap_or_default();
        let lost = path.packets_lost.saturating_sub(self.packets_lost);
        let sent = path.packets_sent.saturating_sub(self.packets_sent);
        if path.udp_datagrams_received != self.udp_received {
            self.last_arrival = now;
        }
        self.packets_sent = path.packets_sent;
        self.packets_lost = path.packets_lost;
        self.udp_received = path.udp_datagrams_received;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let dropped = stats.inbound.expired.plus(stats.inbound.dropped_full).datagrams;
        Sample {
            timestamp_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
            datagrams_sent: stats.datagrams_sent(),
            datagrams_received: stats.datagrams_received(),
            bytes_sent: stats.bytes_sent(),
            bytes_received: stats.bytes_received(),
            send_success_rate: stats.send_success_rate(),
            avg_send_time: stats.avg_send_time(),
            outgoing_queue_size: stats.outbound.queued.datagrams,
            outgoing_high_water: transport.outgoing.high_water_datagrams() as u64,
            incoming_queue_size: stats.inbound.queued.datagrams,
            evicted: stats.outbound.evicted.datagrams,
            expired: stats.outbound.expired.datagrams,
            inbound_dropped: dropped
                .saturating_add(stats.outside.dropped_in_quic)
                .saturating_add(stats.outside.over_rate),
            rtt: path.rtt,
            packets_sent: path.packets_sent,
            packets_lost: path.packets_lost,
            // QUIC notices losses after it sent the packets, so the result is at most 1.
            loss: (lost as f64 / sent.max(1) as f64).min(1.0),
            silence: now.saturating_duration_since(self.last_arrival),
        }
    }
}
