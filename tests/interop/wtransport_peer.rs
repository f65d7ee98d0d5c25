//! Stock wtransport as one end of the echo test (`rust/arguments.rs` has its command line).

#[path = "rust/mod.rs"]
mod echo;

use std::net::SocketAddr;
use std::process::ExitCode;

use echo::{Arguments, Closed, Outcome, REFUSED_PATH, say};
use serde_json::json;
use wtransport::error::{ConnectingError, ConnectionError};
use wtransport::tls::Sha256Digest;
use wtransport::{ClientConfig, Connection, Endpoint, Identity, ServerConfig, VarInt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    echo::main(async |arguments| match &arguments.url {
        Some(url) => client(url, arguments).await,
        None => server(arguments).await,
    })
    .await
}

fn version() -> &'static str {
    echo::locked_version(include_str!("../../Cargo.lock"), "wtransport")
}

impl echo::Session for Connection {
    fn send(&self, bytes: &[u8]) -> Outcome<()> {
        Ok(self.send_datagram(bytes)?)
    }

    /// The end of the session comes from here and not from `closed()`, which returns "locally closed" for a CLOSE
    /// capsule. `receive_datagram` returns what was in the capsule.
    async fn receive(&self) -> Result<Vec<u8>, Closed> {
        match self.receive_datagram().await {
            Ok(datagram) => Ok(datagram.payload().to_vec()),
            Err(ConnectionError::ApplicationClosed(close)) => Err(Closed {
                by_peer: true,
                code: Some(close.code().into_inner()),
                reason: String::from_utf8_lossy(close.reason()).into_owned(),
            }),
            Err(error) => Err(Closed { by_peer: false, code: None, reason: error.to_string() }),
        }
    }

    fn largest(&self) -> usize {
        self.max_datagram_size().unwrap_or(0)
    }

    async fn close(&self, code: u32, reason: &str) {
        Connection::close(self, VarInt::from_u32(code), reason.as_bytes());
    }
}

async fn client(url: &str, arguments: &Arguments) -> Outcome<()> {
    let hash = Sha256Digest::from(arguments.hash.ok_or("a client needs --hash")?);
    let config = ClientConfig::builder().with_bind_default().with_server_certificate_hashes([hash]).build();
    let connection = match Endpoint::client(config)?.connect(url).await {
        Ok(connection) => connection,
        Err(error @ ConnectingError::SessionRejected) => {
            echo::refused(version(), None, &error);
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    say(json!({"event": "session", "version": version(), "protocol": null}));
    echo::run_client(&connection, arguments).await
}

async fn server(arguments: &Arguments) -> Outcome<()> {
    let config = ServerConfig::builder()
        .with_bind_address(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_identity(Identity::load_pemfiles(&arguments.certificate, &arguments.key).await?)
        .build();
    let endpoint = Endpoint::server(config)?;
    say(json!({"event": "listening", "port": endpoint.local_addr()?.port(), "version": version()}));
    loop {
        let request = endpoint.accept().await.await?;
        let path = request.path().to_owned();
        if path == REFUSED_PATH {
            request.not_found().await;
            continue;
        }
        let connection = request.accept().await?;
        echo::run_server_session(&connection, &path, None, arguments).await?;
    }
}
