//! Raw quinn behind a thread boundary, as any library needs that offers blocking calls: the application's thread hands
//! each datagram to the thread that runs quinn and sleeps until that one hands it the answer. What this adds to the
//! plain echo is the price of four thread wake-ups a round trip, not of wtgram.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wtransport::quinn::{Connection, VarInt};

use crate::endpoint::{accept_quinn, connect_quinn};
use crate::meter::{RoundTrips, SEQUENCE_BYTES};
use crate::{Failure, Target};

/// What the application's thread holds.
struct Handed {
    outgoing: UnboundedSender<Bytes>,
    incoming: Receiver<Bytes>,
}

/// Moves datagrams between quinn and the application's thread until either ends.
async fn carry<T: Send + 'static>(
    connection: &Connection,
    application: impl FnOnce(Handed) -> T + Send + 'static,
) -> Result<T, Failure> {
    let (outgoing, to_send): (_, UnboundedReceiver<Bytes>) = unbounded_channel();
    let (arrived, incoming) = channel();
    let mut to_send = to_send;
    let sending = {
        let connection = connection.clone();
        tokio::spawn(async move {
            while let Some(payload) = to_send.recv().await {
                if connection.send_datagram_wait(payload).await.is_err() {
                    break;
                }
            }
        })
    };
    let receiving = {
        let connection = connection.clone();
        tokio::spawn(async move {
            while let Ok(payload) = connection.read_datagram().await {
                if arrived.send(payload).is_err() {
                    break;
                }
            }
        })
    };
    let result = tokio::task::spawn_blocking(move || application(Handed { outgoing, incoming })).await?;
    sending.await?;
    receiving.abort();
    Ok(result)
}

/// Returns each datagram to its sender.
pub async fn echo_server() -> Result<(), Failure> {
    let (_endpoint, connection) = accept_quinn().await?;
    let echoed = carry(&connection, |handed| {
        let mut echoed = 0_u64;
        while let Ok(payload) = handed.incoming.recv() {
            if handed.outgoing.send(payload).is_err() {
                break;
            }
            echoed += 1;
        }
        echoed
    })
    .await?;
    println!("{{\"echoed\": {echoed}}}");
    Ok(())
}

/// One datagram at a time, there and back.
pub async fn echo_client(target: Target) -> Result<(), Failure> {
    let (endpoint, connection) = connect_quinn(target.port, target.certificate_hash).await?;
    let round_trips = carry(&connection, move |handed| {
        let mut payload = vec![0xa5; target.size_bytes];
        let mut round_trips = RoundTrips::start(target.duration);
        while let Some(ping) = round_trips.next() {
            payload[..SEQUENCE_BYTES].copy_from_slice(&ping.to_be_bytes());
            let asked_at = Instant::now();
            if handed.outgoing.send(Bytes::copy_from_slice(&payload)).is_err() {
                break;
            }
            match wait_for(&handed.incoming, &payload) {
                Ok(()) => round_trips.answered(asked_at),
                Err(RecvTimeoutError::Timeout) => round_trips.lost(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        round_trips
    })
    .await?;
    connection.close(VarInt::from_u32(0), b"done");
    endpoint.wait_idle().await;
    round_trips.report();
    Ok(())
}

/// Waits for the answer; one that comes late belongs to an earlier ping.
fn wait_for(incoming: &Receiver<Bytes>, payload: &[u8]) -> Result<(), RecvTimeoutError> {
    while incoming.recv_timeout(Duration::from_secs(1))? != payload {}
    Ok(())
}
