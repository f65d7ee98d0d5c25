//! Raw quinn over a link that loses or that is slow: both sides send flat out, or urgent datagrams wait behind others.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use wtransport::quinn::{Connection, VarInt};

use crate::endpoint::{accept_quinn, connect_quinn};
use crate::meter::{QUIET, SEQUENCE_BYTES, wall_clock_ns};
use crate::{Failure, Target};

/// Until the other side's time is up, too.
const FLOOD_TAIL: Duration = Duration::from_millis(500);

/// One side, which takes the connection.
pub async fn flood_server(size_bytes: usize, duration: Duration) -> Result<(), Failure> {
    let (_endpoint, connection) = accept_quinn().await?;
    flood(connection, size_bytes, duration).await
}

/// The other side.
pub async fn flood_client(target: Target) -> Result<(), Failure> {
    let (_endpoint, connection) = connect_quinn(target.port, target.certificate_hash).await?;
    flood(connection, target.size_bytes, target.duration).await
}

/// Sends and receives for the given time, and prints what arrived in it.
async fn flood(connection: Connection, size_bytes: usize, duration: Duration) -> Result<(), Failure> {
    let until = Instant::now() + duration;
    let sender = connection.clone();
    let sending = tokio::spawn(async move {
        let mut sent = 0_u64;
        let mut payload = vec![0; size_bytes];
        loop {
            payload[..SEQUENCE_BYTES].copy_from_slice(&sent.to_be_bytes());
            let payload = Bytes::copy_from_slice(&payload);
            match timeout_at(until, sender.send_datagram_wait(payload)).await {
                Ok(Ok(())) => sent += 1,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(sent),
            }
        }
    });
    let (mut delivered, mut bytes) = (0_u64, 0);
    while let Ok(payload) = timeout_at(until, connection.read_datagram()).await {
        delivered += 1;
        bytes += payload?.len();
    }
    let sent = sending.await??;
    sleep(FLOOD_TAIL).await;
    println!("{{\"sent\": {sent}, \"delivered\": {delivered}, \"bytes\": {bytes}}}");
    Ok(())
}

const URGENT_BYTES: usize = 100;
const URGENT_EVERY: Duration = Duration::from_millis(250);
const OTHERS_EVERY: Duration = Duration::from_millis(2);
/// Until the link is full and the window knows it.
const WARM_UP: Duration = Duration::from_secs(2);
/// What waits in quinn's buffer takes so long at most.
const PATIENCE: Duration = Duration::from_secs(12);

/// Prints how long the urgent ones took, which carry when they were sent. Others are longer.
pub async fn urgent_receive() -> Result<(), Failure> {
    let (_endpoint, connection) = accept_quinn().await?;
    let mut times_ms = Vec::new();
    let mut other_bytes = 0;
    while let Ok(payload) = connection.read_datagram().await {
        if payload.len() == URGENT_BYTES {
            let begun = payload.first_chunk().map_or(0, |begun| u64::from_be_bytes(*begun));
            times_ms.push(wall_clock_ns().saturating_sub(begun) as f64 / 1e6);
        } else {
            other_bytes += payload.len();
        }
    }
    println!("{{\"other_bytes\": {other_bytes}, \"urgent_ms\": {times_ms:?}}}");
    Ok(())
}

/// Offers four times what a link of 1 Mbit/s carries: quinn evicts the oldest. It knows no priority.
pub async fn urgent_send(target: Target) -> Result<(), Failure> {
    let (endpoint, connection) = connect_quinn(target.port, target.certificate_hash).await?;
    let empty_buffer = connection.datagram_send_buffer_space();
    let other = Bytes::from(vec![0; target.size_bytes]);
    let started = Instant::now();
    let (mut next, mut next_urgent) = (started, started + WARM_UP);
    let until = next_urgent + target.duration;
    let mut sent = 0;
    while next < until {
        sleep_until(next).await;
        connection.send_datagram(other.clone())?;
        if next >= next_urgent {
            let mut urgent = [0; URGENT_BYTES];
            urgent[..SEQUENCE_BYTES].copy_from_slice(&wall_clock_ns().to_be_bytes());
            connection.send_datagram(Bytes::copy_from_slice(&urgent))?;
            next_urgent += URGENT_EVERY;
            sent += 1;
        }
        next += OTHERS_EVERY;
    }
    let deadline = Instant::now() + PATIENCE;
    while connection.datagram_send_buffer_space() < empty_buffer && Instant::now() < deadline {
        sleep(Duration::from_millis(50)).await;
    }
    sleep(QUIET).await;
    println!("{{\"urgent\": {sent}}}");
    connection.close(VarInt::from_u32(0), b"done");
    endpoint.wait_idle().await;
    Ok(())
}
