//! Many raw quinn connections of one process flat out, a task each, over one socket at each end.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use wtransport::quinn::{Connection, VarInt};

use crate::endpoint::{QUEUE_DATAGRAMS, client_endpoint, listen_quinn};
use crate::meter::{Arrivals, Departures};
use crate::raw_quinn::drain;
use crate::{Failure, Target};

/// As many as the C program sends to one session before it turns to the next.
const SEND_BATCH: usize = 16;
/// For the runner to look at both processes before there is traffic.
const READY: Duration = Duration::from_millis(200);

/// Takes `sessions` connections and counts what arrives until all are closed.
pub async fn receive(sessions: usize) -> Result<(), Failure> {
    let endpoint = listen_quinn(None)?;
    let arrivals = Arc::new(Mutex::new(Arrivals::default()));
    let mut connections = Vec::with_capacity(sessions);
    while connections.len() < sessions {
        let connection = endpoint.accept().await.ok_or("the endpoint closed")?.await?;
        let (reader, arrivals) = (connection.clone(), Arc::clone(&arrivals));
        let reading = tokio::spawn(async move {
            while let Ok(payload) = reader.read_datagram().await {
                arrivals.lock().count(&payload);
            }
        });
        connections.push((connection, reading));
    }
    let mut frames = 0;
    for (connection, reading) in connections {
        reading.await?;
        frames += connection.stats().frame_rx.datagram;
    }
    arrivals.lock().report(frames, 0);
    Ok(())
}

/// Opens `sessions` connections and sends through all of them.
pub async fn send(sessions: usize, target: Target) -> Result<(), Failure> {
    let (endpoint, config) =
        client_endpoint(target.certificate_hash, Some(QUEUE_DATAGRAMS * target.size_bytes))?;
    let address = (Ipv4Addr::LOCALHOST, target.port).into();
    let mut connections: Vec<Connection> = Vec::with_capacity(sessions);
    while connections.len() < sessions {
        connections.push(endpoint.connect_with(config.clone(), address, "localhost")?.await?);
    }
    let empty_buffer = connections.first().ok_or("at least one session")?.datagram_send_buffer_space();
    println!("READY");
    tokio::time::sleep(READY).await;

    let departures = Arc::new(Mutex::new(Departures::start(target.size_bytes, target.duration)));
    let sending: Vec<_> = connections
        .iter()
        .map(|connection| tokio::spawn(send_through(connection.clone(), Arc::clone(&departures))))
        .collect();
    for one in sending {
        one.await??;
    }
    let begun = Instant::now();
    for connection in &connections {
        while connection.datagram_send_buffer_space() < empty_buffer
            && begun.elapsed() < Duration::from_secs(5)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    drain(&connections[0], empty_buffer).await;
    let frames = connections.iter().map(|connection| connection.stats().frame_tx.datagram).sum();
    departures.lock().report(frames);
    for connection in &connections {
        connection.close(VarInt::from_u32(0), b"done");
    }
    endpoint.wait_idle().await;
    Ok(())
}

async fn send_through(connection: Connection, departures: Arc<Mutex<Departures>>) -> Result<(), Failure> {
    loop {
        for _ in 0..SEND_BATCH {
            let Some(payload) = departures.lock().next().map(Bytes::copy_from_slice) else { return Ok(()) };
            connection.send_datagram_wait(payload).await?;
        }
        // In turn with the others, as the C program goes round its sessions.
        tokio::task::yield_now().await;
    }
}
