//! What a server counts: its sessions, its handshakes, and what it refused, by reason.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Why a server refused a connection, a request, or datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A connection: the server has as many as it may have.
    Sessions,
    /// A connection: its address has as many as it may have.
    Address,
    /// A connection: its address opens too many in a second.
    Rate,
    /// A connection: the server holds as much memory as it may hold.
    Memory,
    /// A request: its origin is not allowed.
    Origin,
    /// A request: its authority is not allowed.
    Authority,
    /// A request: its path is not allowed.
    Path,
    /// A request: its path is too long.
    PathLength,
    /// A request: it has too many header fields, or too many bytes of them.
    Headers,
    /// A request: as many sessions or requests wait for the program as may wait.
    Backlog,
    /// A request: the program rejected it, or dropped it unanswered.
    Rejected,
    /// A connection or a request: the server has stopped listening.
    Stopped,
}

impl Refused {
    /// All reasons, in the order of [`ServerStats::refused`].
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Sessions, "sessions"),
        (Self::Address, "address"),
        (Self::Rate, "rate"),
        (Self::Memory, "memory"),
        (Self::Origin, "origin"),
        (Self::Authority, "authority"),
        (Self::Path, "path"),
        (Self::PathLength, "path_length"),
        (Self::Headers, "headers"),
        (Self::Backlog, "backlog"),
        (Self::Rejected, "rejected"),
        (Self::Stopped, "stopped"),
    ];

    /// The HTTP status that answers such a request.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Origin => 403,
            Self::Path => 404,
            Self::PathLength => 414,
            // RFC 9110 section 15.5.20.
            Self::Authority => 421,
            // RFC 6585 section 5.
            Self::Headers => 431,
            _ => 503,
        }
    }
}

/// Why a handshake did not lead to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The client took longer than the server gives it.
    TimedOut,
    /// TLS failed, for example because the client does not trust the certificate.
    Tls,
    /// The client closed the connection, or was lost.
    Lost,
    /// The client broke the protocol, or does not speak WebTransport.
    Protocol,
    /// It waited longest when the server had as many half-open connections as it may have.
    Evicted,
    /// The client's certificate was refused, or the lack of one.
    ClientCertificate,
}

impl HandshakeFailure {
    /// All reasons, in the order of [`ServerStats::failed`].
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::TimedOut, "timed_out"),
        (Self::Tls, "tls"),
        (Self::Lost, "lost"),
        (Self::Protocol, "protocol"),
        (Self::Evicted, "evicted"),
        (Self::ClientCertificate, "client_certificate"),
    ];
}

/// Figures of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Connections now, half-open ones included.
    pub connections: u64,
    /// Connections now whose session is not established yet.
    pub half_open: u64,
    /// Sessions established.
    pub established: u64,
    /// Sessions closed because the program did not accept them in time.
    pub not_accepted: u64,
    /// Times that a client had to prove its address first (Retry).
    pub retries: u64,
    /// First packets of connections that were dropped because too many waited to be looked at.
    pub ignored: u64,
    /// Connections and requests refused, by reason; see [`Refused::ALL`].
    pub refused: [u64; Refused::ALL.len()],
    /// Handshakes that failed, by reason; see [`HandshakeFailure::ALL`].
    pub failed: [u64; HandshakeFailure::ALL.len()],
    /// Time from the first packet to the established session, summed over all sessions. The
    /// program's time to answer a request is included. After a Retry, the packet with the proof of the
    /// address counts as the first.
    pub handshake_time: Duration,
    /// The longest of them.
    pub longest_handshake: Duration,
    /// Datagrams dropped because a session sent more than it may.
    pub datagrams_over_rate: u64,
    /// Datagrams dropped because the server holds as much memory as it may hold.
    pub datagrams_over_memory: u64,
    /// Memory that clients make the server hold: datagrams that wait to be received, and an
    /// estimate for each connection.
    pub memory_bytes: u64,
}

/// The counters behind the figures.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub established: AtomicU64,
    pub not_accepted: AtomicU64,
    pub retries: AtomicU64,
    pub ignored: AtomicU64,
    refused: [AtomicU64; Refused::ALL.len()],
    failed: [AtomicU64; HandshakeFailure::ALL.len()],
    handshake_ns: AtomicU64,
    longest_ns: AtomicU64,
}

impl Counters {
    pub fn refuse(&self, reason: Refused) {
        self.refused[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn fail(&self, reason: HandshakeFailure) {
        self.failed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn establish(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.established.fetch_add(1, Ordering::Relaxed);
        self.handshake_ns.fetch_add(ns, Ordering::Relaxed);
        self.longest_ns.fetch_max(ns, Ordering::Relaxed);
    }

    /// The figures that the counters have.
    pub fn stats(&self) -> ServerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerStats {
            established: read(&self.established),
            not_accepted: read(&self.not_accepted),
            retries: read(&self.retries),
            ignored: read(&self.ignored),
            refused: self.refused.each_ref().map(read),
            failed: self.failed.each_ref().map(read),
            handshake_time: Duration::from_nanos(read(&self.handshake_ns)),
            longest_handshake: Duration::from_nanos(read(&self.longest_ns)),
            ..ServerStats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place() {
        for (place, (reason, _)) in Refused::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, place);
        }
        for (place, (reason, _)) in HandshakeFailure::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, place);
        }
        let counters = Counters::default();
        counters.refuse(Refused::Rate);
        counters.fail(HandshakeFailure::Evicted);
        counters.establish(Duration::from_millis(3));
        counters.establish(Duration::from_millis(1));
        let stats = counters.stats();
        assert_eq!((stats.refused[2], stats.refused.iter().sum::<u64>()), (1, 1));
        assert_eq!((stats.failed[4], stats.failed.iter().sum::<u64>()), (1, 1));
        assert_eq!((stats.established, stats.handshake_time), (2, Duration::from_millis(4)));
        assert_eq!(stats.longest_handshake, Duration::from_millis(3));
    }
}
