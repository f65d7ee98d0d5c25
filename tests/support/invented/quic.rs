//! A host of plain QUIC: an endpoint, its connections, and what they report.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ClientConfig, Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint,
    EndpointConfig, Event, ReadError, ServerConfig, StreamEvent, StreamId, Transmit, TransportConfig, VarInt,
};
use wtgram::link::config::{ConnectOptions, ListenOptions};
use wtgram::link::secrets::Secrets;
use wtgram::link::tls::{self, ClientCrypto, Extensions, Identities, ServerCrypto};
use wtgram::runtime::clock::WallClock;

use super::clock::Clock;
use super::identity;
use super::network::Packet;
use super::world::{Host, Record};

/// The longest train of packets, as a socket with segmentation offload takes it.
const SEGMENTS: usize = 43;

/// One connection, and what it has reported.
pub struct Peer {
    pub quic: Connection,
    pub connected: bool,
    pub lost: Option<ConnectionError>,
    /// Datagrams that arrived.
    pub datagrams: Vec<Bytes>,
    /// How many of them were sent back.
    pub echoed: usize,
    /// The bytes of each stream, and whether it has ended.
    pub streams: BTreeMap<StreamId, (Vec<u8>, bool)>,
}

/// A machine with one endpoint.
pub struct QuicHost {
    address: SocketAddr,
    endpoint: Endpoint,
    pub peers: BTreeMap<usize, Peer>,
    /// Connections that ended and were forgotten.
    pub forgotten: Vec<Peer>,
    /// Whether every client must prove its address first.
    pub demands_retry: bool,
    /// Handshakes that failed at their first packet.
    pub refused: Vec<ConnectionError>,
    answers: Vec<Packet>,
}

impl QuicHost {
    pub fn new(address: SocketAddr, config: EndpointConfig, server: Option<ServerConfig>) -> Self {
        Self {
            address,
            endpoint: Endpoint::new(Arc::new(config), server.map(Arc::new), true, None),
            peers: BTreeMap::new(),
            forgotten: Vec::new(),
            demands_retry: false,
            refused: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Starts to connect.
    pub fn connect(&mut self, now: Instant, config: ClientConfig, server: SocketAddr) -> usize {
        let (handle, quic) = self.endpoint.connect(now, config, server, identity::NAME).expect("an attempt");
        self.add(handle, quic);
        handle.0
    }

    fn add(&mut self, handle: ConnectionHandle, quic: Connection) {
        let peer = Peer {
            quic,
            connected: false,
            lost: None,
            datagrams: Vec::new(),
            echoed: 0,
            streams: BTreeMap::new(),
        };
        self.peers.insert(handle.0, peer);
    }

    /// The only connection.
    pub fn only(&mut self) -> &mut Peer {
        assert_eq!(self.peers.len(), 1, "connections");
        self.peers.values_mut().next().expect("one")
    }

    /// Why the first failed connection failed.
    pub fn failure(&self) -> Option<&ConnectionError> {
        let peers = self.forgotten.iter().chain(self.peers.values());
        peers.filter_map(|peer| peer.lost.as_ref()).chain(&self.refused).next()
    }

    fn answer(&mut self, transmit: &Transmit, bytes: &[u8]) {
        push(self.address, transmit, bytes, &mut self.answers);
    }

    fn incoming(&mut self, now: Instant, incoming: quinn_proto::Incoming) {
        let mut buffer = Vec::new();
        if self.demands_retry && !incoming.remote_address_validated() {
            let transmit = self.endpoint.retry(incoming, &mut buffer).expect("one that may be asked to");
            return self.answer(&transmit, &buffer);
        }
        match self.endpoint.accept(incoming, now, &mut buffer, None) {
            Ok((handle, quic)) => self.add(handle, quic),
            Err(error) => {
                if let Some(transmit) = error.response {
                    self.answer(&transmit, &buffer);
                }
                self.refused.push(error.cause);
            }
        }
    }
}

impl Host for QuicHost {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn receive(&mut self, now: Instant, packet: Packet) {
        let mut buffer = Vec::new();
        let bytes = BytesMut::from(&packet.bytes[..]);
        match self.endpoint.handle(now, packet.from, None, packet.ecn, bytes, &mut buffer) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(peer) = self.peers.get_mut(&handle.0) {
                    peer.quic.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.incoming(now, incoming),
            Some(DatagramEvent::Response(transmit)) => self.answer(&transmit, &buffer),
            None => {}
        }
    }

    fn turn(&mut self, now: Instant, out: &mut Vec<Packet>, record: &mut Record) -> Option<Instant> {
        out.append(&mut self.answers);
        let mut buffer = Vec::new();
        for (handle, peer) in &mut self.peers {
            while peer.quic.poll_timeout().is_some_and(|due| due <= now) {
                peer.quic.handle_timeout(now);
            }
            while let Some(event) = peer.quic.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(ConnectionHandle(*handle), event) {
                    peer.quic.handle_event(event);
                }
            }
            peer.take_events(self.address, record);
            loop {
                buffer.clear();
                let Some(transmit) = peer.quic.poll_transmit(now, SEGMENTS, &mut buffer) else { break };
                push(self.address, &transmit, &buffer, out);
            }
        }
        let drained: Vec<_> =
            self.peers.iter().filter(|(_, peer)| peer.quic.is_drained()).map(|(handle, _)| *handle).collect();
        self.forgotten.extend(drained.iter().filter_map(|handle| self.peers.remove(handle)));
        self.peers.values_mut().filter_map(|peer| peer.quic.poll_timeout()).min()
    }
}

fn push(from: SocketAddr, transmit: &Transmit, bytes: &[u8], out: &mut Vec<Packet>) {
    let bytes = &bytes[..transmit.size];
    for segment in bytes.chunks(transmit.segment_size.unwrap_or(bytes.len())) {
        out.push(Packet { from, to: transmit.destination, ecn: transmit.ecn, bytes: segment.to_vec() });
    }
}

impl Peer {
    fn take_events(&mut self, host: SocketAddr, record: &mut Record) {
        while let Some(event) = self.quic.poll() {
            match event {
                Event::HandshakeDataReady => record.note(host, "hears the peer's hello", 0),
                Event::Connected => {
                    record.note(host, "is connected", 0);
                    self.connected = true;
                }
                Event::ConnectionLost { reason } => {
                    record.note(host, &format!("loses the connection: {reason}"), 0);
                    self.lost = Some(reason);
                }
                Event::DatagramReceived => {
                    while let Some(datagram) = self.quic.datagrams().recv() {
                        record.note(host, "gets a datagram", datagram.len() as u64);
                        self.datagrams.push(datagram);
                    }
                }
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.quic.streams().accept(dir) {
                        self.read(id, host, record);
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id, host, record),
                Event::Stream(event) => record.note(host, &format!("{event:?}"), 0),
                Event::DatagramsUnblocked => record.note(host, "may send datagrams again", 0),
            }
        }
    }

    fn read(&mut self, id: StreamId, host: SocketAddr, record: &mut Record) {
        let (bytes, ended) = self.streams.entry(id).or_default();
        let mut stream = self.quic.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else { return };
        let before = bytes.len();
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk.bytes),
                Ok(None) => {
                    *ended = true;
                    break;
                }
                Err(ReadError::Blocked) => break,
                Err(error) => {
                    record.note(host, &format!("{id}: {error}"), 0);
                    break;
                }
            }
        }
        let _ = chunks.finalize().should_transmit();
        record.note(host, "reads a stream", (bytes.len() - before) as u64);
    }

    /// Writes all of `bytes`, as far as flow control allows, on a stream of its own, and finishes
    /// it.
    pub fn write_stream(&mut self, bytes: &[u8]) -> StreamId {
        let id = self.quic.streams().open(Dir::Uni).expect("a stream may be opened");
        let mut stream = self.quic.send_stream(id);
        assert_eq!(stream.write(bytes), Ok(bytes.len()));
        stream.finish().expect("open");
        id
    }

    pub fn close(&mut self, now: Instant) {
        self.quic.close(now, VarInt::from_u32(7), Bytes::from_static(b"enough"));
    }
}

/// What all hosts of a run share: the clock, the identity and the trust in it.
pub struct Setup {
    pub clock: Clock,
    pub identity: rustls::ServerConfig,
    pub trust: rustls::ClientConfig,
}

impl Setup {
    pub fn new(clock: &Clock) -> Self {
        let (identity, trust) = identity::fixed();
        let mut server = Identities::new(&identity, WallClock::default())
            .and_then(|identities| tls::server_config(&identities, &ListenOptions::default()))
            .expect("TLS");
        server.time_provider = Arc::new(clock.clone());
        let (mut client, _) =
            tls::client_config(&ConnectOptions { trust, ..ConnectOptions::default() }).expect("TLS");
        client.time_provider = Arc::new(clock.clone());
        Self { clock: clock.clone(), identity: server, trust: client }
    }

    /// A server's configuration.
    pub fn server_config(&self, secrets: &Secrets, extensions: Extensions) -> ServerConfig {
        let crypto = ServerCrypto::new(self.identity.clone(), extensions);
        let mut config = secrets.server_config(Arc::new(crypto));
        config.transport_config(transport()).time_source(Arc::new(self.clock.clone()));
        config
    }

    /// A client's configuration.
    pub fn client_config(&self, secrets: &Secrets, extensions: Extensions) -> ClientConfig {
        let crypto = ClientCrypto::new(self.trust.clone(), extensions);
        let mut config = secrets.client_config(Arc::new(crypto));
        config.transport_config(transport());
        config
    }
}

fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config.max_idle_timeout(Some(Duration::from_secs(30).try_into().expect("small")));
    Arc::new(config)
}
