//! Clients that load a server with connections: one that floods it and never asks for a session, and an honest one that
//! comes again and again.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wtransport::quinn::{self, TokioRuntime};
use wtransport::{Endpoint, VarInt};

use crate::endpoint::client_config;
use crate::{Failure, Target};

/// Connections that the flood begins at once.
const AT_ONCE: usize = 32;
/// Addresses from which it comes, in 127.0.0.0/8: each alone stays below a server's limits.
const ADDRESSES: u8 = 200;
/// How long an honest client waits between two visits.
const PAUSE: Duration = Duration::from_millis(20);
/// How long it waits for a session.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens connections as fast as it can and never asks for a session on any of them.
pub async fn flood(target: Target) -> Result<(), Failure> {
    let (config, _socket) = client_config(target.certificate_hash)?;
    let config = config.quic_config().clone();
    let endpoints = (1..=ADDRESSES)
        .map(|host| {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::new(127, 0, 1, host), 0))?;
            let settings = quinn::EndpointConfig::default();
            quinn::Endpoint::new(settings, None, socket, Arc::new(TokioRuntime))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, target.port));
    let until = Instant::now() + target.duration;
    let (mut attempts, mut begun, mut connected) = (JoinSet::new(), 0_usize, 0_usize);
    let mut held = Vec::new();
    while Instant::now() < until {
        while attempts.len() < AT_ONCE {
            let endpoint = &endpoints[begun % endpoints.len()];
            attempts.spawn(endpoint.connect_with(config.clone(), server, "localhost")?.into_future());
            begun += 1;
        }
        if let Some(Ok(Ok(connection))) = attempts.join_next().await {
            connected += 1;
            held.push(connection);
        }
    }
    println!("{{\"begun\": {begun}, \"connected\": {connected}}}");
    Ok(())
}

/// Establishes a session, closes it, and comes again after a pause.
pub async fn visit(target: Target) -> Result<(), Failure> {
    let (config, _socket) = client_config(target.certificate_hash)?;
    let endpoint = Endpoint::client(config)?;
    let url = format!("https://127.0.0.1:{}/", target.port);
    let until = Instant::now() + target.duration;
    let (mut times_ms, mut failed) = (Vec::new(), 0);
    while Instant::now() < until {
        let began = Instant::now();
        match tokio::time::timeout(PATIENCE, endpoint.connect(&url)).await {
            Ok(Ok(session)) => {
                times_ms.push(began.elapsed().as_secs_f64() * 1e3);
                session.close(VarInt::from_u32(0), b"");
            }
            _ => failed += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
    times_ms.sort_by(f64::total_cmp);
    let at = |share: f64| times_ms.get((times_ms.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    let (p50, p99) = (at(0.5), at(0.99));
    println!(
        "{{\"visits\": {}, \"failed\": {failed}, \"p50_ms\": {p50:.2}, \"p99_ms\": {p99:.2}}}",
        times_ms.len()
    );
    Ok(())
}
