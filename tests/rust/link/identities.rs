//! The identities of a server change while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustls::HandshakeKind;
use rustls::quic::{ClientConnection, Connection, ServerConnection, Version};
use support::authority::{Authority, from_pem, good};
use support::pair::*;
use wtgram::datagram::session::{Server, Session};
use wtgram::error::{Error, Result};
use wtgram::link::config::{
    CaSource, ClientCertificates, ConnectOptions, IdentitySource, ListenOptions, Trust,
};
use wtgram::link::tls::{self, Identities};
use wtgram::runtime::clock::WallClock;

fn self_signed(names: &[&str]) -> IdentitySource {
    IdentitySource::SelfSigned { names: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn attempt(server: &Server, host: &str, trust: Trust) -> Result<Session> {
    let options = ConnectOptions { trust, timeout: PATIENCE, ..ConnectOptions::default() };
    connect(&url_at(host, server), &options)
}

fn by_hash(server: &Server, hash: [u8; 32]) -> Result<Session> {
    attempt(server, "127.0.0.1", Trust::CertificateHashes(vec![hash]))
}

#[test]
fn a_new_identity_is_for_new_connections_and_running_sessions_go_on() {
    let server = listen();
    let (client, accepted) = pair(&server);
    let over = AtomicBool::new(false);
    let exchanged = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                exchange(&client, &accepted);
                exchange(&accepted, &client);
                exchanged.fetch_add(1, Ordering::Relaxed);
            }
        });
        let authority = Authority::new();
        let (certificate, private_key) = authority.sign(&good(&["127.0.0.1"]));
        let folder = std::env::temp_dir();
        let files = ["chain", "key"].map(|what| folder.join(format!("wtgram-{what}-{}", std::process::id())));
        for (path, pem) in files.iter().zip([&certificate, &private_key]) {
            std::fs::write(path, pem).expect("written");
        }
        let [chain, key] = files.clone();
        for source in [
            self_signed(&[]),
            from_pem((certificate, private_key)),
            self_signed(&["somebody.example"]),
            IdentitySource::PemFiles { certificate: chain, private_key: key },
        ] {
            let old = server.link.certificate_hash();
            server.link.set_identity(None, &source).expect("a good identity");
            let new = server.link.certificate_hash();
            assert_ne!(old, new);
            assert!(matches!(by_hash(&server, old), Err(Error::CertificateHashMismatch(_))));
            by_hash(&server, new).expect("a session with the new identity");
            if !matches!(source, IdentitySource::SelfSigned { .. }) {
                attempt(&server, "127.0.0.1", authority.trust()).expect("a session by authority");
            }
            let before = exchanged.load(Ordering::Relaxed);
            eventually("the running session goes on", || exchanged.load(Ordering::Relaxed) > before + 10);
        }
        for path in files {
            std::fs::remove_file(path).expect("removed");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(!client.link.is_closed() && !accepted.link.is_closed());
    server.link.close();
    assert_eq!(server.link.set_identity(None, &self_signed(&[])), Err(Error::Closed));
}

#[test]
fn a_bad_identity_changes_nothing_and_says_why() {
    let server = listen();
    let hash = server.link.certificate_hash();
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&good(&["localhost"]));
    let (_, other_key) = authority.sign(&good(&["localhost"]));
    let missing = IdentitySource::PemFiles {
        certificate: "/no/such/chain.pem".into(),
        private_key: "/no/such/key.pem".into(),
    };
    for name in [None, Some("localhost")] {
        let set = |source| server.link.set_identity(name, &source).expect_err("a bad identity");
        assert!(matches!(set(from_pem((certificate.clone(), other_key.clone()))), Error::KeyMismatch(_)));
        assert!(matches!(set(from_pem((String::new(), key.clone()))), Error::Identity(_)));
        let Error::Identity(text) = set(missing.clone()) else { panic!("another error") };
        assert!(text.contains("/no/such/chain.pem"), "{text}");
    }
    let set = |name| server.link.set_identity(Some(name), &from_pem((certificate.clone(), key.clone())));
    let Err(Error::CertificateNameMismatch(text)) = set("game.example") else { panic!("another error") };
    assert!(text.contains("game.example") && text.contains("localhost"), "{text}");
    assert!(matches!(set("*.localhost"), Err(Error::CertificateNameMismatch(_))));
    for name in ["", "not a name", "127.0.0.1"] {
        assert!(matches!(set(name), Err(Error::InvalidArgument(_))), "{name}");
    }
    assert_eq!(server.link.certificate_hash(), hash);
    by_hash(&server, hash).expect("a session with the old identity");
    assert!(matches!(attempt(&server, "localhost", authority.trust()), Err(Error::CertificateUntrusted(_))));
    server.link.close();
}

/// The name that a client asks for is the host of its URL. Here it is a name that the system
/// resolves to this machine.
#[test]
fn a_client_is_shown_the_identity_of_the_name_that_it_asks_for() {
    let (of_name, of_all) = (Authority::new(), Authority::new());
    let server = listen_with(&ListenOptions {
        identity: of_all.identity(&["localhost", "127.0.0.1"]),
        ..on_loopback()
    });
    let by = |host: &str, authority: &Authority| attempt(&server, host, authority.trust()).map(drop);
    assert_eq!(by("localhost", &of_all), Ok(()));
    server.link.set_identity(Some("LocalHost."), &of_name.identity(&["localhost"])).expect("added");
    assert_eq!(by("localhost", &of_name), Ok(()));
    assert!(matches!(by("localhost", &of_all), Err(Error::CertificateUntrusted(_))));
    assert_eq!(by("127.0.0.1", &of_all), Ok(()), "an address is no name");
    let newer = Authority::new();
    server.link.set_identity(Some("localhost"), &newer.identity(&["localhost"])).expect("replaced");
    assert_eq!(by("localhost", &newer), Ok(()));
    assert!(matches!(by("localhost", &of_name), Err(Error::CertificateUntrusted(_))));
    server.link.remove_identity("localhost").expect("removed");
    assert_eq!(by("localhost", &of_all), Ok(()));
    assert!(matches!(server.link.remove_identity("localhost"), Err(Error::InvalidState(_))));
    server.link.close();
}

const DAY: u64 = 24 * 3600;

/// A clock that is behind by some time, and the seconds by which it was set forward.
fn clock_behind(behind: Duration) -> (WallClock, Arc<AtomicU64>) {
    let forward = Arc::new(AtomicU64::new(0));
    let start = SystemTime::now() - behind;
    let seen = forward.clone();
    (WallClock::new(move || start + Duration::from_secs(seen.load(Ordering::Relaxed))), forward)
}

#[test]
fn a_self_signed_identity_renews_itself_and_says_in_advance_with_what() {
    // So the client, whose clock is right, takes the first two certificates.
    let (clock, forward) = clock_behind(Duration::from_secs(11 * DAY + DAY / 2));
    let server = listen_with(&ListenOptions { clock, ..on_loopback() });
    let hashes =
        vec![server.link.certificate_hash(), server.link.next_certificate_hash().expect("announced")];
    let list = ConnectOptions {
        trust: Trust::CertificateHashes(hashes.clone()),
        timeout: PATIENCE,
        ..ConnectOptions::default()
    };
    let client = connect(&url_at("127.0.0.1", &server), &list).expect("a session");
    let accepted = server.accept(soon()).expect("the same session");
    by_hash(&server, hashes[0]).expect("the first is shown");
    forward.store(12 * DAY - 1, Ordering::Relaxed);
    by_hash(&server, hashes[0]).expect("the first is shown");
    forward.store(12 * DAY, Ordering::Relaxed);
    by_hash(&server, hashes[1]).expect("the second is shown");
    assert!(matches!(by_hash(&server, hashes[0]), Err(Error::CertificateHashMismatch(_))));
    connect(&url_at("127.0.0.1", &server), &list).expect("who knows both hashes connects as before");
    assert_eq!(server.link.certificate_hash(), hashes[1]);
    let third = server.link.next_certificate_hash().expect("announced");
    assert!(!hashes.contains(&third));
    exchange(&client, &accepted);
    exchange(&accepted, &client);
    server.link.set_identity(None, &Authority::new().identity(&["localhost"])).expect("a good identity");
    assert!(matches!(server.link.next_certificate_hash(), Err(Error::InvalidState(_))));
    forward.store(24 * DAY, Ordering::Relaxed);
    server.link.set_identity(None, &self_signed(&[])).expect("a good identity");
    assert!(matches!(by_hash(&server, server.link.certificate_hash()), Err(Error::CertificateExpired(_))));
    server.link.close();
}

#[test]
fn identities_by_name_are_there_from_the_start() {
    let authority = Authority::new();
    let named_identities = vec![
        ("localhost".to_owned(), authority.identity(&["localhost"])),
        ("*.other.example".to_owned(), self_signed(&[])),
    ];
    let server = listen_with(&ListenOptions { named_identities, ..on_loopback() });
    attempt(&server, "localhost", authority.trust()).expect("a session");
    let of = |name| server.link.certificate_hashes(Some(name));
    let default = server.link.certificate_hashes(None);
    let next = server.link.next_certificate_hash().expect("self-signed");
    assert_eq!(default, [server.link.certificate_hash(), next]);
    assert_eq!(of("127.0.0.1"), default);
    assert_eq!(of("Localhost.").len(), 1);
    assert_eq!(of("a.other.example").len(), 2);
    assert_eq!(of("a.other.example"), of("*.other.example"));
    assert_ne!(of("a.other.example"), default);
    server.link.close();
    let named_identities = vec![("other.example".to_owned(), authority.identity(&["localhost"]))];
    let listening = wtgram::link::Server::listen(&ListenOptions { named_identities, ..on_loopback() });
    assert!(matches!(listening.err(), Some(Error::CertificateNameMismatch(_))));
}

/// A client and the server's identities without sockets between them.
struct Tls {
    client: Arc<rustls::ClientConfig>,
    server: Arc<rustls::ServerConfig>,
    authority: Authority,
}

impl Tls {
    fn new(authority: Authority, identities: &Arc<Identities>) -> Self {
        let client = Self::client(authority.trust());
        let server = tls::server_config(identities, &ListenOptions::default()).expect("TLS");
        Self { client, server: Arc::new(server), authority }
    }

    fn client(trust: Trust) -> Arc<rustls::ClientConfig> {
        let options = ConnectOptions { trust, ..ConnectOptions::default() };
        Arc::new(tls::client_config(&options).expect("TLS").0)
    }

    /// Connects to `name`. Returns the certificate that the client was shown, and how.
    fn connect(&self, name: &'static str) -> Result<(Vec<u8>, HandshakeKind), rustls::Error> {
        let name = name.try_into().expect("a name");
        let client = ClientConnection::new(self.client.clone(), Version::V1, name, vec![])?;
        let server = ServerConnection::new(self.server.clone(), Version::V1, vec![])?;
        let (mut client, mut server) = (client.into(), server.into());
        for _ in 0..3 {
            carry(&mut client, &mut server)?;
            carry(&mut server, &mut client)?;
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        let shown = client.peer_certificates().expect("a certificate")[0].to_vec();
        Ok((shown, client.handshake_kind().expect("shaken")))
    }
}

/// Gives the messages of one end to the other, those of each encryption level together.
fn carry(from: &mut Connection, to: &mut Connection) -> Result<(), rustls::Error> {
    loop {
        let mut bytes = Vec::new();
        if from.write_hs(&mut bytes).is_none() && bytes.is_empty() {
            return Ok(());
        }
        to.read_hs(&bytes)?;
    }
}

#[test]
fn an_exact_name_goes_before_a_wildcard_and_a_wildcard_before_the_default() {
    let authority = Authority::new();
    let identities =
        Identities::new(&authority.identity(&["other.example", "a.b.game.example"]), WallClock::default())
            .expect("one");
    let tls = Tls::new(authority, &identities);
    let set = |name: &str| {
        identities.set(Some(name), &tls.authority.identity(&[name])).expect("one more");
    };
    set("*.game.example");
    set("eu.game.example");
    let shown = |name| tls.connect(name).expect("trusted").0;
    let names = ["other.example", "us.game.example", "eu.game.example"];
    let certificates = names.map(shown);
    assert_ne!(certificates[0], certificates[1]);
    assert_ne!(certificates[1], certificates[2]);
    assert_eq!(shown("asia.game.example"), certificates[1]);
    assert_eq!(shown("EU.Game.Example"), certificates[2]);
    assert_eq!(shown("a.b.game.example"), certificates[0], "a wildcard is one label");
    let error = tls.connect("game.example").expect_err("the default is for others");
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error}");
}

#[test]
fn a_self_signed_identity_with_a_name_renews_itself_too() {
    let authority = Authority::new();
    let (clock, forward) = clock_behind(Duration::ZERO);
    let identities = Identities::new(&authority.identity(&["other.example"]), clock).expect("one");
    identities.set(Some("*.game.example"), &self_signed(&[])).expect("one more");
    let client = Tls::client(Trust::InsecureNoVerification);
    let tls = Tls { client, ..Tls::new(authority, &identities) };
    let first = tls.connect("eu.game.example").expect("whatever it is");
    assert_eq!(tls.connect("eu.game.example"), Ok((first.0.clone(), HandshakeKind::Resumed)));
    forward.store(12 * DAY, Ordering::Relaxed);
    let (second, kind) = tls.connect("eu.game.example").expect("whatever it is");
    assert_eq!(kind, HandshakeKind::Full);
    assert_ne!(first.0, second);
}

#[test]
fn a_client_does_not_resume_with_a_certificate_that_was_replaced() {
    let authority = Authority::new();
    let identities =
        Identities::new(&authority.identity(&["game.example"]), WallClock::default()).expect("one");
    let tls = Tls::new(authority, &identities);
    let (old, kind) = tls.connect("game.example").expect("trusted");
    assert_eq!(kind, HandshakeKind::Full);
    assert_eq!(tls.connect("game.example").expect("trusted"), (old.clone(), HandshakeKind::Resumed));
    identities.set(None, &tls.authority.identity(&["game.example"])).expect("replaced");
    let (new, kind) = tls.connect("game.example").expect("trusted");
    assert_eq!(kind, HandshakeKind::Full);
    assert_ne!(new, old);
}

#[test]
fn nobody_resumes_where_clients_are_asked_for_a_certificate() {
    // rustls would take over the certificate of the session that is resumed without looking at it again.
    let authority = Authority::new();
    let identities =
        Identities::new(&authority.identity(&["game.example"]), WallClock::default()).expect("one");
    let authorities = || CaSource::Pem(authority.pem.clone().into_bytes());
    let player = ConnectOptions {
        trust: authority.trust(),
        identity: Some(authority.identity(&["player"])),
        ..ConnectOptions::default()
    };
    let client = Arc::new(tls::client_config(&player).expect("TLS").0);
    for (client_certificates, second) in [
        (ClientCertificates::Off, HandshakeKind::Resumed),
        (ClientCertificates::Optional(authorities()), HandshakeKind::Full),
        (ClientCertificates::Required(authorities()), HandshakeKind::Full),
    ] {
        let options = ListenOptions { client_certificates, ..ListenOptions::default() };
        let server = Arc::new(tls::server_config(&identities, &options).expect("TLS"));
        let tls = Tls { client: client.clone(), server, authority: Authority::new() };
        assert_eq!(tls.connect("game.example").expect("trusted").1, HandshakeKind::Full);
        assert_eq!(tls.connect("game.example").expect("trusted").1, second);
        // The next server does not know this one's sessions.
        identities.set(None, &authority.identity(&["game.example"])).expect("replaced");
    }
}
