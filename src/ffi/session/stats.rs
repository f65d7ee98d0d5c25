//! Session statistics
//!
//! What QUIC measures on the connection of a session.

use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{Versioned, give_sized, init, init_sized, micros};
use crate::ffi::handles::wtgram_session;
use crate::ffi::status::wtgram_status;

/// Statistics of a session's connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_session_stats {
    /// Size of this struct, set by `wtgram_session_stats_init`.
    pub struct_size: usize,
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: i64,
    /// Lowest round-trip time measured, in microseconds.
    pub min_rtt_us: i64,
    /// Congestion window, in bytes.
    pub congestion_window_bytes: u64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets lost.
    pub packets_lost: u64,
    /// Bytes in lost packets.
    pub bytes_lost: u64,
    /// Bytes of UDP payload sent.
    pub udp_bytes_sent: u64,
    /// Bytes of UDP payload received.
    pub udp_bytes_received: u64,
    /// UDP datagrams sent.
    pub udp_datagrams_sent: u64,
    /// UDP datagrams received.
    pub udp_datagrams_received: u64,
    /// How often the congestion window was reduced.
    pub congestion_events: u64,
    /// QUIC DATAGRAM frames sent.
    pub datagram_frames_sent: u64,
    /// QUIC DATAGRAM frames received.
    pub datagram_frames_received: u64,
    /// Streams that the peer opened and the library refused, because it carries datagrams only.
    pub peer_streams_refused: u64,
    /// Largest UDP payload the path carries, in bytes.
    pub path_mtu_bytes: u32,
    /// Reserved; 0.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_session_stats {
    const FIRST_SIZE: usize = 128;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            rtt_us: 0,
            min_rtt_us: 0,
            congestion_window_bytes: 0,
            packets_sent: 0,
            packets_lost: 0,
            bytes_lost: 0,
            udp_bytes_sent: 0,
            udp_bytes_received: 0,
            udp_datagrams_sent: 0,
            udp_datagrams_received: 0,
            congestion_events: 0,
            datagram_frames_sent: 0,
            datagram_frames_received: 0,
            peer_streams_refused: 0,
            path_mtu_bytes: 0,
            reserved: 0,
        }
    }
}

/// Fills `*stats` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `stats` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_session_stats_init(stats: *mut wtgram_session_stats) {
    // SAFETY: the caller's promise.
    unsafe { init(stats) };
}

/// For bindings: `wtgram_session_stats_init` for a struct of `size` bytes.
///
/// # Safety
/// `stats` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_session_stats_init_sized(stats: *mut wtgram_session_stats, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(stats, size) };
}

/// Stores the current statistics of the connection; after its end, the last ones.
///
/// @param session The session.
/// @param stats Gets the statistics; prepared by `wtgram_session_stats_init`.
///
/// # Safety
/// `stats` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_session_get_stats(
    session: wtgram_session,
    stats: *mut wtgram_session_stats,
) -> wtgram_status {
    let body = || {
        let now = session.get()?.session.link.stats()?;
        Ok(wtgram_session_stats {
            rtt_us: micros(now.rtt),
            min_rtt_us: micros(now.min_rtt),
            congestion_window_bytes: now.congestion_window_bytes,
            packets_sent: now.packets_sent,
            packets_lost: now.packets_lost,
            bytes_lost: now.bytes_lost,
            udp_bytes_sent: now.udp_bytes_sent,
            udp_bytes_received: now.udp_bytes_received,
            udp_datagrams_sent: now.udp_datagrams_sent,
            udp_datagrams_received: now.udp_datagrams_received,
            congestion_events: now.congestion_events,
            datagram_frames_sent: now.datagram_frames_sent,
            datagram_frames_received: now.datagram_frames_received,
            peer_streams_refused: now.peer_streams_refused,
            path_mtu_bytes: now.path_mtu_bytes,
            ..Versioned::initial()
        })
    };
    // SAFETY: the caller's promise.
    unsafe { give_sized(stats, body) }
}
