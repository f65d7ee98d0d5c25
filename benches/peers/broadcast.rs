//! One datagram to many raw quinn connections, and what an idle one weighs: the measure for wtgram's broadcaster.
//!
//! The runtime has a thread of its own, as a lane of the library has, and the application another. `by-thread`: the
//! application's thread goes through the connections itself. `by-lane`: it asks a task of the runtime to. Nothing
//! comes between two connections of the latter, so it is the least that hand-over can take.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use wtransport::quinn::{Connection, VarInt};

use crate::Failure;
use crate::endpoint::{connect_quinn, listen_quinn, parse_hash};
use crate::meter::{SEQUENCE_BYTES, memory_bytes, wall_clock_ns};

/// Time for the peers to take in what came, and for buffers of handshakes to be given back.
const SETTLE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);
const CONNECT_AT_ONCE: usize = 16;

#[derive(Clone, Copy)]
pub enum Form {
    ByThread,
    ByLane,
}

/// Takes `sessions` connections, says what they weigh, broadcasts `rounds` times, and closes.
pub async fn serve(form: Form, sessions: usize, rounds: usize, size_bytes: usize) -> Result<(), Failure> {
    let endpoint = listen_quinn(None)?;
    let before = memory_bytes("VmRSS:")?;
    let mut connections: Vec<Connection> = Vec::with_capacity(sessions);
    while connections.len() < sessions {
        connections.push(endpoint.accept().await.ok_or("the endpoint closed")?.await?);
    }
    tokio::time::sleep(SETTLE).await;
    let idle_bytes = (memory_bytes("VmRSS:")?.saturating_sub(before)) as f64 / sessions as f64;

    let lane = tokio::runtime::Handle::current();
    let members = connections.clone();
    let times_us = tokio::task::spawn_blocking(move || {
        (0..rounds)
            .map(|_| {
                std::thread::sleep(PAUSE);
                match form {
                    Form::ByThread => broadcast(&members, &payload(size_bytes), Instant::now()),
                    Form::ByLane => {
                        let (done, answer) = channel();
                        let (members, payload) = (members.clone(), payload(size_bytes));
                        let begun = Instant::now();
                        lane.spawn(async move {
                            let _ = done.send(broadcast(&members, &payload, begun));
                        });
                        answer.recv()?
                    }
                }
            })
            .collect::<Result<Vec<f64>, Failure>>()
    })
    .await??;
    tokio::time::sleep(PAUSE).await;
    for connection in &connections {
        connection.close(VarInt::from_u32(0), b"done");
    }
    endpoint.wait_idle().await;
    println!("{{\"idle_bytes_per_session\": {idle_bytes:.0}, \"last_us\": {times_us:?}}}");
    Ok(())
}

/// Begins with the time, from which the members measure.
fn payload(size_bytes: usize) -> Vec<u8> {
    let mut payload = vec![0xa5; size_bytes.max(SEQUENCE_BYTES)];
    payload[..SEQUENCE_BYTES].copy_from_slice(&wall_clock_ns().to_be_bytes());
    payload
}

/// Microseconds until the last connection has it.
fn broadcast(members: &[Connection], payload: &[u8], begun: Instant) -> Result<f64, Failure> {
    let payload = Bytes::copy_from_slice(payload);
    for member in members {
        member.send_datagram(payload.clone())?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

/// Opens `sessions` connections, each from a socket of its own, and measures when what they get
/// arrived until the server closes.
pub async fn join(port: u16, hash: &str, sessions: usize) -> Result<(), Failure> {
    let hash = parse_hash(hash)?;
    // The broadcasts by when they began, each with the last arrival.
    let last_arrivals = Arc::new(Mutex::new(BTreeMap::<u64, u64>::new()));
    let mut members = Vec::with_capacity(sessions);
    while members.len() < sessions {
        let opening: Vec<_> = (members.len()..sessions.min(members.len() + CONNECT_AT_ONCE))
            .map(|_| tokio::spawn(connect_quinn(port, hash)))
            .collect();
        for one in opening {
            let (endpoint, connection) = one.await??;
            let last_arrivals = Arc::clone(&last_arrivals);
            members.push(tokio::spawn(async move {
                let _endpoint = endpoint;
                let mut received = 0_u64;
                while let Ok(payload) = connection.read_datagram().await {
                    let begun = payload.first_chunk().map_or(0, |begun| u64::from_be_bytes(*begun));
                    last_arrivals.lock().insert(begun, wall_clock_ns());
                    received += 1;
                }
                received
            }));
        }
    }
    let mut received = 0;
    for member in members {
        received += member.await?;
    }
    let times_us: Vec<f64> = last_arrivals
        .lock()
        .iter()
        .map(|(&begun, &arrived)| arrived.saturating_sub(begun) as f64 / 1000.0)
        .collect();
    println!("{{\"received\": {received}, \"last_arrival_us\": {times_us:?}}}");
    Ok(())
}
