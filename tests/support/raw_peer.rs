//! An HTTP/3 peer made of hand-written bytes over quinn, for either side: it sends exactly what a
//! test tells it to.
//!
//! All raw peers of a test program run on one thread of their own; every call waits for at most
//! [`PATIENCE`].

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Handle};
use tokio::time::timeout;
use wtransport::quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use wtransport::quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, ReadError, RecvStream, SendStream,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use wtransport::tls::Sha256Digest;

pub use crate::pair::PATIENCE;

pub const DATA: u64 = 0x00;
pub const HEADERS: u64 = 0x01;
pub const SETTINGS: u64 = 0x04;
pub const GOAWAY: u64 = 0x07;
/// `0x1f * N + 0x21`: reserved for greasing of frames, streams, settings and capsules.
pub const GREASE: u64 = 0x1f * 0x1234 + 0x21;
pub const CLOSE_CAPSULE: u64 = 0x2843;
pub const DRAIN_CAPSULE: u64 = 0x78ae;

/// The settings of a peer of the first generation, and of one of the newest.
pub const OLD_SETTINGS: &[(u64, u64)] = &[(0x08, 1), (0x33, 1), (0x2b60_3742, 1), (0xc671_706a, 1)];
pub const NEW_SETTINGS: &[(u64, u64)] = &[(0x08, 1), (0x33, 1), (0x2c7c_f000, 1)];

/// Runs `task` on this thread, with the I/O of the raw peers' thread.
pub fn run<T>(task: impl Future<Output = T>) -> T {
    handle().block_on(async { timeout(PATIENCE, task).await }).expect("a raw peer got no answer in time")
}

fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("raw-peers".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .expect("a thread");
        handle
    })
}

/// A QUIC variable-length integer.
pub fn varint(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (value as u16 | 0x4000).to_be_bytes().to_vec(),
        0x4000..0x4000_0000 => (value as u32 | 0x8000_0000).to_be_bytes().to_vec(),
        _ => (value | 0xc000_0000_0000_0000).to_be_bytes().to_vec(),
    }
}

/// A frame, or a capsule: type, length, value.
pub fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    [varint(kind), varint(payload.len() as u64), payload.to_vec()].concat()
}

/// A SETTINGS frame.
pub fn settings(pairs: &[(u64, u64)]) -> Vec<u8> {
    let payload: Vec<u8> =
        pairs.iter().flat_map(|(id, value)| [varint(*id), varint(*value)].concat()).collect();
    frame(SETTINGS, &payload)
}

/// A control stream up to and including SETTINGS.
pub fn control(pairs: &[(u64, u64)]) -> Vec<u8> {
    [varint(0), settings(pairs)].concat()
}

/// A HEADERS frame of literal field lines with literal names, no Huffman (RFC 9204 section 4.5.6).
pub fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0, 0];
    for (name, value) in fields {
        prefixed(&mut block, 0x20, 3, name.len());
        block.extend_from_slice(name.as_bytes());
        prefixed(&mut block, 0x00, 7, value.len());
        block.extend_from_slice(value.as_bytes());
    }
    frame(HEADERS, &block)
}

fn prefixed(out: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let most = (1_usize << bits) - 1;
    if value < most {
        out.push(first | value as u8);
        return;
    }
    out.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// An extended CONNECT.
pub fn connect_request(protocol: &str, authority: &str) -> Vec<u8> {
    headers(&[
        (":method", "CONNECT"),
        (":scheme", "https"),
        (":authority", authority),
        (":path", "/raw"),
        (":protocol", protocol),
    ])
}

/// A response with only a status.
pub fn response(status: u16) -> Vec<u8> {
    headers(&[(":status", &status.to_string())])
}

/// A CLOSE capsule, not framed.
pub fn close_capsule(code: u32, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE_CAPSULE, &[&code.to_be_bytes()[..], reason].concat())
}

/// A raw QUIC connection with ALPN `h3`.
#[derive(Clone)]
pub struct Raw {
    pub quic: Connection,
}

/// The session of a raw client or server: its control and CONNECT streams, open.
pub struct RawSession {
    pub raw: Raw,
    pub control: SendStream,
    pub send: SendStream,
    pub receive: RecvStream,
}

impl Raw {
    /// Connects to our server, and sends nothing.
    pub fn client(server: SocketAddr) -> Self {
        Self::client_with(server, |_| {})
    }

    /// The same with other transport parameters.
    pub fn client_with(server: SocketAddr, adjust: impl FnOnce(&mut TransportConfig)) -> Self {
        Self::try_client(server, adjust).expect("the server lets a raw client in")
    }

    /// The same, and it may fail.
    pub fn try_client(
        server: SocketAddr,
        adjust: impl FnOnce(&mut TransportConfig),
    ) -> Result<Self, ConnectionError> {
        let mut transport = TransportConfig::default();
        adjust(&mut transport);
        let tls = wtransport::tls::client::build_default_tls_config(
            Arc::new(wtransport::tls::rustls::RootCertStore::empty()),
            Some(Arc::new(wtransport::tls::client::NoServerVerification::new())),
        );
        let crypto = QuicClientConfig::try_from(tls).expect("TLS 1.3");
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        let endpoint = endpoint(None);
        run(async {
            let connecting = endpoint.connect_with(config, server, "localhost").expect("a valid address");
            Ok(Self { quic: connecting.await? })
        })
    }

    /// A raw client that has asked for a session and was answered with 200.
    pub fn session(server: SocketAddr) -> RawSession {
        Self::client(server).ask("webtransport", OLD_SETTINGS)
    }

    /// Opens the control stream, asks for a session and reads the 200.
    pub fn ask(self, protocol: &str, pairs: &[(u64, u64)]) -> RawSession {
        let control = self.open_uni(control(pairs));
        let (send, receive) = self.open_bi(connect_request(protocol, "localhost"));
        let mut session = RawSession { raw: self, control, send, receive };
        assert_eq!(session.read_status(), 200);
        session
    }

    pub fn open_uni(&self, bytes: Vec<u8>) -> SendStream {
        run(async {
            let mut stream = self.quic.open_uni().await.expect("a unidirectional stream");
            stream.write_all(&bytes).await.expect("written");
            stream
        })
    }

    pub fn open_bi(&self, bytes: Vec<u8>) -> (SendStream, RecvStream) {
        run(async {
            let (mut send, receive) = self.quic.open_bi().await.expect("a bidirectional stream");
            send.write_all(&bytes).await.expect("written");
            (send, receive)
        })
    }

    pub fn accept_bi(&self) -> (SendStream, RecvStream) {
        run(self.quic.accept_bi()).expect("a bidirectional stream of the peer")
    }

    pub fn accept_uni(&self) -> RecvStream {
        run(self.quic.accept_uni()).expect("a unidirectional stream of the peer")
    }

    /// Waits for the end of the connection; returns the HTTP/3 code if our library closed it with
    /// one.
    pub fn closed(&self) -> Option<u64> {
        match run(self.quic.closed()) {
            ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
            _ => None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.quic.close_reason().is_none()
    }

    pub fn close(&self, code: u32) {
        self.quic.close(VarInt::from_u32(code), b"");
    }

    pub fn datagram(&self, bytes: &[u8]) {
        run(self.quic.send_datagram_wait(bytes.to_vec().into())).expect("a datagram");
    }

    pub fn read_datagram(&self) -> Vec<u8> {
        run(self.quic.read_datagram()).expect("a datagram").to_vec()
    }
}

impl RawSession {
    /// Writes on the CONNECT stream.
    pub fn write(&mut self, bytes: &[u8]) {
        write(&mut self.send, bytes);
    }

    pub fn finish(&mut self) {
        self.send.finish().expect("not finished before");
    }

    /// Reads frames of the CONNECT stream up to HEADERS; returns the status, which our library
    /// encodes with the static table.
    pub fn read_status(&mut self) -> u16 {
        loop {
            let (kind, payload) = read_frame(&mut self.receive).expect("a frame");
            if kind == HEADERS {
                return status_of(&payload);
            }
        }
    }

    /// Reads the rest of the CONNECT stream; returns the DATA in it, or the code it was reset with.
    pub fn read_data_to_end(&mut self) -> Result<Vec<u8>, u64> {
        let mut data = Vec::new();
        while let Some((kind, payload)) = read_frame_or_end(&mut self.receive)? {
            if kind == DATA {
                data.extend(payload);
            }
        }
        Ok(data)
    }
}

pub fn write(stream: &mut SendStream, bytes: &[u8]) {
    run(stream.write_all(bytes)).expect("written");
}

/// The code with which the other side asked us to stop sending on `stream`.
pub fn stopped(stream: &SendStream) -> Option<u64> {
    run(stream.stopped()).ok().flatten().map(VarInt::into_inner)
}

/// The code with which the other side reset `stream`, after everything it wrote.
pub fn reset_code(stream: &mut RecvStream) -> Option<u64> {
    run(async {
        loop {
            match stream.read_chunk(4096, true).await {
                Ok(Some(_)) => {}
                Err(ReadError::Reset(code)) => return Some(code.into_inner()),
                _ => return None,
            }
        }
    })
}

pub fn status_of(block: &[u8]) -> u16 {
    let fields = wtransport::proto::qpack::Decoder::decode(block).expect("a header block");
    fields.get(":status").expect(":status").parse().expect("a number")
}

/// Reads an integer.
pub fn read_varint(stream: &mut RecvStream) -> u64 {
    run(read_varint_or_end(stream)).expect("not reset").expect("an integer")
}

pub fn read_frame(stream: &mut RecvStream) -> Option<(u64, Vec<u8>)> {
    read_frame_or_end(stream).expect("not reset")
}

fn read_frame_or_end(stream: &mut RecvStream) -> Result<Option<(u64, Vec<u8>)>, u64> {
    run(async {
        let Some(kind) = read_varint_or_end(stream).await? else { return Ok(None) };
        let length = read_varint_or_end(stream).await?.expect("a length");
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.expect("the rest of a frame");
        Ok(Some((kind, payload)))
    })
}

async fn read_varint_or_end(stream: &mut RecvStream) -> Result<Option<u64>, u64> {
    let mut bytes = [0; 8];
    match stream.read(&mut bytes[..1]).await {
        Ok(Some(_)) => {}
        Ok(None) => return Ok(None),
        Err(ReadError::Reset(code)) => return Err(code.into_inner()),
        Err(error) => panic!("reading: {error}"),
    }
    let length = 1 << (bytes[0] >> 6);
    stream.read_exact(&mut bytes[1..length]).await.expect("the rest of an integer");
    bytes[0] &= 0x3f;
    Ok(Some(bytes[..length].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))))
}

fn endpoint(server: Option<ServerConfig>) -> Endpoint {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP socket");
    let _guard = handle().enter();
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime)).expect("an endpoint")
}

/// A raw server, for our client to connect to.
pub struct RawServer {
    endpoint: Endpoint,
    hash: Sha256Digest,
}

impl RawServer {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(adjust: impl FnOnce(&mut TransportConfig)) -> Self {
        let identity = wtransport::Identity::self_signed(["localhost", "127.0.0.1"]).expect("an identity");
        let hash = identity.certificate_chain().as_slice()[0].hash();
        let tls = wtransport::tls::server::build_default_tls_config(identity);
        let crypto = QuicServerConfig::try_from(tls).expect("TLS 1.3");
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        let mut transport = TransportConfig::default();
        adjust(&mut transport);
        config.transport_config(Arc::new(transport));
        Self { endpoint: endpoint(Some(config)), hash }
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/raw", self.endpoint.local_addr().expect("bound").port())
    }

    pub fn hash(&self) -> [u8; 32] {
        *self.hash.as_ref()
    }

    /// The next connection.
    pub fn accept(&self) -> Raw {
        run(async {
            let incoming = self.endpoint.accept().await.expect("listening");
            Raw { quic: incoming.await.expect("a handshake") }
        })
    }

    /// The next connection: sends SETTINGS of `pairs` and answers the request with `answer`.
    pub fn serve(&self, pairs: &[(u64, u64)], answer: &[u8]) -> RawSession {
        let raw = self.accept();
        let control = raw.open_uni(control(pairs));
        let (send, mut receive) = raw.accept_bi();
        assert_eq!(read_frame(&mut receive).expect("a request").0, HEADERS);
        let mut session = RawSession { raw, control, send, receive };
        session.write(answer);
        session
    }
}
