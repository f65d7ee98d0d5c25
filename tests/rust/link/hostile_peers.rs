//! Peers that are slow, silent or gone, or that accept hardly any datagrams.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use support::pair::*;
use support::raw_peer::*;
use wtgram::datagram::session::{Server, Session};
use wtgram::error::Error;
use wtgram::link::config::{ConnectOptions, ConnectionOptions, ListenOptions};
use wtgram::link::session::ClosedBy;
use wtransport::quinn::{RecvStream, SendStream, TransportConfig};

const H3_REQUEST_CANCELLED: u64 = 0x10c;

const NEVER: Duration = Duration::from_secs(24 * 3600);

fn at_least(took: Duration, least_ms: u64) {
    assert!(took >= Duration::from_millis(least_ms), "only {took:?}");
}

/// The streams that a client has opened, which it would stop or finish if it dropped them.
type Streams = Vec<(SendStream, Option<RecvStream>)>;

/// How far a client gets before it stops.
type Said = fn(&Raw) -> Streams;

fn says(raw: &Raw, bytes: Vec<u8>) -> (SendStream, Option<RecvStream>) {
    (raw.open_uni(bytes), None)
}

fn asks(raw: &Raw, bytes: Vec<u8>) -> (SendStream, Option<RecvStream>) {
    let (send, receive) = raw.open_bi(bytes);
    (send, Some(receive))
}

/// Clients that never send CONNECT, each in a different way.
fn that_never_ask(server: &Server) -> Vec<(Raw, Streams)> {
    let half_a_request: Said = |raw| {
        let request = connect_request("webtransport", "localhost");
        vec![says(raw, control(OLD_SETTINGS)), asks(raw, request[..request.len() / 2].to_vec())]
    };
    let without_settings: Said = |raw| vec![asks(raw, connect_request("webtransport", "localhost"))];
    let ways: [Said; 4] =
        [|_| vec![], |raw| vec![says(raw, control(OLD_SETTINGS))], half_a_request, without_settings];
    let mut clients: Vec<_> = ways
        .iter()
        .map(|way| {
            let raw = Raw::client(address(server));
            let said = way(&raw);
            (raw, said)
        })
        .collect();
    let takes_no_answer = Raw::client_with(address(server), |transport| {
        transport.stream_receive_window(0_u32.into());
    });
    let said = vec![
        says(&takes_no_answer, control(OLD_SETTINGS)),
        asks(&takes_no_answer, connect_request("webtransport", "localhost")),
    ];
    clients.push((takes_no_answer, said));
    clients
}

#[test]
fn a_client_that_never_asks_delays_nobody() {
    let server = listen_with(&ListenOptions { handshake_timeout: NEVER, ..on_loopback() });
    let silent = that_never_ask(&server);
    for _ in 0..5 {
        let (client, accepted) = pair(&server);
        exchange(&client, &accepted);
    }
    assert!(silent.iter().all(|(raw, _)| raw.is_open()), "nobody waited for their end");
    server.link.close();
}

#[test]
fn a_client_that_never_asks_is_closed_at_the_deadline() {
    let handshake_timeout = Duration::from_secs(2);
    let server = listen_with(&ListenOptions { handshake_timeout, ..on_loopback() });
    let started = Instant::now();
    for (raw, _said) in that_never_ask(&server) {
        assert_eq!(raw.closed(), Some(H3_REQUEST_CANCELLED));
        at_least(started.elapsed(), 1900);
    }
    server.link.close();
}

#[test]
fn closing_a_server_ends_those_that_never_ask_at_once() {
    let server = listen_with(&ListenOptions { handshake_timeout: NEVER, ..on_loopback() });
    let silent = Raw::client(address(&server));
    eventually("it is let in", || silent.is_open());
    std::thread::sleep(Duration::from_millis(20));
    server.link.close();
    assert!(silent.closed().is_some());
}

#[test]
fn a_server_that_never_answers_is_a_connect_timeout_at_the_deadline() {
    let timeout = Duration::from_secs(2);
    let preludes: [Said; 2] = [|_| vec![], |raw| vec![says(raw, control(OLD_SETTINGS))]];
    for prelude in preludes {
        let server = RawServer::new();
        let (url, options) = (server.url(), ConnectOptions { timeout, ..trusting_hash(server.hash()) });
        let started = Instant::now();
        let client = std::thread::spawn(move || connect(&url, &options).err());
        let raw = server.accept();
        let _kept = prelude(&raw);
        let error = client.join().expect("no panic").expect("no session");
        at_least(started.elapsed(), 1900);
        assert!(matches!(&error, Error::ConnectTimeout(text) if text.contains("127.0.0.1")), "{error}");
        assert_eq!(raw.closed(), Some(H3_REQUEST_CANCELLED), "and the attempt leaves no connection behind");
    }
}

#[test]
fn nobody_listening_is_a_connect_timeout_at_the_deadline() {
    let mute = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP socket");
    let port = mute.local_addr().expect("bound").port();
    let options = ConnectOptions { timeout: Duration::from_millis(300), ..trusting_hash([0; 32]) };
    for bound in [Some(mute), None] {
        let started = Instant::now();
        let error = connect(&format!("https://127.0.0.1:{port}/"), &options).err().expect("no session");
        at_least(started.elapsed(), 300);
        assert!(matches!(&error, Error::ConnectTimeout(text) if text.contains("listening")), "{error}");
        drop(bound);
    }
}

#[test]
fn a_peer_that_vanishes_is_noticed_by_either_side_after_the_idle_timeout() {
    let connection = ConnectionOptions {
        idle_timeout: Some(Duration::from_secs(3)),
        keep_alive: Some(Duration::from_millis(300)),
        ..ConnectionOptions::default()
    };
    let server = listen_with(&ListenOptions { connection: connection.clone(), ..on_loopback() });
    let wire = Wire::to(address(&server));
    let url = format!("https://127.0.0.1:{}/", wire.address.port());
    let client = connect(&url, &ConnectOptions { connection, ..trusting(&server) }).expect("a session");
    let accepted = server.accept(soon()).expect("the same");
    std::thread::sleep(Duration::from_secs(4));
    exchange(&client, &accepted);
    wire.cut();
    let started = Instant::now();
    for session in [client, accepted] {
        let end = wait_closed(&session);
        assert_eq!((end.by, end.code), (ClosedBy::Transport, 0));
        assert!(end.reason.contains("timed out"), "{}", end.reason);
        at_least(started.elapsed(), 2000);
        assert_eq!(session.datagrams.incoming.receive(&mut [0; 9], soon()).err(), Some(Error::Closed));
    }
    server.link.close();
}

/// Sessions with a peer that advertises `limit` as `max_datagram_frame_size`, as server and as client.
fn with_datagram_limit(limit: Option<usize>, check: impl Fn(&Session)) {
    let adjust = |transport: &mut TransportConfig| {
        transport.datagram_receive_buffer_size(limit);
    };
    let server: Server = listen();
    let raw = Raw::client_with(address(&server), adjust).ask("webtransport", OLD_SETTINGS);
    check(&server.accept(soon()).expect("a session"));
    drop(raw);
    server.link.close();
    let server = RawServer::with(adjust);
    let (url, options) = (server.url(), trusting_hash(server.hash()));
    let client = std::thread::spawn(move || connect(&url, &options));
    let _raw = server.serve(OLD_SETTINGS, &response(200));
    check(&client.join().expect("no panic").expect("a session"));
}

#[test]
fn a_peer_that_takes_no_datagrams_or_only_tiny_ones_is_said_to() {
    for limit in [None, Some(0), Some(1), Some(2), Some(8), Some(9)] {
        with_datagram_limit(limit, |session| {
            assert_eq!(
                session.datagrams.outgoing.max_datagram_size().err(),
                Some(Error::Unsupported),
                "{limit:?}"
            );
            for size in [0, 1, 2, 1200, 70_000] {
                let result = session.datagrams.outgoing.send(&vec![0; size], &Default::default(), soon());
                assert!(
                    matches!(result, Err(Error::Unsupported | Error::TooLarge { .. })),
                    "{limit:?}: {result:?}"
                );
            }
            assert_eq!(session.datagrams.stats().outbound.queued.datagrams, 0);
            assert!(!session.link.is_closed());
        });
    }
    for limit in [10, 11, 100] {
        with_datagram_limit(Some(limit), |session| {
            // Nine bytes are reserved for the frame, one is the session's.
            let most = limit - 10;
            assert_eq!(session.datagrams.outgoing.max_datagram_size(), Ok(most));
            let result = session.datagrams.outgoing.send(&vec![0; most + 1], &Default::default(), soon());
            assert_eq!(result, Err(Error::TooLarge { size: most + 1, limit: most }));
            // Last, because quinn counts its overhead against this small buffer and closes the
            // connection.
            session.datagrams.outgoing.send(&vec![0; most], &Default::default(), soon()).expect("it fits");
        });
    }
}
