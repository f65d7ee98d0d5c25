//! The same QUIC settings and sockets for every path, so that only the path differs.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use wtransport::tls::Sha256Digest;
use wtransport::{ClientConfig, Identity, ServerConfig, quinn};

use crate::Failure;

const DATAGRAM_BUFFER_BYTES: usize = 1024 * 1024;
/// How many datagrams may wait to be sent where there are many connections: the library's default.
pub const QUEUE_DATAGRAMS: usize = 100;
/// The kernel gives what its limit allows.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

fn transport_config(send_buffer_bytes: usize) -> Arc<quinn::TransportConfig> {
    let mut config = quinn::TransportConfig::default();
    config
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(send_buffer_bytes)
        .keep_alive_interval(Some(Duration::from_secs(10)));
    Arc::new(config)
}

fn socket() -> Result<UdpSocket, Failure> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.bind(&SockAddr::from(std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
    Ok(socket.into())
}

/// A server's settings with a fresh identity; prints the line that the runner waits for.
pub fn server_config() -> Result<(ServerConfig, UdpSocket), Failure> {
    let identity = Identity::self_signed(["localhost", "127.0.0.1"])?;
    let hash = identity.certificate_chain().as_slice()[0].hash();
    let socket = socket()?;
    let mut config =
        ServerConfig::builder().with_bind_socket(socket.try_clone()?).with_identity(identity).build();
    config.quic_config_mut().transport_config(transport_config(DATAGRAM_BUFFER_BYTES));
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("LISTENING {} {hash}", socket.local_addr()?.port());
    Ok((config, socket))
}

/// A client's settings that trust exactly one certificate.
pub fn client_config(certificate_hash: [u8; 32]) -> Result<(ClientConfig, UdpSocket), Failure> {
    let socket = socket()?;
    let mut config = ClientConfig::builder()
        .with_bind_socket(socket.try_clone()?)
        .with_server_certificate_hashes([Sha256Digest::new(certificate_hash)])
        .build();
    config.quic_config_mut().transport_config(transport_config(DATAGRAM_BUFFER_BYTES));
    Ok((config, socket))
}

/// Reads 64 hexadecimal digits.
pub fn parse_hash(text: &str) -> Result<[u8; 32], Failure> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err("a certificate hash is 64 hexadecimal digits".into());
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
    }
    Ok(hash)
}

/// A raw QUIC server. `send_buffer_bytes` is how much may wait to be sent, if not [`DATAGRAM_BUFFER_BYTES`].
pub fn listen_quinn(send_buffer_bytes: Option<usize>) -> Result<quinn::Endpoint, Failure> {
    let (config, socket) = server_config()?;
    let mut config = config.quic_config().clone();
    config.transport_config(transport_config(send_buffer_bytes.unwrap_or(DATAGRAM_BUFFER_BYTES)));
    let runtime = Arc::new(quinn::TokioRuntime);
    Ok(quinn::Endpoint::new(quinn::EndpointConfig::default(), Some(config), socket, runtime)?)
}

/// A raw QUIC server; it takes one connection.
pub async fn accept_quinn() -> Result<(quinn::Endpoint, quinn::Connection), Failure> {
    let endpoint = listen_quinn(None)?;
    let connection = endpoint.accept().await.ok_or("the endpoint closed")?.await?;
    Ok((endpoint, connection))
}

/// A raw QUIC client's socket and settings, for any number of connections.
pub fn client_endpoint(
    certificate_hash: [u8; 32],
    send_buffer_bytes: Option<usize>,
) -> Result<(quinn::Endpoint, quinn::ClientConfig), Failure> {
    let (config, socket) = client_config(certificate_hash)?;
    let mut config = config.quic_config().clone();
    config.transport_config(transport_config(send_buffer_bytes.unwrap_or(DATAGRAM_BUFFER_BYTES)));
    let runtime = Arc::new(quinn::TokioRuntime);
    Ok((quinn::Endpoint::new(quinn::EndpointConfig::default(), None, socket, runtime)?, config))
}

/// A raw QUIC client.
pub async fn connect_quinn(
    port: u16,
    certificate_hash: [u8; 32],
) -> Result<(quinn::Endpoint, quinn::Connection), Failure> {
    let (endpoint, config) = client_endpoint(certificate_hash, None)?;
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let connection = endpoint.connect_with(config, address, "localhost")?.await?;
    Ok((endpoint, connection))
}
