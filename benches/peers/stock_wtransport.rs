//! Stock wtransport, through its own `send_datagram` and `receive_datagram`.

use std::time::Duration;

use wtransport::{Endpoint, VarInt};

use crate::endpoint::{client_config, server_config};
use crate::meter::{Arrivals, Departures};
use crate::raw_quinn::drain;
use crate::{Failure, Target};

/// Sends flat out. `send_datagram` evicts what waits when quinn's buffer is full, so this asks for room first and
/// yields to the driver without it: whatever is lost is lost behind the sender.
pub async fn send(target: Target) -> Result<(), Failure> {
    let (config, _socket) = client_config(target.certificate_hash)?;
    let endpoint = Endpoint::client(config)?;
    let connection = endpoint.connect(format!("https://127.0.0.1:{}/", target.port)).await?;
    let quic = connection.quic_connection();
    let empty_buffer = quic.datagram_send_buffer_space();
    // The quarter stream id of the first session takes one byte.
    let room_bytes = target.size_bytes + 1;
    let mut departures = Departures::start(target.size_bytes, target.duration);
    while let Some(payload) = departures.next() {
        while quic.datagram_send_buffer_space() < room_bytes {
            tokio::task::yield_now().await;
        }
        connection.send_datagram(payload)?;
    }
    drain(quic, empty_buffer).await;
    connection.close(VarInt::from_u32(0), b"done");
    // Without a bound a lost close would hold the measurement for the idle timeout.
    let _ = tokio::time::timeout(Duration::from_secs(2), endpoint.wait_idle()).await;
    departures.report(quic.stats().frame_tx.datagram);
    Ok(())
}

/// Receives one at a time.
pub async fn receive() -> Result<(), Failure> {
    let (config, _socket) = server_config()?;
    let endpoint = Endpoint::server(config)?;
    let connection = endpoint.accept().await.await?.accept().await?;
    let mut arrivals = Arrivals::default();
    while let Ok(datagram) = connection.receive_datagram().await {
        arrivals.count(&datagram);
    }
    arrivals.report(connection.quic_connection().stats().frame_rx.datagram, 0);
    Ok(())
}
