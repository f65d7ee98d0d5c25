//! The crypto session between two ends in invented time: suites, key updates, Retry, resets, and the two openings.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use quinn_proto::{ClientConfig, ConnectionError, ServerConfig};
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::{CipherSuite, SupportedCipherSuite};
use support::invented::clock::Clock;
use support::invented::network::{Interference, Network};
use support::invented::quic::{Peer, QuicHost, Setup};
use support::invented::world::World;
use support::simulator::Conditions;
use wtgram::link::config::{ConnectOptions, Trust};
use wtgram::link::ids::Label;
use wtgram::link::secrets::Secrets;
use wtgram::link::tls::{Extensions, FrameFilter, HandshakeData};
use wtransport::quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};

const SERVER: &str = "10.0.0.1:443";
const CLIENT: &str = "10.0.0.2:40000";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A client and a server with 10 ms between them.
struct Pair {
    setup: Setup,
    world: World<QuicHost>,
}

impl Pair {
    fn new() -> Self {
        let clock = Clock::new();
        let setup = Setup::new(&clock);
        let mut network = Network::new(1);
        let conditions = Conditions::latency(Duration::from_millis(10));
        network.add_client(address(CLIENT), conditions, Interference::default());
        Self { setup, world: World::new(clock, network) }
    }

    fn secrets(host: u8) -> Secrets {
        Secrets::fixed(&[host; 32])
    }

    /// Both hosts with plain configurations.
    fn start(&mut self) {
        self.start_with(Extensions::default(), Extensions::default());
    }

    fn start_with(&mut self, client: Extensions, server: Extensions) {
        let server = self.setup.server_config(&Self::secrets(1), server);
        let client = self.setup.client_config(&Self::secrets(2), client);
        self.start_configured(client, server);
    }

    fn start_configured(&mut self, client: ClientConfig, server: ServerConfig) {
        let server = QuicHost::new(
            address(SERVER),
            Self::secrets(1).endpoint_config(0, &Label::default()),
            Some(server),
        );
        let mut host =
            QuicHost::new(address(CLIENT), Self::secrets(2).endpoint_config(0, &Label::default()), None);
        host.connect(self.world.clock.now(), client, address(SERVER));
        self.world.hosts.clear();
        self.world.add(host);
        self.world.add(server);
    }

    fn run(&mut self, time: Duration) {
        let until = self.world.clock.now() + time;
        self.world.run(until);
    }

    fn client(&mut self) -> &mut Peer {
        self.world.hosts[0].only()
    }

    fn server(&mut self) -> &mut Peer {
        self.world.hosts[1].only()
    }

    fn connect(&mut self) {
        self.run(Duration::from_secs(1));
        assert!(self.client().connected && self.server().connected);
    }

    /// Checks that a datagram arrives in each direction.
    fn talk(&mut self) {
        for (from, to) in [(0, 1), (1, 0)] {
            let said = Bytes::from_static(b"something to say");
            self.world.hosts[from].only().quic.datagrams().send(said.clone(), true).expect("sent");
            self.world.nudge(from);
            self.run(Duration::from_millis(100));
            let heard = std::mem::take(&mut self.world.hosts[to].only().datagrams);
            assert_eq!(heard, [said]);
        }
    }
}

/// The suite that TLS alone agrees on.
fn agreed(client: rustls::ClientConfig, server: rustls::ServerConfig) -> CipherSuite {
    use rustls::quic::{ClientConnection, ServerConnection, Version};
    let name = support::invented::identity::NAME.try_into().expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), Version::V1, name, vec![]).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server), Version::V1, vec![]).expect("a server");
    let mut hello = Vec::new();
    client.write_hs(&mut hello);
    server.read_hs(&hello).expect("a hello");
    server.negotiated_cipher_suite().expect("agreed").suite()
}

#[test]
fn two_of_ours_agree_on_aes_128() {
    let setup = Setup::new(&Clock::new());
    assert_eq!(agreed(setup.trust, setup.identity), CipherSuite::TLS13_AES_128_GCM_SHA256);
}

#[test]
fn each_suite_is_offered_and_taken() {
    for suite in [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256] {
        let setup = Setup::new(&Clock::new());
        assert_eq!(agreed(only_client(&setup, suite), setup.identity), suite.suite());
        let setup = Setup::new(&Clock::new());
        let server = only_server(&setup, suite);
        assert_eq!(agreed(setup.trust, server), suite.suite());
    }
}

#[test]
fn sessions_of_each_suite_alone_carry_datagrams() {
    for suite in [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256] {
        let mut pair = Pair::new();
        pair.setup.trust = only_client(&pair.setup, suite);
        pair.start();
        pair.connect();
        pair.talk();
    }
}

fn provider_of(suite: SupportedCipherSuite) -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::CryptoProvider {
        cipher_suites: vec![suite],
        ..rustls::crypto::ring::default_provider()
    })
}

fn only_client(setup: &Setup, suite: SupportedCipherSuite) -> rustls::ClientConfig {
    let (_, trust) = support::invented::identity::fixed();
    let Trust::CaPem(pem) = trust else { unreachable!() };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(&pem) {
        roots.add(certificate.expect("PEM")).expect("an authority");
    }
    let mut config =
        rustls::ClientConfig::builder_with_details(provider_of(suite), Arc::new(setup.clock.clone()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.alpn_protocols = vec![b"h3".to_vec()];
    config
}

fn only_server(setup: &Setup, suite: SupportedCipherSuite) -> rustls::ServerConfig {
    let mut config =
        rustls::ServerConfig::builder_with_details(provider_of(suite), Arc::new(setup.clock.clone()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&setup.identity.cert_resolver));
    config.alpn_protocols = vec![b"h3".to_vec()];
    config
}

#[test]
fn either_side_renews_the_keys_and_the_session_goes_on() {
    let mut pair = Pair::new();
    let (client, server) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    pair.start_with(with_filter(client.clone()), with_filter(server.clone()));
    pair.connect();
    for side in [0, 1, 0, 1] {
        pair.world.hosts[side].only().quic.force_key_update();
        pair.talk();
        // Another update must wait for three times the PTO (RFC 9001 section 6.5).
        pair.run(Duration::from_secs(1));
    }
    let count = |seen: &Seen, frames: &str| {
        seen.0.lock().expect("seen").iter().filter(|(_, text)| text.contains(frames)).count()
    };
    for seen in [&client, &server] {
        assert_eq!(count(seen, "something to say"), 8, "packets under renewed keys are seen, too");
    }
}

#[test]
fn a_client_that_must_prove_its_address_does() {
    let mut pair = Pair::new();
    pair.start();
    pair.world.hosts[1].demands_retry = true;
    pair.connect();
    pair.talk();
}

#[test]
fn a_server_that_lost_its_state_resets_its_peers_by_its_old_secrets() {
    for (secrets, believed) in [(1, true), (9, false)] {
        let mut pair = Pair::new();
        pair.start();
        pair.connect();
        let server = pair.setup.server_config(&Pair::secrets(secrets), Extensions::default());
        let reborn = QuicHost::new(
            address(SERVER),
            Pair::secrets(secrets).endpoint_config(0, &Label::default()),
            Some(server),
        );
        pair.world.hosts[1] = reborn;
        let said = Bytes::from_static(&[7; 100]);
        pair.client().quic.datagrams().send(said, true).expect("sent");
        pair.world.nudge(0);
        pair.run(Duration::from_secs(1));
        let lost = pair.world.hosts[0].failure().cloned();
        assert_eq!(lost, believed.then_some(ConnectionError::Reset), "of secrets {secrets}");
    }
}

#[test]
fn a_client_that_is_rebound_goes_on_from_its_new_address() {
    let mut pair = Pair::new();
    pair.start();
    pair.connect();
    pair.talk();
    pair.world.network.rebind(address(CLIENT));
    pair.talk();
    let seen_from = pair.server().quic.remote_address();
    assert_ne!(seen_from, address(CLIENT));
    assert!(pair.client().quic.stats().frame_rx.path_challenge > 0, "the new path was tried");
}

/// The packets that passed, with their direction.
#[derive(Default)]
struct Seen(Mutex<Vec<(&'static str, String)>>);

impl FrameFilter for Seen {
    fn arrived(&self, _packet: u64, frames: &mut [u8]) {
        self.0.lock().expect("seen").push(("in", String::from_utf8_lossy(frames).into_owned()));
    }

    fn leaving(&self, _packet: u64, frames: &mut [u8]) {
        self.0.lock().expect("seen").push(("out", String::from_utf8_lossy(frames).into_owned()));
    }
}

fn with_filter(filter: Arc<dyn FrameFilter>) -> Extensions {
    Extensions { frame_filter: Some(filter), ..Extensions::default() }
}

#[test]
fn a_filter_sees_what_leaves_and_what_arrives_in_the_clear() {
    let mut pair = Pair::new();
    let seen = Arc::new(Seen::default());
    pair.start_with(Extensions::default(), with_filter(seen.clone()));
    pair.connect();
    pair.talk();
    let seen = seen.0.lock().expect("seen");
    for direction in ["in", "out"] {
        let times =
            seen.iter().filter(|(way, text)| *way == direction && text.contains("something to say")).count();
        assert_eq!(times, 1, "{direction}");
    }
    let hello = seen.iter().any(|(_, text)| text.contains(support::invented::identity::NAME));
    assert!(!hello, "the handshake is not shown");
}

/// Replaces frames that contain `from`.
struct Replacing {
    from: &'static [u8],
    to: &'static [u8],
    leaving: bool,
}

impl Replacing {
    fn replace(&self, frames: &mut [u8]) {
        if let Some(at) = frames.windows(self.from.len()).position(|window| window == self.from) {
            frames[at..at + self.to.len()].copy_from_slice(self.to);
        }
    }
}

impl FrameFilter for Replacing {
    fn arrived(&self, _packet: u64, frames: &mut [u8]) {
        if !self.leaving {
            self.replace(frames);
        }
    }

    fn leaving(&self, _packet: u64, frames: &mut [u8]) {
        if self.leaving {
            self.replace(frames);
        }
    }
}

#[test]
fn what_a_filter_writes_is_what_the_peer_and_quic_read() {
    for leaving in [true, false] {
        let mut pair = Pair::new();
        let filter = || with_filter(Arc::new(Replacing { from: b"black", to: b"white", leaving }));
        let plain = Extensions::default;
        let (client, server) = if leaving { (filter(), plain()) } else { (plain(), filter()) };
        pair.start_with(client, server);
        pair.connect();
        pair.client().quic.datagrams().send(Bytes::from_static(b"black box"), true).expect("sent");
        pair.world.nudge(0);
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.server().datagrams, [&b"white box"[..]]);
    }
}

#[test]
fn a_frame_that_quic_forbids_ends_the_connection_with_quic_s_words() {
    let mut pair = Pair::new();
    // 0x21 is no frame type.
    let filter = with_filter(Arc::new(Replacing { from: b"\x31\x09black", to: b"\x21", leaving: true }));
    pair.start_with(filter, Extensions::default());
    pair.connect();
    pair.client().quic.datagrams().send(Bytes::from_static(b"black box"), true).expect("sent");
    pair.world.nudge(0);
    pair.run(Duration::from_secs(1));
    let lost = pair.world.hosts[1].failure();
    let Some(ConnectionError::TransportError(error)) = lost else { panic!("{lost:?}") };
    assert_eq!(error.code, quinn_proto::TransportErrorCode::FRAME_ENCODING_ERROR);
}

#[test]
fn transport_parameters_of_ours_reach_the_peer_beside_quic_s() {
    let mut pair = Pair::new();
    // RESET_STREAM_AT's parameters 0x1d and 0x17f7586d2cb571, both empty, which all sessions send.
    let ours = [&[0x1d, 0][..], &[0xc0, 0x17, 0xf7, 0x58, 0x6d, 0x2c, 0xb5, 0x71, 0]].concat();
    let extra = [0x7f, 0x30, 2, 0xab, 0xcd];
    let all = [&ours[..], &extra].concat();
    let extra = extra.to_vec();
    let extension = Extensions { transport_parameters: extra.clone(), ..Extensions::default() };
    pair.start_with(extension.clone(), extension);
    pair.connect();
    pair.talk();
    for peer in [0, 1] {
        let data = pair.world.hosts[peer].only().quic.crypto_session().handshake_data().expect("data");
        let data = data.downcast::<HandshakeData>().expect("ours");
        assert_eq!(data.protocol.as_deref(), Some(&b"h3"[..]));
        assert_eq!(data.server_name.as_deref(), (peer == 1).then_some(support::invented::identity::NAME));
        let found = data.transport_parameters.windows(all.len()).any(|window| window == all);
        assert!(found, "{:02x?}", data.transport_parameters);
    }
}

/// Changes a handshake so that it fails.
type Spoiler = fn(&mut Setup);

/// The errors of both ends after a failed handshake.
fn failure(ours: bool, spoil: Spoiler) -> [String; 2] {
    let mut pair = Pair::new();
    spoil(&mut pair.setup);
    let mut client = pair.setup.client_config(&Pair::secrets(2), Extensions::default());
    let mut server = pair.setup.server_config(&Pair::secrets(1), Extensions::default());
    if !ours {
        let tls = pair.setup.trust.clone();
        client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("a configuration")));
        let tls = pair.setup.identity.clone();
        server =
            ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).expect("a configuration")));
    }
    pair.start_configured(client, server);
    pair.run(Duration::from_secs(3));
    [0, 1].map(|host| format!("{:?}", pair.world.hosts[host].failure().expect("a failure")))
}

#[test]
fn a_failed_handshake_is_told_as_quinn_s_own_session_tells_it() {
    let spoilers: [(&str, Spoiler); 4] = [
        ("no protocol in common", |setup| setup.trust.alpn_protocols = vec![b"h2".to_vec()]),
        ("no suite in common", |setup| {
            setup.trust = only_client(setup, TLS13_AES_256_GCM_SHA384);
            setup.identity = only_server(setup, TLS13_CHACHA20_POLY1305_SHA256);
        }),
        ("a certificate of another authority", |setup| {
            let trust = Trust::CertificateHashes(vec![[1; 32]]);
            let options = ConnectOptions { trust, ..ConnectOptions::default() };
            setup.trust = wtgram::link::tls::client_config(&options).expect("TLS").0;
        }),
        ("a certificate that has expired", |setup| {
            setup.clock.advance_to(setup.clock.at(Duration::from_secs(20 * 365 * 24 * 3600)));
        }),
    ];
    for (name, spoil) in spoilers {
        // Of a configuration with AES-256 alone quinn's session cannot be made: it takes the suite of Initial packets
        // from there.
        if name == "no suite in common" {
            // Alert 40, handshake_failure.
            assert!(failure(true, spoil).iter().all(|reason| reason.contains("Code::crypto(28)")));
            continue;
        }
        assert_eq!(failure(true, spoil), failure(false, spoil), "{name}");
    }
}

/// A handshake, datagrams both ways, an address change and a close. Returns each packet's time,
/// direction and size.
fn recorded(secret: u8) -> (u64, Vec<String>) {
    let mut pair = Pair::new();
    pair.world.record.lines = Some(Vec::new());
    let server_secrets = Secrets::fixed(&[secret; 32]);
    let client_secrets = Secrets::fixed(&[secret ^ 0xff; 32]);
    let server = pair.setup.server_config(&server_secrets, Extensions::default());
    let client = pair.setup.client_config(&client_secrets, Extensions::default());
    let mut host = QuicHost::new(address(CLIENT), client_secrets.endpoint_config(0, &Label::default()), None);
    host.connect(pair.world.clock.now(), client, address(SERVER));
    pair.world.add(host);
    pair.world.add(QuicHost::new(
        address(SERVER),
        server_secrets.endpoint_config(0, &Label::default()),
        Some(server),
    ));
    pair.connect();
    pair.talk();
    pair.world.network.rebind(address(CLIENT));
    pair.talk();
    let now = pair.world.clock.now();
    pair.client().close(now);
    pair.world.nudge(0);
    pair.run(Duration::from_secs(10));
    assert!(pair.world.hosts.iter().all(|host| host.peers.is_empty()), "both took leave");
    (pair.world.record.hash(), pair.world.record.lines.take().expect("lines"))
}

#[test]
fn the_same_secrets_give_packets_of_the_same_sizes_at_the_same_times() {
    let (first, lines) = recorded(7);
    let (second, again) = recorded(7);
    assert_eq!(lines, again);
    assert_eq!(first, second);
    assert!(lines.len() > 50, "{lines:#?}");
}
