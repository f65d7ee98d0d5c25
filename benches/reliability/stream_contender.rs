//! One ordered QUIC stream: raw quinn with its defaults, which is the same congestion controller (CUBIC).

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::json;
use wtransport::Identity;
use wtransport::quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use wtransport::quinn::{ClientConfig, Endpoint, ServerConfig, VarInt};

use crate::Failure;
use crate::meter::{Load, MESSAGE_BYTES, carried};
use support::simulator::{Conditions, Simulator};

pub fn run(load: Load, seed: u64, conditions: Conditions) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let load = Arc::new(load);
        let (server, client) = endpoints()?;
        let link = Simulator::start(server.local_addr()?, seed, Conditions::default())?;
        let (near, far) = tokio::try_join!(
            async { Ok::<_, Failure>(client.connect(link.address(), "localhost")?.await?) },
            async { Ok(server.accept().await.ok_or("the endpoint is open")?.await?) },
        )?;
        let mut stream = near.open_uni().await?;
        link.set(conditions);
        tokio::time::sleep_until(load.due(0).into()).await;
        let before = carried(&link);
        let reader = tokio::spawn({
            let load = load.clone();
            async move {
                let mut stream = far.accept_uni().await.expect("the stream arrives");
                let mut message = [0; MESSAGE_BYTES];
                while stream.read_exact(&mut message).await.is_ok() {
                    load.deliver(&message);
                }
            }
        });
        for number in 0..load.count() {
            tokio::time::sleep_until(load.due(number).into()).await;
            stream.write_all(&Load::message(number)).await?;
        }
        let all = load.clone();
        tokio::task::spawn_blocking(move || all.wait()).await?;
        load.report(&link, before, json!({"cwnd_bytes": near.stats().path.cwnd}));
        near.close(VarInt::from_u32(0), b"");
        reader.await?;
        Ok(())
    })
}

fn endpoints() -> Result<(Endpoint, Endpoint), Failure> {
    let identity = Identity::self_signed(["localhost"])?;
    let tls = wtransport::tls::server::build_default_tls_config(identity);
    let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let server = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into())?;
    let tls = wtransport::tls::client::build_default_tls_config(
        Arc::new(wtransport::tls::rustls::RootCertStore::empty()),
        Some(Arc::new(wtransport::tls::client::NoServerVerification::new())),
    );
    let mut client = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
    client.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?)));
    Ok((server, client))
}
