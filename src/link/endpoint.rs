//! The QUIC configuration of connections and endpoints, shared by servers and clients.

use std::sync::Arc;

use quinn_proto::{IdleTimeout, ServerConfig, TransportConfig, VarInt};

use super::config::ConnectionOptions;
use super::congestion::{ObservedFactory, PathView};
use super::core::datagrams::{QUIC_RECEIVE_BUFFER_BYTES, QUIC_SEND_BUFFER_BYTES};
use super::ids::Label;
use super::secrets::Secrets;
use crate::error::{Error, Result};

/// Streams that a peer may have open to us: one for control, two for QPACK, a few for GREASE. A
/// server also takes requests. Everything else is refused, and refused streams give their credit
/// back.
const PEER_UNI_STREAMS: u32 = 8;
const PEER_REQUEST_STREAMS: u32 = 8;

/// Unread bytes that a peer may send on one stream, and on all of them: only HTTP/3 signaling uses
/// streams. QUIC keeps as much for a peer that leaves out the first bytes of its streams, so both
/// together are little more than one header block of the largest size.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 128 * 1024;

/// Bytes of ours that may be on their way on all streams.
const SEND_WINDOW_BYTES: u64 = 512 * 1024;

/// The QUIC configuration of one connection, and the view of its path. The connection's congestion
/// controller feeds the view.
pub fn transport_config(
    options: &ConnectionOptions,
    server: bool,
) -> Result<(Arc<TransportConfig>, Arc<PathView>)> {
    let view = Arc::new(PathView::default());
    let idle = match options.idle_timeout {
        None => None,
        Some(timeout) => Some(IdleTimeout::try_from(timeout).map_err(|_| {
            Error::InvalidArgument("the idle timeout is longer than QUIC can express (2^62 ms)".into())
        })?),
    };
    let mut config = TransportConfig::default();
    config
        .max_concurrent_uni_streams(VarInt::from_u32(PEER_UNI_STREAMS))
        .max_concurrent_bidi_streams(VarInt::from_u32(if server { PEER_REQUEST_STREAMS } else { 0 }))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(Some(QUIC_RECEIVE_BUFFER_BYTES))
        .datagram_send_buffer_size(QUIC_SEND_BUFFER_BYTES)
        .keep_alive_interval(options.keep_alive)
        .max_idle_timeout(idle)
        .congestion_controller_factory(Arc::new(ObservedFactory::new(options.congestion, Arc::clone(&view))));
    Ok((Arc::new(config), view))
}

/// A QUIC endpoint of `lane`, which issues ids with this label. Only endpoints of one server have
/// the same secrets. If its socket `may_fragment` packets, QUIC does not use them to find out what the
/// path carries.
pub(super) fn quic(
    secrets: &Secrets,
    lane: usize,
    label: &Label,
    server: Option<ServerConfig>,
    may_fragment: bool,
) -> quinn_proto::Endpoint {
    // There are no more than 256 lanes.
    let config = secrets.endpoint_config(lane as u8, label);
    quinn_proto::Endpoint::new(Arc::new(config), server.map(Arc::new), !may_fragment, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_may_make_quic_keep_two_streams_and_no_more() {
        let (config, _) = transport_config(&ConnectionOptions::default(), true).unwrap();
        // The configuration has no getters.
        let shown = format!("{config:?}");
        for window in ["stream_receive_window: 65536", "receive_window: 131072"] {
            assert!(shown.split(", ").any(|field| field.ends_with(window)), "{shown}");
        }
    }
}
