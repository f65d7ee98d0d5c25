//! web-transport-quinn as one end of the echo test (`../../rust/arguments.rs` has its command line).

#[path = "../../rust/mod.rs"]
mod echo;

use std::net::SocketAddr;
use std::process::ExitCode;

use bytes::Bytes;
use echo::{Arguments, Closed, Outcome, REFUSED_PATH, say};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use url::Url;
use web_transport_quinn::proto::{self, ConnectRequest, ConnectResponse};
use web_transport_quinn::{
    ClientBuilder, ClientError, ConnectError, ServerBuilder, Session, SessionError, WebTransportError,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    echo::main(async |arguments| match &arguments.url {
        Some(url) => client(url, arguments).await,
        None => server(arguments).await,
    })
    .await
}

fn version() -> &'static str {
    echo::locked_version(include_str!("../Cargo.lock"), "web-transport-quinn")
}

impl echo::Session for Session {
    fn send(&self, bytes: &[u8]) -> Outcome<()> {
        Ok(self.send_datagram(Bytes::copy_from_slice(bytes))?)
    }

    async fn receive(&self) -> Result<Vec<u8>, Closed> {
        match self.read_datagram().await {
            Ok(datagram) => Ok(datagram.to_vec()),
            Err(SessionError::WebTransportError(WebTransportError::Closed(code, reason))) => {
                Err(Closed { by_peer: true, code: Some(code.into()), reason })
            }
            Err(error) => Err(Closed { by_peer: false, code: None, reason: error.to_string() }),
        }
    }

    fn largest(&self) -> usize {
        self.max_datagram_size()
    }

    /// Dropping the session would end HTTP/3's control stream before the capsule leaves.
    async fn close(&self, code: u32, reason: &str) {
        Session::close(self, code, reason.as_bytes());
        self.closed().await;
    }
}

async fn client(url: &str, arguments: &Arguments) -> Outcome<()> {
    let hash = arguments.hash.ok_or("a client needs --hash")?;
    let client = ClientBuilder::new().with_server_certificate_hashes(vec![hash.to_vec()])?;
    let request = ConnectRequest::new(Url::parse(url)?).with_protocols(arguments.protocols.clone());
    let session = match client.connect(request).await {
        Ok(session) => session,
        Err(error) => {
            echo::refused(version(), status_in(&error), &error);
            return Err(error.into());
        }
    };
    let protocol = session.protocol().map(str::to_owned);
    say(json!({"event": "session", "version": version(), "protocol": protocol}));
    echo::run_client(&session, arguments).await
}

fn status_in(error: &ClientError) -> Option<u16> {
    match error {
        ClientError::HttpError(ConnectError::ProtoError(proto::ConnectError::WrongStatus(status))) => {
            status.map(|status| status.as_u16())
        }
        _ => None,
    }
}

async fn server(arguments: &Arguments) -> Outcome<()> {
    let chain = vec![CertificateDer::from_pem_file(&arguments.certificate)?];
    let key = PrivateKeyDer::from_pem_file(&arguments.key)?;
    let mut server =
        ServerBuilder::new().with_addr(SocketAddr::from(([127, 0, 0, 1], 0))).with_certificate(chain, key)?;
    say(json!({"event": "listening", "port": server.local_addr()?.port(), "version": version()}));
    while let Some(request) = server.accept().await {
        let path = request.url.path().to_owned();
        if path == REFUSED_PATH {
            // Dropping the connection would close it before the answer leaves.
            let conn = request.conn().clone();
            request.reject(http::StatusCode::NOT_FOUND).await?;
            conn.closed().await;
            continue;
        }
        let protocol = arguments.protocol.clone().filter(|wanted| request.protocols.contains(wanted));
        let mut response = ConnectResponse::OK;
        if let Some(protocol) = &protocol {
            response = response.with_protocol(protocol);
        }
        let session = request.respond(response).await?;
        echo::run_server_session(&session, &path, protocol.as_deref(), arguments).await?;
    }
    Ok(())
}
